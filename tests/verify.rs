//! `verify`: a run that holds, and each way to tamper with one.

use buildwarden::{
    annotation::{Attached, Finished, Gap, LINE_MAX, Log},
    chain::{self, Chain},
    collect::Rules,
    config::Settings,
    detect::{Context, Detector},
    event::{Argv, Exec, Exit, ProcessId},
    execlog,
    report::{
        self, Time, json,
        model::{
            Completeness, Container, Events, Executable, Finding, Importance, LogBefore, Outcome,
            Process, Producer, Report,
        },
    },
};
use serde_json::Value;
use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

/// 2026-11-23T11:31:07Z
const START: i64 = 1_795_433_467_000_000_000;
/// What the event file's times count from, nanoseconds since boot.
const BEGAN: u64 = 500_000_000;

/// What a run is made of.
#[derive(Clone)]
struct Run {
    id: &'static str,
    argv: Vec<&'static [u8]>,
    /// Whether what is found is recorded: in event file, log and report.
    recorded: bool,
    rules: Option<String>,
    lost: bool,
    /// Whether it has ended.
    ended: bool,
}

impl Default for Run {
    fn default() -> Run {
        let rules = Rules::of(&Settings::default()).unwrap().digest;
        Run {
            id: "web",
            argv: vec![
                b"sh\0/build.sh\0",
                b"npm\0ci\0",
                b"wget\0http://8.8.8.8/x\0",
                b"curl\0-u\0[redacted:01234567]\0https://example.org/\0",
            ],
            recorded: true,
            rules: Some(rules),
            lost: false,
            ended: true,
        }
    }
}

impl Run {
    /// Writes it down, in the order of hook and collector.
    fn write(&self, directory: &Path) {
        let append = |name: &str| {
            let mut options = OpenOptions::new();
            options.read(true).append(true).create(true).open(directory.join(name)).unwrap()
        };
        let container = Container { id: self.id.into(), run: 1, ..Container::default() };
        let attached = Attached {
            tool: Producer::this(),
            container: container.clone(),
            job: None,
            stage: "createRuntime".into(),
            pid: 1000,
            ring_bytes: 1 << 20,
            attach_ms: 0.5,
            boot_to_unix_ns: START,
            boot_id: None,
        };
        let time = |n: u64| Time::from_boot(n * 1_000_000_000, START);
        let mut log = Log::new(append("annotations.jsonl"), self.id).unwrap();
        log.attached(time(0), &attached).unwrap();
        let mut events = append("execs.jsonl");
        let (mut lines, mut chain) = (Vec::new(), Chain::default());
        execlog::push_header(&mut lines, &execlog::Header::new(self.id, 1, START, BEGAN));
        let (mut findings, mut processes, mut executables) = (vec![], vec![], vec![]);
        for (i, argv) in self.argv.iter().enumerate() {
            let sequence = i as u64 + 1;
            let argv = Argv(argv);
            let path = [b"/usr/bin/", argv.iter().next().unwrap()].concat();
            let exec = Exec {
                sequence,
                time: sequence * 1_000_000_000,
                process: ProcessId { pid: 999 + sequence as u32, start: 5 },
                path: &path,
                name: &path,
                argv,
                argv_len: argv.0.len() as u64,
                ..Exec::default()
            };
            let context = Context { now: time(sequence).0, job: None };
            let judgement = Detector::builtin().judge(&exec, &context);
            let found = judgement.findings.first().filter(|_| self.recorded);
            if let Some(found) = found {
                let finding = finding(&exec, &found.recipe, found.importance.into());
                log.finding(time(sequence), &finding).unwrap();
                findings.push(finding);
            }
            let finding = found.map(|found| Importance::from(found.importance));
            let by = (sequence > 1).then_some(1);
            let beside = execlog::Beside { began: BEGAN, by, finding, argv_kept: 1 << 10 };
            execlog::push_exec(&mut lines, &exec, argv.iter(), beside);
            let exit = Exit { time: exec.time + 7, process: exec.process, status: 0 };
            execlog::push_exit(&mut lines, &exit, Some(sequence), BEGAN);
            processes.push(Process {
                sequence,
                parent: None,
                pid: exec.process.pid,
                offset_ms: 0.0,
                uid: 0,
                path: (&path).into(),
                path_omitted: 0,
                argv: vec![],
                argv_omitted: 0,
                outcome: None,
                findings: vec![],
            });
            executables.push(Executable { path: (&path).into(), count: 1 });
            // Two execs a batch.
            if sequence.is_multiple_of(2) {
                execlog::push_drained(&mut lines, sequence * 100, &mut chain);
                events.write_all(&lines).unwrap();
                lines.clear();
            }
        }
        if self.lost {
            log.gap(time(9), 1, &Gap { execs: 1, exits: 0 }).unwrap();
        }
        if !self.ended {
            return;
        }
        let execs = self.argv.len() as u64;
        let completeness = Completeness {
            attached_before_first_exec: true,
            execs,
            last_sequence: execs + u64::from(self.lost),
            lost: self.lost.into(),
            programs_attached: true,
            ..Completeness::default()
        };
        for finding in &mut findings {
            let duration_ms = 7e-6;
            finding.outcome = Some(Outcome { exit_code: Some(0), signal: None, duration_ms });
        }
        let digest = |name: &str| {
            let bytes = fs::read(directory.join(name)).unwrap();
            (chain::sha256(&bytes), bytes)
        };
        let (sha256, bytes) = digest("annotations.jsonl");
        let before =
            LogBefore { file: "annotations.jsonl".into(), bytes: bytes.len() as u64, sha256 };
        let (sha256, bytes) = digest("execs.jsonl");
        let count = bytes.iter().filter(|byte| **byte == b'\n').count() as u64 - 1;
        let mut report = Report {
            container,
            findings,
            processes,
            executables,
            completeness,
            events: Some(Events { file: "execs.jsonl".into(), sha256: sha256.clone(), count }),
            log: Some(before),
            rules: self.rules.clone(),
            job: None,
            ..fixture()
        };
        report.verdict = report.verdict_of_facts();
        let text = json::pretty(&report).unwrap();
        fs::write(directory.join("report.json"), &text).unwrap();
        let finished = Finished {
            verdict: report.verdict,
            findings: report.findings.iter().map(|finding| finding.importance).collect(),
            report: Some("report.json".into()),
            reasons: vec![],
            formats: vec![],
            formats_failed: vec![],
            job: None,
            other_jobs: vec![],
            sha256: [
                ("report.json".to_owned(), chain::sha256(text.as_bytes())),
                ("execs.jsonl".to_owned(), sha256),
            ]
            .into(),
        };
        log.finished(time(10), &finished).unwrap();
    }
}

