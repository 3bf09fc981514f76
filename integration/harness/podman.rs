//! podman with storage of its own.

use super::{
    cgroups,
    command::{Done, run},
    dir::Dir,
    image,
    release::Release,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Limits that need no privilege to set.
const LIMITS: &str = "[containers]\npids_limit = 0\n\
    default_ulimits = ['nofile=1024:1024', 'nproc=1024:1024']\n";

/// Runs a command where a directory's hooks are the host's: `sh HOOKS SCRATCH COMMAND…`.
const HOST_HOOKS: &str = "set -e; hooks=$1 scratch=$2 share=/usr/share/containers; shift 2; \
    mount=$(command -v mount) || mount='/busybox mount'; \
    mkdir -p $scratch/upper $scratch/work; options=upperdir=$scratch/upper,workdir=$scratch/work; \
    $mount -t overlay overlay -o lowerdir=$share,$options $share; \
    mkdir -p $share/oci/hooks.d; $mount --bind $hooks $share/oci/hooks.d; exec \"$@\"";

/// podman, and an image `img:1` with a busybox. Its containers go with it.
pub(crate) struct Podman<'a> {
    dir: &'a Dir,
    hooks: PathBuf,
    release: Release,
}

impl<'a> Podman<'a> {
    /// The one that is installed, with the hooks of this package.
    pub(crate) fn new(dir: &'a Dir) -> Podman<'a> {
        Podman::of(dir, Release::installed())
    }

    /// A release's.
    pub(crate) fn of(dir: &'a Dir, release: Release) -> Podman<'a> {
        let hooks = dir.hooks_d(&["buildwarden-createRuntime.json", "buildwarden-poststop.json"]);
        fs::create_dir(dir.path("podman")).unwrap();
        fs::write(dir.path("podman/containers.conf"), LIMITS).unwrap();
        let podman = Podman { dir, hooks, release };
        let tar = image::tar(dir);
        run(podman.command().arg("import").arg(tar).arg("img:1")).expect_code(0);
        podman
    }

    fn command(&self) -> Command {
        let mut command = self.on_its_storage("podman");
        command.args(["--runtime", self.runtime(), "--cgroup-manager", "cgroupfs"]);
        command.args(["--events-backend", "none"]);
        command.arg("--tmpdir").arg(self.dir.path("podman/tmp"));
        command
    }

    /// podman or buildah.
    fn on_its_storage(&self, program: &str) -> Command {
        self.with_its_storage(self.release.command(program))
    }

    fn with_its_storage(&self, mut command: Command) -> Command {
        command.args(["--storage-driver", "vfs"]);
        for (option, dir) in [("--root", "root"), ("--runroot", "runroot")] {
            command.arg(option).arg(self.dir.path("podman").join(dir));
        }
        command.env("CONTAINERS_CONF", self.dir.path("podman/containers.conf"));
        command.current_dir(self.dir.path(""));
        command
    }

    /// Debian's default, where crun takes this machine's cgroups.
    pub(crate) fn runtime(&self) -> &'static str {
        if self.release.is_next() { "crun" } else { "runc" }
    }

    /// `podman ARG…`, with the hooks: they belong to each start of a container,
    /// not to its creation.
    #[track_caller]
    pub(crate) fn podman(&self, args: &[&str]) -> Done {
        run(self.command().arg("--hooks-dir").arg(&self.hooks).args(args))
    }

    /// `podman run ARG…`, with the hooks.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Done {
        let mut command = self.command();
        command.arg("--hooks-dir").arg(&self.hooks).args(["run", "--network=none"]);
        // Its own parent cgroup stays after podman's last container.
        command.arg("--cgroup-parent").arg(Path::new("/").join(self.dir.name()));
        run(command.args(args))
    }

    /// `podman build OPTION…` of a Containerfile, with the hooks.
    #[track_caller]
    pub(crate) fn build(&self, options: &[&str], containerfile: &str) -> Done {
        self.build_by(self.command(), options, containerfile)
    }

    /// `buildah build OPTION…` of a Containerfile, with the hooks, in podman's storage.
    #[track_caller]
    pub(crate) fn buildah(&self, options: &[&str], containerfile: &str) -> Done {
        self.build_by(self.on_its_storage("buildah"), options, containerfile)
    }

    /// `buildah ARG…`. It reads the host's hooks directory, which is this test's here.
    #[track_caller]
    pub(crate) fn buildah_with_host_hooks(&self, args: &[&str]) -> Done {
        let mut command = self.release.command("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", HOST_HOOKS, "sh"]);
        command.arg(&self.hooks).arg(self.dir.path("podman/share"));
        command.arg("buildah");
        run(self.with_its_storage(command).args(args))
    }

    #[track_caller]
    fn build_by(&self, mut command: Command, options: &[&str], containerfile: &str) -> Done {
        command.args(["build", "--no-cache", "--network", "none", "--runtime", self.runtime()]);
        command.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]);
        command.arg("--hooks-dir").arg(&self.hooks).args(options);
        run(command.arg(image::context(self.dir, "Containerfile", containerfile)))
    }
}

impl Drop for Podman<'_> {
    fn drop(&mut self) {
        run(self.command().args(["rm", "--all", "--force", "--time", "0"]));
        cgroups::remove(self.dir.name());
    }
}
