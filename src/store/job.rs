//! The runs of one CI job, or of all jobs that fit a pattern.

use super::{Run, State, Store, StoreError, Summary};
use crate::{
    annotation::{Entry, Line, Tail},
    collect::{
        FINDINGS_MAX,
        file::{ANNOTATIONS, REPORT},
    },
    oci::Jobs,
    report::{
        json,
        model::{JobContainer, JobState, Report},
    },
};
use std::{
    collections::{BTreeSet, HashMap},
    os::unix::fs::MetadataExt as _,
};

/// How many ids an error names.
const NAMED: usize = 5;

/// The runs of one job, looked at again and again at little cost: what has ended is
/// read once.
#[derive(Debug)]
pub struct JobRuns<'a> {
    store: &'a Store,
    jobs: Jobs,
    /// By the directory's name, with what shows that it still is the same directory.
    ended: HashMap<String, (Stamp, Summary)>,
}

/// Inode and time of change.
type Stamp = (u64, i64, i64);

fn stamp(run: &Run) -> Option<Stamp> {
    let metadata = run.path().symlink_metadata().ok()?;
    Some((metadata.ino(), metadata.ctime(), metadata.ctime_nsec()))
}

/// A run and what became of it.
pub type Known = (Run, Summary);

/// What there is at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The runs of the job, in the order in which they began.
    pub own: Vec<Known>,
    /// Runs of other jobs that have run execs of this one too.
    pub shared: Vec<Summary>,
    /// Runs that have begun this very moment, so that it is not known yet whose they are.
    pub starting: Vec<Run>,
    /// Runs without a job that go on, and could be told one.
    pub without: Vec<Run>,
    /// What could not be read: it may be of this job.
    pub unreadable: Vec<StoreError>,
    /// Other jobs.
    pub others: BTreeSet<String>,
}

impl<'a> JobRuns<'a> {
    /// The runs of these jobs.
    pub fn new(store: &'a Store, jobs: Jobs) -> JobRuns<'a> {
        JobRuns { store, jobs, ended: HashMap::new() }
    }

    /// The jobs.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// What there is now.
    ///
    /// # Errors
    /// When there is no reading at all.
    pub fn look(&mut self) -> Result<Snapshot, StoreError> {
        let mut now = Snapshot::default();
        for run in self.store.runs()? {
            match self.summary(&run) {
                Ok(summary) => now.add(&self.jobs, run, summary),
                // Removed meanwhile: by whoever clears away old ones.
                Err(_) if !run.path().exists() => {}
                Err(error) => now.unreadable.push(error),
            }
        }
        now.own.sort_by_key(|(_, summary)| summary.started);
        Ok(now)
    }

    fn summary(&mut self, run: &Run) -> Result<Summary, StoreError> {
        let now = stamp(run);
        if let Some((then, summary)) = self.ended.get(run.name())
            && now == Some(*then)
        {
            return Ok(summary.clone());
        }
        let summary = self.store.summary(run)?;
        if let Some(now) = now
            && summary.state == State::Finished
        {
            self.ended.insert(run.name().to_owned(), (now, summary.clone()));
        }
        Ok(summary)
    }
}

impl Snapshot {
    fn add(&mut self, jobs: &Jobs, run: Run, summary: Summary) {
        if summary.job.as_ref().is_some_and(|own| jobs.has(&own.id)) {
            self.own.push((run, summary));
            return;
        }
        if summary.other_jobs.iter().any(|other| jobs.has(&other.id)) {
            self.shared.push(summary.clone());
        }
        match (&summary.job, summary.state, summary.started) {
            (Some(other), ..) => drop(self.others.insert(other.id.clone())),
            (None, State::Running, None) => self.starting.push(run),
            (None, State::Running, Some(_)) => self.without.push(run),
            (None, State::Finished | State::Unfinished, None) => {
                self.unreadable.push(StoreError::Nameless { path: run.path().to_owned() });
            }
            (None, State::Finished | State::Unfinished, Some(_)) => {}
        }
    }

    /// Whether there is no container of the job, and none that may yet turn out to be.
    pub fn has_none(&self) -> bool {
        self.own.is_empty()
            && self.shared.is_empty()
            && self.starting.is_empty()
            && self.unreadable.is_empty()
    }

