//! A container's life: hooks twice, late or never, a collector that dies, a
//! container that comes back.

use crate::{
    faults::{Outcome, came_to},
    harness::{Container, Dir, Done, run, run_with_input, until},
};
use serde_json::json;

/// An entrypoint that waits in the middle, and then does what is looked for.
const BUILD: &str = "echo >/sync/ready; read _ </sync/go; wget http://198.51.100.13/x; :";

/// The same, waiting after that.
const FINDING_FIRST: &str = "wget http://198.51.100.13/x; echo >/sync/ready; read _ </sync/go";

/// Waits for the finding's annotation: from then on its collector does not end before it has
/// written the report.
fn until_annotated(dir: &Dir, name: &str) {
    let log = dir.state().join("containers").join(name).join("annotations.jsonl");
    until("the finding's annotation", || {
        std::fs::read_to_string(&log).ok()?.contains("dev.buildwarden.finding.1").then_some(())
    });
}

/// Calls a hook as a runtime does at a container's end.
fn poststop(dir: &Dir, id: &str) -> Done {
    let state = json!({
        "ociVersion": "1.0.2",
        "id": id,
        "status": "stopped",
        "bundle": dir.path("bundles").join(id),
    });
    run_with_input(&mut dir.buildwarden(["hook", "poststop"]), state.to_string().as_bytes())
}

/// The report of a run of [`BUILD`] must be whole, whatever happened.
#[track_caller]
fn expect_complete(dir: &Dir, name: &str) {
    let report = dir.report(name);
    assert_eq!(report.findings.len(), 1, "{name}: {report:?}");
    assert!(report.findings[0].outcome.is_some(), "{name}: {report:?}");
    assert_eq!(report.completeness.reasons, [""; 0], "{name}");
    assert_eq!(report.completeness.execs, report.completeness.last_sequence, "{name}");
    let log = std::fs::read_to_string(
        dir.state().join("containers").join(name).join("annotations.jsonl"),
    )
    .unwrap();
    for key in ["dev.buildwarden.attached", "dev.buildwarden.finding.1", "dev.buildwarden.finished"]
    {
        let quoted = format!("\"{key}\"");
        assert_eq!(log.matches(&quoted).count(), 1, "{name}: {key} in {log}");
    }
    dir.expect_nothing_live();
}

#[test]
fn root_one_report_whatever_hooks_run() {
    let cases: [&[&str]; 4] = [
        &["createRuntime", "poststop"],
        &["prestart", "poststop"],
        &["prestart", "createRuntime", "poststop"],
        &["createRuntime"],
    ];
    for stages in cases {
        let dir = Dir::new();
        let container = Container::new(&dir, "hooks").script(BUILD).hooks(stages);
        let mut running = container.start();
        running.ready();
        running.go();
        running.finish().expect_code(0);
        expect_complete(&dir, "hooks");
        assert_eq!(dir.runs(), ["hooks"], "{stages:?}");
    }
}

#[test]
fn root_findings_are_annotated_while_the_container_lives() {
    let dir = Dir::new();
    let container = Container::new(&dir, "live").script(FINDING_FIRST);
    let mut running = container.start();
    running.ready();
    until_annotated(&dir, "live");
    assert!(!dir.state().join("containers/live/report.json").exists());
    running.go();
    running.finish().expect_code(0);
    expect_complete(&dir, "live");
}

/// What finishes a container whose collector died.
enum Finisher {
    Poststop,
    Gc,
}

#[test]
pub(crate) fn root_a_killed_collector_costs_nothing_but_time() {
    for (finisher, stages) in [
        (Finisher::Poststop, &["createRuntime", "poststop"][..]),
        (Finisher::Gc, &["createRuntime"]),
    ] {
        let dir = Dir::new();
        let container = Container::new(&dir, "orphan").script(BUILD).hooks(stages);
        let mut running = container.start();
        running.ready();
        dir.until_recorded("orphan", "{\"exec\":1,");
        dir.kill_collector("orphan");
        running.go();
        running.finish().expect_code(0);
        if let Finisher::Gc = finisher {
            assert!(!dir.state().join("containers/orphan/report.json").exists());
            run(&mut dir.buildwarden(["gc"])).expect_code(0);
        }
        expect_complete(&dir, "orphan");
        // Who goes on knows the processes that it has not seen begin.
        let events =
            std::fs::read_to_string(dir.state().join("containers/orphan/execs.jsonl")).unwrap();
        assert!(events.contains("{\"exit\":1,") && !events.contains("{\"exit\":null"), "{events}");
        assert_eq!(dir.report("orphan").processes[1].parent, Some(1), "{events}");
        let fault = match finisher {
            Finisher::Poststop => "the collector is SIGKILLed while it waits; then poststop",
            Finisher::Gc => "the same, and there is no poststop; then gc",
        };
        came_to(fault, Outcome::of(&dir.report("orphan")));
    }
}

