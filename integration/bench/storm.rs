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
    let dir = Dir::like_a_host();
    let stage = Stage::new(&dir);
    let processors = thread::available_parallelism().unwrap().get() as u64;
    let seconds = plan.storm.seconds;
    storm(&stage, plan.storm.execs, seconds, processors, false, rows);
    storm(&stage, 1, seconds, 1, true, rows);
    stage.unload();
}

/// At least so many execs and for so long, from so many loops; on the collector's processor, or
/// where they like.
fn storm(
    stage: &Stage<'_>,
    execs: u64,
    seconds: u64,
    loops: u64,
    pinned: bool,
    rows: &mut Vec<Row>,
) {
    let mut stand_in = stage.watched(if pinned { "pinned" } else { "storm" });
    let collector = stand_in.settled();
    let begun = Instant::now();
    let each = format!("{}+{}", execs.div_ceil(loops), seconds * 1000);
    let start = |_| -> Child {
        let mut command = stand_in.exec_loop(&each, &stage.nothing);
        if pinned {
            let mut only = CpuSet::new();
            only.set(0).unwrap();
            sched_setaffinity(collector, &only).unwrap();
            let bare = command;
            command = Command::new("taskset");
            command.arg("1").arg(bare.get_program()).args(bare.get_args());
        }
        command.stdout(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<Child> = (0..loops).map(start).collect();
    let count = |child: Child| -> u64 {
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{done:?}");
        let out = String::from_utf8(done.stdout).unwrap();
        out.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let execs: u64 = running.into_iter().map(count).sum();
    let took = begun.elapsed().as_secs_f64();
    let rate = execs as f64 / took;
    let most = of_process(collector, "status", "VmHWM:") / 1000.0;
    stand_in.die();
    let end = stand_in.poststop() / 1000.0;

    let report = stage.dir.report(if pinned { "pinned" } else { "storm" });
    let completeness = &report.completeness;
    // With those that made the loops.
    assert!(completeness.last_sequence >= execs, "{execs} execs: {completeness:?}");
    let what = if pinned { "on the collector's processor" } else { "on all processors" };
    let what = format!("lost, {took:.0} s {what}");
    let row = Row::single(&what, &completeness.lost.to_string(), "0");
    rows.push(row.remark(format!("{execs} execs, {rate:.0} a second")));
    rows.push(Row::single("  end to report", &format!("{end:.2} s"), "≤ 3 s for 1,000,000"));
    rows.push(Row::single("  the collector at most", &format!("{most:.1} MB"), "≤ 50 MB"));
    let size = fs::metadata(stand_in.directory().join("execs.jsonl")).unwrap().len();
    let each = size as f64 / completeness.execs as f64;
    rows.push(Row::single("  event file, an exec", &format!("{each:.0} bytes"), "≤ 150 bytes"));
}
