//! What can go wrong with finding a run.

use crate::escape;
use std::{io, path::PathBuf};

/// What can go wrong with finding a run.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not an id at all.
    #[error(
        "{:?}: expected a container's id or the beginning of one (letters, digits, `_`, `.`, `+`, \
         `-`); `buildwarden list` shows them",
        Shown(.0)
    )]
    NotAnId(String),
    /// No such run.
    #[error("{wanted}: no container's id begins so; {}", known_ids(.known))]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// Some ids that there are.
        known: Vec<String>,
    },
    /// The container has no run of that number.
    #[error("{id}: it has no run {number}; its last one is {last}")]
    NoSuchRun {
        /// The container.
        id: String,
        /// The number asked for.
        number: u32,
        /// The highest there is.
        last: u32,
    },
    /// More than one container's id begins so.
    #[error("{wanted}: the ids of several containers begin so; add to it: {}", .candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// Whom it may mean; the last item may say how many more.
        candidates: Vec<String>,
    },
    /// A run of which nothing is left that says whose it was.
    #[error(
        "{path}: neither log nor report can be read, and no container of this name runs; \
         `buildwarden gc` finishes it"
    )]
    Nameless {
        /// Its directory.
        path: PathBuf,
    },
    /// A file or directory of ours.
    #[error("{path}: {source}{}", whom(.source))]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

/// Text from the command line, written out and bounded.
struct Shown<'a>(&'a str);

impl std::fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text: String = self.0.chars().take(80).collect();
        write!(f, "\"{}\"", escape::visible(text.as_bytes()))
    }
}

/// Who may read what this user may not.
fn whom(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; run this as root, or as a member of the `group` in the configuration"
        }
        _ => "",
    }
}

fn known_ids(known: &[String]) -> String {
    match known {
        [] => "there is none on record here".to_owned(),
        known => format!("there are {}; `buildwarden list` shows all", known.join(", ")),
    }
}