#[test]
fn root_formats_are_written_beside_the_report() {
    let dir = Dir::new();
    dir.configure("report.formats = ['markdown', 'sarif', 'github', 'junit', 'html']");
    let container = Container::new(&dir, "formats").script(FINDING_FIRST);
    let mut running = container.start();
    running.ready();
    until_annotated(&dir, "formats");
    // A file that cannot be written costs nothing but itself.
    let directory = dir.state().join("containers/formats");
    let staged = format!(".report.sarif.{}.new", dir.collector("formats"));
    std::fs::create_dir(directory.join(staged)).unwrap();
    running.go();
    running.finish().expect_code(0);
    expect_complete(&dir, "formats");
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    assert!(read("report.md").contains("wget → 198.51.100.13"));
    assert!(read("report.github.txt").starts_with("::warning title=Buildwarden%3A wget"));
    assert!(read("report.junit.xml").contains("failures=\"1\""));
    assert!(!directory.join("report.sarif").exists());
    let log = read("annotations.jsonl");
    let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    let finished = &last["value"];
    assert_eq!(
        finished["formats"],
        json!(["report.md", "report.github.txt", "report.junit.xml", "report.html"])
    );
    let failed = finished["formats_failed"].as_array().unwrap();
    assert!(failed.len() == 1 && failed[0].as_str().unwrap().starts_with("report.sarif: "));

    let report = dir.report("formats");
    assert_eq!(report.processes.len() as u64, report.completeness.execs);
    assert_eq!(report.timeline.unwrap().execs.iter().sum::<u64>(), report.completeness.execs);
    let wget = report.processes.iter().find(|process| process.findings == [1]).unwrap();
    assert_eq!(wget.parent, Some(1), "{wget:?}");
    assert!(wget.outcome.is_some(), "{wget:?}");
}

#[test]
fn root_poststop_again_changes_nothing() {
    let dir = Dir::new();
    Container::new(&dir, "again").script("wget http://198.51.100.13/x; :").run().expect_code(0);
    expect_complete(&dir, "again");
    let path = dir.state().join("containers/again/report.json");
    let before = std::fs::read(&path).unwrap();
    poststop(&dir, "again").expect_code(0);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(dir.runs(), ["again"]);
}

#[test]
fn root_poststop_of_a_container_that_never_began_is_normal() {
    let dir = Dir::new();
    poststop(&dir, "never").expect_code(0);
    assert_eq!(dir.runs(), [""; 0]);
    assert_eq!(dir.live(), [""; 0]);
}

#[test]
fn root_the_same_id_again_is_a_new_run() {
    let dir = Dir::new();
    let container = Container::new(&dir, "twice").script("wget http://198.51.100.13/x; :");
    container.run().expect_code(0);
    expect_complete(&dir, "twice");
    container.run().expect_code(0);
    expect_complete(&dir, "twice.2");
    assert_eq!(dir.runs(), ["twice", "twice.2"]);
    assert_eq!(dir.report("twice.2").container.run, 2);
}

#[test]
fn root_an_annotated_container_is_left_alone() {
    let dir = Dir::new();
    let container = Container::new(&dir, "unwanted").annotation("dev.buildwarden.trace", "false");
    container.run().expect_code(0);
    assert_eq!(dir.runs(), [""; 0]);

    let container = Container::new(&dir, "named").annotation("dev.buildwarden.job", "build-7");
    container.run().expect_code(0);
    assert_eq!(dir.report("named").job.unwrap().id, "build-7");
}

#[test]
fn root_gc_disturbs_nobody() {
    let dir = Dir::new();
    std::thread::scope(|scope| {
        let sweeps = scope.spawn(|| {
            (0..20).for_each(|_| drop(run(&mut dir.buildwarden(["gc"])).expect_code(0)));
        });
        while !sweeps.is_finished() {
            run(&mut dir.buildwarden(["run", "--fail-on", "medium", "--", "true"])).expect_code(0);
        }
    });
}
