//! The page of a job: one verdict, its containers and steps, their findings.

use super::{
    Run,
    command::inline,
    finding,
    head::{self, Mood, fact},
    page,
};
use crate::report::{
    model::{JobContainer, JobFindings, JobReport, JobState, Verdict},
    phrase,
    text::{job as words_of, summary, words},
};
use maud::{Markup, html};

/// How many clean containers are listed, and how many of those that are not.
const CLEAN: usize = 200;
const REMARKABLE: usize = 500;
/// How many notes on what was not seen there are at the top, and how many in all.
const NOTES_FIRST: usize = 5;
const NOTES: usize = 200;

/// The whole page.
pub(super) fn page(report: &JobReport) -> String {
    let runs = runs(report);
    let notes = words_of::missing(report);
    let with_findings = report.containers.iter().filter(|found| found.has_findings());
    let beyond = with_findings.count().saturating_sub(runs.len()) as u64;
    let first = runs.first().map(Run::section);
    let mut sections = vec![("containers", "Containers")];
    sections.extend(first.as_deref().map(|first| (first, "Findings")));
    sections.push(("proof", "Proof"));
    let title = match report.verdict {
        Verdict::Findings => counts(report),
        verdict => head::word(verdict).to_owned(),
    };
    page::whole(
        &format!("{title} – job {}", words::name(&report.job)),
        &sections,
        &html! {
            (verdict(report, &runs, &notes))
            (page::section("containers", "Containers and steps", &containers(report, &runs)))
            @for run in &runs { (findings(run, &report.containers[run.number - 1])) }
            @if beyond > 0 {
                p.more {
                    "The findings of " (words::count(beyond, "more container", "more containers"))
                    " are not shown here; " code { "--format json" } " has them."
                }
            }
            (proof(report, &notes))
        },
        &report.tool,
    )
}

/// The containers with findings, as long as there is room for a card.
fn runs(report: &JobReport) -> Vec<Run<'_>> {
    let mut room = finding::CARDS;
    let mut runs = Vec::new();
    for (number, container) in (1..).zip(&report.containers) {
        let wanted = room > 0 && container.has_findings();
        let Some(started) = container.began().filter(|_| wanted) else { continue };
        let run = Run::new(
            &container.findings,
            container.findings_omitted,
            started,
            &container.container,
            container.job.as_ref(),
            number,
            room,
        );
        room -= room.min(run.groups.len());
        runs.push(run);
    }
    runs
}

fn counts(report: &JobReport) -> String {
    let JobFindings { critical, medium, omitted } = report.findings;
    phrase::plain(&summary::counts(critical, medium, omitted))
}

