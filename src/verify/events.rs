//! The event file: its digest, its chain, its numbers, and that it has the execs that
//! report and log speak of.

use super::{Files, Read, Verification, judge::Judge, log::Recorded, shown};
use crate::{
    annotation::{LINE_MAX, Tail},
    chain::{Chain, Link, hex},
    collect::{
        Rules,
        file::{EXECS, REPORT},
    },
    escape,
    execlog::{ExecLine, Header, HeaderError, Line, Sequences},
    report::{
        Bytes, Time,
        model::{Importance, Process, Report},
    },
};
use sha2::{Digest as _, Sha256};
use std::{
    collections::{HashMap, HashSet},
    io,
};

/// What a chain value that does not match says of the lines that it speaks for.
pub(super) const BROKEN: &str =
    "changed, or a line was removed, added or moved: the chain value does not match";

/// Reads the event file, and holds it against report and log.
pub(super) fn check(
    files: &Files,
    report: Option<&Report>,
    recorded: &Recorded,
    rules: Option<&Rules>,
    found: &mut Verification,
) -> io::Result<()> {
    let Some(file) = &files.events else {
        match report {
            Some(report) if report.events.is_some() => found.problem(EXECS, None, "it is missing"),
            _ => found.note(format!("{EXECS} is not kept: no exec can be judged again")),
        }
        return Ok(());
    };
    let mut state = State::new(report, recorded, rules);
    let mut hash = Sha256::new();
    let mut lines = Tail::new(file.try_clone()?);
    while let Some(line) = lines.next_line()? {
        hash.update(line);
        hash.update(b"\n");
        state.line(line, found);
    }
    hash.update(lines.torn());
    if lines.is_torn() {
        let number = state.read.lines + 1;
        let excused = state.excused || state.running;
        found.problem_unless(excused, EXECS, number, "cut off: the line has no end".into());
    }
    if lines.too_long() > 0 {
        found.problem(EXECS, None, format!("a line is longer than {LINE_MAX} bytes"));
    }
    state.end(&hex(&hash.finalize()), found);
    Ok(())
}

/// What is recorded of an exec beside its line.
#[derive(Debug, Default)]
pub(super) struct Known<'a> {
    /// In which line of the log it is, or its first.
    line: u64,
    sequence: u64,
    uid: u32,
    path: &'a [u8],
    importance: Option<Importance>,
    /// The recipes of its findings and of what the policy allows, each with its importance
    /// where it is a finding.
    pub(super) recipes: Vec<(&'a str, Option<Importance>)>,
    seen: bool,
}

struct State<'a> {
    report: Option<&'a Report>,
    judge: Judge<'a>,
    /// Whether the report itself says that something went wrong.
    excused: bool,
    /// Whether the run has not ended, as far as is known: log and event file may have been
    /// read at different moments.
    running: bool,
    /// Whether it says that no exec is missing.
    gapless: bool,
    read: Read,
    chain: Chain,
    /// The last line with a chain value.
    sealed: u64,
    /// Whether the lines are of a version that is not read.
    foreign: bool,
    /// What the times of the lines count from.
    began: Time,
    sequences: Sequences,
    last: u64,
    first_pid: Option<u32>,
    recorded_pid: Option<u32>,
    truncated: u64,
    unreadable: u64,
    known: HashMap<(Time, u32), Known<'a>>,
    executables: HashMap<&'a Bytes, u64>,
    /// Execs of files that the report does not list.
    unlisted: u64,
    processes: HashMap<u64, &'a Process>,
    listed: HashSet<u64>,
}

