use super::settings::{Honour, OnError, Retention, Settings, Syslog, When};
use super::written::Written;
use crate::report::format::Format;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

const DOCUMENTED: &str = include_str!("../../config/buildwarden.toml");

fn parse(text: &str) -> Result<Settings, String> {
    Written::parse(text).map_err(|error| error.problem.to_string())
}

#[test]
fn the_documented_file_says_the_defaults() {
    assert_eq!(parse(DOCUMENTED), Ok(Settings::default()));
}

/// The documented file with what is commented out in it switched on.
fn uncommented() -> String {
    let is_toml = |text: &str| {
        text.starts_with("[[") || text.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '))
    };
    let line = |line: &'static str| match line.strip_prefix("# ") {
        Some(text) if is_toml(text) && !text.starts_with("dev.") => text,
        _ => line,
    };
    DOCUMENTED.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_commented_out_could_be_switched_on() {
    let settings = parse(&uncommented()).expect("well-formed");
    assert_eq!(settings.group.as_deref(), Some("ci"));
    assert_eq!(settings.runtimes.runc, Some(PathBuf::from("/usr/sbin/runc")));
    assert_ne!(settings.policy, Settings::default().policy);
}

#[test]
fn the_documented_file_mentions_every_key() {
    let text = uncommented();
    // serde lists the keys of a table when it meets one that does not exist.
    let keys = |header: &str| {
        let Err(error) = Written::parse(&format!("{header}\nnothing_like_it = 1")) else {
            panic!("{header} takes anything")
        };
        let super::Problem::Unknown { expected, .. } = *error.problem else { panic!("{error:?}") };
        expected
    };
    let section = |header: &str| {
        let lines = text.lines().skip_while(|line| !header.is_empty() && *line != header);
        let lines = lines.skip(usize::from(!header.is_empty()));
        lines.take_while(|line| !line.starts_with('[')).collect::<Vec<_>>()
    };
    let headers = [
        "",
        "[trace]",
        "[ring]",
        "[directories]",
        "[runtime]",
        "[annotations]",
        "[keep]",
        "[report]",
        "[output]",
        "[policy]",
    ];
    for header in headers.into_iter().chain(["[[policy.allow]]", "[[policy.tool]]"]) {
        let section = section(header);
        let table = header.trim_matches(['[', ']']);
        for key in keys(header) {
            let path = if table.is_empty() { key.clone() } else { format!("{table}.{key}") };
            let mentioned = section.iter().any(|line| line.starts_with(&format!("{key} =")))
                || text
                    .lines()
                    .any(|line| line == format!("[{path}]") || line == format!("[[{path}]]"));
            assert!(mentioned, "{path} is not documented");
        }
    }
}

