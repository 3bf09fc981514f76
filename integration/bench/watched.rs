//! Many containers that are watched at once: what one costs that does nothing, and what all
//! of them cost the others.

use super::{
    Plan,
    hooks::warm,
    loops::one,
    machine::of_process,
    stand_in::{Stage, StandIn},
    table::{Pairs, Row},
};
use crate::harness::{Dir, quantile};
use std::{thread, time::Duration};

const RING: &str = "256KiB";
const RING_KIB: f64 = 256.0;

pub(super) fn measure(plan: &Plan, rows: &mut Vec<Row>) {
    let dir = Dir::with_bpffs();
    dir.configure(&format!("[ring]\nsize = \"{RING}\""));
    let stage = Stage::new(&dir);
    let loops = |container: Option<&StandIn<'_>>| -> Vec<f64> {
        (0..plan.rounds).map(|_| one(&stage, plan.execs, container).wall).collect()
    };
    let alone = loops(None);
    let first = stage.watched("first");
    let with_one = loops(Some(&first));

    let many: Vec<StandIn<'_>> =
        (1..plan.watched).map(|number| stage.watched(&format!("idle-{number}"))).collect();
    let count = plan.watched;
    let outside = Pairs { ours: loops(None), reference: alone };
    let what = format!("exec loop out of scope, {count} scopes");
    rows.push(Row::ratio(&what, "µs", &outside, "no probe set", "≤ ×1.01"));
    let inside = Pairs { ours: loops(Some(&first)), reference: with_one };
    let what = format!("exec loop in scope, {count} scopes");
    rows.push(Row::ratio(&what, "µs", &inside, "1 scope", "≤ ×1.02"));
    let pairs = warm(&stage, plan.pairs);
    let what = format!("hook at the start, {count} scopes");
    rows.push(Row::ratio(&what, "ms", &pairs, "C program, exit(0)", "as with 1"));

    let collectors: Vec<_> = many.iter().map(StandIn::settled).collect();
    // Text that several map is nobody's own.
    let private = |pid| of_process(pid, "smaps_rollup", "Private_");
    // Of the kernel: its page tables, the stack of its only thread, and the ring.
    let kernel = |pid| of_process(pid, "status", "VmPTE:") + 16.0 + RING_KIB;
    let mib = |of: &dyn Fn(nix::unistd::Pid) -> f64| -> Vec<f64> {
        collectors.iter().map(|pid| of(*pid) / 1024.0).collect()
    };
    let what = format!("memory of an idle container, {RING} ring");
    let all = mib(&|pid| private(pid) + kernel(pid));
    rows.push(Row::alone(&what, "MiB", &all, "≤ 0.5 MiB"));
    rows.push(Row::alone("of it the collector's own", "MiB", &mib(&private), ""));

    let woken = || -> Vec<f64> {
        let woken = |pid| of_process(pid, "status", "voluntary_ctxt_switches:");
        collectors.iter().map(|pid| woken(*pid)).collect()
    };
    let before = woken();
    thread::sleep(Duration::from_secs(plan.idle));
    let minutes = plan.idle as f64 / 60.0;
    let rates: Vec<f64> =
        woken().iter().zip(before).map(|(now, then)| (now - then) / minutes).collect();
    let most = format!("{} a minute at most", quantile(&rates, 1.0));
    rows.push(Row::single("wake-ups of an idle collector", &most, "0"));
    many.into_iter().for_each(StandIn::end);
    first.end();
    stage.unload();
}
