//! Many at once, and many in turn.

use super::{BUILD, Extent, Outcome, came_to, expect_built, left::expect_nothing_left, outcome};
use crate::harness::{Container, Dir};
use std::{fs, thread};

/// So many hooks find no probe set at the same time; more than a page has slots.
const RACERS: usize = 64;
/// What of a run stays.
const FILES: [&str; 3] = ["annotations.jsonl", "execs.jsonl", "report.json"];

#[test]
pub(super) fn root_many_hooks_race_to_load_the_probe_set() {
    let dir = Dir::with_bpffs();
    let ids: Vec<String> = (0..RACERS).map(|number| format!("racer-{number}")).collect();
    let containers: Vec<_> = ids.iter().map(|id| Container::new(&dir, id).script(BUILD)).collect();
    let mut running: Vec<_> = containers.iter().map(Container::start).collect();
    running.iter_mut().for_each(|running| running.ready());
    // All of them live, and the one that was fastest has loaded it for all.
    let pinned = fs::read_dir(dir.bpffs().join("buildwarden")).unwrap();
    assert_eq!(pinned.count(), 1);
    running.iter().for_each(|running| running.go());
    running.into_iter().for_each(|running| expect_built(&running.finish()));
    for id in &ids {
        let outcome = outcome(&dir, id);
        assert_eq!(outcome, Outcome::Complete, "{id}");
        came_to(&format!("{RACERS} hooks at once, no probe set is loaded"), outcome);
    }
    expect_nothing_left(&dir);
}

/// Containers come and go, eight at a time: nothing of them stays but their files.
pub(super) fn come_and_go(extent: Extent) {
    const AT_A_TIME: usize = 8;
    let each = extent.choose(15, 250);
    let dir = Dir::with_bpffs();
    thread::scope(|scope| {
        for worker in 0..AT_A_TIME {
            let dir = &dir;
            scope.spawn(move || {
                let script = "/bin/true; wget http://198.51.100.13/x; echo built; exit 7";
                let container = Container::new(dir, &format!("worker-{worker}")).script(script);
                (0..each).for_each(|_| expect_built(&container.run()));
            });
        }
    });
    let runs = dir.runs();
    assert_eq!(runs.len(), AT_A_TIME * each);
    for run in &runs {
        let outcome = outcome(&dir, run);
        assert_eq!(outcome, Outcome::Complete, "{run}");
        came_to("containers that come and go, eight at a time", outcome);
        let directory = fs::read_dir(dir.state().join("containers").join(run)).unwrap();
        let mut files: Vec<_> = directory.map(|entry| entry.unwrap().file_name()).collect();
        files.sort();
        assert_eq!(files, FILES, "{run}");
    }
    expect_nothing_left(&dir);
}

#[test]
fn root_containers_that_come_and_go_leave_nothing() {
    come_and_go(Extent::Part);
}