fn fixture() -> Report {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/one-finding.json");
    let report = json::parse(&fs::read(path).unwrap()).unwrap();
    Report { findings_omitted: 0, allowed: vec![], executables_omitted: 0, ..report }
}

fn finding(exec: &Exec<'_>, recipe: &str, importance: Importance) -> Finding {
    let finding = fixture().findings.remove(0);
    let kept = report::model::Exec {
        sequence: exec.sequence,
        time: Time::from_boot(exec.time, START),
        pid: exec.process.pid,
        container_pid: 0,
        uid: 0,
        path: exec.path.into(),
        name: exec.name.into(),
        argv: exec.argv.iter().map(Into::into).collect(),
        argv_omitted: 0,
        flags: vec![],
    };
    Finding { n: 1, recipe: recipe.into(), importance, exec: kept, outcome: None, ..finding }
}

/// A run on disk.
struct Disk(TempDir);

impl Disk {
    fn new(run: &Run) -> Disk {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("buildwarden.toml"), "").unwrap();
        fs::create_dir(root.path().join("run")).unwrap();
        run.write(&root.path().join("run"));
        Disk(root)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("run").join(name)
    }

    fn verify(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_buildwarden"));
        command.arg("verify").arg(self.path("report.json")).args(args);
        command.env("BUILDWARDEN_CONFIG", self.0.path().join("buildwarden.toml"));
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// The exit code and the result.
    fn result(&self, args: &[&str]) -> (Option<i32>, Value) {
        let output = self.verify(&[args, &["--json"]].concat());
        let result = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (output.status.code(), result)
    }

    fn lines(&self, name: &str, change: impl FnOnce(&mut Vec<String>)) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        change(&mut lines);
        fs::write(self.path(name), lines.join("\n") + "\n").unwrap();
    }

    fn replace(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        fs::write(self.path(name), text.replacen(from, to, 1)).unwrap();
    }
}

