//! The annotation log: its chain, and that it says what the report says.

use super::{Files, Read, Verification, shown};
use crate::{
    annotation::{Attached, Entry, Finished, LINE_MAX, Line, Tail},
    chain::{Chain, Link, hex},
    collect::file::{ANNOTATIONS, REPORT},
    report::model::{Allowed, Finding, LogBefore, Report},
};
use sha2::{Digest as _, Sha256};
use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    os::unix::fs::FileExt as _,
};

/// What the log says.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub(super) attached: Option<Attached>,
    /// Findings with their lines.
    pub(super) findings: Vec<(u64, Finding)>,
    pub(super) allowed: Vec<(u64, Allowed)>,
    /// From which exec on the container was of which job.
    pub(super) jobs: Vec<(u64, String)>,
    pub(super) finished: Option<(u64, Finished)>,
}

/// Reads the log, and holds it against the report.
pub(super) fn check(
    files: &Files,
    report: Option<&Report>,
    found: &mut Verification,
) -> io::Result<Recorded> {
    let Some(log) = &files.log else {
        match report {
            Some(report) if report.log.is_some() => {
                found.problem(ANNOTATIONS, None, "it is missing")
            }
            _ => found.note(format!("{ANNOTATIONS} is not there")),
        }
        return Ok(Recorded::default());
    };
    let recorded = read(log, report, found)?;
    let Some(report) = report else { return Ok(recorded) };
    if let Some(before) = &report.log {
        as_it_was(log, before, found)?;
    }
    as_reported(&recorded, report, found);
    Ok(recorded)
}

fn read(log: &File, report: Option<&Report>, found: &mut Verification) -> io::Result<Recorded> {
    let mut recorded = Recorded::default();
    let mut seen = Read::default();
    let mut chain = Chain::default();
    // The last line with a chain value.
    let mut sealed = 0;
    let mut lines = Tail::new(log.try_clone()?);
    while let Some(bytes) = lines.next_line()? {
        seen.lines += 1;
        let number = seen.lines;
        let link = chain.line(bytes);
        let parsed = Line::parse(bytes).and_then(|line| line.entry().map(|entry| (line, entry)));
        match link {
            Link::Open if parsed.is_ok() && seen.chain_values > 0 => {
                found.problem(ANNOTATIONS, Some(number), "added or changed: it has no chain value");
            }
            Link::Open => {}
            Link::Broken => {
                let first = (sealed + 1 < number).then_some(sealed + 1);
                found.problems_of_lines(ANNOTATIONS, first, Some(number), super::events::BROKEN);
            }
            Link::Whole => {}
        }
        if link != Link::Open {
            seen.chain_values += 1;
            sealed = number;
        }
        let (line, entry) = match parsed {
            Ok(parsed) => parsed,
            // A crash tears a line, and the next begins on a line of its own.
            Err(_) if link == Link::Open && recorded.finished.is_none() => {
                found.note(format!("{ANNOTATIONS} line {number} cannot be read: torn by a crash?"));
                continue;
            }
            Err(error) => {
                found.problem(ANNOTATIONS, Some(number), error.to_string());
                continue;
            }
        };
        if recorded.finished.is_some() {
            found.problem(ANNOTATIONS, Some(number), "it stands behind the line about the end");
        }
        let container = found.container.get_or_insert_with(|| line.container.clone());
        if *container != line.container {
            let problem = format!("it is of another container, {}", shown(&line.container));
            found.problem(ANNOTATIONS, Some(number), problem);
        }
        recorded.take(number, entry, found);
    }
    if lines.is_torn() {
        found.problem(ANNOTATIONS, Some(seen.lines + 1), "cut off: the line has no end");
    }
    if lines.too_long() > 0 {
        found.problem(ANNOTATIONS, None, format!("a line is longer than {LINE_MAX} bytes"));
    }
    if seen.chain_values == 0 && report.is_some_and(|report| report.log.is_some()) {
        found.problem(ANNOTATIONS, None, "the chain values are missing");
    } else if seen.chain_values == 0 {
        found.note(format!("{ANNOTATIONS} has no chain: an earlier version wrote it"));
    }
    found.log = Some(seen);
    Ok(recorded)
}

