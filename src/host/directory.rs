//! A directory of Buildwarden's own.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a path leads to, for somebody who wants to keep evidence there.
#[derive(Debug, PartialEq, Eq)]
pub enum Directory {
    /// A directory that only its owner, root, can change.
    Ours,
    /// A directory that others can change.
    Open {
        /// Its owner.
        uid: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// Nothing yet.
    Missing,
    /// Something that is no directory, or is not told.
    Unusable(String),
}

impl Directory {
    /// Looks at `path`; a symbolic link is not followed.
    pub fn look(path: &Path) -> Directory {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Directory::Missing,
            Err(error) => Directory::Unusable(error.to_string()),
            Ok(file) if !file.is_dir() => Directory::Unusable("not a directory".to_owned()),
            Ok(file) if file.uid() != 0 || file.mode() & 0o022 != 0 => {
                Directory::Open { uid: file.uid(), mode: file.mode() & 0o7777 }
            }
            Ok(_) => Directory::Ours,
        }
    }
}
