use super::*;
use crate::{
    annotation::{Attached, Finished, Log},
    collect::{
        FINDINGS_MAX,
        file::{ANNOTATIONS, REPORT},
    },
    oci::Jobs,
    report::{
        Time, json,
        model::{Container, Finding, Importance, Producer, Verdict},
    },
};
use std::{fs::OpenOptions, io::Write as _};
use tempfile::TempDir;

/// A host with these runs: directory, id, number of the run.
struct Host {
    root: TempDir,
}

impl Host {
    fn with(runs: &[(&str, &str, u32)]) -> Host {
        let host = Host { root: tempfile::tempdir().unwrap() };
        for (directory, id, run) in runs {
            let path = host.root.path().join("state/containers").join(directory);
            fs::create_dir_all(&path).unwrap();
            let container = Container { id: (*id).into(), run: *run, ..Container::default() };
            let attached = Attached {
                tool: Producer::this(),
                container,
                job: None,
                stage: "createRuntime".into(),
                pid: 1,
                ring_bytes: 0,
                attach_ms: 0.0,
                boot_to_unix_ns: 0,
                boot_id: None,
            };
            host.log(directory, id).attached(Time::from_unix_ns(1), &attached).unwrap();
        }
        host
    }

    fn log(&self, directory: &str, id: &str) -> Log {
        let path = self.root.path().join("state/containers").join(directory).join(ANNOTATIONS);
        let file = OpenOptions::new().append(true).read(true).create(true).open(path).unwrap();
        Log::new(file, id).unwrap()
    }

    fn store(&self) -> Store {
        Store::of(&Settings {
            state_dir: self.root.path().join("state"),
            run_dir: self.root.path().join("run"),
            ..Settings::default()
        })
    }
}

#[test]
fn an_id_its_beginning_or_a_run_of_it_is_found() {
    let host = Host::with(&[
        ("web", "web", 1),
        ("web.2", "web", 2),
        ("web.10", "web", 10),
        ("worker", "worker", 1),
        ("db.2", "db.2", 1),
        ("api.v2.3", "api.v2", 3),
    ]);
    let cases = [
        ("web", Ok("web.10")),
        ("we", Ok("web.10")),
        ("web.2", Ok("web.2")),
        ("web.1", Ok("web")),
        ("we.1", Ok("web")),
        ("wo", Ok("worker")),
        ("db", Ok("db.2")),
        ("db.2", Ok("db.2")),
        ("db.2.1", Ok("db.2")),
        ("api", Ok("api.v2.3")),
        ("w", Err("several containers begin so; add to it: web, worker")),
        ("web.3", Err("web: it has no run 3; its last one is 10")),
        ("x", Err("no container's id begins so; there are api.v2.3, db.2, web")),
        ("", Err("expected a container's id")),
        ("../web", Err("expected a container's id")),
        ("a/b", Err("expected a container's id")),
        ("\x1b[31m", Err("\"\\x1b[31m\": expected")),
    ];
    for (wanted, want) in cases {
        let got = host.store().find(wanted).map(|run| run.name().to_owned());
        match (got, want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want, "{wanted}"),
            (Err(got), Err(want)) => assert!(got.to_string().contains(want), "{wanted}: {got}"),
            (got, want) => panic!("{wanted}: {got:?}, expected {want:?}"),
        }
    }
}

#[test]
fn nothing_on_record_is_no_error_to_list() {
    let host = Host::with(&[]);
    assert_eq!(host.store().runs().unwrap(), []);
    let error = host.store().find("x").unwrap_err().to_string();
    assert!(error.contains("there is none on record here"), "{error}");
}

#[test]
fn the_log_and_the_live_directory_say_how_far_a_run_is() {
    let host = Host::with(&[("a", "a", 1), ("b", "b", 1), ("c", "c", 1)]);
    fs::create_dir_all(host.root.path().join("run/b")).unwrap();
    let finished = Finished {
        verdict: Verdict::Clean,
        findings: Default::default(),
        report: None,
        reasons: vec![],
        formats: Vec::new(),
        formats_failed: Vec::new(),
        job: None,
        other_jobs: vec![],
        sha256: Default::default(),
    };
    host.log("c", "c").finished(Time::from_unix_ns(5), &finished).unwrap();
    let store = host.store();
    let states: Vec<_> = store
        .runs()
        .unwrap()
        .iter()
        .map(|run| store.summary(run).unwrap())
        .map(|summary| (summary.container.id, summary.state, summary.verdict))
        .collect();
    let want = [
        ("a".to_owned(), State::Unfinished, None),
        ("b".to_owned(), State::Running, None),
        ("c".to_owned(), State::Finished, Some(Verdict::Clean)),
    ];
    assert_eq!(states, want);
}

