//! How long a finding takes from the exec to its line in the annotation log.

use super::{
    Plan,
    machine::timed,
    stand_in::{Stage, StandIn},
    table::Row,
};
use crate::harness::{Dir, quantile};
use buildwarden::annotation::{Entry, Line, Tail};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::inotify::{AddWatchFlags, InitFlags, Inotify},
};
use std::{
    fs::{self, File},
    os::fd::AsFd as _,
    path::Path,
    process::{Child, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

const URL: &str = "http://198.51.100.9/x";
/// More execs than a storm gets to before it is ended.
const STORM: &str = "100000000";

pub(super) fn measure(plan: &Plan, rows: &mut Vec<Row>) {
    let dir = Dir::like_a_host();
    let stage = Stage::new(&dir);
    let curl = dir.path("curl");
    fs::copy(&stage.nothing, &curl).unwrap();
    for (what, stormy) in [("finding, exec to log", false), ("finding, in an exec storm", true)] {
        let stand_in = stage.watched(if stormy { "stormy" } else { "quiet" });
        let storm = stormy.then(|| Storm::new(&stage, &stand_in));
        let mut log = Log::new(&stand_in);
        let took: Vec<f64> = (0..plan.findings)
            .map(|_| {
                timed(stand_in.exec_loop("1", &curl).arg(URL).stdout(Stdio::null()));
                log.next()
            })
            .collect();
        drop(storm);
        rows.push(Row::alone(what, "ms", &took, ""));
        let last = format!("{:.2} ms", quantile(&took, 0.99));
        rows.push(Row::single(&format!("{what}, 99 of 100"), &last, "≤ 10 ms"));
        stand_in.end();
    }
    stage.unload();
}

/// Execs in the container until it is dropped.
struct Storm(Child);

impl Storm {
    fn new(stage: &Stage<'_>, stand_in: &StandIn<'_>) -> Storm {
        let mut command = stand_in.exec_loop(STORM, &stage.nothing);
        Storm(command.stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The annotation log as it is written.
struct Log {
    changes: Inotify,
    tail: Tail,
}

impl Log {
    fn new(stand_in: &StandIn<'_>) -> Log {
        let path = stand_in.directory().join("annotations.jsonl");
        let changes = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).unwrap();
        changes.add_watch(&path, AddWatchFlags::IN_MODIFY).unwrap();
        Log { changes, tail: open(&path) }
    }

    /// Milliseconds from the exec of the next finding to now, which is when its line is there.
    #[track_caller]
    fn next(&mut self) -> f64 {
        loop {
            while let Some(line) = self.tail.next_line().unwrap() {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
                let line = Line::parse(line).unwrap();
                if let Entry::Finding(finding) = line.entry().unwrap() {
                    return (now as i128 - finding.exec.time.unix_ns()) as f64 / 1e6;
                }
            }
            let mut fds = [PollFd::new(self.changes.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut fds, PollTimeout::from(10_000_u16)).unwrap();
            assert!(ready > 0, "no finding for ten seconds");
            self.changes.read_events().unwrap();
        }
    }
}

fn open(path: &Path) -> Tail {
    Tail::new(File::open(path).unwrap())
}
