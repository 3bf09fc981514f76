//! What an exec of a loop takes in our programs in the kernel and in the collector, by the
//! kernel's own clocks.

use super::{
    Plan,
    loops::{command, took},
    stand_in::{Stage, StandIn},
    table::Row,
};
use crate::harness::run;
use buildwarden::trace::pin_directory;
use libbpf_rs::{Link, query::ProgInfoIter};
use nix::time::{clock_getcpuclockid, clock_gettime};
use std::{fs, time::Duration};

const PROGRAMS: [&str; 3] = ["on_exec", "on_fork", "on_exit"];
/// Whether the kernel counts how long each BPF program runs, and how often.
const STATISTICS: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// On top of what an exec of a loop takes without a probe set, microseconds.
pub(super) fn measure(plan: &Plan, stage: &Stage<'_>, without: &[f64], rows: &mut Vec<Row>) {
    let [mut outside, mut inside, mut collecting] = [const { Vec::new() }; 3];
    let stand_in = stage.watched("counted");
    let ours = Ours::new(stage);
    for round in 0..plan.rounds {
        let counted = Counted::new();
        let before = ours.ran();
        let (_, execs) = took(&mut command(stage, None));
        outside.push((ours.ran() - before) / execs);

        let (before, collected) = (ours.ran(), worked(&stand_in));
        let (_, execs) = took(&mut command(stage, Some(&stand_in)));
        inside.push((ours.ran() - before) / execs);
        drop(counted);
        // What comes last is on record when all before it is.
        let last = format!("last-{round}");
        run(stand_in.exec_loop("1", &stage.nothing).arg(&last)).expect_code(0);
        stand_in.until_recorded(&last);
        collecting.push((worked(&stand_in) - collected) / execs);
    }
    stand_in.end();
    stage.unload();
    for (what, took) in [
        ("  our programs alone, out of scope", outside),
        ("  our programs alone, in scope", inside),
        ("  the collector alone, in scope", collecting),
    ] {
        rows.push(Row::on_top(what, "µs", &took, without, "no probe set"));
    }
}

/// The programs that are loaded, by their numbers.
struct Ours([u32; 3]);

impl Ours {
    #[track_caller]
    fn new(stage: &Stage<'_>) -> Ours {
        let pins = pin_directory(&stage.dir.bpffs());
        Ours(PROGRAMS.map(|name| {
            let link = Link::open(pins.join(format!("link_{name}"))).unwrap();
            link.info().unwrap().prog_id
        }))
    }

    /// Microseconds that they ran so far, while that was counted.
    fn ran(&self) -> f64 {
        let programs = ProgInfoIter::default().filter(|info| self.0.contains(&info.id));
        programs.map(|info| info.run_time_ns as f64 / 1000.0).sum()
    }
}

/// Microseconds that a collector worked so far.
fn worked(stand_in: &StandIn<'_>) -> f64 {
    let clock = clock_getcpuclockid(stand_in.collector()).unwrap();
    Duration::from(clock_gettime(clock).unwrap()).as_secs_f64() * 1e6
}

/// The kernel counts until this is dropped; that costs too.
struct Counted {
    before: String,
}

impl Counted {
    fn new() -> Counted {
        let before = fs::read_to_string(STATISTICS).unwrap();
        fs::write(STATISTICS, "1").unwrap();
        Counted { before }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        fs::write(STATISTICS, &self.before).unwrap();
    }
}