#[test]
fn what_was_written_holds() {
    let old = |run: Run| Run { rules: None, ..run };
    for (name, run, judged) in [
        ("findings", Run::default(), 3),
        ("clean", Run { argv: vec![b"sh\0", b"npm\0ci\0"], ..Run::default() }, 2),
        ("lost", Run { lost: true, ..Run::default() }, 3),
        ("runs", Run { ended: false, ..Run::default() }, 3),
        ("other rules", old(Run::default()), 3),
    ] {
        let disk = Disk::new(&run);
        let (code, result) = disk.result(&[]);
        assert_eq!(
            (code, &result["problems"]),
            (Some(0), &Value::Array(vec![])),
            "{name}: {result}"
        );
        assert_eq!(result["verified"], true);
        assert_eq!(result["judged"]["again"], judged, "{name}: {result}");
        assert_eq!(result["judged"]["redacted"], run.argv.len() - judged, "{name}");
        let chained = result["events"]["chain_values"].as_u64().unwrap();
        assert_eq!(chained, run.argv.len() as u64 / 2, "{name}");
        let text = String::from_utf8(disk.verify(&[]).stdout).unwrap();
        assert!(text.starts_with("HOLDS  web, run 1"), "{text}");
    }
}

/// What is done to a run.
type Tamper = fn(&Disk);

