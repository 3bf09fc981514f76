//! What goes wrong in the shim while an engine starts a container: the engine behaves as
//! without us, or refuses and says why.

use super::{Outcome, came_to};
use crate::{
    equality::without_ids,
    harness::{Containerd, Dir, Docker, Done, in_path, program, rootfs, run},
};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

const SCRIPT: &str = "echo out; echo err >&2; wget http://198.51.100.41/x; exit 9";

/// Puts a script in the place of the shim `buildwarden-runc`: it does `fault` to the bundle
/// that a container is created from, and becomes `runtime`. [`Dir::set_up`] ends it.
fn interpose(dir: &Dir, fault: &str, runtime: &Path) {
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' create '*)\n\
         bundle=${{*#* --bundle }} bundle=${{bundle%% *}}\n{fault} ;;\nesac\nexec {} \"$@\"\n",
        runtime.display()
    );
    let shim = dir.shim("buildwarden-runc");
    fs::remove_file(&shim).unwrap();
    fs::write(&shim, script).unwrap();
    fs::set_permissions(&shim, fs::Permissions::from_mode(0o755)).unwrap();
}

/// An engine whose containers the shim `buildwarden-runc` starts.
struct Engine<'e> {
    name: &'static str,
    /// Runs a script in a container of that name.
    run: &'e dyn Fn(&str, &str) -> Done,
    /// Starts a container again that did not start, with that script.
    again: &'e dyn Fn(&str, &str) -> Done,
    /// Where it says what went wrong, besides to who asked.
    log: Option<PathBuf>,
    /// Where the bundles lie.
    bundles: PathBuf,
}

