//! The machine: user namespaces, the BPF file system, and commands without an
//! engine.

use crate::{
    faults::{Outcome, came_to},
    harness::{Container, Dir, rootfs, run, run_with_input},
};
use buildwarden::{
    host::{Daemon, cgroup2_mount},
    report::model::Report,
};
use serde_json::json;
use std::{
    fs,
    io::Read as _,
    path::Path,
    process::{Child, Command, Stdio},
};

/// `sh -c SCRIPT buildwarden ARG…`, in a mount namespace with an empty bpffs.
fn isolated(dir: &Dir, script: &str) -> Command {
    let isolated = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/isolated");
    let mut command = Command::new(isolated);
    command.args(["sh", "-ec", script, env!("CARGO_BIN_EXE_buildwarden")]);
    command.env("BUILDWARDEN_CONFIG", dir.config()).current_dir(dir.path(""));
    command
}

#[test]
fn root_a_hook_in_a_user_namespace_says_so() {
    // One that is loaded is root's, who is nobody there; but not where root has made it.
    let dir = Dir::with_bpffs();
    let state = json!({
        "ociVersion": "1.0.2",
        "id": "rootless",
        "status": "creating",
        "pid": std::process::id(),
        "bundle": dir.path(""),
    });
    fs::write(dir.path("config.json"), "{\"ociVersion\":\"1.0.2\"}").unwrap();
    for (on_error, code) in [("allow", 0), ("deny", 1)] {
        dir.configure(&format!("on_error = \"{on_error}\""));
        let mut hook = Command::new("unshare");
        hook.args(["--user", "--map-root-user", env!("CARGO_BIN_EXE_buildwarden"), "hook"]);
        hook.arg("createRuntime").env("BUILDWARDEN_CONFIG", dir.config());
        let done = run_with_input(&mut hook, state.to_string().as_bytes());
        assert_eq!(done.code, code, "{on_error}: {done}");
        assert!(done.stderr().contains("user namespace"), "{on_error}: {done}");
    }
}

#[test]
pub(crate) fn root_a_missing_bpffs_is_mounted() {
    let dir = Dir::new();
    let script = "while umount /sys/fs/bpf 2>/dev/null; do :; done
        \"$0\" run --report report.json -- true
        grep -q '^[^ ]* /sys/fs/bpf bpf ' /proc/self/mounts";
    run(&mut isolated(&dir, script)).expect_code(0);
    assert_eq!(report(&dir).verdict.as_str(), "clean");
    came_to("no BPF file system is mounted", Outcome::of(&report(&dir)));
}

#[test]
fn root_nothing_is_left_after_unloading() {
    let dir = Dir::new();
    let script = "\"$0\" run -- true
        ls /sys/fs/bpf >before
        \"$0\" gc --unload
        ls /sys/fs/bpf >after";
    run(&mut isolated(&dir, script)).expect_code(0);
    let own =
        |listing: &str| fs::read_to_string(dir.path(listing)).unwrap().contains("buildwarden");
    assert_eq!((own("before"), own("after")), (true, false));
    dir.expect_nothing_live();
}

#[test]
fn root_unloading_leaves_live_containers_alone() {
    let dir = Dir::with_bpffs();
    let container = Container::new(&dir, "busy")
        .script("echo >/sync/ready; read _ </sync/go; wget http://198.51.100.30/x; :");
    let mut running = container.start();
    running.ready();
    run(&mut dir.buildwarden(["gc", "--unload"]));
    running.go();
    running.finish().expect_code(0);
    let report = dir.report("busy");
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.completeness.reasons, [""; 0]);
}

/// Starts a shell under `wrap` that calls itself `name`, and waits until it does. It ends
/// with its standard input.
fn called(name: &str, wrap: &[&str]) -> Child {
    let script = format!("echo {name} >/proc/self/comm; echo; read _");
    let words = [wrap, &["sh", "-c", &script, "sh", "--config", "/x"]].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = [0];
    child.stdout.take().unwrap().read_exact(&mut line).unwrap();
    child
}

