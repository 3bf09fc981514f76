//! `report --job` and `list --job`: over all runs of a job, and as a gate that waits.

use super::*;
use buildwarden::report::model::{Build, JobReport, Step};
use unicode_width::UnicodeWidthStr as _;

fn job(id: &str) -> Option<Job> {
    Some(Job {
        id: id.into(),
        source: "GitLab CI (CI_PROJECT_PATH, CI_PIPELINE_ID, CI_JOB_ID)".into(),
    })
}

/// A report as that of a container of this job.
fn report(name: &str, id: &str, job: Option<Job>) -> Report {
    let mut report = fixture(name);
    report.container.id = id.into();
    report.container.run = 1;
    report.job = job;
    report
}

impl Host {
    /// A run of a job that has ended with the report of a fixture.
    fn ended(&self, id: &str, fixture: &str, of: &str) {
        let report = report(fixture, id, job(of));
        let mut run = self.begin_for(id, report.container.clone(), job(of));
        run.end(report.verdict, &report.findings.clone(), Some(&report));
    }

    fn containers(&self) -> PathBuf {
        self.root.path().join("state/containers")
    }

    /// `report --job acme/web/7 ARG…`: its exit code and all that it says.
    fn gate(&self, args: &[&str]) -> (i32, String) {
        let output = self.output(&[&["report", "--job", "acme/web/7"], args].concat());
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    }
}

const GATE: [&str; 2] = ["--fail-on", "critical"];
const NONE_OK: [&str; 3] = ["--fail-on", "critical", "--none-ok"];

#[test]
fn a_job_has_one_verdict_over_all_its_containers() {
    let host = Host::new();
    let mut step = report("clean", "buildkit1", job("acme/web/7"));
    step.container.name = None;
    step.container.engine = Some("buildkit".into());
    step.container.step = Some(Step {
        command: ["/bin/sh", "-c", "npm ci"].map(Into::into).to_vec(),
        command_omitted: 0,
        build: Some(Build { id: "ci-42".into(), source: "cgroup parent".into() }),
    });
    let mut run = host.begin_for("buildkit1", step.container.clone(), job("acme/web/7"));
    run.end(Verdict::Clean, &[], Some(&step));
    host.ended("web", "one-finding", "acme/web/7");
    host.ended("db", "incomplete", "acme/web/7");
    host.ended("other", "many", "acme/web/8");
    let runs = host.begin_for("service", container("service", 1), job("acme/web/7"));
    let gone = host.begin_for("gone", container("gone", 1), job("acme/web/7"));
    fs::remove_dir(&gone.live).unwrap();

    for (name, args) in [
        ("80", &["--exclude", "service"][..]),
        ("120", &["--exclude", "service", "--width", "120"]),
        ("colour", &["--color", "always"]),
    ] {
        let (code, said) = host.gate(args);
        assert_eq!(code, 0, "{said}");
        snapshot::check(&format!("records/job.{name}.txt"), &said);
    }
    let (code, page) = host.gate(&["--format", "html", "--exclude", "service"]);
    assert_eq!(code, 0);
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("Findings of web"), "{page}");
    let digest = format!("app.tar=sha256:{}", "0".repeat(64));
    let (code, said) = host.gate(&["--format", "in-toto", "--subject", &digest]);
    assert!(code == 1 && said.contains("what one container executed"), "{said}");
    let (_, json) = host.gate(&["--format", "json", "--exclude", "service"]);
    let parsed: JobReport = serde_json::from_str(&json).unwrap();
    assert_eq!(json::pretty(&parsed).unwrap(), json);
    assert_eq!((parsed.verdict, parsed.findings.critical), (Verdict::Findings, 1));
    let states: Vec<_> = parsed
        .containers
        .iter()
        .map(|c| (c.directory.as_str(), serde_json::to_value(c.state).unwrap(), c.verdict))
        .collect();
    for want in [
        ("buildkit1", "finished", Some(Verdict::Clean)),
        ("web", "finished", Some(Verdict::Findings)),
        ("db", "finished", Some(Verdict::Incomplete)),
        ("service", "set_aside", None),
        ("gone", "unfinished", None),
    ] {
        assert!(states.contains(&(want.0, want.1.into(), want.2)), "{want:?} in {states:?}");
    }
    assert_eq!(states.len(), 5, "{states:?}");

    let listed = text(&host.output(&["list", "--job", "acme/web/8"]).stdout);
    assert!(listed.contains("other") && !listed.contains("service"), "{listed}");
    let listed = text(&host.output(&["list", "--job", "acme/web"]).stdout);
    assert_eq!(listed, "no container of job acme/web is on record here\n");
    let listed = text(&host.output(&["list", "--job", "acme/*"]).stdout);
    assert!(listed.contains("other") && listed.contains("service"), "{listed}");
    drop(runs);
}

