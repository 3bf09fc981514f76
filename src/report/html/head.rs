//! The verdict, why, and of what.

use super::{Run, finding};
use crate::report::{
    model::{Build, Importance, Job, Report, Step, Verdict},
    phrase,
    text::{command as line, finding as words_of, summary, words},
};
use maud::{Markup, html};

/// How a verdict looks: a colour and a shape, so that neither has to be seen alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    Medium,
    Critical,
    Unsure,
}

impl Mood {
    /// What the facts say; among findings the most important counts.
    pub(super) fn of(verdict: Verdict, importance: Option<Importance>) -> Mood {
        match (verdict, importance) {
            (Verdict::Clean, _) => Mood::Good,
            (Verdict::Incomplete, _) => Mood::Unsure,
            (Verdict::Findings, Some(Importance::Medium)) => Mood::Medium,
            (Verdict::Findings, _) => Mood::Critical,
        }
    }

    pub(super) fn class(self) -> &'static str {
        match self {
            Mood::Good => "good",
            Mood::Medium => "medium",
            Mood::Critical => "critical",
            Mood::Unsure => "unsure",
        }
    }

    /// A tick, an exclamation mark, a question mark.
    pub(super) fn icon(self) -> Markup {
        let path = match self {
            Mood::Good => "M12 21.5 L17.5 27 L28.5 14.5",
            Mood::Medium | Mood::Critical => "M20 11 V22.5 M20 28.5 V28.6",
            Mood::Unsure => "M15 16.5 C15 9.5 25 9.5 25 16 C25 20 20 20 20 23.5 M20 29 V29.1",
        };
        html! {
            svg.icon viewBox="0 0 40 40" width="40" height="40" aria-hidden="true" focusable="false" {
                @match self {
                    Mood::Critical => path.shape d="M13 2 H27 L38 13 V27 L27 38 H13 L2 27 V13 Z" {},
                    Mood::Medium => path.shape d="M20 2 L39 36 H1 Z" {},
                    Mood::Good | Mood::Unsure => circle.shape cx="20" cy="20" r="18" {},
                }
                path.stroke d=(path) {}
            }
        }
    }
}

/// How many jobs are named.
const JOBS: usize = 10;

/// The verdict as a word of a heading.
pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Clean => "Clean",
        Verdict::Findings => "Findings",
        Verdict::Incomplete => "Incomplete",
    }
}

/// What a window or a tab is called.
pub(super) fn title(report: &Report) -> String {
    let verdict = report.verdict_of_facts();
    let name = summary::container(&report.container);
    match verdict {
        Verdict::Findings => format!("{} – {name}", phrase::summary(report)),
        verdict => format!("{} – {name}", word(verdict)),
    }
}

/// The verdict of a report.
pub(super) fn verdict(report: &Report, run: &Run<'_>) -> Markup {
    // What the facts say, not what the file says of itself: it may have been changed.
    let verdict = report.verdict_of_facts();
    let complete = report.completeness.is_complete();
    let contradicted = (verdict != report.verdict).then(|| {
        format!(
            "Beware: the file says {}, which its own facts contradict: it was changed.",
            report.verdict.as_str()
        )
    });
    let facts = html! {
        dl.facts {
            div.wide { dt { "Container" } dd { (summary::container(&report.container)) } }
            (steps(report.container.step.as_ref()))
            @for job in summary::jobs(report).iter().take(JOBS) { (fact("Job", &html! { (job) })) }
            (fact("Ran", &html! {
                (words::moment(report.started)) ", for "
                (words::between(report.started, report.finished))
            }))
        }
    };
    let lead = html! {
        @match verdict {
            Verdict::Findings => (finding::lead(run, run.groups.len() == 1)),
            _ => p.lead { (sentence(&phrase::summary(report))) },
        }
        @if let Some(text) = contradicted { p.beware { (text) } }
        @if complete {
            p.seen.good { strong { "Everything was seen:" } " " (summary::all_seen(&report.completeness)) "." }
        } @else {
            div.seen.critical {
                p {
                    strong { "Not everything was seen:" } " "
                    (summary::not_seen(report.has_findings())) "."
                }
                ul {
                    @for shortcoming in phrase::shortcomings(&report.completeness) {
                        li { (shortcoming) }
                    }
                }
                @if verdict == Verdict::Incomplete {
                    p { "Run the build again; if it stays so, " code { "buildwarden doctor" } " may tell why." }
                }
            }
        }
    };
    let mood = Mood::of(verdict, report.importance());
    banner(
        mood,
        &html! { (word(verdict)) @if verdict == Verdict::Findings { " " span.count { (phrase::summary(report)) } } },
        &lead,
        &facts,
    )
}

/// The first thing on a page.
pub(super) fn banner(mood: Mood, heading: &Markup, lead: &Markup, facts: &Markup) -> Markup {
    html! {
        section class={ "verdict " (mood.class()) } aria-labelledby="verdict" {
            div.answer {
                (mood.icon())
                h1 #verdict { (heading) }
            }
            (lead)
            (facts)
        }
    }
}

/// A name and what it is.
pub(super) fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// What the container was told to execute, and the build it belongs to.
pub(super) fn steps(step: Option<&Step>) -> Markup {
    html! {
        @if let Some(Step { command, build, .. }) = step {
            (fact("Step", &super::command::inline(command.iter().map(|argument| &**argument))))
            @if let Some(Build { id, source }) = build {
                (fact("Build", &html! { (words::name(id)) " (" (words::name(source)) ")" }))
            }
        }
    }
}

/// `4711 (annotation)`
pub(super) fn job_name(job: &Job) -> String {
    format!("{} ({})", words::name(&job.id), words::name(&job.source))
}

/// The most important finding in a sentence.
pub(super) fn most_important(run: &Run<'_>, alone: bool) -> Option<Markup> {
    let found = run.groups.first()?.finding;
    const WIDTH: usize = 60;
    let parent = found.ancestry.first().filter(|parent| !parent.argv.is_empty()).map(|parent| {
        line::one_line(parent.argv.iter().map(|argument| argument.as_bytes()), WIDTH)
    });
    Some(html! {
        "Something suspicious was executed"
        @if alone { ": " } @else { ", above all " }
        strong.headline { (phrase::headline(found)) }
        @if let Some(parent) = parent { ", started by " code { (parent) } }
        @match &found.outcome {
            Some(outcome) => { ". It " (words_of::ended(outcome)) ". " },
            None => ". How it ended was not seen. ",
        }
        a href={ "#" (run.anchor(found.n)) } { "What to do" }
    })
}

/// The words as a sentence.
pub(super) fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}
