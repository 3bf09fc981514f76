//! `gc`: runs that a reboot has orphaned, run directories that got lost, and old runs.

use crate::{
    faults::{Outcome, came_to},
    harness::{Container, Dir, run, until},
};
use buildwarden::{
    chain::Chain,
    report::model::{Report, Verdict},
};
use nix::fcntl::{Flock, FlockArg};
use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::PathBuf,
    process::Command,
    time::{Duration, SystemTime},
};

/// Calls an address, and waits.
const BUILD: &str = "wget http://198.51.100.13/x; echo >/sync/ready; read _ </sync/go; true";
/// Only waits.
const QUIET: &str = "echo >/sync/ready; read _ </sync/go; true";

#[track_caller]
fn gc(dir: &Dir, args: &[&str]) -> String {
    run(dir.buildwarden(["gc"]).args(args)).expect_code(0).stdout()
}

fn report_directory(dir: &Dir, name: &str) -> PathBuf {
    dir.state().join("containers").join(name)
}

/// Waits until the log of a run has its finding.
fn wait_for_finding(dir: &Dir, id: &str) {
    wait_for_line(dir, id, "dev.buildwarden.finding.1");
}

/// Waits until it has a line with this key.
fn wait_for_line(dir: &Dir, id: &str, key: &str) {
    let log = report_directory(dir, id).join("annotations.jsonl");
    until(key, || fs::read_to_string(&log).ok()?.contains(key).then_some(()));
}

/// What a crash of the machine leaves of a container that runs `script`: the report
/// directory, written under another boot.
fn crash(dir: &Dir, id: &str, script: &str) {
    let container = Container::new(dir, id).script(script).hooks(&["createRuntime"]);
    let mut running = container.start();
    running.ready();
    match script {
        BUILD => wait_for_finding(dir, id),
        _ => wait_for_line(dir, id, "dev.buildwarden.attached"),
    }
    dir.kill_collector(id);
    running.go();
    running.finish().expect_code(0);
    fs::remove_dir_all(dir.run().join(id)).unwrap();
    run(Command::new("umount").arg(dir.path("bpf"))).expect_code(0);
    let log = report_directory(dir, id).join("annotations.jsonl");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.contains(boot.trim()), "{text}");
    let other = text.replace(boot.trim(), "00000000-0000-4000-8000-000000000000");
    fs::write(&log, chained(&other)).unwrap();
}

/// Lines of a log with the chain that they have when they were written so.
fn chained(lines: &str) -> Vec<u8> {
    let mut chain = Chain::default();
    let mut out = Vec::new();
    for line in lines.lines() {
        let mut line = line.rsplit_once(",\"chain\":").unwrap().0.as_bytes().to_vec();
        chain.seal(&mut line);
        out.extend(line);
    }
    out
}

/// The report must be an incomplete one that says `reason`, and stay the only one.
#[track_caller]
fn expect_orphan_finished(dir: &Dir, name: &str, reason: &str) -> Report {
    let said = gc(dir, &[]);
    let want = format!("{name}: its end was not recorded; its report is written, incomplete\n");
    assert_eq!(said, want);
    let path = report_directory(dir, name).join("report.json");
    let written = fs::read(&path).unwrap();
    let report = dir.report(name);
    let reasons = &report.completeness.reasons;
    assert!(reasons[0].contains(reason), "{reasons:?}");
    assert!(report.finished >= report.started, "{report:?}");
    let log = fs::read_to_string(report_directory(dir, name).join("annotations.jsonl")).unwrap();
    assert_eq!(log.matches("\"dev.buildwarden.finished\"").count(), 1, "{log}");
    assert!(log.ends_with("}\n"), "{log}");
    assert_eq!(gc(dir, &[]), "");
    assert_eq!(fs::read(&path).unwrap(), written);
    assert_eq!(dir.live(), [""; 0]);
    let list = run(&mut dir.buildwarden(["list", "--json"]));
    assert!(list.stdout().contains("\"state\": \"finished\""), "{list}");
    report
}

#[test]
pub(crate) fn root_a_run_that_a_restart_has_orphaned_is_finished_once() {
    let dir = Dir::with_bpffs();
    crash(&dir, "web", BUILD);
    let report = expect_orphan_finished(&dir, "web", "the machine was restarted");
    came_to("the machine is restarted while a container runs; then gc", Outcome::of(&report));
    assert_eq!(report.verdict, Verdict::Findings);
    assert_eq!(report.findings.len(), 1);
    assert!(report.completeness.execs > 0);
    assert_eq!(report.container.id, "web");

    let dir = Dir::with_bpffs();
    crash(&dir, "quiet", QUIET);
    let report = expect_orphan_finished(&dir, "quiet", "the machine was restarted");
    assert_eq!(report.verdict, Verdict::Incomplete);
    // The id starts again, as a second run.
    fs::create_dir_all(dir.path("bpf")).unwrap();
    Container::new(&dir, "quiet.again").run().expect_code(0);
    assert_eq!(dir.report("quiet.again").verdict, Verdict::Clean);
}

