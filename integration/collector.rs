//! What the collector is while it collects.

use crate::{
    faults::{Outcome, came_to},
    harness::{Container, Dir, until},
};
use nix::sys::signal::{Signal, kill};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file of a process in /proc.
fn proc_file(pid: nix::unistd::Pid, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

#[test]
fn root_the_collector_has_no_privileges_and_inherits_nothing() {
    let dir = Dir::new();
    let container = Container::new(&dir, "watched").script("echo >/sync/ready; read _ </sync/go");
    let mut running = container.start();
    running.ready();
    let collector = dir.collector("watched");

    // It gives them up once it has opened what it needs.
    until("a collector without capabilities", || {
        let status = fs::read_to_string(proc_file(collector, "status")).ok()?;
        let field = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name));
            value.map(str::trim).unwrap_or_default().to_owned()
        };
        let none = "0".repeat(16);
        let kept = ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"].map(field);
        // Mode 2 is a filter.
        let filtered = field("NoNewPrivs:") == "1" && field("Seccomp:") == "2";
        (kept.iter().all(|set| *set == none) && filtered).then_some(())
    });
    let cgroup = fs::read_to_string(proc_file(collector, "cgroup")).unwrap();
    assert!(cgroup.lines().any(|line| line == "0::/buildwarden"), "{cgroup}");

    // The thread that refills the pool has the lock of the pins open for a moment.
    until("no descriptor but its own", || {
        let descriptors = fs::read_dir(proc_file(collector, "fd")).ok()?;
        let mut strange = descriptors.flatten().filter(|entry| !is_own(&dir, &entry.path()));
        strange.next().is_none().then_some(())
    });
    running.go();
    running.finish().expect_code(0);
    let available = buildwarden::confine::available().names();
    assert_eq!(dir.report("watched").confined, available);
    // Nothing that it needs to the end was taken away.
    dir.expect_nothing_live();
}

/// Who takes over reads what a build controls too.
#[test]
fn root_who_takes_over_is_confined_like_a_collector() {
    let dir = Dir::new();
    let container = Container::new(&dir, "taken").script("echo >/sync/ready; read _ </sync/go");
    let mut running = container.start();
    running.ready();
    kill(dir.collector("taken"), Signal::SIGKILL).unwrap();
    running.go();
    running.finish().expect_code(0);
    let report = dir.report("taken");
    assert_eq!(report.confined, buildwarden::confine::available().names());
    assert_eq!(report.completeness.reasons, [""; 0]);
    assert!(report.completeness.programs_attached);
    dir.expect_nothing_live();
}

#[test]
pub(crate) fn root_a_storm_is_counted_and_hides_no_listed_tool() {
    // Its own probe set: the pool of another has rings of another size.
    let dir = Dir::with_bpffs();
    dir.configure("[ring]\nsize = \"64KiB\"");
    let storm = "echo >/sync/ready; read _ </sync/go
        i=0; while [ $i -lt 600 ]; do /bin/busybox true; i=$((i+1)); done
        wget http://198.51.100.23/x
        echo >/sync/ready; read _ </sync/go";
    let container = Container::new(&dir, "storm").script(storm);
    let mut running = container.start();
    running.ready();
    dir.while_stopped("storm", || {
        running.go();
        running.ready();
    });
    running.go();
    running.finish().expect_code(0);

    let report = dir.report("storm");
    let found = &report.completeness;
    assert!(found.lost > 0 && found.execs + found.lost == found.last_sequence, "{found:?}");
    assert_eq!(report.cost.ring_bytes, 65536);
    let addresses: Vec<_> = report.findings.iter().map(|f| &f.addresses[0].address).collect();
    assert_eq!(addresses, ["198.51.100.23"]);
    assert!(!found.is_complete());
    came_to("600 execs and no collector that runs: the ring overflows", Outcome::of(&report));
}

/// Whether a descriptor in /proc leads to what a collector opens.
fn is_own(dir: &Dir, descriptor: &Path) -> bool {
    let target = fs::read_link(descriptor).unwrap_or_default();
    let name = target.to_string_lossy();
    if ["0", "1", "2"].iter().any(|standard| descriptor.ends_with(standard)) {
        // The container's pid namespace, which it holds.
        return name == "/dev/null" || (descriptor.ends_with("0") && name.starts_with("pid:["));
    }
    [dir.run(), dir.state()].iter().any(|ours| target.starts_with(ours))
        || name.starts_with("anon_inode:")
        || name.ends_with("/cgroup.events")
        // What /proc shows of the links that it holds.
        || target.parent().is_some_and(|directory| directory.ends_with("fdinfo"))
}
