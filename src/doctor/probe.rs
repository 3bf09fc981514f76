//! A container through runc with the hooks, and whether its report is right. Only
//! that proves that a hook works: engines skip a missing one without a word.

use super::bundle::{Bundle, PROGRAM};
use super::{Check, Section};
use crate::config::{Settings, When};
use crate::host::{Facts, find_program, output};
use crate::report::json;
use crate::report::model::{Report, Verdict};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const NAME: &str = "traced container";

/// How long the container may take; it takes a few hundredths of a second.
const RUN_LIMIT: Duration = Duration::from_secs(60);

/// How long the report may be in coming after the container's end.
const REPORT_LIMIT: Duration = Duration::from_secs(10);

/// A report of one exec is a few KiB.
const MAX_REPORT: u64 = 1 << 20;

/// Starts a container through runc with this program's hooks, which read `config`,
/// and removes every trace of it.
pub fn probe(facts: &Facts, settings: &Settings, config: Option<&Path>) -> Check {
    let not_run = |why: &str, advice: &str| {
        Check::warning(Section::Probe, NAME, format!("not run: {why}"), advice)
    };
    if !facts.initial_user_namespace {
        return not_run("not the host's root", "run `buildwarden doctor` as root on the host");
    }
    if !facts.capabilities.as_ref().is_ok_and(|capabilities| capabilities.sys_admin) {
        return not_run("CAP_SYS_ADMIN is missing", "run `buildwarden doctor` as root");
    }
    if settings.when != When::Always && !settings.honour.trace {
        return not_run(
            "the configuration lets no container be traced",
            "set trace.when = \"always\" or annotations.trace = \"honour\"",
        );
    }
    let Some(runc) = find_program("runc") else {
        return not_run("runc not found", "install runc to let Buildwarden prove that it works");
    };
    match try_probe(&runc, settings, config) {
        Ok(found) => Check::ok(Section::Probe, NAME, found),
        Err(failure) => Check::problem(Section::Probe, NAME, failure.to_string(), failure.advice()),
    }
}

/// Why the container or its report was not as it should be.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot make the bundle: {0}")]
    Bundle(#[source] io::Error),
    #[error("{}: {reason}", runc.display())]
    Runc { runc: PathBuf, reason: String },
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
    fn advice(&self) -> &'static str {
        match self {
            Failure::Bundle(_) => "make room in the directory for temporary files, see TMPDIR",
            Failure::Runc { .. } => "mend the problems above first; what runc says names the hook",
            Failure::NoReport(_) => "the hook ran and wrote nothing: mend the problems above first",
            Failure::BadReport { .. } | Failure::Wrong(_) => {
                "do not rely on reports of this machine; please report this with the output of `buildwarden doctor --json`"
            }
            Failure::Leftover(_) => "remove it by hand",
        }
    }
}

fn try_probe(runc: &Path, settings: &Settings, config: Option<&Path>) -> Result<String, Failure> {
    let program = fs::read_link("/proc/self/exe").map_err(Failure::Bundle)?;
    let bundle = Bundle::make(&program, config).map_err(Failure::Bundle)?;
    let record = settings.state_dir.join("containers").join(bundle.id());
    let live = settings.run_dir.join(bundle.id());
    let judged = run(runc, &bundle).and_then(|()| {
        let report = wait_for_report(&record.join("report.json"))?;
        judge(&report)
    });
    let removed = remove(runc, &bundle, &record, &live);
    let found = judged?;
    removed.map(|()| found)
}

fn runtime(runc: &Path, bundle: &Bundle) -> Command {
    let mut command = Command::new(runc);
    command.args(["--log-format", "json", "--root"]).arg(bundle.runtime_root());
    command
}

fn run(runc: &Path, bundle: &Bundle) -> Result<(), Failure> {
    let failed = |reason| Failure::Runc { runc: runc.to_owned(), reason };
    let mut command = runtime(runc, bundle);
    command.arg("run").arg("--bundle").arg(bundle.path()).arg(bundle.id());
    let output = output(&mut command, RUN_LIMIT).map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(format!("{}: {}", output.status, last_message(&output.stderr))))
}

/// What runc said last: it repeats there what it said before. Its lines are JSON,
/// but what the container's process says comes the same way.
fn last_message(stderr: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Line {
        msg: String,
    }
    let message = stderr
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Line>(line).ok())
        .map(|line| line.msg)
        .next_back()
        .unwrap_or_else(|| String::from_utf8_lossy(stderr).into_owned());
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The report is there when poststop has returned; a collector that is faster may
/// still be writing it then.
fn wait_for_report(path: &Path) -> Result<Report, Failure> {
    let deadline = Instant::now() + REPORT_LIMIT;
    let bytes = loop {
        match read(path) {
            Ok(bytes) => break bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if Instant::now() >= deadline {
                    return Err(Failure::NoReport(path.to_owned()));
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) => {
                return Err(Failure::BadReport {
                    path: path.to_owned(),
                    reason: error.to_string(),
                });
            }
        }
    };
    json::parse(&bytes)
        .map_err(|error| Failure::BadReport { path: path.to_owned(), reason: error.to_string() })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_REPORT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The one exec of the container, and nothing else, seen from the start.
fn judge(report: &Report) -> Result<String, Failure> {
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
    if report.completeness.last_sequence != 1 || seen != [(PROGRAM.as_bytes(), 1)] {
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

/// Goes on after an error, and tells every one.
fn remove(runc: &Path, bundle: &Bundle, record: &Path, live: &Path) -> Result<(), Failure> {
    // `run` has removed it, unless it failed on the way; then there is nothing to tell.
    let _ = output(runtime(runc, bundle).args(["delete", "--force", bundle.id()]), RUN_LIMIT);
    let mut errors = Vec::new();
    for dir in [record, live] {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                errors.push(format!("{}: {error}", dir.display()));
            }
            _ => {}
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Failure::Leftover(errors.join("; "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn only_a_complete_report_of_the_one_exec_is_right() {
        let check = |change: fn(&mut Report), want: Result<&str, &str>| {
            let mut report = report();
            change(&mut report);
            let got = judge(&report).map_err(|failure| failure.to_string());
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

    #[test]
    fn the_last_message_is_told_on_one_line() {
        let cases: [(&[u8], &str); 4] = [
            (
                b"{\"level\":\"error\",\"msg\":\"a\"}\nnoise\n{\"level\":\"error\",\"msg\":\"b\\n c\",\"time\":\"\"}\n",
                "b c",
            ),
            (b"runc: no such\n  flag\n", "runc: no such flag"),
            (b"\xff", "\u{fffd}"),
            (b"", ""),
        ];
        for (stderr, want) in cases {
            assert_eq!(last_message(stderr), want);
        }
    }
}
