//! The worst that a build can do: a loop of vfork and exec of a tiny static program.

use super::{
    Plan,
    machine::worked,
    stand_in::{Stage, StandIn},
    table::{Pairs, Row},
};
use crate::harness::{Dir, run};
use std::process::Command;

/// What one loop took.
#[derive(Clone, Copy)]
pub(super) struct Loop {
    /// Microseconds an exec.
    pub(super) wall: f64,
    /// Microseconds an exec that all processors together worked.
    pub(super) processors: f64,
}

/// A loop of so many execs, in a container or on the host.
#[track_caller]
pub(super) fn one(stage: &Stage<'_>, count: u64, container: Option<&StandIn<'_>>) -> Loop {
    let mut command = match container {
        Some(stand_in) => stand_in.exec_loop(count, &stage.nothing),
        None => {
            let mut command = Command::new(&stage.exec_loop);
            command.arg(count.to_string()).arg("").arg(&stage.nothing);
            command
        }
    };
    let before = worked();
    let done = run(&mut command).expect_code(0);
    let processors = (worked() - before) * 1000.0 / count as f64;
    let ns: f64 = done.stdout().trim_end().parse().unwrap();
    Loop { wall: ns / 1000.0 / count as f64, processors }
}

/// Where a loop runs.
const PLACES: [&str; 3] = ["out of scope, 0 scopes", "out of scope, 1 scope", "in scope"];

pub(super) fn measure(plan: &Plan, rows: &mut Vec<Row>) {
    let dir = Dir::with_bpffs();
    let stage = Stage::new(&dir);
    let mut wall: [Pairs; 3] = Default::default();
    let mut processors: [Pairs; 3] = Default::default();
    for round in 0..plan.rounds {
        let none = |stage: &Stage<'_>| one(stage, plan.execs, None);
        let loaded = |stage: &Stage<'_>| {
            let stand_in = stage.watched(&format!("loop-{round}"));
            let outside = one(stage, plan.execs, None);
            let inside = one(stage, plan.execs, Some(&stand_in));
            stand_in.end();
            let [zero, one] = [one(stage, plan.execs, None), outside];
            stage.unload();
            [zero, one, inside]
        };
        let (reference, measured) = if round % 2 == 0 {
            let reference = none(&stage);
            (reference, loaded(&stage))
        } else {
            let measured = loaded(&stage);
            (none(&stage), measured)
        };
        for (at, measured) in measured.iter().enumerate() {
            wall[at].ours.push(measured.wall);
            wall[at].reference.push(reference.wall);
            processors[at].ours.push(measured.processors);
            processors[at].reference.push(reference.processors);
        }
    }
    let than = "no probe set";
    for ((place, pairs), goal) in PLACES.iter().zip(&wall).zip(["≤ ×1.01", "≤ ×1.01", "≤ ×1.03"])
    {
        rows.push(Row::ratio(&format!("exec loop {place}, an exec"), "µs", pairs, than, goal));
    }
    rows.push(Row::ratio(
        "exec loop in scope, all processors",
        "µs",
        &processors[2],
        than,
        "≤ ×1.06",
    ));
}
