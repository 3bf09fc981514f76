//! Facts about this machine, found by asking. Nothing here decides or changes
//! anything: `doctor` judges what is found.

mod ancestors;
mod btf;
mod capabilities;
mod cgroup;
mod command;
mod containers_conf;
mod daemon;
mod docker;
mod engines;
mod error;
mod executable;
mod hooks_d;
mod kernel;
mod mounts;
mod place;
mod program;
mod stat;
mod user_namespace;

pub use ancestors::{Ancestor, ancestors};
pub use btf::Btf;
pub use capabilities::Capabilities;
pub use cgroup::cgroup2_mount;
pub use command::{CommandError, Output, output};
pub use containers_conf::{CONTAINERS_CONF, ContainersConf, hooks_dirs};
pub use daemon::Daemon;
pub use docker::{Docker, Runtime};
pub use engines::{Containerd, Dockerd, Engines, Worker};
pub use error::HostError;
pub use executable::{Executable, executable};
pub use hooks_d::{HOOKS_DIRS, Hook, HookFile, HooksDir, hooks_dir};
pub use kernel::{Kernel, boot_id};
pub use mounts::{Mount, Overlay, mounts};
pub use place::Place;
pub use program::{Program, find_program, find_program_where, programs};
pub use stat::began;
pub use user_namespace::in_initial_user_namespace;

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// A file that the kernel writes as it is read, and tells no length of: with room at once,
/// where `fs::read` would begin with 32 bytes and ask twice as often.
pub(crate) fn read_from_kernel(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(4096);
    File::open(file)?.take(u64::MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

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
    /// The hooks directories: [`HOOKS_DIRS`], and what containers.conf names besides.
    pub hooks: Vec<HooksDir>,
    /// Docker's configuration; `None` without one.
    pub docker: Result<Option<Docker>, HostError>,
    /// Of the other engines, and of what runs.
    pub engines: Engines,
}

impl Facts {
    /// Asks for everything. Runs each engine and runtime found for its version.
    pub fn gather() -> Facts {
        let dockerd = engines::dockerd();
        let engines = Engines::gather(dockerd.as_ref());
        let named = engines.containers_conf.hooks_dirs.iter().flat_map(|(_, dirs)| dirs);
        let mut hooks: Vec<&Path> = HOOKS_DIRS.iter().map(Path::new).collect();
        hooks.extend(
            named
                .map(PathBuf::as_path)
                .filter(|dir| HOOKS_DIRS.iter().all(|usual| *dir != Path::new(usual))),
        );
        let hooks = hooks.into_iter().map(hooks_dir).collect();
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
            hooks,
            docker: docker::docker(&engines::daemon_json(dockerd.as_ref())),
            engines,
        }
    }
}
