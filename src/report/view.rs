//! What the formats for CI systems and other programs are made from: one report, or that
//! of a job.

use super::{
    Time,
    model::{
        Allowed, Container, Finding, Job, JobContainer, JobFindings, JobReport, JobState, Producer,
        Report, Verdict,
    },
    phrase,
    place::Place,
    text::{
        command,
        finding::{self, Group},
        job as words_of, summary, words,
    },
    verdict,
};
use std::cmp::Reverse;

/// Findings that a list for a program holds at most. GitHub shows no more of a SARIF file,
/// and no other reader of these lists likes more.
pub(super) const FINDINGS_MAX: usize = 5_000;
/// How many sentences on what was not seen of a job stand in one place.
const MISSING_MAX: usize = 50;

/// A report, or that of a job.
pub(super) struct View<'a> {
    pub(super) tool: &'a Producer,
    /// What the facts give, whatever a file says of itself.
    pub(super) verdict: Verdict,
    /// `1 critical, 2 medium`; what else the verdict says.
    pub(super) summary: String,
    /// The job's id, written out.
    pub(super) job: Option<String>,
    pub(super) execs: u64,
    /// The containers: of a report its own.
    pub(super) parts: Vec<Part<'a>>,
    /// What was not seen, and of which container of a job; not too many sentences.
    pub(super) missing: Vec<String>,
    /// What a report does not have.
    pub(super) of_job: Option<OfJob>,
}

/// What a job has beside its containers.
pub(super) struct OfJob {
    /// `4: 2 clean, 1 with findings, 1 still running`
    pub(super) kinds: String,
    /// What it lacks beside what its containers lack.
    pub(super) reasons: Vec<String>,
    /// When it was asked for.
    pub(super) now: Time,
}

/// One run of one container.
pub(super) struct Part<'a> {
    /// What tells it from the other containers of a job; `None` in a report of its own.
    pub(super) name: Option<String>,
    pub(super) container: &'a Container,
    pub(super) job: Option<&'a Job>,
    pub(super) started: Option<Time>,
    /// When it had ended, or how long it was seen.
    pub(super) until: Time,
    pub(super) findings: &'a [Finding],
    pub(super) findings_omitted: u64,
    pub(super) allowed: &'a [Allowed],
    /// How it stands: a verdict, or why there is none.
    pub(super) word: &'static str,
    /// How many its report has.
    pub(super) execs: Option<u64>,
    /// What was not seen of it.
    pub(super) missing: Vec<String>,
    /// Whether it still runs, and whether it may.
    pub(super) runs: bool,
    pub(super) is_set_aside: bool,
    /// The line that it was started from.
    pub(super) place: Option<&'a Place>,
}

/// A finding of a list.
pub(super) struct Listed<'v, 'a> {
    /// How many of all parts come before it.
    pub(super) index: usize,
    pub(super) part: &'v Part<'a>,
    pub(super) finding: &'a Finding,
}

