//! The worst that a build can do: a loop of vfork and exec of a tiny static program.

use super::{
    Plan,
    machine::worked,
    peers, programs,
    rounds::{Took, With, both, in_turn},
    stand_in::{Stage, StandIn},
    table::Row,
};
use crate::harness::{Dir, quantile, run};
use std::{cell::RefCell, collections::BTreeMap, process::Command, time::Duration};

/// A slice of a loop: what comes right behind it is as near as that.
const SLICE_MS: u64 = 250;

/// A slice of a loop, in a container or on the host: microseconds an exec.
#[track_caller]
pub(super) fn one(stage: &Stage<'_>, container: Option<&StandIn<'_>>) -> Took {
    took(&mut command(stage, container)).0
}

/// Each exec has a name as an argument that nothing else on this machine has.
pub(super) fn command(stage: &Stage<'_>, container: Option<&StandIn<'_>>) -> Command {
    let count = format!("1+{SLICE_MS}");
    let mut command = match container {
        Some(stand_in) => stand_in.exec_loop(&count, &stage.nothing),
        None => {
            let mut command = Command::new(&stage.exec_loop);
            command.arg(count).arg("").arg(&stage.nothing);
            command
        }
    };
    command.arg(marker(stage));
    command
}

fn marker(stage: &Stage<'_>) -> String {
    format!("{}.looped", stage.dir.name())
}

/// What an exec took, and how many there were.
#[track_caller]
pub(super) fn took(command: &mut Command) -> (Took, f64) {
    let before = worked();
    let done = run(command).expect_code(0);
    let processors = worked() - before;
    let out = done.stdout();
    let [ns, count] = out.trim_end().split(' ').collect::<Vec<_>>()[..] else { panic!("{done}") };
    let [ns, count]: [f64; 2] = [ns, count].map(|number| number.parse().unwrap());
    let took = Took { wall: ns / 1000.0 / count, processors: processors * 1000.0 / count };
    (took, count)
}

/// Rounds in which all processors work for more than a second.
const ROUNDS: usize = 5;

/// Where a loop of ours runs, and what that may cost.
const PLACES: [(&str, &str); 3] = [
    ("out of scope, 0 scopes", "≤ ×1.01"),
    ("out of scope, 1 scope", "≤ ×1.01"),
    ("in scope", "≤ ×1.03"),
];

pub(super) fn measure(plan: &Plan, rows: &mut Vec<Row>) {
    let dir = Dir::like_a_host();
    let stage = Stage::new(&dir);
    let ours = |round: usize| {
        let zero = || {
            // The probe set stays.
            stage.watched(&format!("none-{round}")).end();
            stage.rest();
            one(&stage, None)
        };
        let scoped = || {
            let stand_in = stage.watched(&format!("loop-{round}"));
            let outside = || one(&stage, None);
            let inside = || one(&stage, Some(&stand_in));
            let took = both((round / 2).is_multiple_of(2), outside, inside);
            stand_in.end();
            took
        };
        let (zero, (outside, inside)) = both(round.is_multiple_of(2), zero, scoped);
        stage.unload();
        vec![zero, outside, inside]
    };
    // What part of the execs each peer has shown.
    let shown: RefCell<BTreeMap<&str, Vec<f64>>> = RefCell::default();
    let marker = marker(&stage);
    let peer = |peer: &peers::Peer, running: peers::Running<'_>| {
        let (took, execs) = took(&mut running.watch(command(&stage, None)));
        let written = running.end();
        // The loop's own exec has it too.
        let count = memchr::memmem::find_iter(&written, &marker).count().saturating_sub(1);
        shown.borrow_mut().entry(peer.name).or_default().push(count as f64 / execs);
        took
    };
    let (able, unable) = peers::with_each(&stage, plan.loops.peers, &peer);
    let (able, mut with): (Vec<_>, Vec<_>) = able.into_iter().unzip();
    with.insert(0, With::new(1, ours));
    let compared = in_turn(plan.loops.rounds, Duration::MAX, || one(&stage, None), &mut with);
    drop(with);

    let than = "no probe set";
    let [ours, compared @ ..] = &compared[..] else { unreachable!("there are ours") };
    for ((place, goal), ours) in PLACES.iter().zip(ours) {
        let what = format!("an exec of a loop, {place}");
        rows.push(Row::ratio(&what, "µs", &ours.wall, than, goal));
    }
    let what = "  all processors, in scope";
    let processors = ours[2].processors_over(ROUNDS);
    rows.push(Row::ratio(what, "µs", &processors, than, "≤ ×1.06"));
    programs::measure(plan, &stage, &ours[0].wall.reference, rows);
    let what = "an exec of a loop";
    for (peer, compared) in able.iter().zip(compared) {
        let [compared] = &compared[..] else {
            rows.push(peer.unable(what, "not again".to_owned()));
            continue;
        };
        let part = quantile(&shown.borrow()[peer.name], 0.0) * 100.0;
        let row = Row::ratio(&format!("{what}, {}", peer.name), "µs", &compared.wall, than, "");
        rows.push(row.remark(format!("{part:.1} % of them shown, at least")));
        let processors = compared.processors_over(ROUNDS);
        rows.push(Row::ratio("  all processors", "µs", &processors, than, ""));
    }
    rows.extend(unable.into_iter().map(|(peer, said)| peer.unable(what, said)));
}