impl<'a> State<'a> {
    fn new(
        report: Option<&'a Report>,
        recorded: &'a Recorded,
        rules: Option<&'a Rules>,
    ) -> State<'a> {
        let completeness = report.map(|report| &report.completeness);
        let executables = report.map_or(&[][..], |report| &report.executables);
        let processes = report.map_or(&[][..], |report| &report.processes);
        State {
            report,
            judge: Judge::new(report, recorded, rules),
            excused: completeness.is_some_and(|is| !is.reasons.is_empty()),
            running: report.is_none() && recorded.finished.is_none(),
            gapless: completeness.is_none_or(|is| is.execs == is.last_sequence),
            read: Read::default(),
            chain: Chain::default(),
            sealed: 0,
            foreign: false,
            began: boot(recorded),
            sequences: Sequences::default(),
            last: 0,
            first_pid: None,
            recorded_pid: recorded.attached.as_ref().map(|attached| attached.pid),
            truncated: 0,
            unreadable: 0,
            known: known(recorded),
            executables: executables.iter().map(|executable| (&executable.path, 0)).collect(),
            unlisted: 0,
            processes: processes.iter().map(|process| (process.sequence, process)).collect(),
            listed: HashSet::new(),
        }
    }

    fn line(&mut self, bytes: &[u8], found: &mut Verification) {
        self.read.lines += 1;
        let number = self.read.lines;
        let link = self.chain.line(bytes);
        if link == Link::Broken {
            let first = (self.sealed + 1 < number).then_some(self.sealed + 1);
            found.problems_of_lines(EXECS, first, Some(number), BROKEN);
        }
        if link != Link::Open {
            self.read.chain_values += 1;
            self.sealed = number;
        }
        if number == 1 {
            return self.header(bytes, found);
        }
        if self.foreign {
            return;
        }
        match Line::parse(bytes) {
            Ok(Line::Exec(line)) => self.exec(&line, found),
            Ok(Line::Drained(_)) if link == Link::Open && self.read.chain_values > 0 => {
                found.problem(EXECS, Some(number), "added or changed: it has no chain value");
            }
            Ok(Line::Exit(line)) => self.named(line.exit, found),
            Ok(Line::Gap(_) | Line::Drained(_)) => {}
            Err(error) => {
                let problem = format!("expected a line of an event file: {error}");
                found.problem_unless(self.excused, EXECS, number, problem);
            }
        }
    }

    fn header(&mut self, bytes: &[u8], found: &mut Verification) {
        let header = match Header::parse(bytes) {
            Ok(header) => header,
            Err(error) => {
                self.foreign = matches!(error, HeaderError::Version(_));
                found.problem(EXECS, Some(1), error.to_string());
                return;
            }
        };
        self.began = header.began;
        let container = found.container.get_or_insert_with(|| header.container.clone()).clone();
        let run = *found.run.get_or_insert(header.run);
        if (&container, run) != (&header.container, header.run) {
            let problem = format!(
                "it is of {}, run {}, not of {}, run {run}",
                shown(&header.container),
                header.run,
                shown(&container),
            );
            found.problem(EXECS, Some(1), problem);
        }
    }

    fn exec(&mut self, exec: &ExecLine, found: &mut Verification) {
        let number = self.read.lines;
        self.named(exec.by, found);
        self.number(exec.exec, found);
        if exec.exec == 1 {
            self.first_pid = Some(exec.pid);
        }
        self.truncated += u64::from(exec.has_flag("truncated"));
        self.unreadable += u64::from(exec.has_flag("unreadable"));
        match self.executables.get_mut(&exec.path) {
            Some(count) => *count += 1,
            None => self.unlisted += 1,
        }
        if let Some(process) = self.processes.get(&exec.exec) {
            self.listed.insert(exec.exec);
            if !is_of(process, exec) {
                let problem = format!("exec {} is not as {EXECS} line {number} has it", exec.exec);
                found.problem(REPORT, None, problem);
            }
        }
        let key = (self.began.plus_ns(exec.t), exec.pid);
        let known = self.known.get_mut(&key);
        // Findings that were too many are on no record but this.
        let omitted = self.report.is_some_and(|report| report.findings_omitted > 0);
        match &known {
            None if exec.finding.is_some() && !omitted => {
                let problem =
                    format!("exec {} has a finding that log and report do not have", exec.exec);
                found.problem_unless(self.excused || self.running, EXECS, number, problem);
            }
            Some(known) if known.importance != exec.finding && !omitted => {
                let problem =
                    format!("its importance is not as in the findings of exec {}", exec.exec);
                found.problem(EXECS, Some(number), problem);
            }
            Some(known)
                if (known.path, known.uid) != (&*exec.path, exec.uid)
                    || (self.gapless && known.sequence != exec.exec) =>
            {
                let problem = format!("exec {} is not as in its findings", exec.exec);
                found.problem(EXECS, Some(number), problem);
            }
            _ => {}
        }
        let known = known.map(|known| {
            known.seen = true;
            &*known
        });
        self.judge.again(number, exec, key.0, known, omitted, found);
    }

    /// An exec that a line names has a line before it.
    fn named(&self, exec: Option<u64>, found: &mut Verification) {
        if let Some(exec) = exec.filter(|exec| !self.sequences.contains(*exec)) {
            let problem = format!("changed: it names exec {exec}, which no line before it has");
            found.problem_unless(self.excused, EXECS, self.read.lines, problem);
        }
    }

    /// Numbers rise by one; a hole is a loss, which the report has to say.
    fn number(&mut self, sequence: u64, found: &mut Verification) {
        let number = self.read.lines;
        let next = self.last.saturating_add(1);
        if !self.sequences.insert(sequence) || sequence < next {
            let problem = format!("exec {sequence} stands behind exec {}", self.last);
            found.problem(EXECS, Some(number), problem);
        } else if sequence > next && self.gapless {
            let missing = match sequence - next {
                1 => format!("exec {next} is missing"),
                _ => format!("execs {next} to {} are missing", sequence - 1),
            };
            found.problem(EXECS, Some(number), format!("{missing} before this line"));
        }
        self.last = self.last.max(sequence);
    }

    fn end(mut self, digest: &str, found: &mut Verification) {
        found.events = Some(self.read);
        if self.foreign {
            return;
        }
        self.judge.end(found);
        let execs = self.sequences.count();
        found.judged.execs = execs;
        if let Some(report) = self.report {
            self.against(report, digest, found);
        }
        let open = self.read.lines - self.sealed;
        match (self.read.chain_values, self.report) {
            (0, Some(_)) if execs > 0 => {
                found.problem(EXECS, None, "the chain values are missing");
            }
            (_, None) if open > 0 => {
                let first = self.sealed + 1;
                found.note(format!(
                    "{EXECS} from line {first} on: no chain value speaks for it yet"
                ));
            }
            _ => {}
        }
        let mut unseen: Vec<&Known<'_>> = self.known.values().filter(|known| !known.seen).collect();
        unseen.sort_by_key(|known| known.line);
        for known in unseen {
            let problem = format!("it is of exec {}, which {EXECS} does not have", known.sequence);
            // While the container runs, the log is ahead.
            let excused = self.excused || self.running;
            found.problem_unless(excused, super::ANNOTATIONS, known.line, problem);
        }
    }

    /// Whether the facts of the report are those of the file.
    fn against(&mut self, report: &Report, digest: &str, found: &mut Verification) {
        let completeness = &report.completeness;
        let execs = self.sequences.count();
        if let Some(events) = &report.events {
            if events.sha256 != digest {
                found.problem(EXECS, None, "changed: its SHA-256 is not the one in the report");
            }
            let lines = self.read.lines.saturating_sub(1);
            if events.count != lines {
                let problem = format!("it has {lines} lines, and by the report {}", events.count);
                found.problem(EXECS, None, problem);
            }
        }
        let mut differ = |what: &str, file: u64, report: u64| {
            let problem = format!("{what} is {report}, and by {EXECS} {file}");
            found.problem(REPORT, None, problem);
        };
        if execs != completeness.execs {
            differ("completeness.execs", execs, completeness.execs);
        }
        // Where the recording was lost, so were the kernel's counts: the reasons say so.
        let uncounted = completeness.last_sequence == 0 && self.excused;
        if self.last > completeness.last_sequence && !uncounted {
            differ("completeness.last_sequence", self.last, completeness.last_sequence);
        }
        if self.unreadable != completeness.unreadable {
            differ("completeness.unreadable", self.unreadable, completeness.unreadable);
        }
        if self.truncated > completeness.truncated {
            differ("completeness.truncated", self.truncated, completeness.truncated);
        }
        if completeness.attached_before_first_exec
            && self.recorded_pid.is_some()
            && self.first_pid != self.recorded_pid
        {
            let problem = "attached_before_first_exec does not hold: exec 1 is of another process";
            found.problem(REPORT, None, problem);
        }
        if report.executables_omitted == 0 {
            for executable in &report.executables {
                let count = self.executables.get(&executable.path).copied().unwrap_or_default();
                if count != executable.count {
                    let path = escape::visible(&executable.path);
                    let problem = format!(
                        "{} was executed {} times, and by {EXECS} {count} times",
                        path, executable.count
                    );
                    found.problem(REPORT, None, problem);
                }
            }
            if self.unlisted > 0 {
                let problem = format!("execs are in no entry of executables: {}", self.unlisted);
                found.problem(REPORT, None, problem);
            }
        }
        if let Some(process) = report.processes.iter().find(|p| !self.listed.contains(&p.sequence))
        {
            let problem = format!("exec {} is listed, and not in {EXECS}", process.sequence);
            found.problem(REPORT, None, problem);
        }
    }
}

