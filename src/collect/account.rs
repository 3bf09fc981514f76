//! The exit report of a run, made from its log and its event file alone: whoever
//! ends a collection, its own collector or another, gets the same account.

use super::{
    CollectError,
    attachment::Attachment,
    clock,
    course::{Course, Span},
    directory::Directory,
    file, session,
};
use crate::{
    annotation::{Entry, FindingCounts, Line, Tail},
    chain,
    event::ProcessId,
    execlog::{self, ExecLine, Sequences},
    report::{
        self, Bytes, Time,
        model::{
            Allowed, Completeness, Cost, EXECUTABLES_MAX, Events, Executable, Finding, Job,
            LogBefore, Outcome, Producer, Report, SCHEMA_VERSION,
        },
    },
    trace::Counters,
};
use sha2::{Digest as _, Sha256};
use std::{cmp::Reverse, collections::HashMap, fs::File};

/// What only the end of the collection knows.
pub(super) struct Ending {
    /// What the kernel counted; `None` when nothing was recorded.
    pub(super) counters: Option<Counters>,
    /// Whether the programs were attached to the end.
    pub(super) programs_attached: bool,
    /// Jobs that environments of execs named beside the container's.
    pub(super) other_jobs: Vec<Job>,
    /// Environments that were cut before they named a job.
    pub(super) cut_environments: u64,
    /// What went wrong on the way.
    pub(super) failures: Vec<String>,
    /// When the end was seen, nanoseconds since boot.
    pub(super) at: u64,
    /// Whether the event file stays.
    pub(super) keep_events: bool,
    /// Which recipes and policy judged.
    pub(super) rules: Option<String>,
}

/// A report, with the number of findings by importance.
pub(super) struct Account {
    pub(super) report: Report,
    pub(super) counts: FindingCounts,
}

/// Reads the log and the event file of a run and sums up.
pub(super) fn account(
    directory: &Directory,
    attachment: &Attachment,
    ending: Ending,
) -> Result<Account, CollectError> {
    let attached = &attachment.attached;
    let (mut findings, allowed) = matches(directory)?;
    let offset = attached.boot_to_unix_ns;
    let (started, attach_ms) = beginning(directory, attachment)?;
    let finished = match &attachment.lost {
        None => Time::from_boot(ending.at, offset),
        // Nobody saw its end; it was not before this.
        Some(lost) => lost.last.max(started),
    };
    let mut course = Course::new(Span { started, finished, boot_to_unix_ns: offset }, &findings);
    let events = match directory.read(file::EXECS)? {
        Some(file) => Seen::read(file, &mut findings, &mut course),
        None => Seen::default(),
    };
    let (timeline, processes, processes_omitted) = course.finish();
    let counters = ending.counters.unwrap_or_default();
    let mut reasons = ending.failures;
    match &attachment.failure {
        Some(failure) => reasons.insert(0, format!("nothing was recorded: {failure}")),
        None if ending.counters.is_none() => {
            let reason = attachment.lost.as_ref().map(|lost| lost.reason.clone());
            let gone = || "the recording was lost: its scope is gone".to_owned();
            reasons.insert(0, reason.unwrap_or_else(gone));
        }
        None => {}
    }
    if ending.counters.is_some() && counters.execs == 0 {
        // Which of the two cannot be told apart from here, so it is no proof.
        reasons.push("no exec was seen: the container never started".to_owned());
    }
    if events.malformed > 0 {
        reasons.push(format!("{} lines of the event file could not be read", events.malformed));
    }
    let completeness = Completeness {
        // The cgroup held nothing but the first process when recording began, so the
        // entrypoint is what that process executed first.
        attached_before_first_exec: ending.counters.is_some()
            && events.first_pid == Some(attached.pid),
        execs: events.sequences.count(),
        last_sequence: counters.execs,
        lost: counters.lost_execs,
        truncated: events.truncated.max(counters.truncated),
        unreadable: events.unreadable,
        lost_exits: counters.lost_exits,
        lost_environments: counters.lost_environments.saturating_add(ending.cut_environments),
        programs_attached: ending.programs_attached,
        reasons,
    };
    let listed = findings.len() as u64;
    let counts = events.counts;
    let executables_omitted = events.executables.len().saturating_sub(EXECUTABLES_MAX) as u64;
    let report = Report {
        schema_version: SCHEMA_VERSION,
        tool: Producer::this(),
        verdict: report::verdict(&completeness, &findings),
        container: attached.container.clone(),
        job: attached.job.clone(),
        other_jobs: ending.other_jobs,
        started,
        finished,
        findings_omitted: events.flagged.saturating_sub(listed.min(session::FINDINGS_MAX)),
        findings,
        allowed,
        executables: events.executables(),
        executables_omitted: executables_omitted + events.executables_omitted,
        timeline: Some(timeline),
        processes,
        processes_omitted,
        completeness,
        cost: Cost {
            attach_ms,
            finish_ms: clock::ms_since(ending.at),
            collector_cpu_ms: clock::cpu_ms(),
            ring_bytes: attached.ring_bytes,
        },
        events: ending.keep_events.then(|| Events {
            file: file::EXECS.to_owned(),
            sha256: events.digest,
            count: events.lines,
        }),
        log: log_before(directory)?,
        rules: ending.rules,
    };
    Ok(Account { report, counts })
}