/// Each: what is done, and in which file, in which line what problem has to be named.
const TAMPERED: &[(&str, Tamper, &str, Option<u64>, &str)] = &[
    (
        "a byte of an exec",
        |disk| disk.replace("execs.jsonl", "[\"npm\",\"ci\"]", "[\"npm\",\"cj\"]"),
        "execs.jsonl",
        Some(6),
        "changed, or a line was removed",
    ),
    (
        "a byte of an exec: the digest",
        |disk| disk.replace("execs.jsonl", "[\"npm\",\"ci\"]", "[\"npm\",\"cj\"]"),
        "execs.jsonl",
        None,
        "its SHA-256 is not the one in the report",
    ),
    (
        "a line removed",
        |disk| disk.lines("execs.jsonl", |lines| drop(lines.remove(3))),
        "execs.jsonl",
        Some(6),
        "exec 2 is missing before this line",
    ),
    (
        "a line removed: the chain",
        |disk| disk.lines("execs.jsonl", |lines| drop(lines.remove(3))),
        "execs.jsonl",
        Some(5),
        "changed, or a line was removed",
    ),
    (
        "a batch removed: the chain",
        |disk| disk.lines("execs.jsonl", |lines| drop(lines.drain(1..6))),
        "execs.jsonl",
        Some(6),
        "changed, or a line was removed",
    ),
    (
        "lines swapped",
        |disk| disk.lines("execs.jsonl", |lines| lines.swap(1, 3)),
        "execs.jsonl",
        Some(4),
        "exec 1 stands behind exec 2",
    ),
    (
        "a line appended",
        |disk| {
            let line = "{\"exec\":5,\"t\":9,\"pid\":7,\"age\":1,\"path\":\"/bin/true\"}";
            disk.lines("execs.jsonl", |lines| lines.push(line.into()));
        },
        "report.json",
        None,
        "completeness.execs is 4, and by execs.jsonl 5",
    ),
    (
        "an end of an exec that is not there",
        |disk| disk.replace("execs.jsonl", "{\"exit\":3,", "{\"exit\":5,"),
        "execs.jsonl",
        Some(8),
        "it names exec 5, which no line before it has",
    ),
    (
        "an exec by one that comes later",
        |disk| {
            disk.lines("execs.jsonl", |lines| lines[6] = lines[6].replace("\"by\":1", "\"by\":3"));
        },
        "execs.jsonl",
        Some(7),
        "it names exec 3, which no line before it has",
    ),
    (
        "the event file of another version",
        |disk| disk.replace("execs.jsonl", "\"version\":2", "\"version\":1"),
        "execs.jsonl",
        Some(1),
        "it is an event file of version 1, and expected is version 2",
    ),
    (
        "a file cut at a line",
        |disk| disk.lines("execs.jsonl", |lines| lines.truncate(6)),
        "annotations.jsonl",
        Some(2),
        "it is of exec 3, which execs.jsonl does not have",
    ),
    (
        "a file cut within a line",
        |disk| {
            let text = fs::read(disk.path("execs.jsonl")).unwrap();
            fs::write(disk.path("execs.jsonl"), &text[..text.len() - 9]).unwrap();
        },
        "execs.jsonl",
        Some(11),
        "cut off: the line has no end",
    ),
    (
        "chain values removed",
        |disk| {
            disk.lines("execs.jsonl", |lines| {
                for line in lines {
                    *line = line.split(",\"chain\"").next().unwrap().to_owned();
                    if line.starts_with("{\"drained\"") {
                        line.push('}');
                    }
                }
            });
        },
        "execs.jsonl",
        None,
        "the chain values are missing",
    ),
    (
        "the event file removed",
        |disk| fs::remove_file(disk.path("execs.jsonl")).unwrap(),
        "execs.jsonl",
        None,
        "it is missing",
    ),
    (
        "the event file of another run",
        |disk| {
            let other = Disk::new(&Run { id: "other", ..Run::default() });
            fs::copy(other.path("execs.jsonl"), disk.path("execs.jsonl")).unwrap();
        },
        "execs.jsonl",
        Some(1),
        "it is of other, run 1, not of web, run 1",
    ),
    (
        "the verdict",
        |disk| disk.replace("report.json", "\"verdict\": \"findings\"", "\"verdict\": \"clean\""),
        "report.json",
        None,
        "the verdict is clean, and its facts make it findings",
    ),
    (
        "the verdict: the digest",
        |disk| disk.replace("report.json", "\"verdict\": \"findings\"", "\"verdict\": \"clean\""),
        "report.json",
        None,
        "its SHA-256 is not the one that annotations.jsonl line 3 notes",
    ),
    (
        "a blank in the report",
        |disk| disk.replace("report.json", "\": ", "\":  "),
        "report.json",
        None,
        "its SHA-256 is not the one that annotations.jsonl line 3 notes",
    ),
    (
        "a fact of the report",
        |disk| disk.replace("report.json", "\"execs\": 4", "\"execs\": 3"),
        "report.json",
        None,
        "completeness.execs is 3, and by execs.jsonl 4",
    ),
    (
        "the report's findings",
        |disk| {
            let mut report = json::parse(&fs::read(disk.path("report.json")).unwrap()).unwrap();
            report.findings.clear();
            fs::write(disk.path("report.json"), json::pretty(&report).unwrap()).unwrap();
        },
        "report.json",
        None,
        "finding 1 is missing: annotations.jsonl line 2 has it",
    ),
    (
        "the report's finding twice, the second another",
        |disk| {
            let mut report = json::parse(&fs::read(disk.path("report.json")).unwrap()).unwrap();
            let second = Finding { title: "harmless".into(), ..report.findings[0].clone() };
            report.findings.push(second);
            fs::write(disk.path("report.json"), json::pretty(&report).unwrap()).unwrap();
        },
        "report.json",
        None,
        "finding 1 is there more than once",
    ),
    (
        "the report's finding twice, and the log's",
        |disk| {
            let mut report = json::parse(&fs::read(disk.path("report.json")).unwrap()).unwrap();
            report.findings.push(report.findings[0].clone());
            fs::write(disk.path("report.json"), json::pretty(&report).unwrap()).unwrap();
            disk.lines("annotations.jsonl", |lines| lines.insert(2, lines[1].clone()));
        },
        "annotations.jsonl",
        Some(3),
        "finding 1 is there more than once",
    ),
    (
        "the report made no JSON",
        |disk| fs::write(disk.path("report.json"), "{").unwrap(),
        "report.json",
        None,
        "expected a report in JSON",
    ),
    (
        "the report removed",
        |disk| fs::remove_file(disk.path("report.json")).unwrap(),
        "report.json",
        None,
        "it is missing: the log says that it was written",
    ),
    (
        "a byte of the log",
        |disk| disk.replace("annotations.jsonl", "critical", "cri\\u0074ical"),
        "annotations.jsonl",
        Some(2),
        "changed, or a line was removed",
    ),
    (
        "the log's finding",
        |disk| disk.lines("annotations.jsonl", |lines| drop(lines.remove(1))),
        "annotations.jsonl",
        None,
        "finding 1 is missing: the report has it",
    ),
    (
        "the log's finding with the last of all numbers, and one behind it",
        |disk| {
            disk.replace("annotations.jsonl", "\"n\":1,", "\"n\":18446744073709551615,");
            disk.lines("annotations.jsonl", |lines| lines.insert(2, lines[1].clone()));
        },
        "annotations.jsonl",
        Some(3),
        "finding 18446744073709551615 is there more than once",
    ),
    (
        "the log's finding: the exec",
        |disk| disk.lines("annotations.jsonl", |lines| drop(lines.remove(1))),
        "execs.jsonl",
        Some(7),
        "exec 3 has a finding that log and report do not have",
    ),
    (
        "the log's end",
        |disk| disk.lines("annotations.jsonl", |lines| lines.truncate(2)),
        "annotations.jsonl",
        None,
        "the last line is missing",
    ),
    (
        "a line behind the log's end",
        |disk| {
            disk.lines("annotations.jsonl", |lines| {
                let line = lines[0].split(",\"chain\"").next().unwrap().to_owned() + "}";
                lines.push(line);
            });
        },
        "annotations.jsonl",
        Some(4),
        "added or changed: it has no chain value",
    ),
    (
        "the log of another run",
        |disk| {
            let other = Disk::new(&Run { id: "other", ..Run::default() });
            fs::copy(other.path("annotations.jsonl"), disk.path("annotations.jsonl")).unwrap();
        },
        "annotations.jsonl",
        Some(1),
        "it is of another container, other",
    ),
    (
        "the log removed",
        |disk| fs::remove_file(disk.path("annotations.jsonl")).unwrap(),
        "annotations.jsonl",
        None,
        "it is missing",
    ),
];