#[test]
fn root_a_containers_process_is_no_daemon() {
    let dir = Dir::new();
    let name = format!("bw-{}", std::process::id());
    let root = rootfs(&dir);
    let in_root = "mount --rbind /proc \"$0/proc\"; exec chroot \"$0\" \"$@\"";
    let found = || Daemon::only(&name).map(|daemon| daemon.pid.cast_unsigned());
    assert_eq!(found(), None);
    for (wrap, is_daemon) in [
        (&["unshare", "--pid", "--fork"][..], false),
        (&["unshare", "--mount", "sh", "-c", in_root, root.to_str().unwrap()], false),
        (&["setpriv", "--reuid", "65534", "--clear-groups"], false),
        // As a unit of systemd can be.
        (&["unshare", "--mount"], true),
    ] {
        let mut other = called(&name, wrap);
        assert_eq!(found(), is_daemon.then(|| other.id()), "{wrap:?} alone");
        let mut daemon = called(&name, &["env"]);
        assert_eq!(found(), (!is_daemon).then(|| daemon.id()), "{wrap:?} beside another");
        let config = Daemon::only(&name).and_then(|daemon| daemon.option(&["--config"]));
        assert_eq!(config.is_some(), !is_daemon, "{wrap:?}");
        // Closes the standard input.
        for child in [&mut other, &mut daemon] {
            child.wait().unwrap();
        }
    }
}

/// The report that `run --report report.json` wrote.
fn report(dir: &Dir) -> Report {
    let path = dir.path("report.json");
    assert!(path.symlink_metadata().unwrap().is_file());
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn root_run_ends_as_its_command_does() {
    let get = "wget -t1 -T1 http://127.0.0.1:1/x";
    let cases: [(&[&str], &str, i32, usize); 10] = [
        (&[], "true", 0, 0),
        (&[], "exit 7", 7, 0),
        (&[], "kill -TERM $$", 128 + 15, 0),
        (&[], &format!("{get}; exit 3"), 3, 1),
        (&["--fail-on", "critical"], &format!("{get}; exit 3"), 3, 1),
        (&["--fail-on", "medium"], &format!("{get}; true"), 10, 1),
        (&["--fail-on", "medium"], "true", 0, 0),
        (&["--job", "nightly"], "true", 0, 0),
        // What the command has put where its report is to be.
        (&[], "ln -s profile report.json", 0, 0),
        (&[], "mknod report.json c 1 3", 0, 0),
    ];
    for (options, script, code, findings) in cases {
        let dir = Dir::new();
        fs::create_dir(dir.path("bin")).unwrap();
        std::os::unix::fs::symlink(crate::harness::busybox(), dir.path("bin/wget")).unwrap();
        let path = format!("{}:{}", dir.path("bin").display(), std::env::var("PATH").unwrap());
        let mut command = dir.buildwarden(["run", "--report", "report.json"]);
        command.args(options).args(["--", "sh", "-c", script]).env("PATH", path);
        let done = run(&mut command);
        assert_eq!(done.code, code, "{options:?} {script}: {done}");
        let report = report(&dir);
        assert!(!dir.path("profile").exists(), "{script}");
        assert_eq!(report.findings.len(), findings, "{options:?} {script}: {done}");
        assert_eq!(report.completeness.reasons, [""; 0], "{options:?} {script}");
        if let [_, job] = options
            && options[0] == "--job"
        {
            assert_eq!(report.job.unwrap().id, *job);
        }
        dir.expect_nothing_live();
    }
}

#[test]
fn root_run_tells_why_a_command_cannot_run() {
    let dir = Dir::new();
    let plain = dir.config().display().to_string();
    for (command, code) in [("/missing/command", 127), (plain.as_str(), 126)] {
        let done = run(&mut dir.buildwarden(["run", "--", command]));
        assert_eq!(done.code, code, "{done}");
        assert!(done.stderr().contains(command), "{done}");
    }
}

#[test]
fn root_run_leaves_no_cgroup() {
    let dir = Dir::new();
    let script = "grep '^0::' /proc/self/cgroup";
    let done = run(&mut dir.buildwarden(["run", "--", "sh", "-c", script])).expect_code(0);
    let own = done.stdout();
    let own = own.trim().strip_prefix("0::/").unwrap();
    assert_ne!(own, "", "the command had no cgroup of its own");
    let path = cgroup2_mount().unwrap().join(own);
    crate::harness::until(&format!("{} goes", path.display()), || (!path.exists()).then_some(()));
}
