//! What can go wrong with a container's collection.

use crate::{cgroup::CgroupError, oci::OciError, trace::TraceError};
use nix::errno::Errno;
use std::{
    io,
    path::{Path, PathBuf},
};

/// What can go wrong with a container's collection.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The kernel side.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The container's cgroup.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// The container has no scope, for the reason given.
    #[error("{0}")]
    Scope(String),
    /// What the runtime gave us.
    #[error(transparent)]
    Oci(#[from] OciError),
    /// A file or directory of ours.
    #[error("{path}: cannot {what} it: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// The system's word.
        source: io::Error,
    },
    /// A group of the configuration that the host does not have.
    #[error(
        "/etc/group has no group {0:?}, which the configuration gives the reports to: make it, or change `group`"
    )]
    Group(String),
    /// Not the host's root.
    #[error(
        "this hook runs in a user namespace (a rootless container), where the kernel refuses BPF: \
         run the engine as root to have its containers traced"
    )]
    Rootless,
    /// A file of ours that does not say what it should.
    #[error("{path}: {reason}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The collector could not be started, or not be ended.
    #[error("collector of {id}: {reason}")]
    Collector {
        /// The container.
        id: String,
        /// What is wrong.
        reason: String,
    },
}

impl CollectError {
    pub(super) fn io(path: &Path, what: &'static str, source: io::Error) -> CollectError {
        CollectError::File { path: path.to_owned(), what, source }
    }

    pub(super) fn file(path: &Path, what: &'static str, error: Errno) -> CollectError {
        CollectError::io(path, what, error.into())
    }
}
