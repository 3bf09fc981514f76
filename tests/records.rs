//! `list`, `watch`, `report`: the program as it is called, over runs that lie on disk.

#[path = "records/job.rs"]
mod job;
mod snapshot;

use buildwarden::{
    annotation::{Attached, Finished, Gap, Log, NamedJob},
    execlog,
    report::{
        Time, json,
        model::{Container, Finding, Job, Producer, Report, Verdict},
    },
};
use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// A host of its own: directories, and a configuration that names them.
struct Host {
    root: TempDir,
}

impl Host {
    fn new() -> Host {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().display();
        let config = format!("[directories]\nrun = \"{path}/run\"\nstate = \"{path}/state\"\n");
        fs::write(root.path().join("buildwarden.toml"), config).unwrap();
        Host { root }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_buildwarden"));
        command.args(args).env("BUILDWARDEN_CONFIG", self.root.path().join("buildwarden.toml"));
        command.stdin(Stdio::null());
        command
    }

    fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// A run whose recording began.
    fn begin(&self, directory: &str, container: Container) -> Recording {
        self.begin_for(directory, container, None)
    }

    /// A run of a job whose recording began.
    fn begin_for(&self, directory: &str, container: Container, job: Option<Job>) -> Recording {
        let id = container.id.clone();
        // In the order of the hook.
        fs::create_dir_all(self.root.path().join("run").join(&id)).unwrap();
        let path = self.root.path().join("state/containers").join(directory);
        fs::create_dir_all(&path).unwrap();
        let mut log = Log::new(append(&path.join("annotations.jsonl")), &id).unwrap();
        let attached = Attached {
            tool: Producer::this(),
            container,
            job,
            stage: "createRuntime".into(),
            pid: 31702,
            ring_bytes: 1 << 20,
            attach_ms: 0.8,
            boot_to_unix_ns: START,
            boot_id: None,
        };
        log.attached(Time::from_unix_ns(START.into()), &attached).unwrap();
        Recording { live: self.root.path().join("run").join(id), path, log }
    }
}

/// 2026-11-23T11:31:07Z
const START: i64 = 1_795_433_467_000_000_000;

struct Recording {
    path: PathBuf,
    live: PathBuf,
    log: Log,
}

impl Recording {
    fn end(&mut self, verdict: Verdict, findings: &[Finding], report: Option<&Report>) {
        self.end_of(verdict, findings, report, None);
    }

    /// Ends it as the run of a job that it was told meanwhile.
    fn end_of(
        &mut self,
        verdict: Verdict,
        findings: &[Finding],
        report: Option<&Report>,
        job: Option<Job>,
    ) {
        if let Some(report) = report {
            fs::write(self.path.join("report.json"), json::pretty(report).unwrap()).unwrap();
        }
        let finished = Finished {
            verdict,
            findings: findings.iter().map(|finding| finding.importance).collect(),
            report: report.map(|_| "report.json".to_owned()),
            reasons: vec![],
            formats: vec![],
            formats_failed: vec![],
            job,
            other_jobs: vec![],
            sha256: Default::default(),
        };
        self.log.finished(at(41.3), &finished).unwrap();
        fs::remove_dir(&self.live).unwrap();
    }
}

fn append(path: &Path) -> File {
    OpenOptions::new().append(true).read(true).create(true).open(path).unwrap()
}

fn at(seconds: f64) -> Time {
    Time::from_unix_ns(i128::from(START) + (seconds * 1e9) as i128)
}

fn container(id: &str, run: u32) -> Container {
    let name = Some("web-build".to_owned());
    let image = Some("node:20\x1b[31m".to_owned());
    Container {
        id: id.into(),
        run,
        name,
        image,
        engine: Some("podman".into()),
        ..Container::default()
    }
}

