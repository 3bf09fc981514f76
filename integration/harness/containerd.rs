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

/// Writes a container's output and errors, which are on 3 and 4, into a directory. Who logs for
/// containerd is ready when 5 is closed, and is sent SIGTERM when the container has ended.
const LOGGER: &str = "trap '' TERM; cd DIRECTORY
cat <&3 3<&- 4<&- 5>&- >stdout &
cat <&4 3<&- 4<&- 5>&- >stderr &
exec 3<&- 4<&- 5>&-; wait";

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

    /// `ctr run OPTION… --rootfs ROOTFS ID sh ARG…`. `ctr` itself loses the end of a container's
    /// output on a busy machine: it ends its copying before it has waited for it. So containerd
    /// gives the output to [`LOGGER`].
    #[track_caller]
    pub(crate) fn run(&self, options: &[&str], rootfs: &Path, id: &str, args: &[&str]) -> Done {
        let output = self.dir.path("containerd/output").join(id);
        let _ = fs::remove_dir_all(&output);
        fs::create_dir_all(&output).unwrap();
        let logger = LOGGER.replace("DIRECTORY", output.to_str().unwrap());
        let escaped: String = logger.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let uri = format!("binary:///bin/sh?-c={escaped}");
        let mut command = self.command();
        command.args(["run", "--cgroup"]).arg(format!("/{}.{id}", self.dir.name()));
        // All daemons of a host share the runtime's default directory.
        command.arg("--runc-root").arg(self.dir.path("containerd/runc"));
        command.args(["--log-uri", &uri]).args(options).args(["--env", "PATH=/bin"]);
        command.arg("--rootfs").arg(rootfs).arg(id).arg("/bin/sh").args(args);
        let mut done = run(&mut command);
        // With a complaint of its own, no container ran.
        if done.stderr.is_empty() {
            done.stdout = fs::read(output.join("stdout")).unwrap();
            done.stderr = fs::read(output.join("stderr")).unwrap();
        }
        done
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