#[test]
fn links_and_strange_names_are_not_followed() {
    let host = Host::with(&[("a", "a", 1)]);
    let containers = host.root.path().join("state/containers");
    fs::create_dir(containers.join("-x")).unwrap();
    fs::create_dir(containers.join("a b")).unwrap();
    std::os::unix::fs::symlink("a", containers.join("link")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", containers.join("a").join(REPORT)).unwrap();
    let runs = host.store().runs().unwrap();
    assert_eq!(runs.iter().map(Run::name).collect::<Vec<_>>(), ["a"]);
    assert!(runs[0].report().is_err());
}

#[test]
fn what_a_log_so_far_cannot_tell_is_not_passed_over() {
    let fixture = include_bytes!("../../tests/fixtures/one-finding.json");
    let finding = json::parse(fixture).unwrap().findings.remove(0);
    let medium = Finding { importance: Importance::Medium, ..finding };
    let torn = br#"{"time":"2026-01-01T00:00:00Z","container":"c","key":"dev.build"#;
    // How many findings, what else, and what is known to be missing: findings, lines.
    type Case<'a> = (u64, &'a [&'a [u8]], u64, &'a [&'a str]);
    let cases: [Case<'_>; 5] = [
        (0, &[], 0, &[]),
        (FINDINGS_MAX - 1, &[], 0, &[]),
        (FINDINGS_MAX, &[], 1, &[]),
        (1, &[torn], 0, &["1 line of annotations.jsonl cannot be read"]),
        (1, &[torn, b"x"], 0, &["2 lines of annotations.jsonl cannot be read"]),
    ];
    for (findings, lines, omitted, shortcomings) in cases {
        let host = Host::with(&[("c", "c", 1)]);
        fs::create_dir_all(host.root.path().join("run/c")).unwrap();
        let mut log = host.log("c", "c");
        for n in 1..=findings {
            log.finding(Time::from_unix_ns(2), &Finding { n, ..medium.clone() }).unwrap();
        }
        for line in lines {
            log.file().write_all(&[line, &b"\n"[..]].concat()).unwrap();
        }
        let store = host.store();
        let run = store.run("c").unwrap();
        let container = job_container(&run, &store.summary(&run).unwrap(), true).unwrap();
        assert_eq!(container.findings.len() as u64, findings);
        assert_eq!(container.findings_omitted, omitted, "{findings}");
        let lacks = &container.shortcomings;
        assert_eq!(lacks.len(), shortcomings.len(), "{lacks:?}");
        assert!(
            lacks.iter().zip(shortcomings).all(|(lack, want)| lack.contains(want)),
            "{lacks:?}"
        );
        assert_eq!(container.is_complete(), shortcomings.is_empty(), "{lacks:?}");
    }
}

#[test]
fn a_run_that_nothing_is_left_of_may_be_of_any_job() {
    let host = Host::with(&[("known", "known", 1)]);
    let containers = host.root.path().join("state/containers");
    let cases: [(&str, Option<&[u8]>); 3] =
        [("empty", None), ("crashed", Some(b"")), ("malformed", Some(b"{"))];
    for (name, report) in cases {
        let directory = containers.join(name);
        fs::create_dir(&directory).unwrap();
        if let Some(report) = report {
            fs::write(directory.join(REPORT), report).unwrap();
        }
        let store = host.store();
        let mut runs = JobRuns::new(&store, Jobs::like("j"));
        let now = runs.look().unwrap();
        let [error] = &now.unreadable[..] else { panic!("{name}: {now:?}") };
        let error = error.to_string();
        assert!(error.contains(name) && error.contains("`buildwarden gc`"), "{error}");
        // As long as it lives it is waited for.
        fs::create_dir_all(host.root.path().join("run").join(name)).unwrap();
        let now = runs.look().unwrap();
        assert_eq!((now.starting.len(), now.unreadable.len()), (1, 0), "{name}: {now:?}");
        fs::remove_dir_all(directory).unwrap();
    }
}
