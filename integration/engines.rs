//! podman, and the builds it does.

use crate::harness::{Dir, Podman, Release};
use buildwarden::report::Bytes;
use serde_json::{Value, json};
use std::fs;

#[test]
fn root_podman_run_and_exec_are_seen() {
    let dir = Dir::new();
    run_and_exec_are_seen(&dir, &Podman::new(&dir));
}

#[test]
fn root_next_podman_run_and_exec_are_seen() {
    let dir = Dir::new();
    run_and_exec_are_seen(&dir, &Podman::of(&dir, Release::next_with_cgroup2(&dir)));
}

fn run_and_exec_are_seen(dir: &Dir, podman: &Podman<'_>) {
    let script = "wget http://198.51.100.20/x; sleep 60";
    let id = podman.run(&["--detach", "--name", "builder", "img:1", "sh", "-c", script]);
    let id = id.expect_code(0).stdout().trim_end().to_owned();
    podman.podman(&["exec", "builder", "wget", "http://198.51.100.21/x"]).expect_code(1);
    podman.podman(&["rm", "--force", "--time", "0", "builder"]).expect_code(0);

    let report = dir.report(&id);
    let addresses: Vec<_> =
        report.findings.iter().flat_map(|f| &f.addresses).map(|a| a.address.as_str()).collect();
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    for address in ["198.51.100.20", "198.51.100.21"] {
        assert!(addresses.contains(&address), "{addresses:?}");
    }
    assert_eq!(report.container.name.as_deref(), Some("builder"));
    assert_eq!(report.container.image.as_deref(), Some("localhost/img:1"));
    assert_eq!(report.completeness.reasons, [""; 0]);
    dir.expect_nothing_live();
}

#[test]
fn root_podman_start_again_is_a_new_run() {
    let dir = Dir::new();
    start_again_is_a_new_run(&dir, &Podman::new(&dir));
}

#[test]
fn root_next_podman_start_again_is_a_new_run() {
    let dir = Dir::new();
    start_again_is_a_new_run(&dir, &Podman::of(&dir, Release::next_with_cgroup2(&dir)));
}

fn start_again_is_a_new_run(dir: &Dir, podman: &Podman<'_>) {
    podman.run(&["--name", "again", "img:1", "wget", "http://198.51.100.22/x"]).expect_code(1);
    podman.podman(&["start", "--attach", "again"]).expect_code(1);
    let id = podman.podman(&["inspect", "--format", "{{.Id}}", "again"]).stdout();
    let id = id.trim_end();
    for run in [id.to_owned(), format!("{id}.2")] {
        let report = dir.report(&run);
        assert_eq!(report.findings.len(), 1, "{run}");
        assert_eq!(report.completeness.reasons, [""; 0], "{run}");
    }
    assert_eq!(dir.runs().len(), 2);
}

#[test]
fn root_podman_build_has_a_report_for_each_run() {
    let dir = Dir::new();
    build_has_a_report_for_each_run(&dir, &Podman::new(&dir));
}

#[test]
fn root_next_podman_build_has_a_report_for_each_run() {
    let dir = Dir::new();
    build_has_a_report_for_each_run(&dir, &Podman::of(&dir, Release::next_with_cgroup2(&dir)));
}

fn build_has_a_report_for_each_run(dir: &Dir, podman: &Podman<'_>) {
    let done = podman.build(
        &[],
        "FROM img:1
         RUN true
         RUN wget http://198.51.100.23/x; true
         RUN wget http://198.51.100.24/x; true\n",
    );
    let done = done.expect_code(0);
    let runs = dir.runs();
    assert_eq!(runs.len(), 3, "{runs:?}: {done}");
    let mut addresses: Vec<Vec<String>> = Vec::new();
    for run in &runs {
        let report = dir.report(run);
        assert_eq!(report.completeness.reasons, [""; 0], "{run}");
        let step = report.container.step.as_ref().unwrap();
        assert_eq!(step.command[..2], [Bytes::from("/bin/sh"), Bytes::from("-c")], "{run}");
        let found = report.findings.iter().all(|f| {
            let address = f.addresses[0].address.as_bytes();
            step.command[2].windows(address.len()).any(|part| part == address)
        });
        assert!(found, "{run}: {step:?}");
        addresses.push(report.findings.iter().map(|f| f.addresses[0].address.clone()).collect());
    }
    addresses.sort();
    assert_eq!(
        addresses,
        [vec![], vec!["198.51.100.23".to_owned()], vec!["198.51.100.24".to_owned()]]
    );
    dir.expect_nothing_live();
}

#[test]
fn root_next_podman_runs_a_hook_twice_and_it_is_once() {
    let dir = Dir::new();
    let podman = Podman::of(&dir, Release::next_with_cgroup2(&dir));
    // This podman runs prestart hooks at createRuntime too.
    let hook = dir.path("hooks.d/buildwarden-createRuntime.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&hook).unwrap()).unwrap();
    json["stages"] = json!(["prestart", "createRuntime"]);
    fs::write(&hook, json.to_string()).unwrap();
    podman.run(&["--rm", "img:1", "wget", "http://198.51.100.25/x"]).expect_code(1);
    let [run] = &dir.runs()[..] else { panic!("{:?}", dir.runs()) };
    let report = dir.report(run);
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.completeness.reasons, [""; 0]);
    dir.expect_nothing_live();
}
