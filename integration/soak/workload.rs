//! What containers of the soak do, drawn at random, and what must be on record of it.

use super::inventory;
use crate::harness::{Container, Dir, program, run, until};
use buildwarden::report::model::{Report, Verdict};
use fastrand::Rng;
use nix::sys::signal::{Signal, kill};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
    thread,
};

/// What becomes of a container; what is killed is, once it has executed so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It comes to its end.
    Ends,
    /// It comes to its end, and is started again.
    Restarted,
    /// Something is executed into it.
    Entered,
    /// It is killed.
    Killed,
    /// Its collector is.
    CollectorKilled,
    /// Both are, the collector first.
    BothKilled,
    /// The hook that attaches is, at this system call.
    HookKilled(usize),
    /// The hook of its end is.
    PoststopKilled(usize),
}

const FATES: [Fate; 8] = [
    Fate::Ends,
    Fate::Restarted,
    Fate::Entered,
    Fate::Killed,
    Fate::CollectorKilled,
    Fate::BothKilled,
    Fate::HookKilled(0),
    Fate::PoststopKilled(0),
];

/// One container.
#[derive(Clone, Copy, Debug)]
struct Draw {
    fate: Fate,
    execs: u64,
    workers: u64,
    every: u64,
    /// How many execs there are before something is killed.
    at: u64,
}

impl Draw {
    fn new(rng: &mut Rng) -> Draw {
        let fate = match rng.choice(FATES).expect("some") {
            // More than either makes: then it comes through.
            Fate::HookKilled(_) => Fate::HookKilled(rng.usize(1..400)),
            Fate::PoststopKilled(_) => Fate::PoststopKilled(rng.usize(1..150)),
            fate => fate,
        };
        let execs = rng.u64(1..300);
        let (workers, every) = (rng.u64(1..5), rng.u64(5..60));
        Draw { fate, execs, workers, every, at: rng.u64(1..=execs) }
    }
}

/// What was counted, by fate and in all.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) containers: u64,
    pub(super) runs: u64,
    pub(super) refused: u64,
    pub(super) killed: u64,
    pub(super) collectors_killed: u64,
    pub(super) execs: u64,
    pub(super) lost: u64,
    pub(super) findings: u64,
    /// The names of the runs that must be on record, and of those that may.
    pub(super) names: Vec<String>,
    pub(super) may: Vec<String>,
}

impl Tally {
    pub(super) fn add(&mut self, other: Tally) {
        self.containers += other.containers;
        self.runs += other.runs;
        self.refused += other.refused;
        self.killed += other.killed;
        self.collectors_killed += other.collectors_killed;
        self.execs += other.execs;
        self.lost += other.lost;
        self.findings += other.findings;
        self.names.extend(other.names);
        self.may.extend(other.may);
    }
}

/// Counts what is executed, without Buildwarden: the programs do.
struct Counter(PathBuf);

impl Counter {
    fn new(container: &Container<'_>) -> Counter {
        let counter = Counter(container.sync().join("count"));
        counter.reset();
        counter
    }

    fn reset(&self) {
        fs::write(&self.0, [0; 16]).unwrap();
    }

    /// Execs, and findings among them.
    fn read(&self) -> (u64, u64) {
        let bytes = fs::read(&self.0).unwrap();
        let number = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
        (number(0), number(8))
    }
}

fn container<'a>(dir: &'a Dir, id: &str, args: [u64; 4]) -> Container<'a> {
    static SOAK: LazyLock<PathBuf> = LazyLock::new(|| program("soak"));
    let soak: &Path = &SOAK;
    let args = args.map(|number| number.to_string());
    let words: Vec<&str> =
        ["/bin/soak"].into_iter().chain(args.iter().map(String::as_str)).collect();
    Container::new(dir, id).with(soak, "/bin/soak").with(soak, "/bin/curl").args(&words)
}

/// Has one container live and end, and checks what is on record of it.
pub(super) fn live_and_end(dir: &Dir, id: &str, rng: &mut Rng) -> Tally {
    let draw = Draw::new(rng);
    let mut tally = Tally { containers: 1, ..Tally::default() };
    let mut container = container(dir, id, [draw.execs, draw.workers, draw.every, 0]);
    container = match draw.fate {
        Fate::HookKilled(call) => container.kill_hook("createRuntime", call),
        Fate::PoststopKilled(call) => container.kill_hook("poststop", call),
        _ => container,
    };
    let counter = Counter::new(&container);
    for n in 1..=if draw.fate == Fate::Restarted { 2 } else { 1 } {
        counter.reset();
        let ended_well = run_once(dir, id, &container, &counter, draw, &mut tally);
        let name = if n == 1 { id.to_owned() } else { format!("{id}.{n}") };
        let counted = counter.read();
        if counted == (0, 0) && matches!(draw.fate, Fate::HookKilled(_)) {
            // The runtime refused it: nothing was executed. How far the hook came decides
            // whether that is on record.
            tally.refused += 1;
            tally.may.push(name);
            continue;
        }
        let report = dir.report(&name);
        check(&name, &report, counted, ended_well, draw);
        tally.runs += 1;
        tally.execs += report.completeness.execs;
        tally.lost += report.completeness.lost;
        tally.findings += report.findings.len() as u64 + report.findings_omitted;
        tally.names.push(name);
    }
    drop(counter);
    let bundle = container.bundle();
    drop(container);
    fs::remove_dir_all(bundle).unwrap();
    tally
}

