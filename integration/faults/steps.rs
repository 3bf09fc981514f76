//! Faults at every step of a life: before the 1st system call, the 2nd, and so on.

use super::{
    BUILD, Extent, Outcome, came_to, expect_built, expect_next_complete, gc,
    left::expect_nothing_left, outcome,
};
use crate::harness::{Container, Dir, program, until};
use nix::sys::signal::{Signal, kill};
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::PathBuf,
    sync::{
        LazyLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

/// Does `step` before the 1st call, and each `stride`th after it, until one is not reached.
/// So many at a time.
fn each_call(stride: usize, at_a_time: usize, step: impl Fn(usize) -> bool + Sync) {
    let (next, over) = (AtomicUsize::new(1), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let call = next.fetch_add(stride, Ordering::Relaxed);
                    // One that fails ends the others too.
                    let reached = catch_unwind(AssertUnwindSafe(|| step(call)));
                    if !matches!(reached, Ok(true)) {
                        over.store(true, Ordering::Relaxed);
                    }
                    reached.unwrap_or_else(|panic| resume_unwind(panic));
                }
            });
        }
    });
    let calls = next.into_inner();
    assert!(calls > 3 * stride, "only {calls} calls were reached");
}

/// `fault-at`, about to do something at a call.
struct FaultAt {
    words: [String; 5],
    struck: PathBuf,
}

impl FaultAt {
    fn new(dir: &Dir, who: &str, fault: &str, call: usize, name: &str) -> FaultAt {
        let struck = dir.path(format!("{name}.struck"));
        static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| program("fault-at"));
        let program = PROGRAM.display().to_string();
        let (call, file) = (call.to_string(), struck.display().to_string());
        FaultAt { words: [program, who.into(), fault.into(), call, file], struck }
    }

    fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }

    fn has_struck(&self) -> bool {
        self.struck.exists()
    }
}

/// Something is done to the collector before its Nth system call. poststop gives a complete
/// report all the same: what the kernel has recorded is there still.
pub(super) fn collector(fault: &str, extent: Extent) {
    let said = match fault {
        "kill" => "the collector is SIGKILLed",
        "stop" => "the collector is SIGSTOPped",
        "no-memory" => "the collector gets no more memory",
        _ => "the collector gets no more descriptors",
    };
    // Who is stopped is waited for, ten seconds: that many at a time cost as much as one.
    let (part, at_a_time) = match fault {
        "stop" => (70, extent.choose(8, 32)),
        _ => (23, extent.choose(2, 4)),
    };
    let dir = Dir::with_bpffs();
    each_call(extent.choose(part, 1), at_a_time, |call| {
        let id = format!("{fault}-{call}");
        let fault_at = FaultAt::new(&dir, "child", fault, call, &id);
        let container = Container::new(&dir, &id).script(BUILD);
        let container = container.through("createRuntime", &fault_at.words());
        let mut running = container.start();
        running.ready();
        let events = dir.state().join("containers").join(&id).join("execs.jsonl");
        until("a collector at work, or struck", || {
            let drained = || fs::read_to_string(&events).ok()?.contains("/bin/true").then_some(());
            fault_at.has_struck().then_some(()).or_else(drained)
        });
        running.go();
        expect_built(&running.finish());
        let report = dir.state().join("containers").join(&id).join("report.json");
        let written = fs::read(&report).unwrap_or_else(|error| panic!("{id}: {error}"));
        let outcome = outcome(&dir, &id);
        assert_eq!(outcome, Outcome::Complete, "{id}");
        came_to(&format!("{said} before its Nth system call"), outcome);
        if fault == "stop" {
            go_on(&dir, &id);
            assert_eq!(fs::read(&report).unwrap(), written, "{id}");
        }
        fault_at.has_struck()
    });
    expect_nothing_left(&dir);
}

/// Lets a stopped collector go on, whose container has ended: it finds nothing to do.
fn go_on(dir: &Dir, id: &str) {
    let of_it = |pid: &nix::unistd::Pid| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        command.split(|byte| *byte == 0).any(|word| word == id.as_bytes())
    };
    until(&format!("the end of the collector of {id}"), || {
        let left: Vec<_> = dir.processes_with(Some(b"collect")).into_iter().filter(of_it).collect();
        for pid in &left {
            // It may just have ended.
            let _ = kill(*pid, Signal::SIGCONT);
        }
        left.is_empty().then_some(())
    });
}

/// The hook that begins is killed before its Nth system call.
pub(super) fn hook(extent: Extent) {
    let dir = Dir::with_bpffs();
    // It finds a probe set, and a pool.
    expect_next_complete(&dir, "before", "before");
    each_call(extent.choose(17, 1), 2, |call| kill_hook(&dir, call, "a later hook"));
    expect_nothing_left(&dir);
}