#[test]
fn whatever_is_tampered_with_is_named() {
    for (name, tamper, file, line, problem) in TAMPERED {
        let disk = Disk::new(&Run::default());
        tamper(&disk);
        let (code, result) = disk.result(&[]);
        assert_eq!(
            (code, &result["verified"]),
            (Some(13), &Value::Bool(false)),
            "{name}: {result:#}"
        );
        let named = result["problems"].as_array().unwrap().iter().any(|one| {
            one["file"] == *file
                && one["line"].as_u64() == *line
                && one["problem"].as_str().unwrap().contains(problem)
        });
        assert!(named, "{name}: {file} line {line:?}: {problem}: {result:#}");
        let text = String::from_utf8(disk.verify(&[]).stdout).unwrap();
        assert!(text.starts_with("DOES NOT HOLD") && text.contains(problem), "{name}: {text}");
    }
}

#[test]
fn a_line_of_the_log_that_is_too_long_to_be_read_is_named() {
    let disk = Disk::new(&Run::default());
    let log = OpenOptions::new().append(true).open(disk.path("annotations.jsonl"));
    let mut log = log.unwrap();
    // A hole in a file reads as NUL bytes.
    log.set_len(LINE_MAX as u64 + (1 << 20)).unwrap();
    log.write_all(b"\n").unwrap();
    let (code, result) = disk.result(&[]);
    assert_eq!(code, Some(13), "{result:#}");
    assert_eq!(result["problems"][0]["file"], "annotations.jsonl");
    assert_eq!(result["problems"][0]["problem"], "a line is longer than 67108864 bytes");
}

/// Who can write all files makes chains and digests anew: what was executed gives it away
/// while the recipes are the same, and else is noted.
#[test]
fn a_finding_that_was_taken_out_everywhere_is_found_again() {
    let forged = Run { recorded: false, ..Run::default() };
    for (run, code) in [(forged.clone(), 13), (Run { rules: None, ..forged }, 0)] {
        let disk = Disk::new(&run);
        let (exit, result) = disk.result(&[]);
        assert_eq!(exit, Some(code), "{result:#}");
        let text = result.to_string();
        assert!(
            text.contains("judged again, exec 3 is critical by net_suspicious_tool_exec"),
            "{result:#}"
        );
        assert!(text.contains("recorded is no finding"), "{result:#}");
    }
}

/// A run that has not ended: what was written so far cannot be changed.
#[test]
fn a_run_without_a_report_is_checked_too() {
    let disk = Disk::new(&Run { ended: false, ..Run::default() });
    disk.replace("execs.jsonl", "[\"npm\",\"ci\"]", "[\"npm\",\"cj\"]");
    let (code, result) = disk.result(&[]);
    assert_eq!(code, Some(13), "{result:#}");
    assert_eq!(result["problems"][0]["first_line"], 1);
    assert_eq!(result["problems"][0]["line"], 6);
}