impl Recorded {
    fn take(&mut self, line: u64, entry: Entry, found: &mut Verification) {
        match entry {
            Entry::Attached(attached) => {
                if line != 1 {
                    found.problem(ANNOTATIONS, Some(line), "recording began is no first line");
                }
                let run = *found.run.get_or_insert(attached.container.run);
                if run != attached.container.run {
                    let other = attached.container.run;
                    found.problem(
                        ANNOTATIONS,
                        Some(line),
                        format!("it is of another run, {other}"),
                    );
                }
                self.jobs.extend(attached.job.iter().map(|job| (0, job.id.clone())));
                self.attached = Some(*attached);
            }
            Entry::Finding(finding) => {
                let next = self.findings.last().map_or(1, |(_, last)| last.n.saturating_add(1));
                if finding.n != next {
                    let n = finding.n;
                    let problem = format!("finding {n} stands where finding {next} has to be");
                    found.problem(ANNOTATIONS, Some(line), problem);
                }
                self.findings.push((line, *finding));
            }
            Entry::Allowed(allowed) => self.allowed.push((line, *allowed)),
            Entry::Job(named) if named.taken => self.jobs.push((named.exec, named.job.id)),
            Entry::Finished(finished) => self.finished = Some((line, finished)),
            Entry::Job(_) | Entry::Gap(_) | Entry::Other => {}
        }
    }

    /// The job that the container was of at that exec.
    pub(super) fn job_at(&self, sequence: u64) -> Option<&str> {
        let taken = self.jobs.iter().take_while(|(from, _)| *from <= sequence);
        taken.last().map(|(_, id)| id.as_str())
    }
}

/// Whether the log up to its last line is what the report was made from.
fn as_it_was(log: &File, before: &LogBefore, found: &mut Verification) -> io::Result<()> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut at = 0;
    while at < before.bytes {
        let step = buffer.len().min(usize::try_from(before.bytes - at).unwrap_or(buffer.len()));
        let read = log.read_at(&mut buffer[..step], at)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        at += read as u64;
    }
    if at < before.bytes {
        let problem = format!("cut off: the report was made from {} bytes of it", before.bytes);
        found.problem(ANNOTATIONS, None, problem);
    } else if hex(&hash.finalize()) != before.sha256 {
        let problem =
            "changed: what stands before its last line is not what the report was made from";
        found.problem(ANNOTATIONS, None, problem);
    }
    Ok(())
}

/// Whether findings, and what the policy allows, are the same in log and report, which is
/// here without what the log cannot have: how the execs ended.
fn as_reported(recorded: &Recorded, report: &Report, found: &mut Verification) {
    // By their numbers: a log may have hundreds of thousands.
    let mut reported: HashMap<u64, &Finding> = HashMap::new();
    for finding in &report.findings {
        if reported.insert(finding.n, finding).is_some() {
            let problem = format!("finding {} is there more than once", finding.n);
            found.problem(REPORT, None, problem);
        }
    }
    let mut logged: HashSet<u64> = HashSet::new();
    for (line, finding) in &recorded.findings {
        let n = finding.n;
        if !logged.insert(n) {
            let problem = format!("finding {n} is there more than once");
            found.problem(ANNOTATIONS, Some(*line), problem);
        }
        match reported.get(&n) {
            None => {
                let problem = format!("finding {n} is missing: {ANNOTATIONS} line {line} has it");
                found.problem(REPORT, None, problem);
            }
            Some(reported) if *reported != finding => {
                let problem = format!("finding {n} is not as in {ANNOTATIONS} line {line}");
                found.problem(REPORT, None, problem);
            }
            Some(_) => {}
        }
    }
    for finding in &report.findings {
        if !logged.contains(&finding.n) {
            let problem = format!("finding {} is missing: the report has it", finding.n);
            found.problem(ANNOTATIONS, None, problem);
        }
    }
    if !report.allowed.iter().eq(recorded.allowed.iter().map(|(_, allowed)| allowed)) {
        let problem = format!("what the policy allows is not as in {ANNOTATIONS}");
        found.problem(REPORT, None, problem);
    }
    let attached = recorded.attached.as_ref().map(|attached| &attached.container);
    if attached.is_some_and(|at| at.cgroup_id != report.container.cgroup_id) {
        found.problem(REPORT, None, format!("its container is not that of {ANNOTATIONS} line 1"));
    }
}
