//! Why a cgroup cannot be a scope.

use crate::host::HostError;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a cgroup cannot be a scope, or could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// The hierarchy was not found.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A file of /proc or of the hierarchy.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The process has no cgroup v2.
    #[error(
        "{file}: no cgroup v2 (a line that begins with `0::`): mount cgroup v2, alone or hybrid"
    )]
    NoV2 {
        /// Where it was looked for.
        file: PathBuf,
    },
    /// The container was put into the root cgroup.
    #[error(
        "the container is in the root cgroup, with the whole host: let the engine give it a \
         cgroup v2 of its own (on a hybrid host some runtimes cannot)"
    )]
    Root,
    /// The container shares the cgroup of this hook, which is the runtime's.
    #[error(
        "process {pid} is in the runtime's own cgroup {cgroup}: run the container without `--cgroups=disabled`"
    )]
    Ours {
        /// The container's first process.
        pid: u32,
        /// The cgroup.
        cgroup: PathBuf,
    },
    /// The container shares its cgroup.
    #[error(
        "cgroup {cgroup} of process {pid} holds {others} more processes that are not the container's"
    )]
    Shared {
        /// The container's first process.
        pid: u32,
        /// The cgroup.
        cgroup: PathBuf,
        /// How many others.
        others: usize,
    },
    /// The path leads out of this process's cgroup namespace.
    #[error(
        "cgroup {0} lies outside of this process's cgroup namespace: hooks must run on the host"
    )]
    Namespace(PathBuf),
}

impl CgroupError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> CgroupError + '_ {
        move |source| CgroupError::Io { path: path.to_owned(), source }
    }
}
