//! Why a fact about this machine could not be had.

use std::io;
use std::path::PathBuf;

/// A fact that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A file of the kernel's could not be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no cgroup v2 hierarchy.
    #[error(
        "no cgroup2 file system in /proc/self/mountinfo, expected one on /sys/fs/cgroup or /sys/fs/cgroup/unified; mount it with `mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified`"
    )]
    NoCgroup2,
}