fn fixture(name: &str) -> Report {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.json"));
    json::parse(&fs::read(path).unwrap()).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const LONG: &str = "7f3a9c1e5b2d4860a1c3e5f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b";

#[test]
fn list_shows_every_run_with_what_became_of_it() {
    let host = Host::new();
    let report = fixture("one-finding");
    host.begin(LONG, container(LONG, 1)).end(Verdict::Findings, &report.findings, Some(&report));
    host.begin(&format!("{LONG}.2"), container(LONG, 2)).end(Verdict::Clean, &[], None);
    let mut gone = host
        .begin("buildah-buildah1", Container { name: None, ..container("buildah-buildah1", 1) });
    gone.log.finding(at(1.0), &report.findings[0]).unwrap();
    fs::remove_dir(&gone.live).unwrap();

    let listed = host.output(&["list"]);
    assert_eq!(text(&listed.stderr), "");
    snapshot::check("records/list.txt", &text(&listed.stdout));

    let listed = host.output(&["list", "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let facts: Vec<_> = value
        .as_array()
        .unwrap()
        .iter()
        .map(|run| {
            let of = |key: &str| run[key].as_str().unwrap_or("null").to_owned();
            (of("directory"), of("state"), of("verdict"), run["findings"]["critical"].as_u64())
        })
        .collect();
    let second = format!("{LONG}.2");
    let want = [
        (LONG, "finished", "findings", Some(1)),
        (&second, "finished", "clean", Some(0)),
        ("buildah-buildah1", "unfinished", "null", Some(1)),
    ]
    .map(|(directory, state, verdict, critical)| {
        (directory.to_owned(), state.to_owned(), verdict.to_owned(), critical)
    });
    for run in want {
        assert!(facts.contains(&run), "{run:?} in {facts:?}");
    }
}

#[test]
fn an_empty_list_says_so() {
    let listed = Host::new().output(&["list"]);
    assert_eq!(text(&listed.stdout), "no container is on record here\n");
}

#[test]
fn report_finds_a_run_or_a_file_and_gates_on_it() {
    let host = Host::new();
    let [clean, finding, incomplete] = ["clean", "one-finding", "incomplete"].map(fixture);
    host.begin("web", container("web", 1)).end(Verdict::Clean, &[], Some(&clean));
    host.begin("web.2", container("web", 2)).end(
        Verdict::Findings,
        &finding.findings,
        Some(&finding),
    );
    host.begin("db", container("db", 1)).end(Verdict::Incomplete, &[], Some(&incomplete));
    host.begin("live", container("live", 1));
    fs::write(host.root.path().join("no.json"), "{}").unwrap();
    let no_report = format!("{}/no.json", host.root.path().display());
    let file = format!("{}/tests/fixtures/one-finding.json", env!("CARGO_MANIFEST_DIR"));

    let cases: &[(&[&str], i32, &str)] = &[
        (&["web"], 0, "FINDINGS  1 critical"),
        (&["web.1"], 0, "CLEAN  nothing suspicious"),
        (&["we"], 0, "FINDINGS  1 critical"),
        (&[&file, "--width", "120"], 0, "FINDINGS  1 critical"),
        (&["web", "--format", "json"], 0, "\"verdict\": \"findings\""),
        (&["web", "--fail-on", "critical"], 10, "FINDINGS"),
        (&["web", "--fail-on", "medium"], 10, "FINDINGS"),
        (&["web.1", "--fail-on", "medium"], 0, "CLEAN"),
        (&["db", "--fail-on", "critical"], 11, "INCOMPLETE"),
        (&["db"], 0, "INCOMPLETE"),
        (&["live"], 1, "the container is running; its report comes at its end"),
        (&["nobody"], 1, "no container's id begins so; there are db, live, web"),
        (&["../web"], 1, "../web: cannot read it"),
        (&["\x1b[2J"], 1, "\"\\x1b[2J\": expected a container's id"),
        (&[&no_report], 1, "expected a report in JSON"),
        (&["web", "--output", "/proc/nothing/x"], 1, "/proc/nothing/x: cannot write it"),
    ];
    for (args, code, want) in cases {
        let output = host.output(&[&["report"], *args].concat());
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains(want), "{args:?}: {said}");
        assert_eq!(output.status.code(), Some(*code), "{args:?}: {said}");
    }

    let output = host.root.path().join("report.txt");
    let written = host.output(&["report", "web", "--output", output.to_str().unwrap()]);
    assert!(written.status.success() && written.stdout.is_empty());
    let want = host.output(&["report", "web"]).stdout;
    assert_eq!(fs::read(output).unwrap(), want);
    let coloured = host.output(&["report", "web", "--color", "always"]).stdout;
    assert!(text(&coloured).contains("\x1b[1m") && !text(&want).contains('\x1b'));
}

/// A child that does not outlive the test.
struct Child(std::process::Child);

impl Child {
    fn start(command: &mut Command) -> Child {
        Child(command.spawn().unwrap())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Gone already when all went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lines of a child, waited for until a deadline.
struct Watcher {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Watcher {
    fn start(mut command: Command) -> Watcher {
        let mut child = Child::start(command.stdout(Stdio::piped()).stderr(Stdio::inherit()));
        let stdout = child.0.stdout.take().unwrap();
        Watcher::new(child, stdout)
    }

    /// With the lines that the child writes there.
    fn new(child: Child, output: impl Read + Send + 'static) -> Watcher {
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                if sender.send(line.unwrap()).is_err() {
                    break;
                }
            }
        });
        Watcher { child, lines }
    }

    /// The lines up to the one that contains `last`.
    fn until(&self, last: &str) -> String {
        let mut seen = String::new();
        loop {
            match self.lines.recv_timeout(Duration::from_secs(30)) {
                Ok(line) => {
                    seen.push_str(&line);
                    seen.push('\n');
                    if line.contains(last) {
                        return seen;
                    }
                }
                Err(error) => panic!("no line with {last:?} came ({error}) after:\n{seen}"),
            }
        }
    }
}

/// Three execs as the event file has them.
fn write_execs(path: &Path) {
    use buildwarden::event::{Argv, Exec, ProcessId};
    let mut out = Vec::new();
    execlog::push_header(&mut out, &execlog::Header::new("web", 1, START, 0));
    for (i, argv) in
        [&b"sh\0/build.sh\0"[..], b"npm\0ci\0", b"echo\0\x1b[31m\n\xff\0"].iter().enumerate()
    {
        let exec = Exec {
            sequence: i as u64 + 1,
            time: i as u64 * 1_500_000_000,
            process: ProcessId { pid: 31702, start: 5 },
            container_pid: i as u32 + 1,
            path: b"/bin/x",
            argv: Argv(argv),
            ..Exec::default()
        };
        let beside = execlog::Beside { began: 0, by: None, finding: None, argv_kept: 1 << 20 };
        execlog::push_exec(&mut out, &exec, exec.argv.iter(), beside);
    }
    append(path).write_all(&out).unwrap();
}

#[test]
fn watch_follows_a_container_to_its_end() {
    let finding = &fixture("one-finding").findings[0];
    for (kind, args, first) in [
        ("findings", &["watch", "web"][..], "since"),
        ("all", &["watch", "we", "--all"], "since"),
        ("json", &["watch", "web", "--json"], "attached"),
    ] {
        let host = Host::new();
        let mut run = host.begin("web", container("web", 1));
        let mut watcher = Watcher::start(host.command(args));
        let mut seen = watcher.until(first);
        if kind == "all" {
            write_execs(&run.path.join("execs.jsonl"));
            seen += &watcher.until("echo");
        }
        let job = Job { id: "acme/web/7".into(), source: "GitLab CI".into() };
        run.log.job(at(0.5), 1, &NamedJob { job, exec: 4, taken: true }).unwrap();
        seen += &watcher.until("acme/web/7");
        run.log.finding(finding.exec.time, finding).unwrap();
        seen += &watcher.until("http://8.8.8.8/payload");
        if kind == "findings" {
            seen += &watcher.until("^^^");
        }
        run.log.gap(at(33.0), 1, &Gap { execs: 2, exits: 1 }).unwrap();
        seen += &watcher.until(if kind == "json" { "gap.1" } else { "LOST" });
        run.end(Verdict::Findings, std::slice::from_ref(finding), None);
        seen += &watcher.until(if kind == "json" { "finished" } else { "the container ended" });
        assert!(watcher.child.0.wait().unwrap().success());
        snapshot::check(&format!("records/watch-{kind}.txt"), &seen);
    }
}

#[test]
fn watch_does_not_wait_for_what_cannot_come() {
    let host = Host::new();
    let gone = host.begin("web", container("web", 1));
    fs::remove_dir(&gone.live).unwrap();
    let output = host.output(&["watch", "web"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("the container is gone and its report was not written"), "{said}");
}

#[test]
fn watch_takes_up_what_starts_meanwhile() {
    let finding = &fixture("one-finding").findings[0];
    for (kind, args) in [("host", &["watch"][..]), ("host-json", &["watch", "--host", "--json"])] {
        // Neither of the two directories is there yet.
        let host = Host::new();
        let watcher = Watcher::start(host.command(args));
        let mut web = host.begin("web", container("web", 1));
        web.log.finding(finding.exec.time, finding).unwrap();
        let mut seen = watcher.until("http://8.8.8.8/payload");
        let nameless = Container { name: None, ..container("buildah-buildah1", 1) };
        let mut step = host.begin("buildah-buildah1", nameless);
        step.log.finding(finding.exec.time, finding).unwrap();
        seen += &watcher.until("http://8.8.8.8/payload");
        web.log.gap(at(33.0), 1, &Gap { execs: 2, exits: 1 }).unwrap();
        let last = |json, text| if kind == "host" { text } else { json };
        seen += &watcher.until(last("gap.1", "LOST"));
        web.end(Verdict::Findings, std::slice::from_ref(finding), None);
        seen += &watcher.until(last("finished", "ended"));
        // The same id again.
        let mut again = host.begin("web.2", container("web", 2));
        again.end(Verdict::Clean, &[], None);
        seen += &watcher.until(last("finished", "ended"));
        snapshot::check(&format!("records/watch-{kind}.txt"), &seen);
    }
}

#[test]
fn watch_begins_with_the_run_that_lives() {
    let findings = fixture("one-finding").findings;
    let host = Host::new();
    let mut ended = host.begin("web", container("web", 1));
    ended.log.finding(findings[0].exec.time, &findings[0]).unwrap();
    ended.end(Verdict::Findings, &findings, None);
    let mut lives = host.begin("web.2", container("web", 2));
    let watcher = Watcher::start(host.command(&["watch"]));
    lives.log.gap(at(3.0), 1, &Gap { execs: 2, exits: 0 }).unwrap();
    assert_eq!(watcher.until("LOST").lines().count(), 1);
}

#[test]
fn watch_shows_a_job_until_it_is_idle() {
    let finding = &fixture("one-finding").findings[0];
    let host = Host::new();
    let named = |id: &str| Container { name: Some(format!("{id}-name")), ..container(id, 1) };
    let begin = |job: Option<&str>, id: &str| {
        let job = job.map(|id| Job { id: id.into(), source: "annotation".into() });
        let mut run = host.begin_for(id, named(id), job);
        run.log.finding(finding.exec.time, finding).unwrap();
        run
    };
    begin(Some("acme #1"), "ended").end(Verdict::Findings, std::slice::from_ref(finding), None);
    let _other = begin(Some("acme #2"), "other");
    let mut unnamed = begin(None, "unnamed");
    let mut first = begin(Some("acme #1"), "first");
    let args = ["watch", "--job", "acme #1", "--until-idle"];
    let mut watcher = Watcher::start(host.command(&args));
    let mut seen = watcher.until("first-name");
    let mut second = begin(Some("acme #1"), "second");
    seen += &watcher.until("second-name");
    // What it did before is the job's too.
    let job = Job { id: "acme #1".into(), source: "environment".into() };
    unnamed.log.job(at(40.0), 1, &NamedJob { job, exec: 2, taken: true }).unwrap();
    seen += &watcher.until("unnamed-name");
    unnamed.end(Verdict::Findings, &[], None);
    seen += &watcher.until("ended     unnamed-name");
    first.end(Verdict::Findings, &[], None);
    seen += &watcher.until("ended     first-name");
    second.end(Verdict::Findings, &[], None);
    seen += &watcher.until("ended     second-name");
    assert!(watcher.child.0.wait().unwrap().success());
    assert!(seen.contains("ended-name") && !seen.contains("other"), "{seen}");
    assert_eq!(seen.lines().count(), 8, "{seen}");

    let output = host.output(&["watch", "--job", "acme #3", "--until-idle"]);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
}

#[test]
fn watch_needs_no_descriptor_for_each_container() {
    let host = Host::new();
    let finding = &fixture("one-finding").findings[0];
    let id = |n: u32| format!("c{n}");
    let mut runs: Vec<_> = (0..300).map(|n| host.begin(&id(n), container(&id(n), 1))).collect();
    let watch = host.command(&["watch", "--json"]);
    let mut command = Command::new("prlimit");
    command.arg("--nofile=20").arg(watch.get_program()).args(watch.get_args());
    command.env("BUILDWARDEN_CONFIG", host.root.path().join("buildwarden.toml"));
    let watcher = Watcher::start(command);
    watcher.until("c299");
    for run in &mut runs {
        run.log.finding(finding.exec.time, finding).unwrap();
        watcher.until("finding.1");
    }
}

#[test]
fn the_last_line_on_a_terminal_says_how_it_goes() {
    const ERASE: &str = "\r\x1b[K";
    let finding = &fixture("one-finding").findings[0];
    for (kind, args) in [("one", "web"), ("many", "--until-idle")] {
        let host = Host::new();
        let mut run = host.begin("web", container("web", 1));
        let program = env!("CARGO_BIN_EXE_buildwarden");
        let mut command = Command::new("script");
        command.args([
            "-qfec",
            &format!("stty rows 24 cols 80; {program} watch {args}"),
            "/dev/null",
        ]);
        command.env("BUILDWARDEN_CONFIG", host.root.path().join("buildwarden.toml"));
        command.env("TERM", "xterm").env("NO_COLOR", "1").stdin(Stdio::null());
        let mut child = Child::start(command.stdout(Stdio::piped()));
        let mut stdout = child.0.stdout.take().unwrap();
        let (sender, pieces) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stdout.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let until = |what: &str| {
            let mut seen = Vec::new();
            while !String::from_utf8_lossy(&seen).contains(what) {
                match pieces.recv_timeout(Duration::from_secs(30)) {
                    Ok(piece) => seen.extend(piece),
                    Err(_) => panic!("{kind}: no {what} in {:?}", text(&seen)),
                }
            }
            text(&seen)
        };
        until("1 live · 0 execs/s · 0 lost · 0 findings");
        write_execs(&run.path.join("execs.jsonl"));
        // Three of them, in however many seconds it took.
        while until(" execs/s").contains(" 0 execs/s") {}
        run.log.finding(finding.exec.time, finding).unwrap();
        let shown = until("1 finding");
        // Written over the line, and the line below it again.
        let headline = shown.rfind("wget → 8.8.8.8").unwrap();
        let row = shown[..headline].rfind(ERASE).unwrap();
        assert!(!shown[row..headline].contains("live"), "{kind}: {shown:?}");
        run.log.gap(at(40.0), 1, &Gap { execs: 2, exits: 0 }).unwrap();
        until("2 lost");
        run.end(Verdict::Findings, &[], None);
        let end = until("ended");
        assert!(!end[end.rfind("ended").unwrap()..].contains("live"), "{kind}: {end:?}");
        assert!(child.0.wait().unwrap().success());
    }
}

#[test]
fn man_pages_and_completions_cover_every_verb() {
    let host = Host::new();
    let directory = host.root.path().join("man1");
    assert!(host.output(&["man", directory.to_str().unwrap()]).status.success());
    for page in
        ["buildwarden.1", "buildwarden-report.1", "buildwarden-watch.1", "buildwarden-list.1"]
    {
        let page = fs::read_to_string(directory.join(page)).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&host.output(&["completions", shell]).stdout);
        assert!(script.contains("fail-on"), "{shell}");
    }
}
