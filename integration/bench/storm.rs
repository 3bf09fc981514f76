//! As many execs as the machine can, for long: what is lost, and what is left to do.

use super::{Plan, machine::of_process, stand_in::Stage, table::Row};
use crate::harness::Dir;
use nix::sched::{CpuSet, sched_setaffinity};
use std::{
    fs,
    process::{Child, Command, Stdio},
    thread,
    time::Instant,
};

pub(super) fn measure(plan: &Plan, rows: &mut Vec<Row>) {
    let dir = Dir::with_bpffs();
    let stage = Stage::new(&dir);
    let processors = thread::available_parallelism().unwrap().get() as u64;
    storm(&stage, plan.storms[0], processors, false, rows);
    storm(&stage, plan.storms[1], 1, true, rows);
    stage.unload();
}

/// So many execs, from so many loops; on the collector's processor, or where they like.
fn storm(stage: &Stage<'_>, execs: u64, loops: u64, pinned: bool, rows: &mut Vec<Row>) {
    let mut stand_in = stage.watched(if pinned { "pinned" } else { "storm" });
    let collector = stand_in.settled();
    let begun = Instant::now();
    let start = |_| -> Child {
        let mut command = stand_in.exec_loop(execs / loops, &stage.nothing);
        if pinned {
            let mut only = CpuSet::new();
            only.set(0).unwrap();
            sched_setaffinity(collector, &only).unwrap();
            let bare = command;
            command = Command::new("taskset");
            command.arg("1").arg(bare.get_program()).args(bare.get_args());
        }
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    let running: Vec<Child> = (0..loops).map(start).collect();
    running.into_iter().for_each(|mut child| assert!(child.wait().unwrap().success()));
    let rate = execs as f64 / begun.elapsed().as_secs_f64();
    let most = of_process(collector, "status", "VmHWM:") / 1024.0;
    stand_in.die();
    let took = stand_in.poststop() / 1000.0;

    let report = stage.dir.report(if pinned { "pinned" } else { "storm" });
    let completeness = &report.completeness;
    // With those that made the loops.
    assert!(completeness.last_sequence >= execs, "{completeness:?}");
    let what = if pinned { "storm on the collector's processor" } else { "storm" };
    let what = format!("{what} of {execs} execs, {rate:.0}/s");
    rows.push(Row::single(&format!("{what}: lost"), &completeness.lost.to_string(), "0"));
    if !pinned {
        let size = fs::metadata(stand_in.directory().join("execs.jsonl")).unwrap().len();
        let each = size as f64 / completeness.execs as f64;
        rows.push(Row::single("  end to report", &format!("{took:.2} s"), "≤ 3 s"));
        rows.push(Row::single("  the collector at most", &format!("{most:.1} MiB"), "≤ 50 MB"));
        rows.push(Row::single("  event file, an exec", &format!("{each:.0} bytes"), "≤ 150"));
    }
}
