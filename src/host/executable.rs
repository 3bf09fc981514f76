//! Whether a file could be executed.

use rustix::fs::{Access, access};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a path leads to, for somebody who wants to execute it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executable {
    /// A file that can be executed.
    Yes {
        /// Whether it is the file that this program runs from.
        this_one: bool,
    },
    /// Something that cannot be executed.
    No,
    /// Nothing.
    Missing,
}

impl Executable {
    /// Whether it can be executed.
    pub fn is_yes(self) -> bool {
        matches!(self, Executable::Yes { .. })
    }
}

/// Looks at `path`, following symbolic links.
pub fn executable(path: &Path) -> Executable {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Executable::Missing,
        Ok(file) if file.is_file() && access(path, Access::EXEC_OK).is_ok() => {
            let this_one = fs::metadata("/proc/self/exe")
                .is_ok_and(|this| (this.dev(), this.ino()) == (file.dev(), file.ino()));
            Executable::Yes { this_one }
        }
        _ => Executable::No,
    }
}
