use super::*;
use crate::{
    annotation::{Attached, Finished, Log},
    collect::file::{ANNOTATIONS, REPORT},
    report::{
        Time,
        model::{Container, Producer, Verdict},
    },
};
use std::fs::OpenOptions;
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
