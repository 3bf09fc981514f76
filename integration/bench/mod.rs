//! `make bench` and `make bench-quick`: what Buildwarden costs, each figure beside its
//! reference, both measured in turn. `docs/performance.md` says what the rows mean.

mod builds;
mod containers;
mod findings;
mod hooks;
mod loops;
mod machine;
mod stand_in;
mod storm;
mod table;
mod watched;

use std::panic::catch_unwind;
use table::Row;

/// How much is measured.
pub(crate) struct Plan {
    /// Pairs of what takes milliseconds.
    pairs: usize,
    /// Pairs of what takes a second.
    rounds: usize,
    /// Execs of one loop.
    execs: u64,
    /// Execs of the storm, and of the one on the collector's CPU.
    storms: [u64; 2],
    /// Containers that are watched at once.
    watched: usize,
    /// Findings whose way to the log is timed.
    findings: usize,
    /// Seconds in which idle collectors are looked at.
    idle: u64,
    /// Whether builds are run.
    builds: bool,
}

const QUICK: Plan = Plan {
    pairs: 21,
    rounds: 5,
    execs: 5_000,
    storms: [20_000, 10_000],
    watched: 20,
    findings: 100,
    idle: 5,
    builds: false,
};

const WHOLE: Plan = Plan {
    pairs: 51,
    rounds: 11,
    execs: 10_000,
    storms: [1_000_000, 100_000],
    watched: 1_000,
    findings: 400,
    idle: 60,
    builds: true,
};

type Measure = fn(&Plan, &mut Vec<Row>);

const MEASURES: [(&str, Measure); 9] = [
    ("hooks", hooks::measure),
    ("the first hook", hooks::measure_cold),
    ("the end", hooks::measure_end),
    ("containers", containers::measure),
    ("exec loops", loops::measure),
    ("findings", findings::measure),
    ("containers at once", watched::measure),
    ("storms", storm::measure),
    ("builds", builds::measure),
];

#[test]
#[ignore = "measures, for two minutes: `make bench-quick` runs it on a release build"]
fn root_bench_quick() {
    bench(&QUICK);
}

#[test]
#[ignore = "measures, for a quarter of an hour: `make bench` runs it on a release build"]
fn root_bench_whole() {
    bench(&WHOLE);
}

fn bench(plan: &Plan) {
    let before = machine::load();
    let mut rows = vec![machine::binary()];
    let mut failed = Vec::new();
    // One of them alone, where it says so.
    let only = std::env::var("BENCH").ok();
    let chosen = |name: &str| only.as_deref().is_none_or(|only| name.contains(only));
    for (name, measure) in MEASURES.into_iter().filter(|(name, _)| chosen(name)) {
        eprintln!("{name}");
        let measured = catch_unwind(|| {
            let mut rows = Vec::new();
            measure(plan, &mut rows);
            rows
        });
        // What went wrong has been said.
        measured.map_or_else(|_| failed.push(name), |measured| rows.extend(measured));
    }
    println!("\n{}\nload {before} before and {} after\n", machine::name(), machine::load());
    table::print(&rows);
    assert!(failed.is_empty(), "could not be measured: {}", failed.join(", "));
}
