//! One verdict over all containers of a CI job.
//!
//! `docs/job-report.schema.json` is generated from these types.

use super::{Container, Finding, Importance, Job, Producer, SCHEMA_VERSION, Verdict};
use crate::report::{
    Time,
    verdict::{count, verdict},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What all containers of a CI job executed that is suspicious, and what shows that
/// nothing was missed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobReport {
    /// Version of this format.
    pub schema_version: u32,
    /// The program that wrote the report.
    pub tool: Producer,
    /// The job's id; the pattern, where all jobs that fit one were asked for.
    pub job: String,
    /// The answer in one word: `findings` when any container has one, else `incomplete`
    /// when anything could have been missed, else `clean`.
    pub verdict: Verdict,
    /// The findings of all containers, by importance.
    pub findings: JobFindings,
    /// Execs of all containers that have ended.
    pub execs: u64,
    /// The job's containers, as they began.
    pub containers: Vec<JobContainer>,
    /// Why not everything was seen, beside what the containers say of themselves; empty
    /// when nothing is missing.
    pub reasons: Vec<String>,
}

/// Findings of a job, by importance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobFindings {
    /// Critical ones.
    pub critical: u64,
    /// Medium ones.
    pub medium: u64,
    /// Findings that were too many to keep; their importance is not known.
    pub omitted: u64,
}

/// One run of one container, as a part of its job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobContainer {
    /// The name of its report directory, which `buildwarden report` takes.
    pub directory: String,
    /// How far it is.
    pub state: JobState,
    /// Its verdict; null when it has no report.
    pub verdict: Option<Verdict>,
    /// The container.
    pub container: Container,
    /// What named the job.
    pub job: Option<Job>,
    /// When recording began.
    pub started: Option<Time>,
    /// When its last process had ended; null before.
    pub finished: Option<Time>,
    /// Execs in its report; 0 when it has none.
    pub execs: u64,
    /// Its findings; while it runs, those so far.
    pub findings: Vec<Finding>,
    /// Findings that were too many to keep.
    pub findings_omitted: u64,
    /// How many matches the policy allows.
    pub allowed: u64,
    /// What was not seen of it, a sentence each; empty when nothing is missing.
    pub shortcomings: Vec<String>,
}

/// How far a container of a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Its report is written.
    Finished,
    /// It runs.
    Running,
    /// It runs, and whoever asked said that it may.
    SetAside,
    /// It does not run any more, and nobody has written its report.
    Unfinished,
}

impl JobReport {
    /// Sums up. A job of which nothing was seen is not clean.
    pub fn new(job: &str, containers: Vec<JobContainer>, mut reasons: Vec<String>) -> JobReport {
        if containers.is_empty() && reasons.is_empty() {
            reasons.push("no container of this job is on record".to_owned());
        }
        let mut findings = JobFindings::default();
        for container in &containers {
            findings.omitted = findings.omitted.saturating_add(container.findings_omitted);
            for finding in &container.findings {
                match finding.importance {
                    Importance::Critical => findings.critical += 1,
                    Importance::Medium => findings.medium += 1,
                }
            }
        }
        let execs =
            containers.iter().fold(0_u64, |sum, container| sum.saturating_add(container.execs));
        let mut report = JobReport {
            schema_version: SCHEMA_VERSION,
            tool: Producer::this(),
            job: job.to_owned(),
            verdict: Verdict::Clean,
            findings,
            execs,
            containers,
            reasons,
        };
        report.verdict = verdict(findings != JobFindings::default(), report.is_complete());
        report
    }

    /// Whether every container was seen in full, but for what was set aside.
    pub fn is_complete(&self) -> bool {
        self.reasons.is_empty() && self.containers.iter().all(JobContainer::is_complete)
    }

    /// The highest importance among the findings.
    pub fn importance(&self) -> Option<Importance> {
        match self.findings {
            JobFindings { critical: 1.., .. } => Some(Importance::Critical),
            JobFindings { medium: 1.., .. } => Some(Importance::Medium),
            _ => None,
        }
    }
}

impl JobContainer {
    /// How many findings it has, with those that are in no list.
    pub fn count(&self) -> u64 {
        count(&self.findings, self.findings_omitted)
    }

    /// Whether it has any.
    pub fn has_findings(&self) -> bool {
        self.count() > 0
    }

    /// When recording began; where that is not known, its first finding.
    pub fn began(&self) -> Option<Time> {
        self.started.or_else(|| self.findings.first().map(|finding| finding.exec.time))
    }

    /// Whether nothing of it could have been missed: what is to come does not count
    /// where it was set aside.
    pub fn is_complete(&self) -> bool {
        let ended = matches!(self.state, JobState::Finished | JobState::SetAside);
        ended && self.shortcomings.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(state: JobState, shortcoming: Option<&str>) -> JobContainer {
        JobContainer {
            directory: "c".to_owned(),
            state,
            verdict: None,
            container: Container::default(),
            job: None,
            started: None,
            finished: None,
            execs: 1,
            findings: Vec::new(),
            findings_omitted: 0,
            allowed: 0,
            shortcomings: shortcoming.map(str::to_owned).into_iter().collect(),
        }
    }

    #[test]
    fn a_job_is_clean_only_when_all_of_it_was_seen() {
        use JobState::{Finished, Running, SetAside, Unfinished};
        let check = |containers: &[(JobState, Option<&str>)], reason: Option<&str>, want| {
            let containers = containers.iter().map(|(state, lack)| container(*state, *lack));
            let reasons = reason.map(str::to_owned).into_iter().collect();
            let report = JobReport::new("j", containers.collect(), reasons);
            assert_eq!(report.verdict, want, "{report:?}");
        };
        check(&[(Finished, None)], None, Verdict::Clean);
        check(&[(Finished, None), (SetAside, None)], None, Verdict::Clean);
        check(&[], None, Verdict::Incomplete);
        check(&[(Finished, None)], Some("x"), Verdict::Incomplete);
        check(&[(Finished, None), (Finished, Some("x"))], None, Verdict::Incomplete);
        check(&[(SetAside, Some("x"))], None, Verdict::Incomplete);
        check(&[(Running, None)], None, Verdict::Incomplete);
        check(&[(Unfinished, None)], None, Verdict::Incomplete);

        let omitted = JobContainer { findings_omitted: 1, ..container(Running, Some("x")) };
        let report = JobReport::new("j", vec![container(Finished, None), omitted], vec![]);
        assert_eq!((report.verdict, report.is_complete()), (Verdict::Findings, false));
    }
}