#[test]
fn a_gate_never_passes_what_it_does_not_know() {
    type Make = fn(&Host);
    let cases: [(&str, Make, &[&str], i32, &str); 21] = [
        ("clean", |h| h.ended("a", "clean", "acme/web/7"), &GATE, 0, "CLEAN"),
        ("finding", |h| h.ended("a", "one-finding", "acme/web/7"), &GATE, 10, "FINDINGS  1 crit"),
        ("incomplete", |h| h.ended("a", "incomplete", "acme/web/7"), &GATE, 11, "INCOMPLETE"),
        (
            "finding outweighs",
            |h| {
                h.ended("a", "incomplete", "acme/web/7");
                h.ended("b", "one-finding", "acme/web/7");
            },
            &GATE,
            10,
            "NOT EVERYTHING",
        ),
        ("none", |_| (), &GATE, 11, "no container of a job with exactly this id"),
        ("none to see", |_| (), &[], 1, "no container of a job with exactly this id"),
        ("none and well", |_| (), &NONE_OK, 0, "no container of a job with exactly this id"),
        ("none to see and well", |_| (), &["--none-ok"], 0, "no container of a job with exactly"),
        (
            "none, but a finding",
            |h| h.ended("a", "one-finding", "acme/web/7"),
            &NONE_OK,
            10,
            "FINDINGS  1 crit",
        ),
        (
            "none, but one that may be",
            |h| {
                let run = h.begin("a", container("a", 1));
                fs::remove_dir(&run.live).unwrap();
                fs::write(h.containers().join("a/annotations.jsonl"), "").unwrap();
            },
            &NONE_OK,
            11,
            "it may be of this job",
        ),
        (
            "none, but one that has just begun",
            |h| {
                drop(h.begin("a", container("a", 1)));
                fs::write(h.containers().join("a/annotations.jsonl"), "").unwrap();
            },
            &["--fail-on", "critical", "--none-ok", "--timeout", "1ms"],
            11,
            "it has just begun, and may be of this job",
        ),
        (
            "none, but execs in a container of another job",
            |h| {
                let mut run = h.begin_for("agent", container("agent", 1), job("acme/web/8"));
                let named = NamedJob { job: job("acme/web/7").unwrap(), exec: 9, taken: false };
                run.log.job(at(1.0), 1, &named).unwrap();
            },
            &NONE_OK,
            11,
            "it counts under acme/web/8",
        ),
        (
            "a longer id is another job",
            |h| h.ended("a", "clean", "acme/web/77"),
            &GATE,
            11,
            "similar ids: acme/web/77",
        ),
        (
            "too few",
            |h| h.ended("a", "clean", "acme/web/7"),
            &["--fail-on", "medium", "--expect", "2", "--timeout", "1ms"],
            11,
            "1 of 2 expected containers",
        ),
        (
            "running at the deadline",
            |h| drop(h.begin_for("a", container("a", 1), job("acme/web/7"))),
            &["--fail-on", "medium", "--timeout", "1ms"],
            11,
            "it is still running",
        ),
        (
            "running and set aside",
            |h| {
                h.ended("b", "clean", "acme/web/7");
                drop(h.begin_for("a", container("a", 1), job("acme/web/7")));
            },
            &["--fail-on", "medium", "--running-ok"],
            0,
            "1 still running and set aside",
        ),
        (
            "findings so far count",
            |h| {
                let mut run = h.begin_for("a", container("a", 1), job("acme/web/7"));
                run.log.finding(at(1.0), &fixture("one-finding").findings[0]).unwrap();
            },
            &["--fail-on", "medium", "--exclude", "a"],
            10,
            "which still runs: so far",
        ),
        (
            "no report",
            |h| {
                let run = h.begin_for("a", container("a", 1), job("acme/web/7"));
                fs::remove_dir(&run.live).unwrap();
            },
            &GATE,
            11,
            "`buildwarden gc` writes it",
        ),
        (
            "the report is gone",
            |h| {
                h.begin_for("a", container("a", 1), job("acme/web/7")).end(
                    Verdict::Clean,
                    &[],
                    None,
                )
            },
            &GATE,
            11,
            "its report is gone",
        ),
        (
            "execs in a container of another job",
            |h| {
                h.ended("a", "clean", "acme/web/7");
                let mut run = h.begin_for("agent", container("agent", 1), job("acme/web/8"));
                let named = NamedJob { job: job("acme/web/7").unwrap(), exec: 9, taken: false };
                run.log.job(at(1.0), 1, &named).unwrap();
            },
            &GATE,
            11,
            "it counts under acme/web/8",
        ),
        (
            "no such container to exclude",
            |h| h.ended("a", "clean", "acme/web/7"),
            &["--fail-on", "medium", "--exclude", "nobody"],
            1,
            "nobody: no container's id begins so",
        ),
    ];
    for (name, make, args, code, want) in cases {
        let host = Host::new();
        make(&host);
        let (got, said) = host.gate(args);
        assert_eq!(got, code, "{name}: {said}");
        let squeezed = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(want) || squeezed.contains(want), "{name}: {said}");
    }
    for wrong in [&["web"][..], &["--none-ok", "--expect", "1"]] {
        let (code, said) = Host::new().gate(wrong);
        assert_eq!(code, 2, "{said}");
    }
    // Nothing is written of nothing.
    let host = Host::new();
    let output = host.root.path().join("r.json");
    let (code, said) =
        host.gate(&["--none-ok", "--format", "json", "--output", output.to_str().unwrap()]);
    assert!(code == 0 && !output.exists(), "{said}");
    let (code, said) = Host::new().gate(&["--timeout", "soon"]);
    assert!(code == 2 && said.contains("expected a duration such as 90s"), "{said}");
}