/// The same of one that loads the probe set.
pub(super) fn first_hook(extent: Extent) {
    let dir = Dir::with_bpffs();
    each_call(extent.choose(97, 3), 1, |call| {
        gc(&dir, &["--unload"]).expect_code(0);
        kill_hook(&dir, call, "the first hook, which loads the probe set,")
    });
    expect_nothing_left(&dir);
}

fn kill_hook(dir: &Dir, call: usize, which: &str) -> bool {
    let id = format!("hook-{call}");
    let fault_at = FaultAt::new(dir, "it", "kill", call, &id);
    let fault = format!("{which} is SIGKILLed before its Nth system call");
    let container = Container::new(dir, &id).script(BUILD);
    let container = container.through("createRuntime", &fault_at.words());
    if call % 2 == 1 {
        // A runtime that asks how the hook ended does not start the container.
        let container = container.script("echo built; exit 7");
        let done = container.run();
        if !fault_at.has_struck() {
            expect_built(&done);
            return false;
        }
        assert!(done.code != 7 && done.stdout.is_empty(), "{id}: {done}");
        drop(container);
        came_to(&fault, Outcome::NotStarted);
        let first = dir.state().join("containers").join(&id).exists();
        let run = if first { format!("{id}.2") } else { id.clone() };
        fs::remove_dir_all(dir.path("bundles").join(&id)).unwrap();
        expect_next_complete(dir, &id, &run);
        gc(dir, &[]).expect_code(0);
        if first {
            // Nothing ran, and nothing is said to have been seen.
            let report = dir.report(&id);
            assert_eq!(report.completeness.execs, 0, "{report:?}");
            assert!(matches!(Outcome::of(&report), Outcome::Incomplete(_)), "{report:?}");
        }
        return true;
    }
    // One that does not ask starts it with what the hook has done so far.
    let deaf = ["/bin/sh", "-c", "\"$@\" || :", "sh"];
    let container = container.through("createRuntime", &deaf);
    let mut running = container.start();
    running.ready();
    running.go();
    expect_built(&running.finish());
    gc(dir, &[]).expect_code(0);
    let outcome = match dir.state().join("containers").join(&id).exists() {
        true => outcome(dir, &id),
        false => Outcome::Untraced("it had not begun to make one".to_owned()),
    };
    came_to(&format!("{fault}, and the runtime goes on"), outcome);
    assert!(!dir.run().join(&id).exists(), "{id}");
    fault_at.has_struck()
}

/// The hook that ends is killed before its Nth system call, where it has to do the work of a
/// collector that was killed.
pub(super) fn poststop(extent: Extent) {
    let dir = Dir::with_bpffs();
    each_call(extent.choose(29, 1), 2, |call| {
        let id = format!("poststop-{call}");
        let fault_at = FaultAt::new(&dir, "it", "kill", call, &id);
        let container = Container::new(&dir, &id).script(BUILD);
        let container = container.through("poststop", &fault_at.words());
        let mut running = container.start();
        running.ready();
        dir.kill_collector(&id);
        running.go();
        // Some runtimes say that a hook failed, behind the container's own end.
        assert_eq!(running.finish().stdout(), "built\n", "{id}");
        gc(&dir, &[]).expect_code(0);
        let outcome = outcome(&dir, &id);
        assert_eq!(outcome, Outcome::Complete, "{id}");
        let fault =
            "poststop is SIGKILLed before its Nth system call, after the collector; then gc";
        came_to(fault, outcome);
        fault_at.has_struck()
    });
    expect_nothing_left(&dir);
}

#[test]
fn root_a_collector_killed_at_any_system_call_costs_no_report() {
    collector("kill", Extent::Part);
}

#[test]
fn root_a_collector_stopped_at_any_system_call_costs_no_report() {
    collector("stop", Extent::Part);
}

#[test]
fn root_a_collector_without_memory_costs_no_report() {
    collector("no-memory", Extent::Part);
}

#[test]
fn root_a_collector_without_descriptors_costs_no_report() {
    collector("no-files", Extent::Part);
}

#[test]
fn root_a_hook_killed_at_any_system_call_leaves_nothing() {
    hook(Extent::Part);
}

#[test]
fn root_a_first_hook_killed_at_any_system_call_leaves_nothing() {
    first_hook(Extent::Part);
}

#[test]
fn root_a_poststop_killed_at_any_system_call_costs_no_report() {
    poststop(Extent::Part);
}
