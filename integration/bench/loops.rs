//! The worst that a build can do: a loop of vfork and exec of a tiny static program.

use super::{
    Plan,
    machine::worked,
    peers,
    rounds::{Took, With, in_turn},
    stand_in::{Stage, StandIn},
    table::Row,
};
use crate::harness::{Dir, quantile, run};
use std::{cell::RefCell, collections::BTreeMap, process::Command};

/// A loop of so many execs, in a container or on the host: microseconds an exec.
#[track_caller]
pub(super) fn one(stage: &Stage<'_>, count: u64, container: Option<&StandIn<'_>>) -> Took {
    took(count, &mut command(stage, count, container))
}

/// Each exec has a name as an argument that nothing else on this machine has.
fn command(stage: &Stage<'_>, count: u64, container: Option<&StandIn<'_>>) -> Command {
    let mut command = match container {
        Some(stand_in) => stand_in.exec_loop(&count.to_string(), &stage.nothing),
        None => {
            let mut command = Command::new(&stage.exec_loop);
            command.arg(count.to_string()).arg("").arg(&stage.nothing);
            command
        }
    };
    command.arg(marker(stage));
    command
}

fn marker(stage: &Stage<'_>) -> String {
    format!("{}.looped", stage.dir.name())
}

#[track_caller]
fn took(count: u64, command: &mut Command) -> Took {
    let before = worked();
    let done = run(command).expect_code(0);
    let processors = (worked() - before) * 1000.0 / count as f64;
    let out = done.stdout();
    let ns: f64 = out.split(' ').next().unwrap().parse().unwrap();
    Took { wall: ns / 1000.0 / count as f64, processors }
}

/// Where a loop of ours runs, and what that may cost.
const PLACES: [(&str, &str); 3] = [
    ("out of scope, 0 scopes", "≤ ×1.01"),
    ("out of scope, 1 scope", "≤ ×1.01"),
    ("in scope", "≤ ×1.03"),
];

pub(super) fn measure(plan: &Plan, rows: &mut Vec<Row>) {
    let dir = Dir::with_bpffs();
    let stage = Stage::new(&dir);
    let ours = |round: usize| {
        let stand_in = stage.watched(&format!("loop-{round}"));
        let outside = one(&stage, plan.execs, None);
        let inside = one(&stage, plan.execs, Some(&stand_in));
        stand_in.end();
        let zero = one(&stage, plan.execs, None);
        stage.unload();
        vec![zero, outside, inside]
    };
    // What part of the execs each peer has shown.
    let shown: RefCell<BTreeMap<&str, Vec<f64>>> = RefCell::default();
    let marker = marker(&stage);
    let peer = |peer: &peers::Peer, running: peers::Running<'_>| {
        let took = took(plan.execs, &mut running.watch(command(&stage, plan.execs, None)));
        let written = running.end();
        let count = memchr::memmem::find_iter(&written, &marker).count();
        let part = count as f64 / plan.execs as f64;
        shown.borrow_mut().entry(peer.name).or_default().push(part);
        took
    };
    let (able, unable) = peers::with_each(&stage, plan.peers, &peer);
    let (names, mut with): (Vec<_>, Vec<_>) =
        able.into_iter().map(|(peer, with)| (peer.name, with)).unzip();
    with.insert(0, With::new(1, ours));
    let compared = in_turn(plan.rounds, || one(&stage, plan.execs, None), &mut with);
    drop(with);

    let than = "no probe set";
    let [ours, compared @ ..] = &compared[..] else { unreachable!("there are ours") };
    for ((place, goal), ours) in PLACES.iter().zip(ours) {
        let what = format!("an exec of a loop, {place}");
        rows.push(Row::ratio(&what, "µs", &ours.wall, than, goal));
    }
    let what = "  all processors, in scope";
    rows.push(Row::ratio(what, "µs", &ours[2].processors, than, "≤ ×1.06"));
    for (name, compared) in names.iter().zip(compared) {
        let part = quantile(&shown.borrow()[name], 0.0) * 100.0;
        let what = format!("an exec of a loop, {name}");
        let row = Row::ratio(&what, "µs", &compared[0].wall, than, "");
        rows.push(row.remark(format!("{part:.1} % of them shown, at least")));
        rows.push(Row::ratio("  all processors", "µs", &compared[0].processors, than, ""));
    }
    for (peer, said) in unable {
        let what = format!("an exec of a loop, {}", peer.name);
        rows.push(Row::single(&what, "does not run", "").remark(said));
    }
}
