//! Many containers that are watched at once: what one costs that does nothing, and what all
//! of them cost the others.

use super::{
    Plan,
    hooks::warm,
    loops::one,
    machine::{of_process, timed},
    stand_in::{Stage, StandIn},
    table::{Pairs, Row},
};
use crate::harness::{Dir, quantile};
use buildwarden::report::model::Report;
use nix::unistd::Pid;
use std::{
    fs,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

const RING: &str = "256KiB";
const RING_KIB: f64 = 256.0;

pub(super) fn measure(plan: &Plan, rows: &mut Vec<Row>) {
    let dir = Dir::like_a_host();
    dir.configure(&format!("[ring]\nsize = \"{RING}\""));
    let stage = Stage::new(&dir);
    // Neither can be measured in turn with that many: half of it is before and half behind.
    let half = plan.loops.rounds.div_ceil(2);
    let loops = |rounds: usize, container: Option<&StandIn<'_>>| -> Vec<f64> {
        (0..rounds).map(|_| one(&stage, container).wall).collect()
    };
    let mut alone = loops(half, None);
    let first = stage.watched("first");
    let mut with_one = loops(half, Some(&first));
    let hook_with_one = warm(&stage, plan.pairs);

    let count = plan.watched;
    let begun = Instant::now();
    let start = |number| {
        let stand_in = stage.stand_in(&format!("idle-{number}"));
        stand_in.watch();
        stand_in
    };
    let mut many: Vec<StandIn<'_>> = (1..=count).map(start).collect();
    let collectors: Vec<Pid> = many.iter().map(StandIn::settled).collect();
    let started = begun.elapsed().as_secs_f64();
    let outside = loops(2 * half, None);
    let inside = loops(2 * half, Some(&first));
    let hook_with_many = warm(&stage, plan.pairs);
    let idle = memory_and_wake_ups(plan, &collectors);
    for stand_in in &many {
        timed(stand_in.exec_loop("1", &stage.nothing).stdout(Stdio::null()));
    }
    let begun = Instant::now();
    many.iter_mut().for_each(StandIn::die);
    let seen = many.into_iter().map(whole).filter(|whole| *whole).count();
    let ended = begun.elapsed().as_secs_f64();
    with_one.extend(loops(half, Some(&first)));
    first.end();
    stage.unload();
    alone.extend(loops(half, None));

    let goal = count.to_string();
    let row = Row::single("containers with an exec each, seen", &seen.to_string(), &goal);
    rows.push(row.remark(format!("begun within {started:.0} s, ended within {ended:.0} s")));
    rows.extend(idle);
    let goal = "≤ ×1.01";
    let pairs = Pairs { ours: outside, reference: alone };
    let what = format!("an exec of a loop, out of scope, {count} scopes");
    rows.push(Row::ratio(&what, "µs", &pairs, "no probe set", goal));
    let pairs = Pairs { ours: inside, reference: with_one };
    let what = format!("an exec of a loop, in scope, {count} scopes");
    rows.push(Row::ratio(&what, "µs", &pairs, "1 scope", "≤ ×1.02"));
    let what = format!("hook at the start, warm, {count} scopes");
    rows.push(Row::ratio(&what, "ms", &hook_with_many, "C program, exit(0)", "≤ ×1.5"));
    let pairs = Pairs { ours: hook_with_many.ours, reference: hook_with_one.ours };
    rows.push(Row::ratio("  against 1 scope", "ms", &pairs, "1 scope", "×0.75 … ×1.25"));
}

/// Ends it; whether its report has its one exec, and no other container's.
#[track_caller]
fn whole(stand_in: StandIn<'_>) -> bool {
    let report = stand_in.directory().join("report.json");
    stand_in.end();
    let report: Report = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    let seen = report.completeness;
    seen.execs == 1 && seen.last_sequence == 1 && seen.lost == 0
}

fn memory_and_wake_ups(plan: &Plan, collectors: &[Pid]) -> Vec<Row> {
    // Text that several map is nobody's own.
    let private = |pid| of_process(pid, "smaps_rollup", "Private_");
    // Of the kernel: its page tables, the stack of its only thread, and the ring.
    let kernel = |pid| of_process(pid, "status", "VmPTE:") + 16.0 + RING_KIB;
    let mib = |of: &dyn Fn(Pid) -> f64| -> Vec<f64> {
        collectors.iter().map(|pid| of(*pid) / 1024.0).collect()
    };
    let all = mib(&|pid| private(pid) + kernel(pid));
    let what = format!("memory of an idle one, {RING} ring");
    let mut rows = vec![Row::alone(&what, "MiB", &all, "≤ 0.5 MiB")];
    rows.push(Row::alone("  of it the collector's own", "MiB", &mib(&private), ""));

    let woken = || -> Vec<f64> {
        let woken = |pid| of_process(pid, "status", "voluntary_ctxt_switches:");
        collectors.iter().map(|pid| woken(*pid)).collect()
    };
    let before = woken();
    thread::sleep(Duration::from_secs(plan.idle));
    let minutes = plan.idle as f64 / 60.0;
    let rates: Vec<f64> =
        woken().iter().zip(before).map(|(now, then)| (now - then) / minutes).collect();
    let most = format!("{} a minute", quantile(&rates, 1.0));
    let row = Row::single("wake-ups of an idle collector, at most", &most, "0");
    rows.push(row.remark(format!("in {} s", plan.idle)));
    rows
}
