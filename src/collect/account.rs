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
    execlog::{self, ExecLine, Header, Sequences},
    report::{
        Bytes, Time,
        model::{
            Allowed, Completeness, Cost, EXECUTABLES_MAX, Events, Executable, Finding, Job,
            LogBefore, Producer, Report, SCHEMA_VERSION, Verdict,
        },
    },
    trace::Counters,
};
use sha2::{Digest as _, Sha256};
use std::{cmp::Reverse, collections::HashMap, fs::File, mem};

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
    /// What confines who writes the report.
    pub(super) confined: Vec<String>,
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
    let Matches { mut findings, allowed, lost: lost_matches } = Matches::read(directory)?;
    let offset = attached.boot_to_unix_ns;
    let (started, attach_ms) = beginning(directory, attachment)?;
    let finished = match &attachment.lost {
        None => Time::from_boot(ending.at, offset),
        // Nobody saw its end; it was not before this.
        Some(lost) => lost.last.max(started),
    };
    // Without a header, this is what a collector counts from.
    let began = Time::from_boot(0, offset);
    let mut course = Course::new(Span { started, finished, began }, &findings);
    let events = match directory.read(file::EXECS)? {
        Some(file) => Seen::read(file, &mut course),
        None => Seen::default(),
    };
    let (timeline, processes, processes_omitted) = course.finish();
    for finding in &mut findings {
        let at = processes.binary_search_by_key(&finding.exec.sequence, |listed| listed.sequence);
        finding.outcome = at.ok().and_then(|at| processes[at].outcome.clone());
    }
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
    reasons.extend(events.failure.clone());
    let listed = findings.len() as u64;
    let told = !lost_matches.is_empty();
    reasons.extend(lost_matches);
    if !told && listed < session::FINDINGS_MAX && events.flagged > listed {
        let missing = events.flagged - listed;
        reasons.push(format!("{missing} findings are missing in the annotation log"));
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
    let counts = events.counts;
    let executables_omitted = events.executables.len().saturating_sub(EXECUTABLES_MAX) as u64;
    let mut report = Report {
        schema_version: SCHEMA_VERSION,
        tool: Producer::this(),
        verdict: Verdict::Incomplete,
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
        confined: ending.confined,
    };
    report.verdict = report.verdict_of_facts();
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

/// What matched, in the order of the log.
#[derive(Default)]
struct Matches {
    findings: Vec<Finding>,
    /// What the policy allows.
    allowed: Vec<Allowed>,
    /// Why there may have been more.
    lost: Vec<String>,
}

impl Matches {
    fn read(directory: &Directory) -> Result<Matches, CollectError> {
        let mut matches = Matches::default();
        let Some(log) = directory.read(file::ANNOTATIONS)? else {
            matches.lost.push("the annotation log is gone".to_owned());
            return Ok(matches);
        };
        let mut lines = Tail::new(log);
        let mut unreadable = 0_u64;
        loop {
            match lines.next_line() {
                Ok(None) => break,
                Ok(Some(line)) => match Line::parse(line).and_then(|line| line.entry()) {
                    Ok(Entry::Finding(finding)) => matches.findings.push(*finding),
                    Ok(Entry::Allowed(one)) => matches.allowed.push(*one),
                    Ok(_) => {}
                    Err(_) => unreadable += 1,
                },
                Err(error) => {
                    let reason =
                        format!("the annotation log could not be read to its end: {error}");
                    matches.lost.push(reason);
                    break;
                }
            }
        }
        unreadable += u64::from(lines.is_torn()) + lines.too_long();
        if unreadable > 0 {
            let reason = format!("{unreadable} lines of the annotation log could not be read");
            matches.lost.push(reason);
        }
        Ok(matches)
    }
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
    /// Why it was not read to its end.
    failure: Option<String>,
    digest: String,
}

impl Seen {
    fn read(file: File, course: &mut Course) -> Seen {
        let mut seen = Seen::default();
        let mut hash = Sha256::new();
        let mut first = true;
        let mut lines = Tail::new(file);
        loop {
            let line = match lines.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => {
                    seen.failure =
                        Some(format!("the event file could not be read to its end: {error}"));
                    break;
                }
            };
            hash.update(line);
            hash.update(b"\n");
            if mem::take(&mut first) {
                match Header::parse(line) {
                    Ok(header) => course.begin(header.began),
                    Err(error) => seen.failure = Some(format!("the event file: {error}")),
                }
                if execlog::is_header(line) {
                    continue;
                }
            }
            seen.lines += 1;
            match execlog::Line::parse(line) {
                Ok(execlog::Line::Exec(line)) => seen.exec(*line, course),
                Ok(execlog::Line::Exit(line)) => course.exit(&line),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        annotation::{Attached, Log},
        report::json,
    };
    use std::{fs::OpenOptions, io::Write as _, path::Path};

    /// A report with one finding, to take values from.
    fn fixture() -> Report {
        json::parse(include_bytes!("../../tests/fixtures/one-finding.json")).unwrap()
    }

    fn attachment() -> Attachment {
        let Report { tool, container, job, .. } = fixture();
        Attachment {
            attached: Attached {
                tool,
                container,
                job,
                stage: "run".to_owned(),
                pid: 10,
                ring_bytes: 1,
                attach_ms: 1.0,
                boot_to_unix_ns: 0,
                boot_id: None,
            },
            begun: 0,
            directory: "c".to_owned(),
            builder: None,
            failure: None,
            lost: None,
        }
    }

    fn append(directory: &Path, name: &str, bytes: &[u8]) {
        let path = directory.join(name);
        OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
    }

    /// The account of a run of one exec, which has a finding; all of it was seen. Its files
    /// are damaged before.
    fn account_after(damage: impl Fn(&Path)) -> Report {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::create(dir.path(), "c", None).unwrap().unwrap();
        let path = dir.path().join("c");
        for name in [file::ANNOTATIONS, file::EXECS] {
            File::create(path.join(name)).unwrap();
        }
        let attachment = attachment();
        let open = OpenOptions::new().append(true).read(true).open(path.join(file::ANNOTATIONS));
        let mut log = Log::new(open.unwrap(), "c").unwrap();
        let mut finding = fixture().findings.remove(0);
        finding.exec.sequence = 1;
        log.attached(Time::from_unix_ns(0), &attachment.attached).unwrap();
        log.finding(Time::from_unix_ns(0), &finding).unwrap();
        let mut lines = Vec::new();
        execlog::push_header(&mut lines, &Header::new("c", 1, 0, 0));
        let exec = br#"{"exec":1,"t":1,"pid":10,"age":1,"path":"/bin/x","finding":"critical"}"#;
        append(&path, file::EXECS, &[&lines[..], exec, b"\n"].concat());
        damage(&path);
        let ending = Ending {
            counters: Some(Counters { execs: 1, ..Counters::default() }),
            programs_attached: true,
            other_jobs: Vec::new(),
            cut_environments: 0,
            failures: Vec::new(),
            at: 2,
            keep_events: true,
            confined: Vec::new(),
            rules: None,
        };
        account(&directory, &attachment, ending).unwrap().report
    }

    #[test]
    fn a_log_that_lost_a_finding_makes_nothing_clean() {
        type Damage = fn(&Path);
        let cases: [(Damage, (usize, u64), Option<&str>); 4] = [
            (|_| (), (1, 0), None),
            (
                |path| std::fs::remove_file(path.join(file::ANNOTATIONS)).unwrap(),
                (0, 1),
                Some("the annotation log is gone"),
            ),
            (
                |path| {
                    let log = path.join(file::ANNOTATIONS);
                    let text = std::fs::read_to_string(&log).unwrap();
                    std::fs::write(log, text.replace("finding.1", "finding.1\"")).unwrap();
                },
                (0, 1),
                Some("1 lines of the annotation log could not be read"),
            ),
            (
                |path| append(path, file::ANNOTATIONS, b"{\"time\":"),
                (1, 0),
                Some("1 lines of the annotation log could not be read"),
            ),
        ];
        for (damage, findings, reason) in cases {
            let report = account_after(damage);
            assert_eq!((report.findings.len(), report.findings_omitted), findings);
            assert_eq!(report.verdict, Verdict::Findings);
            assert_eq!(report.completeness.reasons, Vec::from_iter(reason));
            assert_eq!(report.completeness.is_complete(), reason.is_none());
        }
        // Without a word of the event file, there is still the reason.
        let report = account_after(|path| {
            std::fs::write(path.join(file::ANNOTATIONS), "{}\n").unwrap();
            let events = path.join(file::EXECS);
            let text = std::fs::read_to_string(&events).unwrap();
            std::fs::write(events, text.replace(r#","finding":"critical""#, "")).unwrap();
        });
        assert_eq!(report.verdict, Verdict::Incomplete);
    }
}
