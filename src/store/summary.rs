//! What became of a run, in a few words.

use super::{Run, Store, StoreError};
use crate::{
    annotation::{self, Entry, FindingCounts, Key, Line, Tail},
    collect::file::ANNOTATIONS,
    report::{
        Time, json,
        model::{Container, Job, Verdict},
    },
};
use serde::Serialize;
use std::{fs::File, io};

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The container lives.
    Running,
    /// Its report is written.
    Finished,
    /// It does not live any more, and nobody has finished its report.
    Unfinished,
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The name of the run's directory, which `report` and `watch` take too.
    pub directory: String,
    /// How far it is.
    pub state: State,
    /// The report's verdict; none before there is one.
    pub verdict: Option<Verdict>,
    /// Its findings so far.
    pub findings: FindingCounts,
    /// When recording began.
    pub started: Option<Time>,
    /// When the container's end was recorded.
    pub finished: Option<Time>,
    /// The container.
    pub container: Container,
    /// The CI job it belongs to.
    pub job: Option<Job>,
    /// Other jobs that have run execs in it.
    pub other_jobs: Vec<Job>,
}

impl Store {
    /// What became of a run.
    ///
    /// # Errors
    /// When its log is there and cannot be read.
    pub fn summary(&self, run: &Run) -> Result<Summary, StoreError> {
        let (id, number) = run.identity();
        let mut summary = Summary {
            directory: run.name().to_owned(),
            state: State::Unfinished,
            verdict: None,
            findings: FindingCounts::default(),
            started: None,
            finished: None,
            container: Container { id, run: number, ..Container::default() },
            job: None,
            other_jobs: Vec::new(),
        };
        if let Some((line, attached)) = run.attached() {
            summary.started = Some(line.time);
            summary.container = attached.container;
            summary.job = attached.job;
        } else if let Some(report) = run.report()?.and_then(|bytes| json::parse(&bytes).ok()) {
            summary.started = Some(report.started);
            summary.container = report.container;
            summary.job = report.job;
            summary.other_jobs = report.other_jobs;
        }
        let mut live = self.is_live(&summary.container.id);
        if summary.started.is_none() {
            let (beginning, alive) = self.beginning(run);
            live = alive;
            if let Some(attached) = beginning {
                summary.started = run.made();
                summary.container = attached.container;
                summary.job = attached.job;
            }
        }
        if let Some(log) = run.open(ANNOTATIONS)? {
            summary
                .read_end(log)
                .map_err(|source| StoreError::Io { path: run.path().join(ANNOTATIONS), source })?;
        }
        if summary.verdict.is_none() && live {
            summary.state = State::Running;
        }
        Ok(summary)
    }
}

impl Summary {
    /// Reads how the log ends: its last line tells all once the run is finished.
    /// Before that, the findings are counted.
    fn read_end(&mut self, log: File) -> io::Result<()> {
        if annotation::last_line(&log)?.is_some_and(|last| self.take_finished(&last)) {
            return Ok(());
        }
        let mut tail = Tail::new(log);
        while let Some(bytes) = tail.next_line()? {
            if self.take_finished(bytes) {
                return Ok(());
            }
            let Ok(line) = Line::parse(bytes) else { continue };
            if !matches!(line.key, Key::Finding(_) | Key::Job(_)) {
                continue;
            }
            match line.entry() {
                Ok(Entry::Finding(finding)) => self.findings.add(finding.importance),
                Ok(Entry::Job(named)) if named.taken => self.job = Some(named.job),
                Ok(Entry::Job(named)) => self.other_jobs.push(named.job),
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes the facts from the line that ends a log; `false` when it is another line.
    fn take_finished(&mut self, bytes: &[u8]) -> bool {
        let Ok(line) = Line::parse(bytes) else { return false };
        let Ok(Entry::Finished(finished)) = line.entry() else { return false };
        self.state = State::Finished;
        self.verdict = Some(finished.verdict);
        self.findings = finished.findings;
        // A log of before jobs stood here keeps the one that it began with.
        self.job = finished.job.or(self.job.take());
        self.other_jobs = finished.other_jobs;
        self.finished = Some(line.time);
        true
    }
}
