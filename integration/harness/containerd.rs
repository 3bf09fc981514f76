//! A containerd on a socket of its own.

use super::{
    command::{Done, run},
    dir::Dir,
    release::Release,
    wait::until,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
};

/// The daemon. Goes with its test, and so do its containers.
pub(crate) struct Containerd<'a> {
    dir: &'a Dir,
    daemon: Child,
    release: Release,
}

impl<'a> Containerd<'a> {
    /// The one that is installed.
    #[track_caller]
    pub(crate) fn new(dir: &'a Dir) -> Containerd<'a> {
        Containerd::of(dir, Release::installed())
    }

    /// Starts a release's daemon and waits until it answers.
    #[track_caller]
    pub(crate) fn of(dir: &'a Dir, release: Release) -> Containerd<'a> {
        let root = dir.path("containerd");
        fs::create_dir(&root).unwrap();
        let at = |name: &str| root.join(name);
        // No CRI: it wants a network of its own.
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = ['io.containerd.grpc.v1.cri']\n\
             [grpc]\naddress = {:?}\n[debug]\naddress = {:?}\n",
            at("root"),
            at("state"),
            at("socket"),
            at("debug"),
        );
        fs::write(at("config.toml"), config).unwrap();
        let log = File::create(at("log")).unwrap();
        let mut daemon = release.daemon("containerd");
        daemon.arg("--config").arg(at("config.toml"));
        daemon.env("BUILDWARDEN_CONFIG", dir.config());
        daemon.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let containerd = Containerd { dir, daemon: daemon.spawn().unwrap(), release };
        until("an answer of containerd", || (containerd.ctr(&["version"]).code == 0).then_some(()));
        containerd
    }

    fn command(&self) -> Command {
        let mut command = self.release.command("ctr");
        command.arg("--address").arg(self.dir.path("containerd/socket"));
        command.current_dir(self.dir.path(""));
        command
    }

    /// `ctr ARG…`.
    #[track_caller]
    pub(crate) fn ctr(&self, args: &[&str]) -> Done {
        run(self.command().args(args))
    }

    /// `ctr run OPTION… --rootfs ROOTFS ID sh ARG…`.
    #[track_caller]
    pub(crate) fn run(&self, options: &[&str], rootfs: &Path, id: &str, args: &[&str]) -> Done {
        let mut command = self.command();
        command.args(["run", "--cgroup"]).arg(format!("/{}.{id}", self.dir.name()));
        command.args(options).args(["--env", "PATH=/bin"]).arg("--rootfs").arg(rootfs).arg(id);
        run(command.arg("/bin/sh").args(args))
    }
}

impl Drop for Containerd<'_> {
    fn drop(&mut self) {
        // Neither they nor their shims end with the daemon.
        for id in self.ctr(&["containers", "list", "--quiet"]).stdout().lines() {
            self.ctr(&["tasks", "delete", "--force", id]);
            self.ctr(&["containers", "delete", id]);
        }
        let _ = kill(Pid::from_raw(self.daemon.id() as i32), Signal::SIGTERM);
        let _ = self.daemon.wait();
    }
}