    /// The ids of other jobs that may be meant by `job`.
    pub fn near(&self, job: &str) -> Vec<&str> {
        let likeness = |other: &str| {
            let part = other.contains(job) || job.contains(other);
            if part { 1.0 } else { strsim::normalized_levenshtein(job, other) }
        };
        let mut near: Vec<_> =
            self.others.iter().map(|other| (likeness(other), other.as_str())).collect();
        near.retain(|(likeness, _)| *likeness > 0.5);
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        near.into_iter().take(NAMED).map(|(_, other)| other).collect()
    }
}

/// A run as a part of its job's report. `set_aside` says that it may still run.
///
/// # Errors
/// When its files are there and cannot be read.
pub fn job_container(
    run: &Run,
    summary: &Summary,
    set_aside: bool,
) -> Result<JobContainer, StoreError> {
    let state = match summary.state {
        State::Finished => JobState::Finished,
        State::Running if set_aside => JobState::SetAside,
        State::Running => JobState::Running,
        State::Unfinished => JobState::Unfinished,
    };
    let mut container = JobContainer {
        directory: summary.directory.clone(),
        state,
        verdict: None,
        container: summary.container.clone(),
        job: summary.job.clone(),
        started: summary.started,
        finished: summary.finished,
        execs: 0,
        findings: Vec::new(),
        findings_omitted: 0,
        allowed: 0,
        shortcomings: Vec::new(),
    };
    if summary.state != State::Finished {
        so_far(run, &mut container)?;
        return Ok(container);
    }
    match run.report()?.map(|bytes| json::parse(&bytes)) {
        Some(Ok(report)) => ended(report, &mut container),
        Some(Err(error)) => container.shortcomings.push(format!("{REPORT}: {error}")),
        None => container.shortcomings.push("its report is gone".to_owned()),
    }
    Ok(container)
}

/// What the report says.
fn ended(report: Report, container: &mut JobContainer) {
    // The facts outweigh what the file says of itself: it may have been changed.
    let verdict = report.verdict_of_facts();
    container.verdict = Some(verdict);
    container.shortcomings = report.completeness.shortcomings();
    if verdict != report.verdict {
        container.shortcomings.push(format!(
            "its report says {}, which its own facts contradict: it was changed",
            report.verdict.as_str()
        ));
    }
    container.started = Some(report.started);
    container.finished = Some(report.finished);
    container.container = report.container;
    container.execs = report.completeness.execs;
    container.findings = report.findings;
    container.findings_omitted = report.findings_omitted;
    container.allowed = report.allowed.len() as u64;
}

/// What the annotation log of one that has no report says.
fn so_far(run: &Run, container: &mut JobContainer) -> Result<(), StoreError> {
    let Some(log) = run.open(ANNOTATIONS)? else { return Ok(()) };
    let unreadable = |source| StoreError::Io { path: run.path().join(ANNOTATIONS), source };
    let (mut lost, mut malformed) = (0_u64, 0_u64);
    let mut tail = Tail::new(log);
    while let Some(line) = tail.next_line().map_err(unreadable)? {
        match Line::parse(line).and_then(|line| line.entry()) {
            Ok(Entry::Finding(finding)) => container.findings.push(*finding),
            Ok(Entry::Allowed(_)) => container.allowed += 1,
            Ok(Entry::Gap(gap)) => lost = lost.saturating_add(gap.execs).saturating_add(gap.exits),
            Ok(_) => {}
            Err(_) => malformed += 1,
        }
    }
    // The log takes no more than these, and counts none of the others.
    if container.findings.len() as u64 >= FINDINGS_MAX {
        container.findings_omitted = 1;
    }
    malformed = malformed.saturating_add(tail.too_long());
    if malformed > 0 {
        let s = if malformed == 1 { "" } else { "s" };
        container.shortcomings.push(format!(
            "{malformed} line{s} of {ANNOTATIONS} cannot be read: findings may have stood there"
        ));
    }
    if lost > 0 {
        container.shortcomings.push(format!("{lost} events could not be delivered so far"));
    }
    Ok(())
}
