//! State and run directories that are full, read-only or gone.

use super::{
    BUILD, EXECS, Outcome, came_to, expect_built, expect_next_complete, gc,
    left::expect_nothing_left,
};
use crate::harness::{Container, Dir, run};
use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Command,
};

/// When it happens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// Before the hook.
    Start,
    /// While the container runs.
    Middle,
    /// The same, and the collector is killed before: poststop is alone with it.
    Orphaned,
}

struct Case {
    fault: &'static str,
    /// The directory that is a small file system: state, or run.
    of_run: bool,
    when: When,
    break_it: fn(&Path),
    mend: fn(&Path),
    /// Whether a report is there when the container has ended, one comes of `gc` when the disk
    /// is mended, or there is none at all.
    report: Report,
    /// Whether all was recorded nevertheless.
    complete: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Report {
    AtOnce,
    Later,
    None,
}

fn fill(directory: &Path) {
    let mut file = File::create(directory.join("ballast")).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
}

fn empty(directory: &Path) {
    fs::remove_file(directory.join("ballast")).unwrap();
}

fn remount(directory: &Path, how: &str) {
    let mut mount = Command::new("mount");
    run(mount.args(["-o", &format!("remount,{how}")]).arg(directory)).expect_code(0);
}

fn read_only(directory: &Path) {
    remount(directory, "ro");
}

fn writable(directory: &Path) {
    remount(directory, "rw");
}

const CASES: [Case; 7] = [
    Case {
        fault: "the state disk is full when the container starts",
        of_run: false,
        when: When::Start,
        break_it: fill,
        mend: empty,
        report: Report::Later,
        complete: false,
    },
    Case {
        fault: "the state disk fills while the container runs",
        of_run: false,
        when: When::Middle,
        break_it: fill,
        mend: empty,
        report: Report::Later,
        complete: false,
    },
    Case {
        fault: "the state disk is full when poststop works for a killed collector",
        of_run: false,
        when: When::Orphaned,
        break_it: fill,
        mend: empty,
        report: Report::Later,
        complete: false,
    },
    Case {
        fault: "the state disk is read-only when the container starts",
        of_run: false,
        when: When::Start,
        break_it: read_only,
        mend: writable,
        report: Report::None,
        complete: false,
    },
    Case {
        fault: "the state disk is read-only when poststop works for a killed collector",
        of_run: false,
        when: When::Orphaned,
        break_it: read_only,
        mend: writable,
        report: Report::Later,
        complete: false,
    },
    Case {
        fault: "the run directory's disk is full when the container starts",
        of_run: true,
        when: When::Start,
        break_it: fill,
        mend: empty,
        report: Report::Later,
        complete: false,
    },
    Case {
        fault: "the run directory's disk is read-only when the container starts",
        of_run: true,
        when: When::Start,
        break_it: read_only,
        mend: writable,
        report: Report::None,
        complete: false,
    },
];

/// A build whose second half is more than what is left of the last page of a full disk.
fn loud() -> String {
    let long = "x".repeat(4000);
    let (first, second) = BUILD.split_once("wget ").unwrap();
    format!("{first}/bin/true {long}; /bin/true {long}; wget {second}")
}

#[test]
pub(super) fn root_a_disk_that_fails_harms_no_build() {
    CASES.iter().for_each(check);
}

#[track_caller]
fn check(case: &Case) {
    let Case { fault, when, .. } = *case;
    let dir = Dir::with_bpffs();
    let disk = if case.of_run { dir.run() } else { dir.state() };
    fs::create_dir(&disk).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(&disk);
    run(&mut mount).expect_code(0);

    let container = Container::new(&dir, "disk").script(&loud());
    let container = container.overheard("createRuntime").overheard("poststop");
    if when == When::Start {
        (case.break_it)(&disk);
    }
    let mut running = container.start();
    running.ready();
    if when != When::Start {
        dir.until_recorded("disk", "/bin/true");
        if when == When::Orphaned {
            dir.kill_collector("disk");
        }
        (case.break_it)(&disk);
    }
    running.go();
    let done = running.finish();
    expect_built(&done);
    let report = dir.state().join("containers/disk/report.json");
    let at_once = fs::metadata(&report).is_ok();
    assert_eq!(at_once, case.report == Report::AtOnce, "{fault}: {done}");
    (case.mend)(&disk);
    gc(&dir, &[]).expect_code(0);

    let outcome = match case.report {
        Report::None => {
            assert!(!report.exists(), "{fault}");
            Outcome::Untraced(told(&container))
        }
        Report::AtOnce | Report::Later => {
            told(&container);
            Outcome::of(&dir.report("disk"))
        }
    };
    assert_eq!(outcome == Outcome::Complete, case.complete, "{fault}: {outcome:?}");
    came_to(fault, outcome);
    let next = if case.report == Report::None { "disk" } else { "disk.2" };
    drop(container);
    fs::remove_dir_all(dir.path("bundles/disk")).unwrap();
    expect_next_complete(&dir, "disk", next);
    expect_nothing_left(&dir);
}

/// What a hook of a container has said.
#[track_caller]
fn told(container: &Container<'_>) -> String {
    let said = fs::read_to_string(container.said()).unwrap();
    let ours = said.lines().find_map(|line| line.strip_prefix("buildwarden: warning: "));
    ours.unwrap_or_else(|| panic!("no word of ours: {said}")).to_owned()
}

/// What is removed, whether the collector is killed before, and what the report says of it.
type Removal = (&'static str, &'static str, bool);

#[test]
pub(super) fn root_directories_that_are_removed_are_told() {
    let cases: [Removal; 4] = [
        ("a container's report directory is removed while it runs", "containers/web", false),
        ("its report directory is removed, and the collector was killed", "containers/web", true),
        ("the state directory is removed while a container runs", "", false),
        ("the state directory is removed, and the collector was killed", "", true),
    ];
    for (fault, path, killed) in cases {
        let dir = Dir::with_bpffs();
        let container = Container::new(&dir, "web").script(BUILD);
        let mut running = container.start();
        running.ready();
        dir.until_recorded("web", "/bin/true");
        if killed {
            dir.kill_collector("web");
        }
        fs::remove_dir_all(dir.state().join(path)).unwrap();
        running.go();
        expect_built(&running.finish());
        let report = dir.report("web");
        let outcome = Outcome::of(&report);
        assert!(matches!(&outcome, Outcome::Incomplete(_)), "{fault}: {report:?}");
        let reasons = &report.completeness.reasons;
        assert!(
            reasons.iter().any(|reason| reason.contains("was removed")),
            "{fault}: {reasons:?}"
        );
        assert!(report.completeness.last_sequence == EXECS, "{fault}: {report:?}");
        came_to(fault, Outcome::Incomplete(reasons[0].clone()));
        expect_nothing_left(&dir);
    }
}
