//! Facts about this machine, found by asking. Nothing here decides or changes
//! anything: `doctor` judges what is found.

mod btf;
mod capabilities;
mod cgroup;
mod command;
mod containers_conf;
mod docker;
mod error;
mod executable;
mod hooks_d;
mod kernel;
mod mounts;
mod place;
mod program;
mod user_namespace;

pub use btf::Btf;
pub use capabilities::Capabilities;
pub use cgroup::cgroup2_mount;
pub use command::{CommandError, Output, output};
pub use containers_conf::{CONTAINERS_CONF, hooks_dirs};
pub use docker::{Docker, Runtime, docker};
pub use error::HostError;
pub use executable::{Executable, executable};
pub use hooks_d::{HOOKS_DIRS, Hook, HookFile, HooksDir, hooks_dir};
pub use kernel::Kernel;
pub use mounts::{Mount, mounts};
pub use place::Place;
pub use program::{Program, find_program, find_program_where, programs};
pub use user_namespace::in_initial_user_namespace;

use std::path::PathBuf;

/// Everything that is asked at once.
#[derive(Debug)]
pub struct Facts {
    /// The running kernel.
    pub kernel: Kernel,
    /// The kernel's type information.
    pub btf: Result<Btf, HostError>,
    /// Where BPF file systems are mounted.
    pub bpffs: Result<Vec<PathBuf>, HostError>,
    /// Where the cgroup v2 hierarchy is mounted.
    pub cgroup2: Result<PathBuf, HostError>,
    /// Whether uid 0 is the host's root.
    pub initial_user_namespace: bool,
    /// What this process may do.
    pub capabilities: Result<Capabilities, HostError>,
    /// Engines and runtimes found.
    pub programs: Vec<Program>,
    /// The hooks directories, in [`HOOKS_DIRS`] order.
    pub hooks: Vec<HooksDir>,
    /// Docker's configuration; `None` without one.
    pub docker: Result<Option<Docker>, HostError>,
}

impl Facts {
    /// Asks for everything. Runs each engine and runtime found for its version.
    pub fn gather() -> Facts {
        Facts {
            kernel: Kernel::read(),
            btf: Btf::read(),
            bpffs: mounts().map(|mounts| {
                mounts
                    .into_iter()
                    .filter(|mount| mount.file_system == "bpf")
                    .map(|mount| mount.point)
                    .collect()
            }),
            cgroup2: cgroup2_mount(),
            initial_user_namespace: in_initial_user_namespace(),
            capabilities: Capabilities::read(),
            programs: programs(),
            hooks: HOOKS_DIRS.iter().map(|dir| hooks_dir(dir.as_ref())).collect(),
            docker: docker(),
        }
    }
}
