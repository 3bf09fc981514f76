//! Arguments of every size and content arrive as they are.

use crate::harness::{Container, Dir, Exec, program, run};

/// Bytes that a terminal would obey, a line of a log would end at, and no UTF-8.
const HOSTILE: &[u8] = b"a\xff\n\x1b[2J\x1b]0;owned\x07\tb";

/// The name of a case, its script, and what its last exec must be.
type Case<'a> = (&'a str, &'a str, fn(&Exec) -> bool);

#[test]
fn root_arguments_arrive_whole() {
    // 128 KiB, with its NUL, is the most that the kernel lets one argument be.
    let longest = "wget -O/dev/null \"$(head -c 131071 /dev/zero | tr '\\0' x)\"";
    let many = "/bin/true $(seq 1 1999)";
    let bytes = r#"/bin/true "$(printf 'a\377\n\033[2J\033]0;owned\007\tb')""#;
    let cases: [Case<'_>; 5] = [
        ("none", "/bin/exec no-argv /bin/true", |exec| {
            // Since Linux 5.18 the kernel adds an empty argv[0].
            exec.argv.iter().all(|argument| argument.is_empty()) && exec.argv.len() <= 1
        }),
        ("one", "/bin/true", |exec| exec.argv.len() == 1 && exec.has("/bin/true")),
        ("longest", longest, |exec| exec.argv.last().is_some_and(|last| last.len() == 131_071)),
        ("many", many, |exec| exec.argv.len() == 2000 && exec.has("1") && exec.has("1999")),
        ("bytes", bytes, |exec| exec.argv.last().is_some_and(|last| last.as_bytes() == HOSTILE)),
    ];
    for case in cases {
        check(case);
    }
}

/// Runs a script whose last exec must be as expected.
#[track_caller]
fn check((name, script, expected): Case<'_>) {
    let dir = Dir::new();
    let container = Container::new(&dir, name).with(&program("exec"), "/bin/exec");
    let done = container.script(&format!("{script}; :")).run();

    let report = dir.report(name);
    let execs = dir.execs(name);
    let last = execs.last().unwrap_or_else(|| panic!("{name}: no exec: {report:?} {done}"));
    assert!(expected(last), "{name}: {last:?}");
    assert_eq!(last.flags, [""; 0], "{name}");
    assert_eq!(report.completeness.reasons, [""; 0], "{name}");
}

#[test]
fn root_padding_does_not_hide_an_address() {
    let dir = Dir::new();
    // 19 arguments of 100 KiB before the address: 1.9 of the kernel's 2 MiB.
    let script = "pad=$(head -c 102400 /dev/zero | tr '\\0' x); set --
        while [ $# -lt 19 ]; do set -- \"$@\" \"-U$pad\"; done
        wget \"$@\" http://198.51.100.6/x; :";
    Container::new(&dir, "padded").script(script).run().expect_code(0);

    let report = dir.report("padded");
    let [finding] = &report.findings[..] else {
        panic!("{} findings, {:?}", report.findings.len(), report.completeness)
    };
    assert_eq!(finding.addresses[0].address, "198.51.100.6");
    assert_eq!(finding.addresses[0].argument, 20);
    assert_eq!(report.completeness.truncated, 0);
    assert_eq!(report.completeness.reasons, [""; 0]);
}

#[test]
fn root_hostile_arguments_are_shown_escaped() {
    let dir = Dir::new();
    let script =
        r#"wget -U "$(printf 'a\377\n\033[2J\033]0;owned\007\tb')" http://198.51.100.7/x; :"#;
    Container::new(&dir, "hostile").script(script).run().expect_code(0);

    assert_eq!(dir.report("hostile").findings[0].exec.argv[2].as_bytes(), HOSTILE);
    for verb in [&["report", "hostile"][..], &["watch", "hostile"], &["list"]] {
        let done = run(&mut dir.buildwarden(verb)).expect_code(0);
        let text = std::str::from_utf8(&done.stdout).unwrap();
        let raw = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(raw, None, "{verb:?}: {text}");
    }
    let text = run(&mut dir.buildwarden(["report", "hostile"])).stdout();
    assert!(text.contains(r"\x1b[2J"), "{text}");
}
