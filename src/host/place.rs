//! A file or directory that only root may change.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a path leads to, for somebody who has to trust what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Only root can change it.
    Ours,
    /// Others can change it.
    Open {
        /// Its owner.
        uid: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// Nothing is there.
    Missing,
    /// Something else is there, or it is not told what.
    Unusable(String),
}

impl Place {
    /// Looks at a directory; a symbolic link is none.
    pub fn directory(path: &Path) -> Place {
        look(fs::symlink_metadata(path), Metadata::is_dir, "not a directory")
    }

    /// Looks at a file, following symbolic links.
    pub fn file(path: &Path) -> Place {
        look(fs::metadata(path), Metadata::is_file, "not a regular file")
    }
}

fn look(metadata: io::Result<Metadata>, kind: fn(&Metadata) -> bool, otherwise: &str) -> Place {
    match metadata {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Place::Missing,
        Err(error) => Place::Unusable(error.to_string()),
        Ok(metadata) if !kind(&metadata) => Place::Unusable(otherwise.to_owned()),
        Ok(metadata) if metadata.uid() != 0 || metadata.mode() & 0o022 != 0 => {
            Place::Open { uid: metadata.uid(), mode: metadata.mode() & 0o7777 }
        }
        Ok(_) => Place::Ours,
    }
}
