//! The program as it is called: what every verb has in common.

use std::{
    fs,
    io::pipe,
    process::{Command, Output, Stdio},
};

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_buildwarden"));
    command.args(args).stdin(Stdio::null());
    command
}

fn check(name: &str, output: &Output, code: i32, said: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{name}: {stderr}");
    assert!(stderr.contains(said), "{name}: {stderr}");
    assert!(!stderr.contains("panicked"), "{name}: {stderr}");
}

#[test]
fn a_broken_configuration_starts_nothing_and_sweeps_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("buildwarden.toml");
    let ran = dir.path().join("ran");
    fs::write(&config, "[ring]\npoool = 1\n").unwrap();
    let touch = ["run", "--", "touch", ran.to_str().unwrap()];
    let cases: [(&[&str], i32); 4] =
        [(&touch, 125), (&["gc"], 1), (&["list"], 1), (&["report", "x"], 1)];
    for (args, code) in cases {
        let output = program(args).env("BUILDWARDEN_CONFIG", &config).output().unwrap();
        check(args[0], &output, code, "line 2: unknown key `poool`");
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1, "{args:?}");
    }
    assert!(!ran.exists(), "the command was started");
}

#[test]
fn what_gc_is_to_keep_must_be_meant() {
    let cases: [(&[&str], &str); 4] = [
        (&["gc", "--keep-age", "30"], "expected an age, as in \"90m\""),
        (&["gc", "--keep-age", "-1d"], "unexpected argument '-1'"),
        (&["gc", "--keep-size", "10GB"], "expected a size, as in \"500MiB\""),
        (&["gc", "--dry-run", "--unload"], "cannot be used with"),
    ];
    for (args, said) in cases {
        check(args[1], &program(args).output().unwrap(), 2, said);
    }
}

#[test]
fn nobody_reading_is_no_failure_to_talk_about() {
    let cases: [(&[&str], i32); 4] = [
        (&["check", "--", "curl", "http://198.51.100.7/"], 141),
        (&["recipe", "list"], 141),
        // These have done what they were asked when they write.
        (&["completions", "bash"], 0),
        (&["list"], 0),
    ];
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("buildwarden.toml");
    let path = dir.path().display();
    fs::write(&config, format!("[directories]\nstate = \"{path}\"\nrun = \"{path}\"\n")).unwrap();
    for (args, code) in cases {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut command = program(args);
        let output = command.env("BUILDWARDEN_CONFIG", &config).stdout(writer).output().unwrap();
        check(args[0], &output, code, "");
        assert!(output.stderr.is_empty(), "{args:?}: {:?}", output.stderr.escape_ascii());
    }
}

#[test]
fn nobody_listening_to_warnings_changes_no_exit_code() {
    let cases: [(&[&str], i32); 3] = [
        // A warning each: there is no state on standard input.
        (&["hook", "createRuntime"], 0),
        (&["hook", "poststop"], 0),
        (&["gc", "--config", "/nowhere"], 1),
    ];
    for (args, code) in cases {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let output = program(args).stderr(writer).output().unwrap();
        check(args[0], &output, code, "");
    }
}

#[test]
fn a_recipe_that_cannot_work_is_refused_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("recipe.toml");
    let good = include_str!("../config/recipes/net_suspicious_tool_exec.toml");
    for (from, to, said) in [
        ("looks-for", "looks-forr", "unknown field `looks-forr`"),
        ("T1071.001", "X99", "method.id \"X99\""),
        ("\"curl\"", "\"curlx\"", "\"curlx\" has no grammar"),
        ("{tool}", "{tol}", "unknown placeholder \"tol\""),
    ] {
        let bad = good.replacen(from, to, 1);
        let line = 1 + bad.lines().position(|line| line.contains(to)).unwrap();
        fs::write(&file, &bad).unwrap();
        let output = program(&["recipe", "validate", file.to_str().unwrap()]).output().unwrap();
        check(from, &output, 1, &format!("line {line}: "));
        check(from, &output, 1, said);
    }
    fs::write(&file, good).unwrap();
    let output = program(&["recipe", "validate", file.to_str().unwrap()]).output().unwrap();
    check("good", &output, 0, "");
}