fn append(dir: &Dir, name: &str, text: &str) {
    let path = report_directory(dir, "web").join(name);
    OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn root_a_restart_loses_nothing_that_was_written_down() {
    type Damage = fn(&Dir);
    let cases: [(&str, Damage, &str, Option<&str>, usize); 6] = [
        (
            "a torn event file",
            |dir| append(dir, "execs.jsonl", "{\"exec\":9,\"t\":"),
            "the machine was restarted",
            Some("the event file ends in the middle of a line"),
            1,
        ),
        (
            "a torn log",
            |dir| append(dir, "annotations.jsonl", "{\"time\":"),
            "the machine was restarted",
            None,
            1,
        ),
        (
            "no log",
            |dir| fs::remove_file(report_directory(dir, "web").join("annotations.jsonl")).unwrap(),
            "it was lost before its beginning was written down",
            None,
            0,
        ),
        (
            "nothing at all",
            |dir| {
                for name in ["annotations.jsonl", "execs.jsonl"] {
                    fs::remove_file(report_directory(dir, "web").join(name)).unwrap();
                }
            },
            "it was lost before its beginning was written down",
            None,
            0,
        ),
        (
            "a report without content",
            |dir| drop(File::create(report_directory(dir, "web").join("report.json")).unwrap()),
            "the machine was restarted",
            None,
            1,
        ),
        (
            "half of a report",
            |dir| {
                fs::write(report_directory(dir, "web").join("report.json"), "{\"tool\":").unwrap()
            },
            "the machine was restarted",
            None,
            1,
        ),
    ];
    for (what, damage, reason, other, findings) in cases {
        let dir = Dir::with_bpffs();
        crash(&dir, "web", BUILD);
        damage(&dir);
        let report = expect_orphan_finished(&dir, "web", reason);
        let reasons = &report.completeness.reasons;
        assert_eq!(report.findings.len(), findings, "{what}: {report:?}");
        assert!(other.is_none_or(|other| reasons.iter().any(|said| said == other)), "{reasons:?}");
        assert_ne!(report.verdict, Verdict::Clean, "{what}");
    }
}

#[test]
fn root_a_report_whose_log_does_not_say_so_stays() {
    let dir = Dir::new();
    Container::new(&dir, "web").script("wget http://198.51.100.13/x; true").run().expect_code(0);
    dir.expect_nothing_live();
    let written = fs::read(report_directory(&dir, "web").join("report.json")).unwrap();
    let log = report_directory(&dir, "web").join("annotations.jsonl");
    let whole = fs::read_to_string(&log).unwrap();
    let cut = whole.trim_end().rfind('\n').unwrap();
    // The last line torn, and not there at all.
    for length in [cut + 20, cut + 1] {
        fs::write(&log, &whole[..length]).unwrap();
        let said = "web: its log did not say that its report is written; it does now\n";
        assert_eq!(gc(&dir, &[]), said);
        let list = run(&mut dir.buildwarden(["list", "--json"])).stdout();
        assert!(
            list.contains("\"verdict\": \"findings\"") && list.contains("\"medium\": 1"),
            "{list}"
        );
        assert_eq!(gc(&dir, &[]), "");
    }
    assert_eq!(fs::read(report_directory(&dir, "web").join("report.json")).unwrap(), written);
}

/// A collector that is killed when its report is written, and nothing of what follows.
#[test]
fn root_who_takes_over_a_report_ends_its_log() {
    let dir = Dir::new();
    dir.configure("report.formats = ['markdown']");
    let container = Container::new(&dir, "web").script(BUILD).hooks(&["createRuntime"]);
    let mut running = container.start();
    running.ready();
    let live = dir.run().join("web");
    let attachment = fs::read(live.join("attachment.json")).unwrap();
    running.go();
    running.finish().expect_code(0);
    dir.expect_nothing_live();

    let directory = report_directory(&dir, "web");
    let [log, markdown] = ["annotations.jsonl", "report.md"].map(|name| directory.join(name));
    let whole = fs::read_to_string(&log).unwrap();
    let (before, last) = whole.trim_end().rsplit_once('\n').unwrap();
    fs::write(&log, format!("{before}\n")).unwrap();
    fs::remove_file(&markdown).unwrap();
    fs::create_dir(&live).unwrap();
    fs::write(live.join("attachment.json"), attachment).unwrap();
    assert_eq!(gc(&dir, &[]), "web: had ended; its report is written\n");

    let now = fs::read_to_string(&log).unwrap();
    let value =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["value"].clone();
    assert_eq!(now.lines().count(), whole.lines().count());
    assert_eq!(value(now.lines().last().unwrap()), value(last));
    assert!(markdown.exists());
    dir.report("web");
    dir.expect_nothing_live();
}

/// The run directory is lost, and nothing else: what is recorded is still there.
#[test]
pub(crate) fn root_a_lost_run_directory_loses_nothing() {
    // Whether the collector is killed, and whether the container has ended by then.
    for (killed, ended) in [(true, true), (true, false), (false, false)] {
        let dir = Dir::new();
        let container = Container::new(&dir, "lost").script(BUILD).hooks(&["createRuntime"]);
        let mut running = container.start();
        running.ready();
        wait_for_finding(&dir, "lost");
        if killed {
            dir.kill_collector("lost");
        }
        if ended {
            running.go();
            running.finish().expect_code(0);
            fs::remove_dir_all(dir.run().join("lost")).unwrap();
            assert_eq!(gc(&dir, &[]), "lost: had ended; its report is written\n");
        } else {
            fs::remove_dir_all(dir.run().join("lost")).unwrap();
            let want = match killed {
                true => "lost: runs and had lost its collector; it has a new one\n",
                false => "",
            };
            assert_eq!(gc(&dir, &[]), want);
            running.go();
            running.finish().expect_code(0);
        }
        let report = dir.report("lost");
        assert_eq!(report.completeness.reasons, [""; 0], "{killed} {ended}");
        assert_eq!(report.completeness.execs, report.completeness.last_sequence);
        assert_eq!(report.findings.len(), 1);
        came_to("the run directory is removed; then gc", Outcome::of(&report));
        until("the last line of the log", || {
            let log = report_directory(&dir, "lost").join("annotations.jsonl");
            fs::read_to_string(log).ok()?.contains("dev.buildwarden.finished").then_some(())
        });
        dir.expect_nothing_live();
        assert_eq!(dir.runs(), ["lost"]);
    }
}

#[test]
fn root_old_runs_are_removed_and_live_ones_are_not() {
    let dir = Dir::new();
    let old = Container::new(&dir, "old");
    for _ in 0..2 {
        old.run().expect_code(0);
        dir.expect_nothing_live();
    }
    let report = File::options().write(true).open(report_directory(&dir, "old/report.json"));
    let month = Duration::from_secs(31 * 86_400);
    report.unwrap().set_modified(SystemTime::now() - month).unwrap();
    let live = Container::new(&dir, "live").script(QUIET);
    let mut running = live.start();
    running.ready();
    // Until then a sweep gives it one.
    dir.collector("live");

    let said = gc(&dir, &["--dry-run"]);
    assert!(said.starts_with("old: would be removed: finished "), "{said}");
    assert!(said.contains("\n1 run would be removed, "), "{said}");
    assert_eq!(dir.runs(), ["live", "old", "old.2"]);
    assert!(gc(&dir, &["--dry-run", "--keep-age", "forever"]).is_empty());

    let said = gc(&dir, &[]);
    assert!(said.starts_with("old: removed: finished "), "{said}");
    assert_eq!(dir.runs(), ["live", "old", "old.2"]);
    assert!(report_directory(&dir, "old").is_file());
    // Its number is not given again while a later run is there.
    old.run().expect_code(0);
    until("the end of its third run", || (!dir.run().join("old").exists()).then_some(()));
    assert_eq!(dir.report("old.3").container.run, 3);

    let said = gc(&dir, &["--keep-size", "0"]);
    assert!(said.contains("old.2: removed") && said.contains("old.3: removed"), "{said}");
    assert_eq!(dir.runs(), ["live"]);
    running.go();
    running.finish().expect_code(0);
    assert_eq!(dir.report("live").verdict, Verdict::Clean);
}

/// Held up before the kernel records, by the lock that loading takes.
#[test]
fn root_a_sweep_leaves_alone_what_a_hook_is_beginning() {
    let dir = Dir::with_bpffs();
    let pins = dir.path("bpf");
    run(Command::new("mount").args(["-t", "bpf", "bpf"]).arg(&pins)).expect_code(0);
    let shared = pins.join("buildwarden");
    fs::create_dir(&shared).unwrap();
    let lock = Flock::lock(File::open(&shared).unwrap(), FlockArg::LockExclusive).unwrap();
    let container = Container::new(&dir, "begun").script(BUILD);
    let mut running = container.start();
    let attachment = dir.run().join("begun/attachment.json");
    until("the hook's attachment", || attachment.exists().then_some(()));
    assert_eq!(gc(&dir, &[]), "");
    drop(lock);
    running.ready();
    running.go();
    running.finish().expect_code(0);
    let report = dir.report("begun");
    assert_eq!((report.findings.len(), report.completeness.reasons), (1, vec![]));
    dir.expect_nothing_live();
}