#[test]
fn a_value_is_taken() {
    let check = |text: &str, change: fn(&mut Settings)| {
        let mut want = Settings::default();
        change(&mut want);
        assert_eq!(parse(text), Ok(want), "{text}");
    };
    check("", |_| {});
    check("on_error = 'deny'", |s| s.on_error = OnError::Deny);
    check("redaction = false", |s| s.redaction = false);
    check("recipes = ['/etc/r.toml']", |s| s.recipes = vec![PathBuf::from("/etc/r.toml")]);
    check("trace.when = 'annotated'\ntrace.sandboxes = true", |s| {
        s.when = When::Annotated;
        s.sandboxes = true;
    });
    check("trace.when = 'never'", |s| s.when = When::Never);
    check("ring.size = 65536", |s| s.ring_bytes = 64 << 10);
    check("ring.size = '256KiB'", |s| s.ring_bytes = 256 << 10);
    check("ring.size = '64 MiB'", |s| s.ring_bytes = 64 << 20);
    check("ring.pool = 0", |s| s.pool = 0);
    check("directories.run = '/a/b/'", |s| s.run_dir = PathBuf::from("/a/b"));
    check("runtime.crun = '/opt/crun'", |s| s.runtimes.crun = Some(PathBuf::from("/opt/crun")));
    check("[annotations]\non-error = 'ignore'", |s| s.honour.on_error = false);
    check("[annotations]\ntrace = 'ignore'\njob = 'ignore'", |s| {
        s.honour.trace = false;
        s.honour.job = false;
    });
    check("report.key = '/etc/r.pem'", |s| s.key = Some(PathBuf::from("/etc/r.pem")));
    check("report.formats = ['markdown', 'gitlab-codequality']", |s| {
        s.formats = vec![Format::Markdown, Format::GitlabCodequality];
    });
    check("output.journald = '/run/systemd/journal/socket'", |s| {
        s.outputs.journald = Some(PathBuf::from("/run/systemd/journal/socket"));
    });
    check("output.syslog = '/dev/log'", |s| {
        s.outputs.syslog = Some(Syslog::Socket(PathBuf::from("/dev/log")));
    });
    check("output.syslog = 'udp://[2001:db8::1]:514'", |s| {
        s.outputs.syslog = Some(Syslog::Udp("[2001:db8::1]:514".parse().expect("an address")));
    });
    check("output.otlp = 'http://localhost:4318'", |s| {
        s.outputs.otlp = "http://localhost:4318/v1/logs".parse().ok();
    });
    check("output.otlp = 'http://[::1]/x'", |s| s.outputs.otlp = "http://[::1]/x".parse().ok());
    let keep = |text: &str, age: Option<u64>, size: Option<u64>| {
        let keep = Retention { age: age.map(Duration::from_secs), size };
        let want = Settings { keep, ..Settings::default() };
        assert_eq!(parse(text), Ok(want), "{text}");
    };
    let month = Some(30 * 86_400);
    keep("", month, None);
    keep("keep.age = 'forever'", None, None);
    keep("keep.age = '90m'", Some(5_400), None);
    keep("keep.age = '12 h'", Some(43_200), None);
    keep("keep.age = '2w'\nkeep.size = '10GiB'", Some(14 * 86_400), Some(10 << 30));
    keep("keep.size = '1TiB'", month, Some(1 << 40));
    keep("keep.size = 0", month, Some(0));
    keep("keep.size = 'unlimited'", month, None);
    check("keep = { execs = false, group = 'ci' }", |s| {
        s.keep_execs = false;
        s.group = Some("ci".to_owned());
    });
}

