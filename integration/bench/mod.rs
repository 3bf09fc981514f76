//! `make bench` and `make bench-quick`: what Buildwarden costs, each figure beside its
//! reference, both measured in turn. `docs/performance.md` says what the rows mean.

mod builds;
mod containers;
mod findings;
mod hooks;
mod loops;
mod machine;
mod order;
mod peers;
mod programs;
mod rounds;
mod stand_in;
mod storm;
mod table;
mod watched;

use std::{
    panic::catch_unwind,
    time::{Duration, Instant},
};
use table::Row;

/// How much is measured.
struct Plan {
    /// Pairs of what takes milliseconds.
    pairs: usize,
    /// Pairs of containers, for a goal of a millisecond of thirty.
    containers: usize,
    /// Pairs of what takes a second.
    rounds: usize,
    loops: Loops,
    storm: Storm,
    /// Containers that are watched at once.
    watched: usize,
    /// Findings whose way to the log is timed.
    findings: usize,
    /// Seconds in which idle collectors are looked at.
    idle: u64,
    builds: Builds,
}

struct Loops {
    /// Of a slice of each.
    rounds: usize,
    /// Peers take part in each round of so many.
    peers: usize,
}

struct Storm {
    /// At least so many execs,
    execs: u64,
    /// and at least for so long.
    seconds: u64,
}

struct Builds {
    /// Of each; or fewer where they take longer than that.
    rounds: usize,
    at_most: Duration,
    /// So much of what they could be.
    part: u32,
    /// Peers take part in each round of so many, if at all.
    peers: Option<usize>,
}

const QUICK: Plan = Plan {
    pairs: 21,
    containers: 61,
    rounds: 3,
    loops: Loops { rounds: 12, peers: 6 },
    storm: Storm { execs: 20_000, seconds: 3 },
    watched: 20,
    findings: 100,
    idle: 5,
    builds: Builds { rounds: 12, at_most: Duration::from_secs(8), part: 3, peers: None },
};

const WHOLE: Plan = Plan {
    pairs: 51,
    containers: 301,
    rounds: 11,
    loops: Loops { rounds: 48, peers: 8 },
    storm: Storm { execs: 1_000_000, seconds: 60 },
    watched: 1_000,
    findings: 400,
    idle: 60,
    builds: Builds { rounds: 93, at_most: Duration::from_secs(100), part: 1, peers: Some(31) },
};

type Measure = fn(&Plan, &mut Vec<Row>);

const MEASURES: [(&str, Measure); 10] = [
    ("the program", machine::binary),
    ("hooks", hooks::measure),
    ("the first hook", hooks::measure_cold),
    ("the end", hooks::measure_end),
    ("containers", containers::measure),
    ("findings", findings::measure),
    ("containers at once", watched::measure),
    ("storms", storm::measure),
    // Last: of auditing, something stays in the kernel where it was off.
    ("exec loops", loops::measure),
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
    let mut parts = Vec::new();
    let mut failed = Vec::new();
    // One of them alone, where it says so.
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let only = variable("BENCH");
    let chosen = |name: &str| name.contains(&only);
    for (name, measure) in MEASURES.into_iter().filter(|(name, _)| chosen(name)) {
        let begun = Instant::now();
        let measured = catch_unwind(|| {
            let mut rows = Vec::new();
            measure(plan, &mut rows);
            rows
        });
        eprintln!("{name}: {:.0} s", begun.elapsed().as_secs_f64());
        // What went wrong has been said.
        measured.map_or_else(|_| failed.push(name), |rows| parts.push((name, rows)));
    }
    println!("\n{}\nload {before} before and {} after\n", machine::name(), machine::load());
    table::print(&parts, variable("BENCH_FORMAT") == "markdown");
    assert!(failed.is_empty(), "could not be measured: {}", failed.join(", "));
}