#[test]
fn a_pattern_asks_for_many_jobs_and_an_environment_for_its_own() {
    let host = Host::new();
    for (id, fixture, of) in [
        ("a", "clean", "acme/web/3/7"),
        ("b", "one-finding", "acme/web/3/8"),
        ("c", "incomplete", "acme/web/4/9"),
    ] {
        host.ended(id, fixture, of);
    }
    let cases: [(&[&str], &str, i32, &str); 8] = [
        (&["--job", "acme/web/3/*"], "", 10, "job acme/web/3/8"),
        (&["--job", "acme/web/3/7"], "", 0, "acme/web/3/7"),
        (&["--job", "acme/*/9"], "", 11, "INCOMPLETE"),
        (&["--job", "acme/web/5/*"], "", 11, "no container of a job whose id fits this pattern"),
        (&["--this-job"], "7", 0, "acme/web/3/7"),
        (&["--this-job"], "8", 10, "acme/web/3/8"),
        (&["--this-job"], "", 1, "; CI_PROJECT_PATH, CI_PIPELINE_ID, CI_JOB_ID (GitLab CI); "),
        (&["--this-job", "--job", "j"], "7", 2, "cannot be used with"),
    ];
    for (args, number, code, want) in cases {
        let mut command = host.command(&[&["report"], args, &GATE].concat());
        // This test may run in a job of its own.
        let kept = ["PATH", "BUILDWARDEN_CONFIG"];
        for (name, _) in std::env::vars_os() {
            if kept.iter().all(|kept| name != *kept) {
                command.env_remove(name);
            }
        }
        command.envs([("CI_PROJECT_PATH", "acme/web"), ("CI_PIPELINE_ID", "3")]);
        let output = command.env("CI_JOB_ID", number).output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?} {number}: {said}");
        assert!(said.contains(want), "{args:?} {number}: {said}");
    }
    let watched = host.output(&["watch", "--job", "acme/web/3/*", "--until-idle"]);
    let watched = text(&watched.stdout);
    let ends: Vec<_> = watched.lines().filter_map(|l| l.split_whitespace().last()).collect();
    assert_eq!(ends, ["clean", "findings"], "{watched}");
}