#[test]
fn a_mistake_is_told_with_its_line() {
    let cases = [
        (
            "\n\n[rnig]\nsize = 1",
            "line 3: unknown key `rnig` (did you mean `ring`?), expected `on_error`, `redaction`, `recipes`, `trace`, `ring`, `directories`, `runtime`, `annotations`, `keep`, `report`, `output` or `policy`",
        ),
        (
            "[ring]\nsize = '1MiB'\npools = 3",
            "line 3: unknown key `pools` (did you mean `pool`?), expected `size` or `pool`",
        ),
        (
            "[keep]\n\"a\\u001b`\" = 1",
            "line 2: unknown key `a\\x1b``, expected `execs`, `age`, `size` or `group`",
        ),
        (
            "[annotations]\non_error = 'ignore'",
            "line 2: unknown key `on_error` (did you mean `on-error`?), expected `trace`, `job` or `on-error`",
        ),
        (
            "on_error = 'denied'",
            "line 1: unknown value `denied` (did you mean `deny`?), expected `allow` or `deny`",
        ),
        (
            "trace.when = 'sometimes'",
            "line 1: unknown value `sometimes`, expected `always`, `annotated` or `never`",
        ),
        (
            "ring.size = 3000000",
            "line 1 (`ring.size = 3000000`): a ring of 3000000 bytes does not exist, expected a power of two from 64KiB to 64MiB; the nearest is 2MiB",
        ),
        (
            "ring.size = '1GiB'",
            "line 1 (`ring.size = '1GiB'`): a ring of 1073741824 bytes does not exist, expected a power of two from 64KiB to 64MiB; the nearest is 64MiB",
        ),
        (
            "ring.size = 1",
            "line 1 (`ring.size = 1`): a ring of 1 bytes does not exist, expected a power of two from 64KiB to 64MiB; the nearest is 64KiB",
        ),
        (
            "ring.size = '99999999999999999999MiB'",
            "line 1 (`ring.size = '99999999999999999999MiB'`): invalid value: string \"99999999999999999999MiB\", expected a size, as in `1048576`, \"256KiB\" or \"1MiB\"",
        ),
        (
            "ring.size = -1",
            "line 1 (`ring.size = -1`): invalid value: integer `-1`, expected a size, as in `1048576`, \"256KiB\" or \"1MiB\"",
        ),
        (
            "ring.pool = 257",
            "line 1 (`ring.pool = 257`): a pool of 257 rings does not exist, expected 0 to 256",
        ),
        (
            "redaction = 'yes'",
            "line 1 (`redaction = 'yes'`): invalid type: string \"yes\", expected a boolean",
        ),
        (
            "directories.run = 'run'",
            "line 1 (`directories.run = 'run'`): the path is relative, expected one that begins with `/`",
        ),
        (
            "directories.run = '/run/../etc'",
            "line 1 (`directories.run = '/run/../etc'`): the path holds `..` or NUL, expected a plain absolute path",
        ),
        (
            "directories.state = '/'",
            "line 1 (`directories.state = '/'`): the path is the root, expected a place of Buildwarden's own",
        ),
        (
            "report.formats = ['text', 'markdwon']",
            "line 1: unknown value `markdwon` (did you mean `markdown`?), expected `text`, `json`, `html`, `markdown`, `sarif`, `junit`, `gitlab-codequality`, `github`, `in-toto` or `ocsf`",
        ),
        (
            "report.formats = ['json']",
            "line 1 (`report.formats = ['json']`): report.json is written always; expected another format",
        ),
        (
            "report.formats = ['in-toto']",
            "line 1 (`report.formats = ['in-toto']`): an in-toto Statement needs subjects, which are not known yet when a container ends; `buildwarden report --format in-toto --subject …` writes one",
        ),
        (
            "[keep]\n\nage = '30'",
            "line 3 (`age = '30'`): expected an age, as in \"90m\", \"12h\", \"30d\" or \"8w\", or \"forever\"",
        ),
        (
            "keep.age = '99999999999999999999d'",
            "line 1 (`keep.age = '99999999999999999999d'`): expected an age, as in \"90m\", \"12h\", \"30d\" or \"8w\", or \"forever\"",
        ),
        (
            "keep.age = 30",
            "line 1 (`keep.age = 30`): invalid type: integer `30`, expected a string",
        ),
        (
            "[keep]\nsize = '10GB'",
            "line 2 (`size = '10GB'`): invalid value: string \"10GB\", expected a size, as in \"500MiB\" or \"10GiB\", or \"unlimited\"",
        ),
        (
            "keep.size = -1",
            "line 1 (`keep.size = -1`): invalid value: integer `-1`, expected a size, as in \"500MiB\" or \"10GiB\", or \"unlimited\"",
        ),
        (
            "keep.group = ''",
            "line 1 (`keep.group = ''`): this is no group's name, expected one as in /etc/group",
        ),
        (
            "output.syslog = 'tcp://192.0.2.1:514'",
            "line 1 (`output.syslog = 'tcp://192.0.2.1:514'`): syslog over `tcp` is not spoken, expected a path or `udp://`",
        ),
        (
            "output.syslog = 'udp://localhost'",
            "line 1 (`output.syslog = 'udp://localhost'`): the address has no such form, expected one as in `udp://192.0.2.10:514`",
        ),
        (
            "output.syslog = 'log'",
            "line 1 (`output.syslog = 'log'`): the path is relative, expected one that begins with `/`",
        ),
        (
            "output.otlp = 'https://otel.example'",
            "line 1 (`output.otlp = 'https://otel.example'`): TLS is not spoken, expected `http:`: a collector on this host or network can hand on to a service beyond it",
        ),
        (
            "output.otlp = 'http://otel:4318'",
            "line 1 (`output.otlp = 'http://otel:4318'`): the host is no address, expected one as in `http://127.0.0.1:4318/v1/logs`",
        ),
        (
            "output.otlp = '127.0.0.1:4318'",
            "line 1 (`output.otlp = '127.0.0.1:4318'`): no URL: relative URL without a base, expected one as in `http://127.0.0.1:4318/v1/logs`",
        ),
        (
            "[[policy.allow]]\nreason = 'r'\nnet = ['10.0.0.0/8']",
            "line 3: unknown key `net`, expected `cidr`, `tool`, `job`, `reason` or `expires`",
        ),
        (
            "[[policy.allow]]\nreason = 'r'\ncidr = ['10.0.0.0/33']",
            "policy.allow[0].cidr: \"10.0.0.0/33\" is neither an address nor a network; write it like 10.0.0.0/8 or 2001:db8::/32",
        ),
        ("\non_error", "line 2 (`on_error`): key with no value, expected `=`"),
        ("on_error = 'deny'\non_error = 'deny'", "line 2 (`on_error = 'deny'`): duplicate key"),
    ];
    for (text, want) in cases {
        assert_eq!(parse(text), Err(want.to_owned()), "{text}");
    }
}

