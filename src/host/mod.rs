//! Facts about this machine, found by asking. Nothing here decides or changes
//! anything.

mod cgroup;
mod error;
mod mounts;
mod user_namespace;

pub use cgroup::cgroup2_mount;
pub use error::HostError;
pub use mounts::{Mount, mounts};
pub use user_namespace::in_initial_user_namespace;
