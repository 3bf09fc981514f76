//! What each format costs: a report of 100,000 execs, with as many findings, execs and
//! executables in its lists as there can be.

use buildwarden::report::{
    format::{Context, Format, render},
    json,
    model::{Process, Report},
};
use std::{fs, time::Instant};

fn main() {
    let report = report();
    let context = Context::default();
    let before = peak_kib();
    for format in Format::ALL {
        let begun = Instant::now();
        let text = render(&report, format, &context).expect("a report can be written");
        println!(
            "{:<20} {:>9} KiB {:>9.1?}   peak {:>4} MiB more than the report itself",
            format.name(),
            text.len() >> 10,
            begun.elapsed(),
            (peak_kib() - before) >> 10,
        );
    }
}

/// As much as the collector keeps at most.
fn report() -> Report {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/many.json");
    let bytes = fs::read(path).expect("the fixture is there");
    let mut report = json::parse(&bytes).expect("the fixture is a report");
    let execs = 100_000;
    (report.completeness.execs, report.completeness.last_sequence) = (execs, execs);
    let findings = report.findings.clone();
    report.findings = (1..=1000)
        .map(|n| {
            let mut finding = findings[n as usize % findings.len()].clone();
            (finding.n, finding.exec.sequence) = (n, n * 10);
            finding.exec.argv.push(vec![b'x'; 4000].into());
            finding
        })
        .collect();
    let process = report.processes[0].clone();
    report.processes = (1..=10_000)
        .map(|n| Process {
            sequence: n,
            parent: (n > 1).then_some(n / 3),
            argv: vec!["cc1".into(), vec![b'a'; 250].into()],
            findings: if n % 10 == 0 { vec![n / 10] } else { Vec::new() },
            ..process.clone()
        })
        .collect();
    report.processes_omitted = execs - 10_000;
    let executable = report.executables[0].clone();
    report.executables = (0..10_000)
        .map(|n| {
            let mut executable = executable.clone();
            executable.path = format!("/usr/lib/x/{n}").into();
            executable
        })
        .collect();
    report
}

/// The most memory that this process ever had.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let digits = line.and_then(|line| line.split_whitespace().next());
    digits.and_then(|digits| digits.parse().ok()).expect("VmHWM is a number")
}