#[test]
fn what_begins_like_a_comment_in_a_string_is_no_comment() {
    for quotes in ["\"\"\"", "'''"] {
        let rule = |lines| format!("[[policy.allow]]\ncidr = ['10.0.0.0/8']\nreason = {lines}");
        let told = rule(format!("{quotes}a\n# b\n  #c{quotes}\n# d\n"));
        let want = rule("\"a\\n# b\\n  #c\" # e\n  # f".to_owned());
        assert_eq!(parse(&told).unwrap(), parse(&want).unwrap(), "{quotes}");
    }
    let list = "recipes = [ # a\n# '/b'\n'/c',\n\t#\n]\n#";
    assert_eq!(parse(list).unwrap().recipes, [Path::new("/c")]);
}

#[test]
fn on_error_survives_a_mistake_elsewhere() {
    let cases = [
        ("on_error = 'deny'\nringg = 1", OnError::Deny),
        ("on_error = 'deny'\n[ring\nsize =", OnError::Deny),
        ("ring.pool = -1\non_error = 'deny'", OnError::Deny),
        ("on_error = 'allow'\nringg = 1", OnError::Allow),
        ("ringg = 1", OnError::Allow),
    ];
    for (text, want) in cases {
        let Err(error) = Written::parse(text) else { panic!("{text} was taken") };
        assert_eq!(error.on_error, want, "{text}");
    }
}

#[test]
fn no_bytes_make_the_parser_panic() {
    // Every prefix of a valid file, then that prefix with each of a few bytes after it.
    for end in (0..DOCUMENTED.len()).filter(|end| DOCUMENTED.is_char_boundary(*end)).step_by(7) {
        let head = &DOCUMENTED[..end];
        for tail in ["", "\0", "[", "[[", "=", "\"\"\"", "é", "{", "9".repeat(40).as_str()] {
            let _ = parse(&format!("{head}{tail}"));
        }
    }
    let _ = parse(&"[".repeat(100_000));
    let _ = parse(&format!("a = {}", "{a=".repeat(100_000)));
    let _ = parse(&format!("{} = 1", "a.".repeat(100_000)));
    let _ = parse(&format!("{} = 1", "a".repeat(1 << 20)));
}

#[test]
fn a_file_is_loaded() {
    let check = |bytes: &[u8], want: Result<OnError, &str>| {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(bytes).expect("written");
        let got = Settings::load(Some(file.path())).map(|settings| settings.on_error);
        let want = want.map_err(|want| format!("configuration {}: {want}", file.path().display()));
        assert_eq!(got.map_err(|error| error.to_string()), want);
    };
    check(b"on_error = 'deny'", Ok(OnError::Deny));
    check(b"\n\n\xff", Err("line 3: not UTF-8; save the file as UTF-8"));
    check(
        &vec![b'\n'; (1 << 20) + 1],
        Err("longer than 1048576 bytes; this is not a configuration file"),
    );
    check(&vec![b'\n'; 1 << 20], Ok(OnError::Allow));
}

#[test]
fn a_mistake_unlocks_nothing() {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(b"on_error = 'deny'\nring.size = '1TiB'").expect("written");
    let fallback = Settings::load(Some(file.path())).expect_err("a mistake").fallback();
    assert_eq!(fallback.on_error, OnError::Deny);
    assert_eq!(fallback.honour, Honour { trace: false, job: true, on_error: false });
    assert_eq!(fallback.when, When::Always);
}

#[test]
fn a_file_that_was_named_must_exist() {
    let error = Settings::load(Some(Path::new("/nonexistent/buildwarden.toml")))
        .expect_err("a missing file")
        .to_string();
    assert!(
        error.starts_with("configuration /nonexistent/buildwarden.toml: No such file"),
        "{error}"
    );
}
