//! The course of a run: its execs over time, and which process came of which. Made
//! from the lines of the event file as they are read, in bounded memory.

use crate::{
    event::{Exit, ProcessId},
    execlog::{ExecLine, ExitLine},
    report::{
        Bytes, Time,
        model::{BUCKETS_MAX, Finding, Outcome, PROCESSES_MAX, Process, Timeline},
    },
};
use foldhash::fast::RandomState;
use std::collections::HashMap;

/// Bytes of the arguments that are kept of an exec.
const ARGV: usize = 256;
/// Bytes of the path, from its end.
const PATH: usize = 512;

/// From when to when, and what the times of the event file count from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) started: Time,
    pub(super) finished: Time,
    pub(super) began: Time,
}

/// What is made of the lines.
#[derive(Debug)]
pub(super) struct Course {
    span: Span,
    timeline: Timeline,
    kept: Kept,
}

impl Course {
    /// The course of a run with these findings.
    pub(super) fn new(span: Span, findings: &[Finding]) -> Course {
        let length_ms = span.finished.ns_since(span.started).div_ceil(1_000_000);
        let bucket_ms = length_ms.div_ceil(BUCKETS_MAX as u64).max(1);
        let buckets = length_ms.div_ceil(bucket_ms).max(1) as usize;
        Course {
            span,
            timeline: Timeline { bucket_ms, execs: vec![0; buckets] },
            kept: Kept::new(findings, PROCESSES_MAX),
        }
    }

    /// What the times of the lines that follow count from.
    pub(super) fn begin(&mut self, began: Time) {
        self.span.began = began;
    }

    /// A program was executed.
    pub(super) fn exec(&mut self, line: &ExecLine) {
        let offset_ns = self.span.began.plus_ns(line.t).ns_since(self.span.started);
        let last = self.timeline.execs.len() - 1;
        let bucket = offset_ns / 1_000_000 / self.timeline.bucket_ms;
        self.timeline.execs[last.min(usize::try_from(bucket).unwrap_or(last))] += 1;

        // Nothing comes of what comes later, whatever a changed file says.
        let parent = line.by.filter(|by| *by < line.exec);
        self.kept.exec(line, parent, offset_ns as f64 / 1e6);
        if let Some(exit) = line.end() {
            self.exit(&exit);
        }
    }

    /// A process ended.
    pub(super) fn exit(&mut self, line: &ExitLine) {
        self.kept.exit(line);
    }

    /// The timeline, the execs that are listed, and how many are not.
    pub(super) fn finish(self) -> (Timeline, Vec<Process>, u64) {
        let mut processes = self.kept.processes;
        // The order of delivery is that of the numbers, but for what a crash repeated.
        processes.sort_by_key(|process| process.sequence);
        (self.timeline, processes, self.kept.omitted)
    }
}

/// The execs that are listed.
#[derive(Debug)]
struct Kept {
    processes: Vec<Process>,
    /// Findings and their ancestors, with the numbers of the findings.
    wanted: HashMap<u64, Vec<u64>, RandomState>,
    /// How many others there is room for.
    room: usize,
    omitted: u64,
    open: Open,
}

/// Processes of listed execs whose end was not read yet.
#[derive(Debug, Default)]
struct Open {
    processes: HashMap<ProcessId, Running, RandomState>,
    /// By the last exec of each, which its end names.
    by_last: HashMap<u64, ProcessId, RandomState>,
}

#[derive(Debug)]
struct Running {
    last: u64,
    /// Where its execs are listed, and when they were.
    listed: Vec<(usize, i64)>,
}

impl Kept {
    fn new(findings: &[Finding], most: usize) -> Kept {
        let mut wanted: HashMap<u64, Vec<u64>, RandomState> = HashMap::default();
        for finding in findings {
            if wanted.len() < most || wanted.contains_key(&finding.exec.sequence) {
                wanted.entry(finding.exec.sequence).or_default().push(finding.n);
            }
        }
        let ancestors = findings.iter().flat_map(|finding| &finding.ancestry);
        for sequence in ancestors.filter_map(|ancestor| ancestor.sequence) {
            if wanted.len() < most {
                wanted.entry(sequence).or_default();
            }
        }
        let room = most - wanted.len();
        Kept { processes: Vec::new(), wanted, room, omitted: 0, open: Open::default() }
    }