#[test]
fn a_job_is_written_in_several_formats_at_once() {
    let host = Host::new();
    let mut step = report("one-finding", "buildkit1", job("acme/web/7"));
    step.container.step = Some(Step {
        command: ["/bin/sh", "-c", "npm ci"].map(Into::into).to_vec(),
        command_omitted: 0,
        build: None,
    });
    let mut run = host.begin_for("buildkit1", step.container.clone(), job("acme/web/7"));
    run.end(step.verdict, &step.findings.clone(), Some(&step));
    host.ended("db", "incomplete", "acme/web/7");
    let running = host.begin_for("service", container("service", 1), job("acme/web/7"));
    let file = |name: &str| host.root.path().join(name).to_str().unwrap().to_owned();
    fs::write(file("Dockerfile"), "FROM node:20\n\nRUN npm ci\n").unwrap();

    let outputs = [
        ("markdown", "r.md"),
        ("sarif", "r.sarif"),
        ("junit", "r.xml"),
        ("gitlab-codequality", "r.json"),
        ("ocsf", "r.jsonl"),
        ("github", "-"),
    ];
    let mut args = vec!["--running-ok".to_owned(), "--fail-on".to_owned(), "critical".to_owned()];
    args.extend(["--dockerfile".to_owned(), file("Dockerfile")]);
    for (format, name) in outputs {
        let output = if name == "-" { name.to_owned() } else { file(name) };
        args.extend(["--format".to_owned(), format.to_owned(), "--output".to_owned(), output]);
    }
    let (code, said) = host.gate(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, 10, "{said}");
    assert!(said.starts_with("::error title=Buildwarden"), "{said}");
    assert!(said.contains("file=") && said.contains("Dockerfile,line=3,endLine=3::"), "{said}");
    for (name, wants) in [
        ("r.md", ["## Buildwarden: ❌ findings", "\n⏸ set aside | `"]),
        ("r.sarif", ["Dockerfile", "the collector was killed"]),
        ("r.xml", ["it still runs", "everything was seen in db"]),
        ("r.json", ["/Dockerfile\",", "in web-build (buildkit1)"]),
        ("r.jsonl", ["buildkit1/1/1", "db/1/incomplete"]),
    ] {
        let written = fs::read_to_string(file(name)).unwrap();
        wants.iter().for_each(|want| assert!(written.contains(want), "{want}: {written}"));
    }
    drop(running);
}

#[test]
fn a_gate_waits_for_what_runs_and_for_what_begins_meanwhile() {
    let host = Host::new();
    let clean = report("clean", "a", job("acme/web/7"));
    let mut first = host.begin_for("a", clean.container.clone(), job("acme/web/7"));
    let mut gate = waiting(&host, &["--expect", "3"]);
    gate.until("waiting for 2 more containers to begin, and until these have ended: a");
    // One that is told its job by an exec, after it has begun.
    let mut second = host.begin("b", container("b", 1));
    first.end(Verdict::Clean, &[], Some(&clean));
    let finding = report("one-finding", "c", job("acme/web/7"));
    let mut third = host.begin_for("c", finding.container.clone(), job("acme/web/7"));
    let named = NamedJob { job: job("acme/web/7").unwrap(), exec: 2, taken: true };
    second.log.job(at(1.0), 1, &named).unwrap();
    third.end(Verdict::Findings, &finding.findings, Some(&finding));
    let report = report("clean", "b", job("acme/web/7"));
    assert!(gate.child.0.try_wait().unwrap().is_none(), "it did not wait for b");
    second.end_of(Verdict::Clean, &[], Some(&report), job("acme/web/7"));
    assert_eq!(gate.child.0.wait().unwrap().code(), Some(10));
}

#[test]
fn a_gate_sees_a_container_vanish() {
    let host = Host::new();
    let run = host.begin_for("a", container("a", 1), job("acme/web/7"));
    let mut gate = waiting(&host, &[]);
    gate.until("until these have ended: a");
    fs::remove_dir(&run.live).unwrap();
    assert_eq!(gate.child.0.wait().unwrap().code(), Some(11));
}

#[test]
fn no_line_of_a_job_is_too_wide_and_nothing_is_hidden() {
    let host = Host::new();
    host.ended("a", "hostile", "acme/web/7");
    host.ended("b", "many", "acme/web/7");
    host.ended("c", "findings-incomplete", "acme/web/7");
    for width in ["40", "80", "200"] {
        let (code, said) = host.gate(&["--width", width, "--fail-on", "critical"]);
        assert_eq!(code, 10, "{said}");
        for line in said.lines() {
            assert!(line.width() <= width.parse().unwrap(), "at {width}: {line}");
            assert!(!line.chars().any(buildwarden::escape::is_hidden), "{line:?}");
        }
    }
}

/// Starts a gate, to hear what it says of its waiting.
fn waiting(host: &Host, args: &[&str]) -> Watcher {
    let mut command = host.command(&[&["report", "--job", "acme/web/7"], &GATE[..], args].concat());
    let mut child = Child::start(command.stdout(Stdio::null()).stderr(Stdio::piped()));
    let stderr = child.0.stderr.take().unwrap();
    Watcher::new(child, stderr)
}
