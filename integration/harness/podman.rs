//! podman with storage of its own.

use super::{
    cgroups,
    command::{Done, run},
    dir::Dir,
    image,
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
    mkdir -p $scratch/upper $scratch/work; options=upperdir=$scratch/upper,workdir=$scratch/work; \
    mount -t overlay overlay -o lowerdir=$share,$options $share; \
    mkdir -p $share/oci/hooks.d; mount --bind $hooks $share/oci/hooks.d; exec \"$@\"";

/// podman, and an image `img:1` with a busybox. Its containers go with it.
pub(crate) struct Podman<'a> {
    dir: &'a Dir,
    hooks: PathBuf,
}

impl<'a> Podman<'a> {
    /// With the hooks of this package.
    pub(crate) fn new(dir: &'a Dir) -> Podman<'a> {
        let hooks = dir.hooks_d(&["buildwarden-createRuntime.json", "buildwarden-poststop.json"]);
        fs::create_dir(dir.path("podman")).unwrap();
        fs::write(dir.path("podman/containers.conf"), LIMITS).unwrap();
        let podman = Podman { dir, hooks };
        let tar = image::tar(dir);
        run(podman.command().arg("import").arg(tar).arg("img:1")).expect_code(0);
        podman
    }

    fn command(&self) -> Command {
        let mut command = Command::new("podman");
        command.args(["--runtime", "runc", "--storage-driver", "vfs"]).args([
            "--cgroup-manager",
            "cgroupfs",
            "--events-backend",
            "none",
        ]);
        for (option, dir) in [("--root", "root"), ("--runroot", "runroot"), ("--tmpdir", "tmp")] {
            command.arg(option).arg(self.dir.path("podman").join(dir));
        }
        command.env("CONTAINERS_CONF", self.dir.path("podman/containers.conf"));
        command.current_dir(self.dir.path(""));
        command
    }

    /// `buildah ARG…`, on podman's storage. It reads the host's hooks directory, which is
    /// this test's here.
    #[track_caller]
    pub(crate) fn buildah(&self, args: &[&str]) -> Done {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", HOST_HOOKS, "sh"]);
        command.arg(&self.hooks).arg(self.dir.path("podman/share"));
        command.args(["buildah", "--storage-driver", "vfs"]);
        for (option, dir) in [("--root", "root"), ("--runroot", "runroot")] {
            command.arg(option).arg(self.dir.path("podman").join(dir));
        }
        command.env("CONTAINERS_CONF", self.dir.path("podman/containers.conf"));
        run(command.args(args).current_dir(self.dir.path("")))
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
        let mut command = self.command();
        command.arg("build").args(self.build_options(containerfile)).args(options);
        run(command.arg(self.dir.path("context")))
    }

    /// The same by `buildah bud`.
    #[track_caller]
    pub(crate) fn bud(&self, options: &[&str], containerfile: &str) -> Done {
        let own = self.build_options(containerfile);
        let own = own.each_ref().map(|option| option.as_str());
        let context = self.dir.path("context").display().to_string();
        self.buildah(&[&["bud"], &own[..], options, &[&context]].concat())
    }

    /// Writes the Containerfile; what building it takes.
    fn build_options(&self, containerfile: &str) -> [String; 11] {
        let context = self.dir.path("context");
        fs::create_dir_all(&context).unwrap();
        fs::write(context.join("Containerfile"), containerfile).unwrap();
        let hooks = self.hooks.display().to_string();
        let ulimits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];
        let [a, b, c, d] = ulimits;
        ["--no-cache", "--network", "none", "--runtime", "runc", a, b, c, d, "--hooks-dir", &hooks]
            .map(str::to_owned)
    }
}

impl Drop for Podman<'_> {
    fn drop(&mut self) {
        run(self.command().args(["rm", "--all", "--force", "--time", "0"]));
        cgroups::remove(self.dir.name());
    }
}
