//! The report as one page for a browser: no script, nothing that is loaded, the
//! verdict first.
//!
//! Markup is built with maud, which escapes whatever is put into it. What a build
//! controls comes here only as text whose hidden characters are written out.

mod command;
mod finding;
mod head;
mod job;
mod page;
mod programs;
mod proof;
mod timeline;
mod tree;

use super::text::finding::{Group, groups};
use super::{
    Time,
    model::{Container, Finding, Job, JobReport, Report},
    verdict,
};
use maud::html;
use std::collections::HashMap;

/// The findings of one run of one container, and what is said with each.
struct Run<'a> {
    findings: &'a [Finding],
    /// Those of the same command line together, the most important first.
    groups: Vec<Group<'a>>,
    /// The finding by whose number a card is found, by the number of any finding on it.
    cards: HashMap<u64, u64>,
    /// Findings that were too many to keep.
    omitted: u64,
    started: Time,
    container: &'a Container,
    job: Option<&'a Job>,
    /// Which container of the page it is, or 0: keeps the ids of the page apart.
    number: usize,
    /// How many of the groups have cards.
    most: usize,
}

impl<'a> Run<'a> {
    fn new(
        findings: &'a [Finding],
        omitted: u64,
        started: Time,
        container: &'a Container,
        job: Option<&'a Job>,
        number: usize,
        most: usize,
    ) -> Run<'a> {
        let groups = groups(findings);
        let cards = groups
            .iter()
            .take(most)
            .flat_map(|group| group.numbers.iter().map(|n| (*n, group.finding.n)))
            .collect();
        Run { findings, groups, cards, omitted, started, container, job, number, most }
    }

    /// How many findings there are.
    fn count(&self) -> u64 {
        verdict::count(self.findings, self.omitted)
    }

    /// The id of the section with its findings.
    fn section(&self) -> String {
        match self.number {
            0 => "findings".to_owned(),
            number => format!("container-{number}"),
        }
    }

    /// What links to the card that a finding is on, if it is on one.
    fn link(&self, n: u64) -> Option<String> {
        self.cards.get(&n).map(|n| format!("#{}", self.anchor(*n)))
    }

    /// The id of the card of this finding and those alike.
    fn anchor(&self, n: u64) -> String {
        match self.number {
            0 => format!("finding-{n}"),
            number => format!("container-{number}-finding-{n}"),
        }
    }
}

/// The whole report as one file.
pub fn render(report: &Report) -> String {
    let run = Run::new(
        &report.findings,
        report.findings_omitted,
        report.started,
        &report.container,
        report.job.as_ref(),
        0,
        finding::CARDS,
    );
    let run = &run;
    let mut sections = vec![("timeline", "Timeline"), ("processes", "Processes")];
    if !report.executables.is_empty() {
        sections.push(("programs", "Programs"));
    }
    sections.push(("proof", "Proof"));
    if !report.allowed.is_empty() {
        sections.insert(0, ("allowed", "Allowed"));
    }
    if report.has_findings() {
        sections.insert(0, ("findings", "Findings"));
    }
    page::whole(
        &head::title(report),
        &sections,
        &html! {
            (head::verdict(report, run))
            (finding::all(run))
            (finding::allowed(report))
            (timeline::section(report, run))
            (tree::section(report, run))
            (programs::section(report))
            (proof::section(report))
        },
        &report.tool,
    )
}

/// The report of a job as one file: its containers and steps, and all their findings.
pub fn render_job(report: &JobReport) -> String {
    job::page(report)
}
