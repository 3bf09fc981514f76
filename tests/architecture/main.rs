//! What ARCHITECTURE.md says of the rooms, held against the source.

mod source;

use source::{File, Path};
use std::{collections::BTreeSet, fs, path::PathBuf};

/// The rooms in reading order, and which rooms each may name: only ones before it.
const ROOMS: [(&str, &[&str]); 24] = [
    ("escape", &[]),
    ("chain", &[]),
    ("event", &[]),
    ("pattern", &[]),
    ("wire", &["event"]),
    ("redact", &["event"]),
    ("detect", &["escape", "event", "pattern"]),
    ("report", &["chain", "escape", "event"]),
    ("execlog", &["chain", "event", "report"]),
    ("annotation", &["chain", "report"]),
    ("host", &[]),
    ("cgroup", &["host"]),
    ("oci", &["pattern", "report"]),
    ("config", &["detect", "escape", "report"]),
    ("runtime", &["config", "escape", "host", "oci"]),
    ("install", &["host"]),
    ("trace", &[]),
    ("confine", &[]),
    (
        "collect",
        &[
            "annotation",
            "cgroup",
            "chain",
            "config",
            "confine",
            "detect",
            "escape",
            "event",
            "execlog",
            "host",
            "oci",
            "redact",
            "report",
            "trace",
            "wire",
        ],
    ),
    ("store", &["annotation", "collect", "config", "escape", "execlog", "oci", "report"]),
    ("export", &["annotation", "collect", "config", "confine", "escape", "report", "store"]),
    (
        "verify",
        &["annotation", "chain", "collect", "detect", "escape", "event", "execlog", "report"],
    ),
    ("doctor", &["config", "confine", "escape", "host", "report", "trace"]),
    (
        "cli",
        &[
            "annotation",
            "collect",
            "config",
            "confine",
            "detect",
            "doctor",
            "escape",
            "event",
            "execlog",
            "export",
            "host",
            "install",
            "oci",
            "report",
            "runtime",
            "store",
            "trace",
            "verify",
        ],
    ),
];

/// The rooms of values in, values out.
const PURE: [&str; 9] =
    ["escape", "chain", "event", "pattern", "wire", "redact", "detect", "report", "execlog"];

/// What those may not name: files, network, environment, processes, clocks.
const IMPURE: [&str; 16] = [
    "Timestamp::now",
    "jiff::Timestamp::now",
    "libc",
    "nix",
    "rustix",
    "std::env",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::os::unix::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "tempfile",
];

/// What only `trace` may name.
const KERNEL: [&str; 2] = ["libbpf_rs", "libbpf_sys"];

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// The names of all rooms that `file` names by a path from the crate's root.
fn rooms_named(file: &File) -> impl Iterator<Item = &str> {
    file.paths.iter().filter(|path| path.begins_with("crate")).filter_map(|path| path.part(1))
}

/// What is wrong with a file, a line for each.
fn violations(file: &File) -> Vec<String> {
    let room = file.room();
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![format!(
            "{}: the room `{room}` is not in ROOMS of tests/architecture/main.rs: put it there and \
             into the code map of ARCHITECTURE.md",
            file.name
        )];
    };
    let mut found = Vec::new();
    let others: BTreeSet<&str> = rooms_named(file).filter(|named| *named != room).collect();
    for named in others.into_iter().filter(|named| !allowed.contains(named)) {
        found.push(format!(
            "{}: the room `{room}` names `crate::{named}`; it may name {}: move what both need to \
             one of those, or change ROOMS and the drawing in ARCHITECTURE.md",
            file.name,
            if allowed.is_empty() { "no other".to_owned() } else { allowed.join(", ") },
        ));
    }
    let mut forbid = |names: &[&str], why: &str| {
        for path in &file.paths {
            if let Some(name) = names.iter().find(|name| path.means(name)) {
                found.push(format!("{}: the room `{room}` names {name}; {why}", file.name));
            }
        }
    };
    if PURE.contains(&room) {
        forbid(&IMPURE, "it takes values and gives values: let its caller read the world");
    }
    if room != "trace" {
        forbid(&KERNEL, "only `trace` knows libbpf: put it there behind a type of its own");
        if file.has_unsafe {
            found.push(format!(
                "{}: the room `{room}` contains `unsafe`; only `trace` may: put it there, behind a \
                 safe function",
                file.name
            ));
        }
    }
    found
}