/// The `attached` line: when recording began, and what it took.
fn beginning(directory: &Directory, attachment: &Attachment) -> Result<(Time, f64), CollectError> {
    let now = || clock::time_now(attachment.attached.boot_to_unix_ns);
    let unknown = (attachment.lost.as_ref().map_or_else(now, |lost| lost.last), 0.0);
    let Some(log) = directory.read(file::ANNOTATIONS)? else { return Ok(unknown) };
    let first = Tail::new(log).next_line().ok().flatten().and_then(|line| Line::parse(line).ok());
    Ok(match first.as_ref().map(|line| (line.time, line.entry())) {
        Some((time, Ok(Entry::Attached(attached)))) => (time, attached.attach_ms),
        Some((time, _)) => (time, 0.0),
        None => unknown,
    })
}

/// The log as it is now: what comes is the line about the report.
fn log_before(directory: &Directory) -> Result<Option<LogBefore>, CollectError> {
    let log = directory.content(file::ANNOTATIONS)?;
    Ok(log.map(|log| LogBefore {
        file: file::ANNOTATIONS.to_owned(),
        bytes: log.len() as u64,
        sha256: chain::sha256(&log),
    }))
}

/// What matched, in the order of the log: findings, and what the policy allows.
fn matches(directory: &Directory) -> Result<(Vec<Finding>, Vec<Allowed>), CollectError> {
    let (mut findings, mut allowed) = (Vec::new(), Vec::new());
    if let Some(log) = directory.read(file::ANNOTATIONS)? {
        let mut lines = Tail::new(log);
        while let Ok(Some(line)) = lines.next_line() {
            match Line::parse(line).and_then(|line| line.entry()) {
                Ok(Entry::Finding(finding)) => findings.push(*finding),
                Ok(Entry::Allowed(one)) => allowed.push(*one),
                _ => {}
            }
        }
    }
    Ok((findings, allowed))
}

/// What the event file says.
#[derive(Default)]
struct Seen {
    sequences: Sequences,
    /// Who executed sequence 1.
    first_pid: Option<u32>,
    truncated: u64,
    unreadable: u64,
    executables: HashMap<Bytes, u64>,
    /// Execs of files beyond those.
    executables_omitted: u64,
    /// Lines with a finding.
    flagged: u64,
    counts: FindingCounts,
    lines: u64,
    malformed: u64,
    digest: String,
}

impl Seen {
    fn read(file: File, findings: &mut [Finding], course: &mut Course) -> Seen {
        let mut seen = Seen::default();
        let mut waiting = Waiting::new(findings);
        let mut hash = Sha256::new();
        let mut lines = Tail::new(file);
        while let Ok(Some(line)) = lines.next_line() {
            hash.update(line);
            hash.update(b"\n");
            if line.starts_with(b"{\"buildwarden\"") {
                continue;
            }
            seen.lines += 1;
            match execlog::Line::parse(line) {
                Ok(execlog::Line::Exec(line)) => {
                    waiting.began(&line, findings);
                    seen.exec(*line, course);
                }
                Ok(execlog::Line::Exit(line)) => {
                    waiting.ended(&line, findings);
                    course.exit(&line);
                }
                Ok(execlog::Line::Gap(_) | execlog::Line::Drained(_)) => {}
                Err(_) => seen.malformed += 1,
            }
        }
        seen.malformed += u64::from(lines.is_torn()) + lines.too_long();
        hash.update(lines.torn());
        seen.digest = chain::hex(&hash.finalize());
        seen
    }

    fn exec(&mut self, line: ExecLine, course: &mut Course) {
        if !self.sequences.insert(line.exec) {
            return;
        }
        course.exec(&line);
        if line.exec == 1 {
            self.first_pid = Some(line.pid);
        }
        self.truncated += u64::from(line.has_flag("truncated"));
        self.unreadable += u64::from(line.has_flag("unreadable"));
        if let Some(importance) = line.finding {
            self.flagged += 1;
            self.counts.add(importance);
        }
        // Ten times what is listed, so that the most frequent are among them.
        if self.executables.len() < 10 * EXECUTABLES_MAX
            || self.executables.contains_key(&line.path)
        {
            *self.executables.entry(line.path).or_default() += 1;
        } else {
            self.executables_omitted += 1;
        }
    }

    fn executables(&self) -> Vec<Executable> {
        let mut list: Vec<_> = self
            .executables
            .iter()
            .map(|(path, count)| Executable { path: path.clone(), count: *count })
            .collect();
        list.sort_by(|a, b| (Reverse(a.count), &a.path).cmp(&(Reverse(b.count), &b.path)));
        list.truncate(EXECUTABLES_MAX);
        list
    }
}

/// Findings whose processes have not ended yet.
struct Waiting {
    by_sequence: HashMap<u64, Vec<usize>>,
    by_process: HashMap<ProcessId, Vec<(usize, u64)>>,
}

impl Waiting {
    fn new(findings: &[Finding]) -> Waiting {
        let mut by_sequence: HashMap<u64, Vec<usize>> = HashMap::new();
        for (i, finding) in findings.iter().enumerate() {
            by_sequence.entry(finding.exec.sequence).or_default().push(i);
        }
        Waiting { by_sequence, by_process: HashMap::new() }
    }

    fn began(&mut self, line: &ExecLine, findings: &[Finding]) {
        let found = self.by_sequence.get(&line.exec).into_iter().flatten();
        for index in found.filter(|index| **index < findings.len()) {
            self.by_process.entry(line.process()).or_default().push((*index, line.t));
        }
    }

    fn ended(&mut self, line: &execlog::ExitLine, findings: &mut [Finding]) {
        let exit = line.event();
        for (index, began) in self.by_process.remove(&exit.process).unwrap_or_default() {
            findings[index].outcome = Some(Outcome {
                exit_code: exit.code(),
                signal: exit.signal(),
                duration_ms: exit.time.saturating_sub(began) as f64 / 1e6,
            });
        }
    }
}