impl<'a> View<'a> {
    pub(super) fn of_report(report: &'a Report, place: Option<&'a Place>) -> View<'a> {
        let verdict = report.verdict_of_facts();
        let missing = phrase::shortcomings(&report.completeness);
        View {
            tool: &report.tool,
            verdict,
            summary: phrase::summary(report),
            job: report.job.as_ref().map(|job| words::name(&job.id)),
            execs: report.completeness.execs,
            parts: vec![Part {
                name: None,
                container: &report.container,
                job: report.job.as_ref(),
                started: Some(report.started),
                until: report.finished,
                findings: &report.findings,
                findings_omitted: report.findings_omitted,
                allowed: &report.allowed,
                word: verdict.as_str(),
                execs: Some(report.completeness.execs),
                missing: missing.clone(),
                runs: false,
                is_set_aside: false,
                place,
            }],
            missing,
            of_job: None,
        }
    }

    /// `places` are those of the containers, in their order.
    pub(super) fn of_job(report: &'a JobReport, places: &'a [Option<Place>], now: Time) -> Self {
        let JobFindings { critical, medium, omitted } = report.findings;
        let mut missing = words_of::missing(report);
        if let beyond @ 1.. = missing.len().saturating_sub(MISSING_MAX) {
            missing.truncate(MISSING_MAX);
            missing.push(format!("and {} more", words::number(beyond as u64)));
        }
        let places = places.iter().map(Option::as_ref).chain(std::iter::repeat(None));
        let parts = report.containers.iter().zip(places);
        View {
            tool: &report.tool,
            verdict: report.verdict,
            summary: match report.verdict {
                Verdict::Clean => summary::NOTHING.to_owned(),
                Verdict::Incomplete => summary::NOT_EVERYTHING.to_owned(),
                Verdict::Findings => phrase::plain(&summary::counts(critical, medium, omitted)),
            },
            job: Some(words::name(&report.job)),
            execs: report.execs,
            parts: parts.map(|(container, place)| Part::of_job(container, place, now)).collect(),
            missing,
            of_job: Some(OfJob {
                kinds: words_of::kinds(report),
                reasons: report.reasons.iter().map(|reason| words::sentence(reason)).collect(),
                now,
            }),
        }
    }

    /// The findings of all parts.
    pub(super) fn findings(&self) -> impl Iterator<Item = &'a Finding> {
        self.parts.iter().flat_map(|part| part.findings)
    }

    /// The findings that a list holds, the most important ones first where there are too
    /// many, else all in their order; and how many it does not hold.
    pub(super) fn listed(&self) -> (Vec<Listed<'_, 'a>>, u64) {
        let of_all = self
            .parts
            .iter()
            .flat_map(|part| part.findings.iter().map(move |finding| (part, finding)));
        let mut list: Vec<Listed<'_, 'a>> = of_all
            .enumerate()
            .map(|(index, (part, finding))| Listed { index, part, finding })
            .collect();
        let mut beyond = list.len().saturating_sub(FINDINGS_MAX) as u64;
        if beyond > 0 {
            list.sort_by_key(|listed| Reverse(listed.finding.importance));
            list.truncate(FINDINGS_MAX);
            list.sort_by_key(|listed| listed.index);
        }
        for part in &self.parts {
            beyond = beyond.saturating_add(part.findings_omitted);
        }
        (list, beyond)
    }

    /// What stands for all of it: of a job, no line is known.
    pub(super) fn place(&self) -> Option<&'a Place> {
        self.parts.first().filter(|_| self.of_job.is_none()).and_then(|part| part.place)
    }

    /// When the first of the containers began, and when the last was seen.
    pub(super) fn span(&self) -> (Option<Time>, Option<Time>) {
        let started = self.parts.iter().filter_map(|part| part.started).min();
        (started, self.parts.iter().map(|part| part.until).max())
    }
}

impl<'a> Part<'a> {
    fn of_job(container: &'a JobContainer, place: Option<&'a Place>, now: Time) -> Part<'a> {
        Part {
            name: Some(words_of::brief(container)),
            container: &container.container,
            job: container.job.as_ref(),
            started: container.began(),
            until: container.finished.unwrap_or(now),
            findings: &container.findings,
            findings_omitted: container.findings_omitted,
            allowed: &[],
            word: words_of::word(container),
            execs: container.verdict.map(|_| container.execs),
            missing: words_of::lacks(container).into_iter().take(phrase::SHORTCOMINGS).collect(),
            runs: matches!(container.state, JobState::Running | JobState::SetAside),
            is_set_aside: container.state == JobState::SetAside,
            place,
        }
    }

    pub(super) fn has_findings(&self) -> bool {
        self.count() > 0
    }

    /// How many findings it has.
    pub(super) fn count(&self) -> u64 {
        verdict::count(self.findings, self.findings_omitted)
    }

    /// ` in web-build (7f3a9c1e5b2d)`; nothing in a report of its own.
    pub(super) fn inside(&self) -> String {
        self.name.as_ref().map_or(String::new(), |name| format!(" in {name}"))
    }

    /// When it happened, and what came of it.
    pub(super) fn happened(&self, group: &Group<'_>) -> String {
        finding::happened(group, self.started.unwrap_or(group.finding.exec.time))
    }

    /// The command line that it was told to execute.
    pub(super) fn step(&self, width: usize) -> Option<String> {
        let step = self.container.step.as_ref()?;
        Some(command::one_line(step.command.iter().map(|argument| &**argument), width))
    }
}