    fn exec(&mut self, line: &ExecLine, parent: Option<u64>, offset_ms: f64) {
        let findings = match self.wanted.remove(&line.exec) {
            Some(findings) => findings,
            None if self.room > 0 => {
                self.room -= 1;
                Vec::new()
            }
            None => {
                self.omitted += 1;
                return self.open.exec(line, None);
            }
        };
        self.open.exec(line, Some(self.processes.len()));
        let (path, path_omitted) = path(&line.path);
        let (argv, argv_omitted) = argv(line);
        self.processes.push(Process {
            sequence: line.exec,
            parent,
            pid: line.pid,
            offset_ms,
            uid: line.uid,
            path,
            path_omitted,
            argv,
            argv_omitted,
            outcome: None,
            findings,
        });
    }

    fn exit(&mut self, line: &ExitLine) {
        let exit = Exit { status: line.status, ..Exit::default() };
        for (index, began) in self.open.exit(line) {
            self.processes[index].outcome = Some(Outcome {
                exit_code: exit.code(),
                signal: exit.signal(),
                duration_ms: line.t.saturating_sub(began).max(0) as f64 / 1e6,
            });
        }
    }
}

impl Open {
    /// `listed`: where, if it is.
    fn exec(&mut self, line: &ExecLine, listed: Option<usize>) {
        // From what the starts of both count does not matter.
        let process = line.process(0);
        let running = match listed {
            Some(_) => {
                let new = || Running { last: line.exec, listed: Vec::new() };
                self.processes.entry(process).or_insert_with(new)
            }
            None => match self.processes.get_mut(&process) {
                Some(running) => running,
                None => return,
            },
        };
        self.by_last.remove(&running.last);
        self.by_last.insert(line.exec, process);
        running.last = line.exec;
        running.listed.extend(listed.map(|index| (index, line.t)));
    }

    fn exit(&mut self, line: &ExitLine) -> Vec<(usize, i64)> {
        let process = match line.exit {
            Some(last) => self.by_last.get(&last).copied(),
            None => Some(line.process(0)),
        };
        let Some(ended) = process.and_then(|process| self.processes.remove(&process)) else {
            return Vec::new();
        };
        self.by_last.remove(&ended.last);
        ended.listed
    }
}

/// The end of a path, which names the file, with how many bytes are left out before it.
fn path(path: &Bytes) -> (Bytes, u64) {
    let mut start = path.len().saturating_sub(PATH);
    while start > 0 && start < path.len() && is_continuation(path[start]) {
        start += 1;
    }
    (Bytes::from(&path[start..]), start as u64)
}

/// The beginning of the arguments, with how many bytes are left out behind it.
fn argv(line: &ExecLine) -> (Vec<Bytes>, u64) {
    let mut argv = Vec::new();
    let mut room = ARGV;
    let (mut whole, mut kept) = (0, 0);
    for argument in line.argv() {
        whole += argument.len() as u64 + 1;
        if room == 0 {
            continue;
        }
        let mut end = argument.len().min(room);
        while end > 0 && argument.get(end).is_some_and(|byte| is_continuation(*byte)) {
            end -= 1;
        }
        argv.push(Bytes::from(&argument[..end]));
        kept += end as u64 + 1;
        room = room.saturating_sub(argument.len() + 1);
    }
    // The line itself may hold less than there was.
    (argv, whole.max(line.argv_len) - kept)
}

