//! Containers with the hooks, through each engine found, and whether their reports are right. Only
//! that proves that a hook works: engines skip a missing one without a word.

mod bundle;
mod containerd;
mod docker;
mod engine;
mod podman;
mod records;
mod runc;

use super::{Check, Section};
use crate::config::{Settings, When};
use crate::host::Facts;
use crate::report::model::{Report, Verdict};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a command may take; a container takes a few tenths of a second.
const RUN_LIMIT: Duration = Duration::from_secs(60);

/// Where this program lies in the containers.
const PROGRAM: &str = "/buildwarden";

/// What a probe is made with.
struct Probe<'a> {
    facts: &'a Facts,
    settings: &'a Settings,
    config: Option<&'a Path>,
}

/// Starts containers with this program's hooks: through runc with `config`, and through
/// each engine that is told to run them, as it is. Removes every trace of them.
pub fn probe(facts: &Facts, settings: &Settings, config: Option<&Path>) -> Vec<Check> {
    let probe = Probe { facts, settings, config };
    let runc = "traced container";
    if let Some((why, advice)) = probe.hindrance() {
        return vec![not_run(runc, why, advice)];
    }
    let mut checks = vec![finish(runc, probe.runc())];
    for (name, outcome) in
        [("podman container", probe.podman()), ("containerd container", probe.containerd())]
    {
        checks.extend(outcome.map(|outcome| finish(name, outcome)));
    }
    checks.extend(probe.docker());
    checks
}

impl Probe<'_> {
    /// What keeps every container from being traced.
    fn hindrance(&self) -> Option<(&'static str, &'static str)> {
        if !self.facts.initial_user_namespace {
            return Some(("not the host's root", "run `buildwarden doctor` as root on the host"));
        }
        if !self.facts.capabilities.as_ref().is_ok_and(|capabilities| capabilities.sys_admin) {
            return Some(("CAP_SYS_ADMIN is missing", "run `buildwarden doctor` as root"));
        }
        if self.settings.when != When::Always && !self.settings.honour.trace {
            return Some((
                "the configuration lets no container be traced",
                "set trace.when = \"always\" or annotations.trace = \"honour\"",
            ));
        }
        None
    }

    /// An error for an engine whose containers cannot ask to be traced.
    fn expect_always(&self) -> Result<(), Failure> {
        match self.settings.when {
            When::Always => Ok(()),
            _ => Err(Failure::NotRun(
                "only annotated containers are traced, and this engine has no annotations"
                    .to_owned(),
                "nothing, where that is meant",
            )),
        }
    }
}

fn not_run(name: &str, why: &str, advice: &str) -> Check {
    Check::warning(Section::Probe, name, format!("not run: {why}"), advice)
}

fn finish(name: &str, outcome: Result<String, Failure>) -> Check {
    match outcome {
        Ok(found) => Check::ok(Section::Probe, name, found),
        Err(Failure::NotRun(why, advice)) => not_run(name, &why, advice),
        Err(failure) => Check::problem(Section::Probe, name, failure.to_string(), failure.advice()),
    }
}

