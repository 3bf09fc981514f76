//! What is traced: a container, all of it, and nothing else.

use crate::harness::{Container, Dir, run, until};
use buildwarden::host::cgroup2_mount;
use nix::unistd::Pid;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

#[test]
fn root_two_containers_and_the_host_are_kept_apart() {
    let dir = Dir::new();
    let script = |n| {
        format!(
            "echo >/sync/ready; read _ </sync/go; /bin/true in-{n}; wget http://198.51.100.{n}/x"
        )
    };
    let [one, two] = [1, 2].map(|n| Container::new(&dir, &format!("apart-{n}")).script(&script(n)));
    let mut running = [one.start(), two.start()];
    running.iter_mut().for_each(|running| running.ready());
    run(Command::new("true").arg("on-the-host")).expect_code(0);
    running.iter().for_each(|running| running.go());
    running.into_iter().for_each(|running| drop(running.finish()));

    for (own, other) in [(1, 2), (2, 1)] {
        let id = format!("apart-{own}");
        let report = dir.report(&id);
        let execs = dir.execs(&id);
        let addresses: Vec<_> =
            report.findings.iter().flat_map(|f| &f.addresses).map(|a| &a.address).collect();
        assert_eq!(addresses, [&format!("198.51.100.{own}")]);
        assert!(execs.iter().any(|exec| exec.has(&format!("in-{own}"))), "{execs:?}");
        for foreign in [format!("in-{other}"), "on-the-host".to_owned()] {
            assert!(!execs.iter().any(|exec| exec.has(&foreign)), "{foreign}: {execs:?}");
        }
        assert_eq!(report.completeness.reasons, [""; 0]);
    }
    dir.expect_nothing_live();
}

#[test]
fn root_the_entrypoint_is_sequence_1_and_none_is_missing() {
    let dir = Dir::new();
    let entrypoint = ["/bin/sh", "-c", "/bin/true; /bin/false; exec /bin/echo done"];
    Container::new(&dir, "entry").args(&entrypoint).run().expect_code(0);

    let report = dir.report("entry");
    let execs = dir.execs("entry");
    let argv: Vec<_> = execs[0].argv.iter().map(|arg| std::str::from_utf8(arg).unwrap()).collect();
    assert_eq!(argv, entrypoint);
    let sequences: Vec<_> = execs.iter().map(|exec| exec.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4], "{execs:?}");
    assert!(report.completeness.attached_before_first_exec);
    assert_eq!((report.completeness.execs, report.completeness.last_sequence), (4, 4));
    assert_eq!(report.verdict.as_str(), "clean", "{:?}", report.completeness);
}

#[test]
fn root_a_process_executed_into_the_container_is_seen() {
    let dir = Dir::new();
    let container = Container::new(&dir, "joined").script("echo >/sync/ready; read _ </sync/go");
    let mut running = container.start();
    running.ready();
    running.exec(&["/bin/wget", "http://198.51.100.3/x"]).expect_code(1);
    running.go();
    running.finish().expect_code(0);
    assert_eq!(dir.report("joined").findings.len(), 1);
}

/// Where a test moves a process of a container.
enum Move {
    /// Into a cgroup below the container's.
    Below,
    /// Out of the container's cgroup.
    Away,
}

#[test]
fn root_a_process_is_seen_wherever_its_cgroup_goes() {
    for (move_to, left) in [(Move::Below, false), (Move::Away, true)] {
        check_moved(move_to, left);
    }
}