/// When the machine was booted: what the times count from where no header says else.
fn boot(recorded: &Recorded) -> Time {
    let offset = recorded.attached.as_ref().map_or(0, |attached| attached.boot_to_unix_ns);
    Time::from_boot(0, offset)
}

/// Whether a process of the report is this exec.
fn is_of(process: &Process, exec: &ExecLine) -> bool {
    let path = match process.path_omitted {
        0 => *process.path == *exec.path,
        _ => exec.path.ends_with(&process.path),
    };
    path && (process.pid, process.uid) == (exec.pid, exec.uid)
}

/// The execs of findings and of what the policy allows, by time and pid: sequence numbers
/// begin anew after a loss.
fn known(recorded: &Recorded) -> HashMap<(Time, u32), Known<'_>> {
    let mut known: HashMap<(Time, u32), Known<'_>> = HashMap::new();
    let findings = recorded
        .findings
        .iter()
        .map(|(line, finding)| (*line, &finding.exec, &*finding.recipe, Some(finding.importance)));
    let allowed = recorded.allowed.iter().map(|(line, one)| (*line, &one.exec, &*one.recipe, None));
    for (line, exec, recipe, importance) in findings.chain(allowed) {
        let entry = known.entry((exec.time, exec.pid)).or_insert_with(|| Known {
            line,
            sequence: exec.sequence,
            uid: exec.uid,
            path: &exec.path,
            ..Known::default()
        });
        entry.importance = entry.importance.max(importance);
        entry.recipes.push((recipe, importance));
    }
    known
}