#[test]
fn rooms_name_only_what_they_may() {
    let files = source::files(&root().join("src/lib.rs"));
    // The walk has found them: there is at least one file for each room.
    for (room, _) in ROOMS {
        assert!(files.iter().any(|file| file.room() == room), "src/lib.rs has no room `{room}`");
    }
    let found: Vec<String> = files.iter().flat_map(violations).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_flow_goes_one_way() {
    for (at, (room, allowed)) in ROOMS.iter().enumerate() {
        for other in *allowed {
            assert!(
                ROOMS[..at].iter().any(|(before, _)| before == other),
                "ROOMS: `{room}` may name `{other}`, which is not before it: that is a circle"
            );
        }
    }
}

/// Each case: a room, a source, and what of it is a violation.
#[test]
fn violations_are_found() {
    let cases: [(&str, &str, &[&str]); 14] = [
        ("detect", "use crate::event::Exec;", &[]),
        ("detect", "use crate::{escape::{self, visible}, detect::tool};", &[]),
        ("detect", "use crate::{event as trace, escape::visible as report};", &[]),
        ("detect", "// crate::trace\nconst A: &str = \"crate::trace unsafe\";", &[]),
        ("detect", "#[cfg(test)] mod tests { use crate::trace::X; }", &[]),
        ("detect", "pub(crate) fn f() {}", &[]),
        ("detect", "use crate::{event::Exec, report::{Time, json}};", &["crate::report"]),
        ("detect", "fn f() { println!(\"{}\", crate::trace::x(1)); }", &["crate::trace"]),
        ("cgroup", "impl X { fn f() -> crate::collect::Y { todo() } }", &["crate::collect"]),
        ("wire", "use std::{io, fs::File};", &["std::fs"]),
        ("wire", "use std::time;", &["std::time::Instant"]),
        ("wire", "use std::time::Duration;", &[]),
        ("report", "fn now() -> T { jiff::Timestamp::now() }", &["jiff::Timestamp::now"]),
        ("host", "use libbpf_rs::Map; fn f() { unsafe { g() } }", &["libbpf_rs", "`unsafe`"]),
    ];
    for (room, text, want) in cases {
        let found = violations(&File::parse(&format!("src/{room}/x.rs"), text));
        assert_eq!(found.len(), want.len(), "{text}: {found:?}");
        for (line, word) in found.iter().zip(want) {
            assert!(line.contains(word), "{text}: {line}");
        }
    }
}

/// The document and the code name the same rooms, and the tests it counts on exist.
#[test]
fn architecture_md_is_up_to_date() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `src/"));
    let mapped: Vec<&str> =
        rows.filter_map(|row| row.split(['`', '/', '.']).next()).filter(|r| *r != "main").collect();
    let rooms: Vec<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    assert_eq!(mapped, rooms, "code map of ARCHITECTURE.md (left) and ROOMS (right)");

    let mut code = String::new();
    for directory in ["src", "tests", "integration"] {
        source::walk(&root().join(directory), &mut |path| {
            if path.extension().is_some_and(|extension| extension == "rs") {
                code += &fs::read_to_string(path).unwrap();
            }
        });
    }
    let lines =
        text.lines().filter_map(|line| line.split_once("Test: ").or(line.split_once("Tests: ")));
    let tests: Vec<&str> =
        lines.flat_map(|(_, names)| names.split('`').skip(1).step_by(2)).collect();
    assert!(tests.len() > 10, "the invariants name their tests: {tests:?}");
    for test in tests {
        assert!(
            code.contains(&format!("fn {test}(")),
            "ARCHITECTURE.md counts on the test `{test}`, which there is not: name the one that \
             guards this, or say that there is none"
        );
    }
}

/// A checkout stands for itself: only tests and benchmarks read what lies beside it.
#[test]
fn nothing_reaches_outside_the_repository() {
    let outside = concat!("../", "shared");
    let mut found = Vec::new();
    source::walk(&root(), &mut |path| {
        let name = path.strip_prefix(root()).unwrap();
        let text = fs::read(path).unwrap_or_default();
        let exempt = ["tests", "benches"].iter().any(|directory| name.starts_with(directory));
        if !exempt && text.windows(outside.len()).any(|window| window == outside.as_bytes()) {
            found.push(name.display().to_string());
        }
    });
    assert!(found.is_empty(), "{outside} is named outside of tests/ and benches/: {found:?}");
}

#[test]
fn a_path_means_what_it_begins_with_or_leads_to() {
    let path = |text: &str| Path::new(text.split("::").map(str::to_owned).collect());
    for (text, name, want) in [
        ("std::fs::File", "std::fs", true),
        ("std::fs", "std::fs", true),
        ("std::time", "std::time::Instant", true),
        ("jiff::Timestamp", "jiff::Timestamp::now", false),
        ("std::fsx", "std::fs", false),
        ("my::std::fs", "std::fs", false),
    ] {
        assert_eq!(path(text).means(name), want, "{text} {name}");
    }
}
