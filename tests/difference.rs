//! Two reports compared, with snapshots that a person can read.
//!
//! `BUILDWARDEN_UPDATE=1 cargo test` writes the snapshots anew; read the diff.

mod snapshot;

use buildwarden::report::{
    baseline::{self, Paths},
    json,
    model::{Executable, Report},
    text::{self, Layout},
};
use std::{fs, path::Path, process::Command};

fn path(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.json"))
}

fn fixture(name: &str) -> Report {
    json::parse(&fs::read(path(name)).unwrap()).unwrap()
}

fn executables(paths: &[(&str, u64)]) -> Vec<Executable> {
    paths.iter().map(|(path, count)| Executable { path: path.into(), count: *count }).collect()
}

/// Fixtures compared, old and new, in each format.
#[test]
fn differences_are_as_in_the_snapshots() {
    let cases = [
        ("clean", "many"),
        ("many", "clean"),
        ("many", "many"),
        ("one-finding", "hostile"),
        ("incomplete", "findings-incomplete"),
    ];
    for (old, new) in cases {
        let (old_report, new_report) = (fixture(old), fixture(new));
        let difference = baseline::compare(&old_report, &new_report, Paths::Alike);
        let check = |format: &str, text: &str| {
            snapshot::check(&format!("difference/{old}.{new}.{format}"), text);
            let hidden = |c| c != '\n' && buildwarden::escape::is_hidden(c);
            assert!(!text.contains(hidden), "{old} {new} {format}");
        };
        let layout = Layout { width: 80, colour: false };
        check("txt", &text::difference(&difference, layout));
        check("md", &baseline::markdown(&difference));
        check("json", &json::pretty(&difference).unwrap());
        check("report.txt", &text::render_since(&new_report, Some(&difference), layout));
    }
}

#[test]
fn names_that_change_from_build_to_build_are_counted_but_not_new() {
    let mut old = fixture("clean");
    let mut new = old.clone();
    old.executables = executables(&[
        ("/root/.cargo/registry/src/index-6f17d22bba15001f/cc-1.2.3/build", 4),
        ("/tmp/tmp.X8dk3LmQ1a/configure", 2),
        ("/usr/bin/cc", 9),
        ("/usr/bin/old", 1),
    ]);
    new.executables = executables(&[
        ("/root/.cargo/registry/src/index-6f17d22bba15001f/cc-1.3.0/build", 5),
        ("/tmp/tmp.aaaaaaaaaa/configure", 1),
        ("/tmp/tmp.aaaaaaaaaa/curl", 1),
        ("/tmp/tmp.bbbbbbbbbb/curl", 3),
        ("/usr/bin/cc", 8),
    ]);
    let count = |paths| {
        let difference = baseline::compare(&old, &new, paths);
        let gone = difference.executables.gone.len();
        let new = difference.executables.new;
        let new: Vec<_> = new
            .iter()
            .map(|program| (program.path.escape_ascii().to_string(), program.files, program.count))
            .collect();
        (new, gone, difference.alike.len())
    };
    assert_eq!(count(Paths::Alike), (vec![("/tmp/tmp.bbbbbbbbbb/curl".to_owned(), 2, 4)], 1, 2));
    let (exact, gone, alike) = count(Paths::Exact);
    assert_eq!((exact.len(), gone, alike), (4, 3, 0));
}

/// The gate, and what it says where the new report lacks something.
#[test]
fn the_gate_strikes_at_what_is_new_only() {
    let dir = tempfile::tempdir().unwrap();
    let changed = |name: &str, change: &dyn Fn(&mut Report)| {
        let mut report = fixture("clean");
        change(&mut report);
        let path = dir.path().join(format!("{name}.json"));
        fs::write(&path, json::pretty(&report).unwrap()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let clean = changed("clean", &|_| ());
    let program = changed("program", &|report| {
        report.executables.extend(executables(&[("/usr/bin/new", 1)]));
    });
    let omitted = changed("omitted", &|report| report.executables_omitted = 3);
    let lost = changed("lost", &|report| report.completeness.lost = 1);
    let many = path("many").to_str().unwrap().to_owned();
    let cases = [
        (&clean, &clean, "executables", 0),
        (&clean, &program, "findings", 0),
        (&clean, &program, "executables", 10),
        (&program, &clean, "executables", 0),
        (&clean, &many, "findings", 10),
        (&many, &many, "executables", 11),
        (&clean, &omitted, "findings", 11),
        (&omitted, &clean, "executables", 0),
        (&clean, &lost, "findings", 11),
    ];
    for (old, new, kind, code) in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_buildwarden"))
            .args(["diff", old, new, "--fail-on-new", kind])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{old} {new} {kind}: {output:?}");
    }
}

#[test]
fn a_hostile_comment_stays_under_the_limit() {
    let mut new = fixture("hostile");
    let name = |n: u32| format!("/\x1b`]\n{}{n}", "\u{202e}".repeat(500));
    new.executables = (0..5000).map(|n| Executable { path: name(n).into(), count: 1 }).collect();
    let found = fixture("one-finding").findings.remove(0);
    let hostile = |n: u32| {
        let mut found = found.clone();
        let name = |n: u32| format!("`` @all\n{n:03}{}", "`\\\u{202e}".repeat(200));
        (found.recipe, found.tool.name) = (name(n), name(n));
        (found.addresses[0].address, found.addresses[0].scope) = (name(n / 40), name(n / 40));
        found
    };
    new.findings = (0..4000).map(hostile).collect();
    let text = baseline::markdown(&baseline::compare(&fixture("clean"), &new, Paths::Exact));
    assert!(text.chars().count() < 65_536, "{}", text.len());
    assert!(text.contains("and 4970 more"), "{text}");
}