fn verdict(report: &JobReport, runs: &[Run<'_>], notes: &[String]) -> Markup {
    let complete = report.is_complete();
    let most_important = runs
        .iter()
        .filter(|run| !run.groups.is_empty())
        // The first of the most important ones.
        .min_by_key(|run| {
            std::cmp::Reverse(run.groups.first().map(|group| group.finding.importance))
        });
    let has_findings = report.verdict == Verdict::Findings;
    let meaning = if complete { summary::NOTHING } else { summary::NOT_EVERYTHING };
    let lead = html! {
        @match (has_findings, most_important) {
            (true, Some(run)) => {
                (finding::lead(run, runs.iter().map(|run| run.groups.len()).sum::<usize>() == 1))
                p { "In " strong { (summary::container(run.container)) } "." }
            },
            (true, None) => p.lead { "None of its findings was kept." },
            (false, _) => p.lead { (head::sentence(meaning)) },
        }
        @if complete {
            p.seen.good {
                strong { "Everything was seen:" } " "
                (words::count(report.execs, "exec", "execs")) " of "
                (words::count(report.containers.len() as u64, "container", "containers")) "."
            }
        } @else {
            div.seen.critical {
                p {
                    strong { "Not everything was seen:" } " "
                    @if has_findings { "there may be more than these findings." }
                    @else { "this job cannot be called clean." }
                }
                ul { @for note in notes.iter().take(NOTES_FIRST) { li { (note) } } }
                @if notes.len() > NOTES_FIRST { p { a href="#proof" { "All that was not seen" } } }
            }
        }
    };
    let facts = html! {
        dl.facts {
            (fact("Job", &html! { (words::name(&report.job)) }))
            div.wide { dt { "Containers" } dd { (words_of::kinds(report)) } }
            (fact("Executed", &html! { (words::count(report.execs, "exec", "execs")) }))
        }
    };
    let heading = html! {
        (head::word(report.verdict)) @if has_findings { " " span.count { (counts(report)) } }
    };
    head::banner(Mood::of(report.verdict, report.importance()), &heading, &lead, &facts)
}

/// A row for each; of many clean ones, the first.
fn containers(report: &JobReport, runs: &[Run<'_>]) -> Markup {
    let is_clean = |container: &JobContainer| {
        container.verdict == Some(Verdict::Clean) && !container.has_findings()
    };
    let mut room = [REMARKABLE, CLEAN];
    let shown: Vec<(usize, &JobContainer)> = (1..)
        .zip(&report.containers)
        .filter(|(_, container)| {
            let room = &mut room[usize::from(is_clean(container))];
            let fits = *room > 0;
            *room = room.saturating_sub(1);
            fits
        })
        .collect();
    let beyond = (report.containers.len() - shown.len()) as u64;
    html! {
        @if shown.is_empty() { p.faint { "No container of this job is on record." } }
        @else {
            div.scroll tabindex="0" role="region" aria-label="Table of containers and steps" {
                table.containers {
                    caption.quiet { "Containers and steps of the job" }
                    thead {
                        tr {
                            th scope="col" { "Verdict" }
                            th scope="col" { "Container" }
                            th scope="col" { "Execs" }
                        }
                    }
                    tbody {
                        @for (number, container) in shown {
                            @let run = runs.iter().find(|run| run.number == number);
                            (row(container, run))
                        }
                    }
                }
            }
        }
        @if beyond > 0 { p.more { "and " (words::number(beyond)) " more" } }
        p.more { "The page of a container: " code { "buildwarden report CONTAINER --format html" } }
    }
}

fn row(container: &JobContainer, run: Option<&Run<'_>>) -> Markup {
    let word = words_of::word(container);
    let class = match word {
        "findings" => {
            let importance = container.findings.iter().map(|finding| finding.importance).max();
            Mood::of(Verdict::Findings, importance).class()
        }
        "clean" => Mood::Good.class(),
        "set aside" => "neutral",
        _ => Mood::Unsure.class(),
    };
    html! {
        tr {
            td { span class={ "badge " (class) } { (word) } }
            th scope="row" {
                strong { (summary::container(&container.container)) }
                @if let Some(step) = &container.container.step {
                    div { (inline(step.command.iter().map(|argument| &**argument))) }
                    @if let Some(build) = &step.build {
                        div.faint { "build " (words::name(&build.id)) " (" (words::name(&build.source)) ")" }
                    }
                }
                @if container.has_findings() {
                    @let count = words::count(container.count(), "finding", "findings");
                    div {
                        @match run {
                            Some(run) => a href={ "#" (run.section()) } { (count) },
                            None => (count),
                        }
                    }
                }
            }
            td.number { @if container.verdict.is_some() { (words::number(container.execs)) } }
        }
    }
}

fn findings(run: &Run<'_>, container: &JobContainer) -> Markup {
    let runs_still = matches!(container.state, JobState::Running | JobState::SetAside);
    page::section(
        &run.section(),
        &format!("Findings of {}", words_of::brief(container)),
        &html! {
            p.faint {
                (summary::container(&container.container))
                @if runs_still { ", which still runs: so far" }
            }
            (finding::cards(run))
        },
    )
}

fn proof(report: &JobReport, notes: &[String]) -> Markup {
    let set_aside: Vec<String> = report
        .containers
        .iter()
        .filter(|container| container.state == JobState::SetAside)
        .map(words_of::brief)
        .collect();
    let title = if report.is_complete() { "Complete" } else { "Not complete" };
    page::section(
        "proof",
        title,
        &html! {
            @if report.is_complete() {
                p { "Each container's report shows that every exec of it was seen." }
            }
            @if !notes.is_empty() {
                ul { @for note in notes.iter().take(NOTES) { li { (note) } } }
                @if notes.len() > NOTES {
                    p.more { "and " (words::number((notes.len() - NOTES) as u64)) " more" }
                }
            }
            @if !set_aside.is_empty() {
                p { "Set aside: still running, and what they do from here on does not count" }
                ul { @for name in set_aside.iter().take(NOTES) { li { (name) } } }
            }
        },
    )
}
