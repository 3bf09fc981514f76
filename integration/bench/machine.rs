//! What it is measured on.

use super::{Plan, table::Row};
use crate::harness::{milliseconds, run};
use nix::sys::resource::{UsageWho, getrusage};
use std::{fs, process::Command, time::Instant};

/// Processor, kernel.
pub(super) fn name() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("an unnamed processor", |model| model.trim_start_matches(['\t', ':']));
    let count = processors.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    format!("{count} ×{model}, Linux {}", kernel.trim_end())
}

/// How busy it is with other things: the load of the last minute.
pub(super) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    load.split(' ').next().unwrap_or_default().to_owned()
}

/// The program as a file.
pub(super) fn binary(_: &Plan, rows: &mut Vec<Row>) {
    let program = env!("CARGO_BIN_EXE_buildwarden");
    let len = fs::metadata(program).unwrap().len() as f64;
    rows.push(Row::single("its size", &format!("{:.2} MB", len / 1e6), "≤ 6 MB"));
    let mut readelf = Command::new("readelf");
    let elf = run(readelf.args(["--wide", "--sections", "--dynamic", program])).expect_code(0);
    let elf = elf.stdout();
    let libraries = elf.matches("(NEEDED)").count();
    rows.push(Row::single("libraries that it loads", &libraries.to_string(), "few"));
    let stripped = if elf.contains(".symtab") { "no" } else { "yes" };
    rows.push(Row::single("stripped", stripped, "yes"));
}

/// Pages that a child had to fault in, which is the only one to end meanwhile.
pub(super) fn faults(child: impl FnOnce() -> f64) -> f64 {
    let so_far = || getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().minor_page_faults();
    let before = so_far();
    child();
    (so_far() - before) as f64
}

/// Milliseconds from before a program is started to its end, which must be a good one.
#[track_caller]
pub(super) fn timed(command: &mut Command) -> f64 {
    let begun = Instant::now();
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let took = milliseconds(begun.elapsed());
    assert!(status.success(), "{status}: {command:?}");
    took
}

/// Milliseconds that all processors together have worked so far.
pub(super) fn worked() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let line = stat.lines().next().unwrap();
    let ticks: Vec<f64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    // The fourth is idle and the fifth waits for a disk; guests are in the first two.
    let [user, nice, system, _, _, irq, softirq, ..] = ticks[..] else { panic!("{line}") };
    (user + nice + system + irq + softirq) * 10.0
}

/// A number in a file of a process: `Name:  NUMBER kB`, each line of that name.
pub(super) fn of_process(pid: nix::unistd::Pid, file: &str, name: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.strip_prefix(name));
    lines.filter_map(|rest| rest.split_whitespace().find_map(|word| word.parse::<f64>().ok())).sum()
}