#[test]
fn a_hostile_state_moves_no_cursor() {
    use std::io::Write as _;
    let mut hook = program(&["hook", "createRuntime"]);
    let mut child = hook.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let state = br#"{"id":"c","status":"\u001b[2J\n\u202e","bundle":"/b"}"#;
    child.stdin.take().unwrap().write_all(state).unwrap();
    let output = child.wait_with_output().unwrap();
    check("hostile", &output, 0, "\\x1b[2J\\n\\u{202e}");
    assert_eq!(output.stderr.iter().filter(|byte| byte.is_ascii_control()).count(), 1);
}

#[test]
fn formats_are_written_each_to_its_output() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/one-finding.json");
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (sarif, markdown, dockerfile) = (path("r.sarif"), path("r.md"), path("Dockerfile"));
    fs::write(&dockerfile, "FROM node\nRUN npm ci && \\\n  npm run build\n").unwrap();
    let report = |args: &[&str], code: i32, said: &str| {
        let output = program(&[&["report", fixture][..], args].concat()).output().unwrap();
        check(&args.join(" "), &output, code, said);
        String::from_utf8(output.stdout).unwrap()
    };
    let two =
        ["--format", "sarif", "--output", &sarif, "--format", "markdown", "--output", &markdown];
    assert_eq!(report(&[&two[..], &["--dockerfile", &dockerfile]].concat(), 0, ""), "");
    assert!(fs::read_to_string(&markdown).unwrap().starts_with("## Buildwarden"));
    let sarif = fs::read_to_string(&sarif).unwrap();
    let sarif: serde_json::Value = serde_json::from_str(&sarif).unwrap();
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(
        (&place["region"]["startLine"], &place["region"]["endLine"]),
        (&2.into(), &3.into())
    );

    let to_stdout = report(&["--format", "github"], 0, "");
    assert!(to_stdout.starts_with("::error title="), "{to_stdout}");
    report(&["--format", "sarif", "--format", "junit"], 1, "give each --format its own --output");
    report(&["--format", "in-toto"], 1, "name each with --subject NAME=sha256:DIGEST");
    report(&["--format", "pdf"], 2, "possible values: text, json, html, markdown");
    report(&["--subject", "app=sha256:abc"], 2, "64 lower case hexadecimal digits");
    report(&["--format", "github", "--dockerfile", "/nonexistent"], 1, "cannot read it");
    fs::write(&dockerfile, "FROM node\n").unwrap();
    let text =
        report(&["--format", "github", "--dockerfile", &dockerfile], 0, "no RUN instruction");
    assert!(!text.contains("file="), "{text}");
}

#[test]
fn an_output_may_be_a_link_of_the_system_and_is_none_of_the_build() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/one-finding.json");
    let (log, profile) = (dir.path().join("log"), dir.path().join("profile"));
    fs::write(&profile, "precious").unwrap();
    std::os::unix::fs::symlink(&profile, dir.path().join("r.html")).unwrap();
    for args in [&["report", fixture][..], &["diff", fixture, fixture]] {
        // Standard output is a file here, which a link leads to.
        for link in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
            let mut command = program(&[args, &["--output", link]].concat());
            let output = command.stdout(fs::File::create(&log).unwrap()).output().unwrap();
            check(link, &output, 0, "");
            assert!(fs::metadata(&log).unwrap().len() > 0, "{link}");
        }
        let mut command = program(&[args, &["--output", "r.html"]].concat());
        check("r.html", &command.current_dir(dir.path()).output().unwrap(), 0, "");
        assert_eq!(fs::read(&profile).unwrap(), b"precious");
        assert!(dir.path().join("r.html").symlink_metadata().unwrap().is_file());
        fs::remove_file(dir.path().join("r.html")).unwrap();
        std::os::unix::fs::symlink(&profile, dir.path().join("r.html")).unwrap();
    }
}
