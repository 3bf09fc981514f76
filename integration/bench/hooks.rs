//! The hooks, from spawn to exit.

use super::{
    Plan,
    machine::{faults, timed},
    stand_in::Stage,
    table::{Pairs, Row},
};
use crate::harness::Dir;
use std::process::Stdio;

/// The hook at a start, with a probe set that is loaded and a pool that is full.
pub(super) fn measure(plan: &Plan, rows: &mut Vec<Row>) {
    let dir = Dir::like_a_host();
    let stage = Stage::new(&dir);
    stage.watched("first").end();
    let pairs = warm(&stage, plan.pairs);
    rows.push(Row::ratio("hook at the start, warm", "ms", &pairs, "C program, exit(0)", "≤ ×1.5"));
    // What it maps, and uses.
    let mut pairs = Pairs::default();
    for number in 0..plan.rounds {
        let stand_in = stage.stand_in(&format!("mapped-{number}"));
        let ours = faults(|| stand_in.watch());
        pairs.push(ours, faults(|| stand_in.nothing()));
        stand_in.settled();
        stand_in.end();
    }
    rows.push(Row::ratio("  pages that it faults in", "pages", &pairs, "C program, exit(0)", ""));
    stage.unload();
}

/// Pairs of it and of a program that does nothing.
pub(super) fn warm(stage: &Stage<'_>, count: usize) -> Pairs {
    let mut pairs = Pairs::default();
    for number in 0..count {
        let stand_in = stage.stand_in(&format!("warm-{number}"));
        let nothing_first = number % 2 == 0;
        if nothing_first {
            pairs.reference.push(stand_in.nothing());
        }
        pairs.ours.push(stand_in.watch());
        // Before anything else is timed: it runs beside the hook's end.
        stand_in.settled();
        if !nothing_first {
            pairs.reference.push(stand_in.nothing());
        }
        stand_in.end();
    }
    pairs
}

/// The first hook after boot: loads, pins, inserts its own ring.
pub(super) fn measure_cold(plan: &Plan, rows: &mut Vec<Row>) {
    let dir = Dir::like_a_host();
    let stage = Stage::new(&dir);
    let mut pairs = Pairs::default();
    for number in 0..plan.rounds {
        let stand_in = stage.stand_in(&format!("cold-{number}"));
        pairs.ours.push(stand_in.watch());
        stand_in.settled();
        pairs.reference.push(stand_in.nothing());
        stand_in.end();
        stage.unload();
    }
    rows.push(Row::ratio("first hook after boot", "ms", &pairs, "C program, exit(0)", "≤ 40 ms"));
}

/// From the poststop hook's start to a report of 1,000 execs.
pub(super) fn measure_end(plan: &Plan, rows: &mut Vec<Row>) {
    let dir = Dir::like_a_host();
    let stage = Stage::new(&dir);
    let mut pairs = Pairs::default();
    for number in 0..plan.rounds {
        let mut stand_in = stage.watched(&format!("end-{number}"));
        timed(stand_in.exec_loop("1000", &stage.nothing).stdout(Stdio::null()));
        pairs.reference.push(stand_in.nothing());
        stand_in.die();
        // At once: a runtime cleans up first, while the collector is at it already.
        pairs.ours.push(stand_in.poststop());
    }
    rows.push(Row::ratio(
        "end to report, 1,000 execs",
        "ms",
        &pairs,
        "C program, exit(0)",
        "≤ 5 ms",
    ));
    stage.unload();
}