/// What a crash tears is no problem, however often it does.
#[test]
fn notes_beyond_those_that_are_named_are_counted() {
    let disk = Disk::new(&Run { ended: false, ..Run::default() });
    let notes = |result: &Value| result["notes"].as_array().unwrap().len() as u64;
    let (_, before) = disk.result(&[]);
    assert_eq!(before["notes_omitted"], 0);
    disk.lines("annotations.jsonl", |lines| lines.extend((0..250).map(|n| format!("torn {n}"))));
    let (code, result) = disk.result(&[]);
    assert_eq!((code, notes(&result)), (Some(0), 100), "{result:#}");
    let omitted = notes(&before) + 150;
    assert_eq!(result["notes_omitted"], omitted, "{result:#}");
    let text = String::from_utf8(disk.verify(&[]).stdout).unwrap();
    assert!(text.ends_with(&format!("  note: and {omitted} more\n")), "{text}");
}

#[test]
fn what_is_no_run_cannot_be_read() {
    let disk = Disk::new(&Run::default());
    for name in ["report.json", "annotations.jsonl"] {
        fs::remove_file(disk.path(name)).unwrap();
    }
    let output = disk.verify(&["--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("there is no such report"), "{error}");
}

fn openssl(args: &[&str], directory: &Path) {
    let output = Command::new("openssl").args(args).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Keys as openssl makes them, and its word on the signature.
#[test]
fn a_signature_is_of_its_key_and_its_report() {
    let disk = Disk::new(&Run::default());
    let run = disk.path("");
    for key in ["ours", "other"] {
        openssl(&["genpkey", "-algorithm", "ed25519", "-out", key], &run);
        openssl(&["pkey", "-in", key, "-pubout", "-out", &format!("{key}.pub")], &run);
    }
    let key = disk.path("ours");
    let report = disk.path("report.json");
    let subject = format!("report.json=sha256:{}", chain::sha256(&fs::read(&report).unwrap()));
    let sign = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_buildwarden"));
        command.arg("report").arg(&report).args(["--format", "in-toto", "--subject", &subject]);
        command.arg("--key").arg(&key).arg("--output").arg(disk.path("report.intoto.jsonl"));
        command.output().unwrap()
    };
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let output = sign();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("chmod 600"), "{output:?}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let public = disk.path("ours.pub");
    let with = |public: &Path| disk.result(&["--public-key", public.to_str().unwrap()]);

    let (code, result) = with(&public);
    assert_eq!(code, Some(13), "{result:#}");
    assert!(result.to_string().contains("the report is not signed"), "{result:#}");
    let output = sign();
    assert!(output.status.success(), "{output:?}");
    let (code, result) = with(&public);
    assert_eq!((code, &result["signature"]), (Some(0), &Value::Bool(true)), "{result:#}");

    // By the specification, and with another program.
    let envelope: Value =
        serde_json::from_slice(&fs::read(disk.path("report.intoto.jsonl")).unwrap()).unwrap();
    let decode = |value: &Value| {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        STANDARD.decode(value.as_str().unwrap()).unwrap()
    };
    let payload = decode(&envelope["payload"]);
    let head = format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len());
    fs::write(disk.path("signed"), [head.as_bytes(), &payload].concat()).unwrap();
    fs::write(disk.path("signature"), decode(&envelope["signatures"][0]["sig"])).unwrap();
    let verify = ["-verify", "-pubin", "-inkey", "ours.pub", "-rawin", "-in", "signed"];
    openssl(&[&["pkeyutl"], &verify[..], &["-sigfile", "signature"]].concat(), &run);

    let (code, result) = with(&disk.path("other.pub"));
    assert_eq!((code, &result["signature"]), (Some(13), &Value::Bool(false)), "{result:#}");
    assert!(result.to_string().contains("the signature is not of this key"), "{result:#}");

    // Made anew, all of it: nothing but the signature tells.
    fs::remove_file(disk.path("annotations.jsonl")).unwrap();
    fs::remove_file(disk.path("execs.jsonl")).unwrap();
    Run { argv: vec![b"sh\0", b"npm\0ci\0"], ..Run::default() }.write(&run);
    assert_eq!(disk.result(&[]).0, Some(0));
    let (code, result) = with(&public);
    assert_eq!(code, Some(13), "{result:#}");
    assert!(result.to_string().contains("it is not the report that was signed"), "{result:#}");
}