/// Moves a child of the entrypoint and looks for its exec.
#[track_caller]
fn check_moved(move_to: Move, left: bool) {
    let dir = Dir::new();
    let container = Container::new(&dir, "mover")
        .script("sh -c 'echo >/sync/ready; read _ </sync/go; wget http://198.51.100.4/x' & wait");
    let mut running = container.start();
    running.ready();
    let own = cgroup(running.pid());
    let child = fs::read_to_string(own.join("cgroup.procs")).unwrap();
    let child = child.lines().find(|pid| *pid != running.pid().to_string()).unwrap().to_owned();
    let target = match move_to {
        Move::Below => Cgroup::new(own.join("below")),
        Move::Away => Cgroup::new(own.with_extension("away")),
    };
    fs::write(target.0.join("cgroup.procs"), &child).unwrap();
    running.go();
    running.finish().expect_code(0);

    let report = dir.report("mover");
    let [finding] = &report.findings[..] else { panic!("{:?}", report.findings) };
    assert_eq!(finding.exec.flags.iter().any(|flag| flag == "left_cgroup"), left, "{finding:?}");
    assert_eq!(report.completeness.reasons, [""; 0]);
}

#[test]
fn root_a_container_that_leaves_its_cgroup_as_a_whole_is_seen() {
    let dir = Dir::new();
    let container = Container::new(&dir, "gone")
        .script("echo >/sync/ready; read _ </sync/go; wget http://198.51.100.5/x");
    let mut running = container.start();
    running.ready();
    let away = Cgroup::new(cgroup(running.pid()).with_extension("away"));
    fs::write(away.0.join("cgroup.procs"), running.pid().to_string()).unwrap();
    running.go();
    running.finish();
    assert_eq!(dir.report("gone").findings.len(), 1, "{:?}", dir.report("gone").completeness);
}

/// The directory of a process's cgroup.
fn cgroup(pid: Pid) -> PathBuf {
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
    cgroup2_mount().unwrap().join(path)
}

/// A cgroup that goes with its test.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(path: impl AsRef<Path>) -> Cgroup {
        fs::create_dir(&path).unwrap();
        Cgroup(path.as_ref().to_owned())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The runtime may have removed it with its parent.
        let _ = fs::remove_dir(&self.0);
    }
}

/// The kernel gives the number of a pid namespace that is gone to the next one. A scope that
/// nobody has released yet is not that one's.
#[test]
fn root_a_namespace_of_the_same_number_is_another_containers() {
    let dir = Dir::new();
    let first = Container::new(&dir, "first")
        .script("echo >/sync/ready; read _ </sync/go")
        .hooks(&["createRuntime"]);
    let second = Container::new(&dir, "second")
        .script("i=0; while [ $i -lt 20 ]; do /bin/busybox true; i=$((i+1)); done")
        .hooks(&[]);
    let mut running = first.start();
    running.ready();
    dir.kill_collector("first");
    running.go();
    running.finish().expect_code(0);
    for _ in 0..10 {
        second.run().expect_code(0);
    }
    run(&mut dir.buildwarden(["gc"])).expect_code(0);
    let strangers: Vec<_> =
        dir.execs("first").into_iter().filter(|exec| exec.has("true")).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    assert_eq!(dir.report("first").completeness.reasons, [""; 0]);
}

/// More than the slots that begin in one page of the map that both sides share.
#[test]
fn root_many_at_once_are_each_counted_by_their_own_slot() {
    const COMMANDS: usize = 120;
    let dir = Dir::with_bpffs();
    dir.configure("[ring]\nsize = \"64KiB\"\npool = 0");
    let live = || dir.live().iter().filter(|id| dir.run().join(id).is_dir()).count();
    let commands: Vec<_> = (0..COMMANDS)
        .map(|n| {
            let mut command = dir.buildwarden(["run", "--", "cat"]);
            let command = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
            let child = command.spawn().unwrap();
            until("its run directory", || (live() > n).then_some(()));
            child
        })
        .collect();
    for mut command in commands {
        drop(command.stdin.take());
        assert!(command.wait().unwrap().success());
    }
    let runs = dir.runs();
    assert_eq!(runs.len(), COMMANDS);
    for name in runs {
        let found = dir.report(&name).completeness;
        assert_eq!((found.execs, found.lost, found.reasons), (1, 0, vec![]), "{name}");
    }
}
