//! Why a fact about this machine could not be had.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A fact that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds something else than it should.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no cgroup v2 hierarchy.
    #[error("no cgroup2 file system, expected one on /sys/fs/cgroup or /sys/fs/cgroup/unified")]
    NoCgroup2,
    /// The kernel did not tell this process's capabilities.
    #[error("capabilities of this process: {0}")]
    Capabilities(String),
}

impl HostError {
    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        HostError::Unreadable { path: path.to_owned(), source }
    }

    pub(super) fn malformed(path: &Path, reason: impl Into<String>) -> Self {
        HostError::Malformed { path: path.to_owned(), reason: reason.into() }
    }
}

/// Reads a file of at most `limit` bytes.
pub(super) fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, HostError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(|source| HostError::unreadable(path, source))?;
    if bytes.len() as u64 > limit {
        return Err(HostError::malformed(path, format!("longer than {limit} bytes")));
    }
    Ok(bytes)
}
