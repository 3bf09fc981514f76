//! What the lines of the annotation log say.

use crate::report::model::{Allowed, Container, Finding, Importance, Job, Producer, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a line says, by its key.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// `dev.buildwarden.attached`
    Attached(Box<Attached>),
    /// `dev.buildwarden.job.<n>`
    Job(NamedJob),
    /// `dev.buildwarden.finding.<n>`: the finding as the report will have it, but
    /// without its outcome, which is known only at the end.
    Finding(Box<Finding>),
    /// `dev.buildwarden.allowed.<n>`: as the report will have it, without its outcome.
    Allowed(Box<Allowed>),
    /// `dev.buildwarden.gap.<n>`
    Gap(Gap),
    /// `dev.buildwarden.finished`
    Finished(Finished),
    /// A key that this version does not know.
    Other,
}

/// Recording began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attached {
    /// The program that records.
    pub tool: Producer,
    /// The container, as its report will have it.
    pub container: Container,
    /// The CI job it belongs to.
    pub job: Option<Job>,
    /// The hook stage that attached (`prestart`, `createRuntime`), or `run`.
    pub stage: String,
    /// The container's first process, as the host numbers it.
    pub pid: u32,
    /// Size of the container's ring buffer.
    pub ring_bytes: u64,
    /// From the hook's start to the moment the kernel recorded, in milliseconds; 0 where nobody
    /// knows it any more.
    pub attach_ms: f64,
    /// What added to nanoseconds since boot gives nanoseconds since the Unix epoch.
    pub boot_to_unix_ns: i64,
    /// Which boot of the machine this was, as the kernel names it: what is recorded
    /// does not outlive it.
    #[serde(default)]
    pub boot_id: Option<String>,
}

/// The environment of an exec that came from outside (`docker exec`) named a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedJob {
    /// The job.
    #[serde(flatten)]
    pub job: Job,
    /// That exec's sequence number.
    pub exec: u64,
    /// Whether the container counts under it from now on. One that has a better job, or
    /// an earlier one, keeps that.
    pub taken: bool,
}

/// Something could not be delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Execs that the kernel saw and could not deliver, since the gap before.
    pub execs: u64,
    /// Ends of processes that it saw and could not deliver, since the gap before.
    #[serde(default)]
    pub exits: u64,
}

/// The container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// The report's verdict.
    pub verdict: Verdict,
    /// How many findings of each importance it has.
    pub findings: FindingCounts,
    /// The report's file name, beside the log; null when it could not be written.
    pub report: Option<String>,
    /// Why the account is not complete, a sentence each; empty when it is.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// The files with the report in other formats, beside it.
    #[serde(default)]
    pub formats: Vec<String>,
    /// Those that could not be written, a sentence each; `buildwarden report` can make
    /// them from the report.
    #[serde(default)]
    pub formats_failed: Vec<String>,
    /// The container's job as it turned out.
    #[serde(default)]
    pub job: Option<Job>,
    /// Jobs that environments of execs named beside it.
    #[serde(default)]
    pub other_jobs: Vec<Job>,
    /// The SHA-256 of the report and of the event file, by their names, in lower case
    /// hexadecimal digits; left out by programs that did not note it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sha256: BTreeMap<String, String>,
}

/// Findings by importance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingCounts {
    /// Critical ones.
    pub critical: u64,
    /// Medium ones.
    pub medium: u64,
}

impl FindingCounts {
    /// Counts one more.
    pub fn add(&mut self, importance: Importance) {
        match importance {
            Importance::Critical => self.critical += 1,
            Importance::Medium => self.medium += 1,
        }
    }

    /// All of them.
    pub fn total(self) -> u64 {
        self.critical.saturating_add(self.medium)
    }
}

impl FromIterator<Importance> for FindingCounts {
    fn from_iter<I: IntoIterator<Item = Importance>>(importances: I) -> Self {
        let mut counts = FindingCounts::default();
        importances.into_iter().for_each(|importance| counts.add(importance));
        counts
    }
}