/// Why the container or its report was not as it should be.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("not run: {0}")]
    NotRun(String, &'static str),
    #[error("cannot make the bundle: {0}")]
    Bundle(#[source] io::Error),
    #[error("{}: {reason}", engine.display())]
    Engine { engine: PathBuf, reason: String },
    #[error("it ran without a report: {0} does not run Buildwarden, and says nothing")]
    Untraced(&'static str),
    #[error("no report for it at {}", .0.display())]
    NoReport(PathBuf),
    #[error("its report {}: {reason}", path.display())]
    BadReport { path: PathBuf, reason: String },
    #[error("{0}")]
    Wrong(String),
    #[error("it works, and what it leaves cannot be removed: {0}")]
    Leftover(String),
}

impl Failure {
    /// Where the engine was to run us.
    fn untraced(self, engine: &'static str) -> Failure {
        match self {
            Failure::NoReport(_) => Failure::Untraced(engine),
            other => other,
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Failure::NotRun(_, advice) => advice,
            Failure::Bundle(_) => "make room in the directory for temporary files, see TMPDIR",
            Failure::Engine { .. } => "mend the problems above first; what it says names the hook",
            Failure::Untraced(_) => {
                "mend the problems above first; restart the engine if its configuration has changed; does its configuration of Buildwarden name other directories than this one?"
            }
            Failure::NoReport(_) => "the hook ran and wrote nothing: mend the problems above first",
            Failure::BadReport { .. } | Failure::Wrong(_) => {
                "do not rely on reports of this machine; please report this with the output of `buildwarden doctor --json`"
            }
            Failure::Leftover(_) => "remove it by hand",
        }
    }
}

/// The one exec of the container, and nothing else, seen from the start. An engine may
/// have put an init before it.
fn judge(report: &Report, alone: bool) -> Result<String, Failure> {
    let shortcomings = report.completeness.shortcomings();
    if !shortcomings.is_empty() {
        return Err(Failure::Wrong(format!(
            "its report is incomplete: {}",
            shortcomings.join("; ")
        )));
    }
    if report.verdict != Verdict::Clean {
        let verdict = report.verdict.as_str();
        return Err(Failure::Wrong(format!("its report says `{verdict}`, expected `clean`")));
    }
    let seen: Vec<_> =
        report.executables.iter().map(|file| (file.path.as_bytes(), file.count)).collect();
    let all = match alone {
        true => report.completeness.last_sequence == 1 && seen == [(PROGRAM.as_bytes(), 1)],
        false => seen.contains(&(PROGRAM.as_bytes(), 1)),
    };
    if !all {
        return Err(Failure::Wrong(format!(
            "its report lists execs up to number {} of {} files, expected one of {PROGRAM}",
            report.completeness.last_sequence,
            seen.len()
        )));
    }
    Ok(format!(
        "its entrypoint was the first exec seen, nothing was lost; attached in {:.1} ms",
        report.cost.attach_ms
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{json, model::Executable};

    fn report() -> Report {
        let text = r#"{
            "schema_version": 1, "tool": {"name": "buildwarden", "version": "0"},
            "verdict": "clean",
            "container": {"id": "a", "run": 1, "name": null, "image": null, "engine": null,
                "bundle": null, "cgroup": "/a", "cgroup_id": 1, "annotations": {}},
            "job": null, "started": "2026-01-01T00:00:00.000000000Z",
            "finished": "2026-01-01T00:00:00.000000000Z", "findings": [],
            "executables": [{"path": "/buildwarden", "count": 1}],
            "completeness": {"attached_before_first_exec": true, "execs": 1, "last_sequence": 1,
                "lost": 0, "truncated": 0, "programs_attached": true},
            "cost": {"attach_ms": 0.84, "finish_ms": 1, "collector_cpu_ms": 1, "ring_bytes": 1},
            "events": null}"#;
        json::parse(text.as_bytes()).expect("a report")
    }

    #[test]
    fn an_engine_may_put_an_init_before_it() {
        let mut report = report();
        let init = Executable { path: "/sbin/docker-init".to_owned().into(), count: 1 };
        report.executables.push(init);
        (report.completeness.execs, report.completeness.last_sequence) = (2, 2);
        assert!(judge(&report, true).is_err());
        assert!(judge(&report, false).is_ok());
        report.executables.remove(0);
        assert!(judge(&report, false).is_err());
    }

    #[test]
    fn only_a_complete_report_of_the_one_exec_is_right() {
        let check = |change: fn(&mut Report), want: Result<&str, &str>| {
            let mut report = report();
            change(&mut report);
            let got = judge(&report, true).map_err(|failure| failure.to_string());
            assert_eq!(got, want.map(str::to_owned).map_err(str::to_owned));
        };
        check(
            |_| {},
            Ok("its entrypoint was the first exec seen, nothing was lost; attached in 0.8 ms"),
        );
        check(
            |r| r.completeness.lost = 1,
            Err("its report is incomplete: 1 exec could not be delivered by the kernel; \
                 1 exec arrived, but the last one has sequence number 1"),
        );
        check(
            |r| r.verdict = Verdict::Findings,
            Err("its report says `findings`, expected `clean`"),
        );
        check(
            |r| (r.completeness.execs, r.completeness.last_sequence) = (2, 2),
            Err("its report lists execs up to number 2 of 1 files, expected one of /buildwarden"),
        );
        check(
            |r| r.executables[0].path = "/bin/sh".to_owned().into(),
            Err("its report lists execs up to number 1 of 1 files, expected one of /buildwarden"),
        );
        check(
            |r| (r.completeness.execs, r.completeness.last_sequence) = (0, 0),
            Err("its report lists execs up to number 0 of 1 files, expected one of /buildwarden"),
        );
    }
}