/// Whether a byte goes on with a UTF-8 character: no cut before it.
fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        execlog::Line,
        report::{json, model::Report},
    };

    const SPAN: Span = Span {
        started: Time(jiff::Timestamp::UNIX_EPOCH),
        finished: Time(jiff::Timestamp::constant(1, 0)),
        began: Time(jiff::Timestamp::UNIX_EPOCH),
    };

    fn course(span: Span, findings: &[Finding], lines: &[String]) -> (Timeline, Vec<Process>, u64) {
        let mut course = Course::new(span, findings);
        for line in lines {
            match Line::parse(line.as_bytes()).unwrap() {
                Line::Exec(line) => course.exec(&line),
                Line::Exit(line) => course.exit(&line),
                _ => {}
            }
        }
        course.finish()
    }

    fn exec(sequence: u64, ms: i64, pid: u32, more: &str) -> String {
        let t = ms * 1_000_000;
        let age = t - 1;
        format!(r#"{{"exec":{sequence},"t":{t},"pid":{pid},"age":{age},"path":"/bin/x"{more}}}"#)
    }

    fn exit(last: u64, ms: u64, status: u32) -> String {
        let t = ms * 1_000_000;
        format!(r#"{{"exit":{last},"t":{t},"status":{status}}}"#)
    }

    /// A finding of the fixtures as that of another exec.
    fn finding(n: u64, sequence: u64, ancestors: &[u64]) -> Finding {
        let text = include_bytes!("../../tests/fixtures/one-finding.json");
        let report: Report = json::parse(text).unwrap();
        let mut finding = report.findings.into_iter().next().unwrap();
        finding.n = n;
        finding.exec.sequence = sequence;
        finding.ancestry.truncate(ancestors.len());
        for (ancestor, sequence) in finding.ancestry.iter_mut().zip(ancestors) {
            ancestor.sequence = Some(*sequence);
        }
        finding
    }

    #[test]
    fn each_exec_has_its_parents_image_and_its_end() {
        let lines = [
            exec(1, 0, 10, ""),
            exec(2, 5, 12, r#","by":1,"uid":7"#),
            exec(3, 6, 12, r#","by":1"#),
            exec(4, 8, 13, r#","by":3"#),
            exit(4, 9, 9),
            // Of the process of both.
            exit(3, 20, 256),
            // Its line comes after that of its parent's end.
            exec(5, 15, 14, r#","by":3"#),
            // Its end is in its line, and that of the one before.
            exec(6, 15, 20, r#","by":3"#),
            exec(7, 16, 20, r#","by":3,"ran":500000,"status":512"#),
            // What nobody writes.
            exec(8, 16, 15, r#","by":8"#),
            exit(99, 17, 256),
            // Of one that who wrote it did not know.
            r#"{"exit":null,"t":18000000,"pid":15,"age":17999999,"status":0}"#.to_owned(),
        ];
        let (_, processes, omitted) = course(SPAN, &[finding(1, 4, &[3, 1])], &lines);
        let parents: Vec<_> = processes.iter().map(|process| process.parent).collect();
        let want = [None, Some(1), Some(1), Some(3), Some(3), Some(3), Some(3), None];
        assert_eq!(parents, want);
        let ends: Vec<_> = processes
            .iter()
            .map(|process| {
                let end = process.outcome.as_ref()?;
                Some((end.exit_code, end.signal, end.duration_ms))
            })
            .collect();
        let code = |ms| Some((Some(1), None, ms));
        let signal = Some((None, Some(9), 1.0));
        let success = Some((Some(0), None, 2.0));
        let two = |ms| Some((Some(2), None, ms));
        let want = [None, code(15.0), code(14.0), signal, None, two(1.5), two(0.5), success];
        assert_eq!(ends, want);
        assert_eq!((processes[1].uid, processes[1].offset_ms, omitted), (7, 5.0, 0));
        assert_eq!(processes[3].findings, [1]);
    }

    #[test]
    fn of_too_many_the_findings_their_ancestors_and_the_first_are_kept() {
        let findings = [finding(1, 90, &[70, 1]), finding(2, 90, &[70, 1]), finding(3, 80, &[2])];
        let mut kept = Kept::new(&findings, 8);
        for sequence in 1..=100 {
            let line = exec(sequence, 0, sequence as u32, "");
            let Ok(Line::Exec(line)) = Line::parse(line.as_bytes()) else { panic!("{line}") };
            kept.exec(&line, None, 0.0);
        }
        let sequences: Vec<_> = kept.processes.iter().map(|process| process.sequence).collect();
        assert_eq!((sequences, kept.omitted), (vec![1, 2, 3, 4, 5, 70, 80, 90], 92));
        assert_eq!(kept.processes[7].findings, [1, 2]);

        let kept = Kept::new(&findings, 2);
        assert_eq!((kept.wanted.len(), kept.room), (2, 0));
        assert!(kept.wanted.contains_key(&90) && kept.wanted.contains_key(&80));
    }

    #[test]
    fn buckets_are_of_equal_width_and_cover_the_run() {
        let second = |s: i64, ns: i32| Time(jiff::Timestamp::constant(s, ns));
        // Length of the run in ns, moments in ms; width, buckets, the ones that count.
        type Case<'a> = ((i64, i32), &'a [i64], u64, usize, &'a [(usize, u64)]);
        let cases: [Case<'_>; 6] = [
            ((0, 0), &[0, 7], 1, 1, &[(0, 2)]),
            ((0, 1), &[0], 1, 1, &[(0, 1)]),
            ((0, 85_000_000), &[0, 84, 85, 900], 1, 85, &[(0, 1), (84, 3)]),
            ((0, 120_000_000), &[119], 1, 120, &[(119, 1)]),
            ((0, 121_000_000), &[1, 2, 120], 2, 61, &[(0, 1), (1, 1), (60, 1)]),
            ((3600, 0), &[29_999, 30_000, 3_599_999], 30_000, 120, &[(0, 1), (1, 1), (119, 1)]),
        ];
        for ((s, ns), moments, bucket_ms, buckets, want) in cases {
            let span = Span { finished: second(s, ns), ..SPAN };
            let lines: Vec<_> =
                moments.iter().enumerate().map(|(i, ms)| exec(i as u64 + 1, *ms, 1, "")).collect();
            let (timeline, ..) = course(span, &[], &lines);
            assert_eq!((timeline.bucket_ms, timeline.execs.len()), (bucket_ms, buckets));
            let counted: Vec<_> =
                timeline.execs.iter().copied().enumerate().filter(|(_, n)| *n > 0).collect();
            assert_eq!(counted, want, "{s} s {ns} ns");
        }
        // A clock that was set back while the container ran.
        let span = Span { started: second(9, 0), finished: second(1, 0), ..SPAN };
        let (timeline, ..) = course(span, &[], &[exec(1, 9000, 1, ""), exec(2, 1, 1, "")]);
        assert_eq!((timeline.bucket_ms, timeline.execs), (1, vec![2]));
    }

    #[test]
    fn long_arguments_and_paths_are_cut_between_characters() {
        let cut = |more: &str| {
            let line = exec(1, 0, 1, more);
            let Ok(Line::Exec(line)) = Line::parse(line.as_bytes()) else { panic!("{line}") };
            argv(&line)
        };
        let (kept, omitted) = cut(r#","argv":["x","","y"]"#);
        assert_eq!((kept, omitted), (vec!["x".into(), "".into(), "y".into()], 0));
        let long = "ü".repeat(200);
        let (kept, omitted) = cut(&format!(r#","argv":["x","{long}","y"],"argv_len":9000"#));
        assert_eq!(kept, ["x".into(), Bytes::from("ü".repeat(127).as_bytes())]);
        assert_eq!(omitted, 9000 - 2 - 255);
        let (kept, omitted) = path(&Bytes::from(format!("/{long}/{long}").as_bytes()));
        assert_eq!((kept, omitted), (Bytes::from(format!("{}/{long}", "ü".repeat(55))), 291));
    }
}