/// Whether it came to its own end.
fn run_once(
    dir: &Dir,
    id: &str,
    container: &Container<'_>,
    counter: &Counter,
    draw: Draw,
    tally: &mut Tally,
) -> bool {
    let mut running = container.start();
    let reached = || counter.read().0 >= draw.at;
    let mut ended_well = true;
    if matches!(draw.fate, Fate::CollectorKilled | Fate::BothKilled) {
        until("enough execs", || (reached() || running.has_ended()).then_some(()));
        // It may end by itself meanwhile.
        let collector = dir.live_collector(id);
        if collector.is_some_and(|collector| kill(collector, Signal::SIGKILL).is_ok()) {
            tally.collectors_killed += 1;
        }
    }
    match draw.fate {
        Fate::Killed | Fate::BothKilled => {
            until("enough execs", || (reached() || running.has_ended()).then_some(()));
            run(&mut container.kill());
            ended_well = false;
            tally.killed += 1;
        }
        Fate::Entered => {
            until("enough execs", || (reached() || running.has_ended()).then_some(()));
            // It may have ended before.
            running.exec(&["/bin/soak"]);
        }
        _ => {}
    }
    let done = running.finish();
    if ended_well && !matches!(draw.fate, Fate::HookKilled(_)) {
        assert_eq!(done.code, 0, "{id}: {draw:?}: {done}");
    }
    ended_well
}

/// The report must say what was counted, of as much as it says that it saw.
#[track_caller]
fn check(name: &str, report: &Report, (execs, findings): (u64, u64), ended_well: bool, draw: Draw) {
    let found = &report.completeness;
    let seen = found.execs + found.lost;
    let what =
        format!("{name}: {execs} execs and {findings} findings counted: {draw:?}: {found:?}");
    // Who is killed, right after its exec, has not come to count itself: of what is killed each
    // worker and what it executed, and who was put in as the container ended.
    let uncounted = match draw.fate {
        _ if !ended_well => draw.workers + 1,
        Fate::Entered => 1,
        _ => 0,
    };
    assert!((execs..=execs + uncounted).contains(&seen), "{what}");
    assert_eq!(found.last_sequence, seen, "{what}");
    if found.lost == 0 {
        let found = report.findings.len() as u64 + report.findings_omitted;
        assert!((findings..=findings + uncounted).contains(&found), "{found} findings: {what}");
        assert_eq!(report.verdict == Verdict::Findings, found > 0, "{what}");
    } else {
        assert_ne!(report.verdict, Verdict::Clean, "{what}");
    }
    if found.lost == 0 && !matches!(draw.fate, Fate::HookKilled(_)) {
        assert_eq!(found.reasons, [""; 0], "{what}");
    }
}

/// A container that lives as long as the soak, and executes all the time.
pub(super) struct Resident;

impl Resident {
    const ID: &'static str = "resident";

    /// Has it live until `is_over`.
    pub(super) fn live(dir: &Dir, is_over: &(dyn Fn() -> bool + Sync)) -> Tally {
        let container = container(dir, Self::ID, [0, 1, 50, 5_000]);
        let counter = Counter::new(&container);
        let running = container.start();
        until("its first exec", || (counter.read().0 > 0).then_some(()));
        while !is_over() {
            thread::sleep(std::time::Duration::from_millis(50));
        }
        fs::write(container.sync().join("stop"), b"").unwrap();
        running.finish().expect_code(0);
        let report = dir.report(Self::ID);
        let counted = counter.read();
        let draw = Draw { fate: Fate::Ends, execs: 0, workers: 1, every: 50, at: 0 };
        check(Self::ID, &report, counted, true, draw);
        Tally {
            containers: 1,
            runs: 1,
            execs: report.completeness.execs,
            lost: report.completeness.lost,
            findings: report.findings.len() as u64 + report.findings_omitted,
            names: vec![Self::ID.to_owned()],
            ..Tally::default()
        }
    }

    /// Its collector's memory in KiB and descriptors.
    pub(super) fn look(dir: &Dir) -> Option<(usize, usize)> {
        let collector = dir.live_collector(Self::ID)?.as_raw();
        Some((inventory::resident(collector)?, inventory::descriptors(collector)))
    }
}