fn with_docker(check: impl Fn(&Dir, &Engine<'_>)) {
    let dir = Dir::new();
    let docker = Docker::new(&dir);
    let engine = Engine {
        name: "docker",
        run: &|name, script| docker.run(&["--name", name], script),
        again: &|name, _| docker.docker(&["start", "--attach", name]),
        log: Some(dir.path("docker/log")),
        bundles: dir.path("docker/exec/containerd/daemon").join(TASKS).join("moby"),
    };
    check(&dir, &engine);
}

fn with_containerd(check: impl Fn(&Dir, &Engine<'_>)) {
    let dir = Dir::new();
    let containerd = Containerd::new(&dir);
    let (shim, root) = (dir.shim("buildwarden-runc"), rootfs(&dir));
    let options = ["--rm", "--runc-binary", shim.to_str().unwrap()];
    let engine = Engine {
        name: "containerd",
        run: &|name, script| containerd.run(&options, &root, name, &["-c", script]),
        again: &|name, script| {
            containerd.ctr(&["container", "rm", name]);
            containerd.run(&options, &root, name, &["-c", script])
        },
        // It tells its client alone.
        log: None,
        bundles: dir.path("containerd/state").join(TASKS).join("default"),
    };
    check(&dir, &engine);
}

/// Where containerd keeps bundles, below its state.
const TASKS: &str = "io.containerd.runtime.v2.task";

impl Engine<'_> {
    /// Runs a script in a container that must not start, and why is to be told, to who asked
    /// and where the engine logs.
    #[track_caller]
    fn refuses(&self, name: &str, script: &str, reasons: &[&str]) {
        let logged = || {
            let log = self.log.as_ref().map(|path| fs::read_to_string(path).unwrap());
            log.unwrap_or_default()
        };
        let before = logged().len();
        let done = (self.run)(name, script);
        let log = logged().split_off(before);
        let what = format!("{}, {name}: {done}\nlog: {log}", self.name);
        assert!(done.code != 0 && done.stdout.is_empty(), "{what}");
        for reason in reasons {
            assert!(done.stderr().contains(reason), "{reason}: {what}");
            assert!(self.log.is_none() || log.contains(reason), "{reason}: {what}");
        }
    }
    /// So many of its containers were traced, each whole and with the one finding.
    #[track_caller]
    fn expect_traced(&self, dir: &Dir, containers: usize) {
        let runs = dir.runs();
        assert_eq!(runs.len(), containers, "{}: {runs:?}", self.name);
        for run in runs {
            let report = dir.report(&run);
            assert_eq!(report.findings.len(), 1, "{}: {run}", self.name);
            assert_eq!(report.completeness.reasons, [""; 0], "{}: {run}", self.name);
        }
        dir.expect_nothing_live();
    }
}

/// What was said of a container, without its name, ids and times.
fn said(done: &Done, name: &str) -> Vec<String> {
    let said = done.stderr().replace(name, "NAME");
    // Docker's own client says this or that of its connection, with the time.
    let lines = said.lines().filter(|line| !line.starts_with("time="));
    lines.map(without_ids).collect()
}

/// What keeps the shim from changing the bundle. Some of it keeps runc from starting it too.
const FAULTS: [(&str, &str); 4] = [
    ("malformed", "echo '{\"hooks\":' >$bundle/config.json"),
    ("unreadable", "ln -sf /proc/self/mem $bundle/config.json"),
    ("huge", "head -c 67108864 /dev/zero | tr '\\0' ' ' >>$bundle/config.json"),
    // Room is left for what runc writes there itself, which is less.
    (
        "full",
        "full=${bundle%/*}/full; dd if=/dev/zero of=$full bs=4096 2>/dev/null; \
         truncate --size=-12288 $full",
    ),
];

fn cannot_change_the_bundle(dir: &Dir, engine: &Engine<'_>) {
    fs::create_dir_all(&engine.bundles).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=96M", "tmpfs"]).arg(&engine.bundles);
    run(&mut mount).expect_code(0);
    let (shim, runc) = (dir.shim("runc"), in_path("runc"));
    // A config.json needs more room than what runc writes.
    let script = format!("{SCRIPT} # {}", "x".repeat(32 << 10));
    let full = engine.bundles.join("full");
    let mut started = 0;
    for (fault, break_it) in FAULTS {
        interpose(dir, break_it, &runc);
        let plain = (engine.run)(&format!("{fault}-plain"), &script);
        let _ = fs::remove_file(&full);
        interpose(dir, break_it, &shim);
        dir.configure("");
        let allowed = (engine.run)(&format!("{fault}-allow"), &script);
        let _ = fs::remove_file(&full);
        let what = format!("{}, {fault}, without us: {plain}\nwith us: {allowed}", engine.name);
        assert_eq!((allowed.code, &allowed.stdout), (plain.code, &plain.stdout), "{what}");
        let (ours, others): (Vec<_>, Vec<_>) = said(&allowed, &format!("{fault}-allow"))
            .into_iter()
            .partition(|line| line.starts_with("buildwarden: warning: "));
        assert_eq!(others, said(&plain, &format!("{fault}-plain")), "{what}");
        // An engine shows a runtime's standard error only as the container's.
        assert_eq!(ours.len(), usize::from(plain.code == 9), "{what}");
        assert!(
            ours.iter().all(|line| line.ends_with("; the container starts untraced")),
            "{what}"
        );
        started += ours.len();
        let row = format!("the shim cannot change config.json ({fault}), {}", engine.name);
        let outcome = ours.first().map(|said| Outcome::Untraced(said.clone()));
        came_to(&row, outcome.unwrap_or(Outcome::NotStarted));

        dir.configure("on_error = 'deny'");
        let reasons = ["config.json: ", "the container must not start"];
        engine.refuses(&format!("{fault}-deny"), &script, &reasons);
        let _ = fs::remove_file(&full);
    }
    assert_eq!(started, 2, "{}", engine.name);
    assert_eq!(dir.runs(), [""; 0]);
    // Nothing stays of it.
    dir.configure("");
    dir.set_up(true);
    (engine.run)("after", SCRIPT).expect_code(9);
    engine.expect_traced(dir, 1);
}

#[test]
pub(crate) fn root_docker_starts_or_refuses_what_the_shim_cannot_change() {
    with_docker(cannot_change_the_bundle);
}

#[test]
pub(crate) fn root_containerd_starts_or_refuses_what_the_shim_cannot_change() {
    with_containerd(cannot_change_the_bundle);
}

fn has_no_runtime(dir: &Dir, engine: &Engine<'_>) {
    dir.shim("buildwarden-runc");
    dir.configure("runtime.runc = '/nonexistent/runc'");
    engine.refuses("refused", SCRIPT, &["cannot execute /nonexistent/runc"]);
    came_to(&format!("the runtime is missing, {}", engine.name), Outcome::NotStarted);
    dir.configure("");
    (engine.again)("refused", SCRIPT).expect_code(9);
    engine.expect_traced(dir, 1);
}

#[test]
pub(crate) fn root_docker_shows_that_the_runtime_is_missing() {
    with_docker(has_no_runtime);
}

#[test]
pub(crate) fn root_containerd_shows_that_the_runtime_is_missing() {
    with_containerd(has_no_runtime);
}

/// The shim is killed at one system call or another; the next start is as any other.
fn is_killed(dir: &Dir, engine: &Engine<'_>) {
    let (shim, fault_at) = (dir.shim("runc"), program("fault-at"));
    let name = |call: usize| format!("call-{call:03}");
    // What an engine says of a runtime that was killed, whatever it is.
    interpose(dir, "kill -KILL $$", &shim);
    let plain = (engine.run)(&name(0), SCRIPT);
    assert_ne!(plain.code, 0, "{}: {plain}", engine.name);
    let mut started = 0;
    for call in (1..).step_by(12) {
        let fault = format!(
            "exec {} it kill {call} /dev/null {} \"$@\"",
            fault_at.display(),
            shim.display()
        );
        interpose(dir, &fault, &shim);
        let done = (engine.run)(&name(call), SCRIPT);
        started += 1;
        if done.code == 9 {
            break;
        }
        let what = format!("{}, call {call}: {done}", engine.name);
        assert_eq!(
            (done.code, said(&done, &name(call))),
            (plain.code, said(&plain, &name(0))),
            "{what}"
        );
        let row = format!("the shim is SIGKILLed, {}", engine.name);
        came_to(&row, Outcome::NotStarted);
        dir.set_up(true);
        let again = (engine.again)(&name(call), SCRIPT);
        assert_eq!((again.code, &*again.stdout()), (9, "out\n"), "{what}\nagain: {again}");
    }
    assert!(started > 3, "{}: {started}", engine.name);
    engine.expect_traced(dir, started);
}

#[test]
pub(crate) fn root_docker_starts_the_next_time_what_a_killed_shim_did_not() {
    with_docker(is_killed);
}

#[test]
pub(crate) fn root_containerd_starts_the_next_time_what_a_killed_shim_did_not() {
    with_containerd(is_killed);
}
