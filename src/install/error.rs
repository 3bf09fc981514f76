//! Why an engine's configuration is left as it is.

use super::Engine;
use std::{io, path::PathBuf};

/// Why nothing, or not everything, was changed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A file could not be read, written, linked or removed.
    #[error("{}: {error}{}", path.display(), advice(error))]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is none that its engine would read.
    #[error("{}: {reason}: mend it first, its engine does not start with it either", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        reason: String,
    },
    /// A file says something that this program does not change by itself.
    #[error("{}: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What it says, and what to do.
        reason: String,
    },
    /// The program that the engines would run cannot be run by them.
    #[error("{}: {reason}", path.display())]
    Program {
        /// The program, as an engine would name it.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// No engine was named, and none is there.
    #[error("no engine found: name one, as in `--engine docker`, to prepare for its coming")]
    NoEngine,
    /// Something failed after something else was changed.
    #[error(
        "{failed}; already done for {engine}: {done}; run the same command again once it is mended"
    )]
    Halfway {
        /// The engine.
        engine: Engine,
        /// What was changed before.
        done: String,
        /// What failed.
        failed: Box<InstallError>,
    },
}

impl InstallError {
    pub(super) fn file(path: impl Into<PathBuf>, error: io::Error) -> InstallError {
        InstallError::File { path: path.into(), error }
    }

    pub(super) fn malformed(path: impl Into<PathBuf>, reason: impl ToString) -> InstallError {
        InstallError::Malformed { path: path.into(), reason: one_line(&reason.to_string()) }
    }

    pub(super) fn refused(path: impl Into<PathBuf>, reason: impl Into<String>) -> InstallError {
        InstallError::Refused { path: path.into(), reason: reason.into() }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => ": run this as root",
        io::ErrorKind::ReadOnlyFilesystem => {
            ": change it where the image of this system is made, see --root"
        }
        _ => "",
    }
}

/// toml's messages draw the line below.
fn one_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let last = lines.next_back().unwrap_or_default();
    let first = first.strip_prefix("TOML parse error at ").unwrap_or(first);
    if last.is_empty() { first.to_owned() } else { format!("{first}: {last}") }
}
