//! What pages are made of: the fixtures, and a job of containers with their reports.

use buildwarden::report::{
    json,
    model::{Build, Container, JobContainer, JobReport, JobState, Report, Step},
};
use std::{fs, path::Path};

pub(crate) const FIXTURES: [&str; 6] =
    ["clean", "one-finding", "many", "incomplete", "findings-incomplete", "hostile"];

pub(crate) fn fixture(name: &str) -> Report {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.json"));
    json::parse(&fs::read(path).unwrap()).unwrap()
}

/// A container with the report of a fixture.
fn ended(fixture_name: &str, id: &str) -> JobContainer {
    let report = fixture(fixture_name);
    JobContainer {
        directory: id.to_owned(),
        state: JobState::Finished,
        verdict: Some(report.verdict),
        container: Container { id: id.to_owned(), ..report.container },
        job: report.job,
        started: Some(report.started),
        finished: Some(report.finished),
        execs: report.completeness.execs,
        findings: report.findings,
        findings_omitted: report.findings_omitted,
        allowed: report.allowed.len() as u64,
        shortcomings: report.completeness.shortcomings(),
    }
}

/// A build step of BuildKit.
fn step(id: &str, command: &str) -> JobContainer {
    let mut step = ended("clean", id);
    step.container.name = None;
    step.container.image = None;
    step.container.engine = Some("buildkit".to_owned());
    step.container.step = Some(Step {
        command: ["/bin/sh", "-c", command].map(Into::into).to_vec(),
        command_omitted: 0,
        build: Some(Build { id: "ci-4711".to_owned(), source: "cgroup parent".to_owned() }),
    });
    step
}

/// A job of containers in every state, with findings in two of them.
pub(crate) fn job() -> JobReport {
    let without_report = |id: &str, state| JobContainer {
        state,
        verdict: None,
        finished: None,
        execs: 0,
        shortcomings: Vec::new(),
        ..ended("clean", id)
    };
    let containers = vec![
        step("buildkit1", "apt-get update && apt-get install -y build-essential"),
        step("buildkit2", "npm ci --ignore-scripts"),
        ended("one-finding", "web"),
        ended("incomplete", "db"),
        ended("many", "tests"),
        without_report("service", JobState::SetAside),
        without_report("cache", JobState::Running),
        without_report("gone", JobState::Unfinished),
    ];
    JobReport::new("acme/web/4711", containers, vec!["2 steps were not traced".to_owned()])
}

/// A job that is as it should be.
pub(crate) fn clean_job() -> JobReport {
    let containers = vec![step("buildkit1", "npm ci"), ended("clean", "web")];
    JobReport::new("acme/web/4712", containers, vec![])
}

/// A job whose every text is a build's.
pub(crate) fn hostile_job(text: &str) -> JobReport {
    let mut container = ended("hostile", text);
    container.shortcomings = vec![text.to_owned()];
    container.container.name = Some(text.to_owned());
    JobReport::new(text, vec![container], vec![text.to_owned()])
}
