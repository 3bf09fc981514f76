//! The findings: an overview, then a card for each.

use super::{
    Run,
    command::{block, executed, inked, inline},
    head::{fact, job_name, most_important, steps},
    page::section,
};
use crate::report::{
    lineage::{self, Step},
    model::{Allowed, Ancestor, Class, Finding, Importance, Report},
    text::{
        finding::{self as words_of, ADDRESSES, Group, SPECIFIC},
        page::Ink,
        summary, words,
    },
};
use maud::{Markup, html};

/// How many different findings of a page have a card, and how many rows an overview has
/// for each card.
pub(super) const CARDS: usize = 50;
const ROWS: usize = 4;

/// The most important finding in a sentence, for the head of the page; `alone` when it
/// is the only one.
pub(super) fn lead(run: &Run<'_>, alone: bool) -> Markup {
    html! {
        @match most_important(run, alone) {
            Some(sentence) => p.lead { (sentence) },
            None => p.lead { "None of its findings was kept." },
        }
    }
}

/// Every finding of a run: the most important first, then as they happened.
pub(super) fn all(run: &Run<'_>) -> Markup {
    if run.count() == 0 {
        return html! {};
    }
    section(&run.section(), "Findings", &cards(run))
}

/// The overview and the cards.
pub(super) fn cards(run: &Run<'_>) -> Markup {
    let groups = &run.groups;
    let beyond: u64 = groups.iter().skip(run.most).map(|group| group.count).sum();
    let beyond = beyond.saturating_add(run.omitted);
    html! {
        @if groups.len() > 1 { (overview(run)) }
        @for (i, group) in groups.iter().take(run.most).enumerate() {
            @let alike = groups[..i].iter().find(|other| words_of::is_alike(other.finding, group.finding));
            (card(run, group, alike.map(|other| other.finding)))
        }
        @if beyond > 0 {
            p.more {
                (words::count(beyond, "more finding has", "more findings have"))
                " no card here; " code { "report.json" } " has what was kept."
            }
        }
    }
}

fn overview(run: &Run<'_>) -> Markup {
    let label = match run.number {
        0 => "Overview of the findings".to_owned(),
        number => format!("Overview of the findings of container {number}"),
    };
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table.overview {
                caption.quiet { "Overview" }
                thead {
                    tr {
                        th scope="col" { "No." }
                        th scope="col" { "Importance" }
                        th scope="col" { "What" }
                        th.minor scope="col" { "After" }
                        th.minor scope="col" { "Outcome" }
                    }
                }
                tbody {
                    @for group in run.groups.iter().take(ROWS * run.most) {
                        @let finding = group.finding;
                        tr {
                            td.number {
                                @match run.link(finding.n) {
                                    Some(link) => a href=(link) {
                                        span.quiet { "Finding " } (finding.n)
                                    },
                                    None => (finding.n),
                                }
                            }
                            td { (badge(finding.importance)) }
                            th scope="row" {
                                (inked(&words_of::title(finding)))
                                @if group.count > 1 { " ×" (words::number(group.count)) }
                            }
                            td.minor { (words::between(run.started, finding.exec.time)) }
                            td.minor {
                                @match &finding.outcome {
                                    Some(outcome) => (words_of::ended(outcome)),
                                    None => "not seen",
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn badge(importance: Importance) -> Markup {
    html! { span class={ "badge " (importance.as_str()) } { (importance.as_str()) } }
}

fn card(run: &Run<'_>, group: &Group<'_>, alike: Option<&Finding>) -> Markup {
    let finding = group.finding;
    let anchor = run.anchor(finding.n);
    let Finding { addresses, shells, exec, importance, .. } = finding;
    let title = if finding.title.is_empty() { &finding.recipe } else { &finding.title };
    html! {
        article class={ "card " (importance.as_str()) } aria-labelledby=(anchor) {
            header {
                h3 #(anchor) {
                    span.number { span.quiet { "Finding " } (finding.n) } " "
                    (badge(*importance)) " "
                    span.headline { (inked(&words_of::title(finding))) }
                    @if group.count > 1 { span.count { "×" (words::number(group.count)) } }
                }
                p.kind { (words::name(title)) }
            }
            (block(&words_of::argv(exec), &words_of::marks(addresses, shells, exec)))
            ul.places {
                @for address in addresses.iter().take(ADDRESSES) {
                    li { (inked(&words_of::place(address, words_of::ink(*importance)))) }
                }
                @let beyond = addresses.len().saturating_sub(ADDRESSES) as u64;
                @let beyond = beyond.saturating_add(finding.addresses_omitted);
                @if beyond > 0 {
                    li { "and " (words::count(beyond, "more address", "more addresses")) }
                }
                @for shell in shells.iter().take(ADDRESSES) {
                    li { (inline([shell.text.as_bytes()])) " stands as " (words::name(&shell.role)) }
                }
            }
            p { (words_of::happened(group, run.started)) }
            @for note in words_of::notes(finding) { p { (note) } }
            div.columns {
                div {
                    h4 { "Started by" }
                    (started_by(finding))
                    @let reasons = words_of::reasons(finding);
                    @if !reasons.is_empty() {
                        h4 { "Why" }
                        ul { @for line in reasons { li { (line) } } }
                    }
                }
                div {
                    @if !finding.advice.is_empty() {
                        h4 { "What to do" }
                        (advice(run, finding, alike))
                    }
                }
            }
            dl.facts.small {
                (fact("Image", &html! { (origin(run)) }))
                (steps(run.container.step.as_ref()))
                @if let Some(job) = run.job { (fact("Job", &html! { (job_name(job)) })) }
                (fact("Technique", &html! { (class(&finding.category)) ", " (class(&finding.method)) }))
                (fact("Recipe", &html! { code { (words::name(&finding.recipe)) } }))
            }
        }
    }
}

/// Where it ran, in the words of the engine.
fn origin(run: &Run<'_>) -> String {
    match &run.container.image {
        Some(image) => words::name(image),
        None => format!("not known; container {}", summary::short_id(&run.container.id)),
    }
}

/// `Web Protocols (T1071.001)`
fn class(class: &Class) -> String {
    format!("{} ({})", words::name(&class.name), words::name(&class.id))
}

/// Who started it, from the entrypoint down to the exec itself.
fn started_by(finding: &Finding) -> Markup {
    let exec = &finding.exec;
    html! {
        ol.lineage {
            @for step in lineage::steps(finding) {
                @match step {
                    Step::Unseen(text) => li.faint { (text) },
                    Step::LeftOut(count) => li.faint { (lineage::left_out(count)) },
                    Step::Ancestor(ancestor) => (process(ancestor)),
                }
            }
            li.this {
                (executed(&exec.path, &exec.argv))
                @if exec.sequence == 1 { (entrypoint()) }
            }
        }
    }
}

fn process(ancestor: &Ancestor) -> Markup {
    html! {
        li {
            @match lineage::executed(ancestor) {
                Ok(argv) => (inline(argv)),
                Err(unseen) => span.faint { (unseen) },
            }
            @if lineage::is_renamed(ancestor) {
                span.faint { " [" (inline([ancestor.path.as_bytes()])) "]" }
            }
            @if ancestor.sequence == Some(1) { (entrypoint()) }
        }
    }
}

fn entrypoint() -> Markup {
    html! { " " span.tag { "entrypoint" } }
}

fn advice(run: &Run<'_>, finding: &Finding, alike: Option<&Finding>) -> Markup {
    let advice = words_of::advice(finding);
    let link = |other: &Finding| {
        html! { a href={ "#" (run.anchor(other.n)) } { "finding " (other.n) } }
    };
    if let Some(other) = alike.filter(|other| other.advice == finding.advice) {
        return html! { p { "The same as for " (link(other)) "." } };
    }
    let whole = if alike.is_some() { SPECIFIC } else { advice.len() };
    html! {
        ol.advice {
            @for line in advice.iter().take(whole) { li { (point(line)) } }
        }
        @if let (Some(other), true) = (alike, advice.len() > whole) {
            p {
                "Then as for " (link(other)) ", points " (whole + 1) " to " (advice.len()) "."
            }
        }
    }
}

/// A piece of advice, what it is about in front.
fn point(line: &str) -> Markup {
    const LONGEST: usize = 40;
    match line.split_once(": ") {
        Some((about, rest)) if about.len() < LONGEST => html! { strong { (about) ":" } " " (rest) },
        _ => html! { (line) },
    }
}

/// What the policy allows.
pub(super) fn allowed(report: &Report) -> Markup {
    const MOST: usize = 100;
    if report.allowed.is_empty() {
        return html! {};
    }
    let beyond = report.allowed.len().saturating_sub(MOST) as u64;
    section(
        "allowed",
        "Allowed by the policy",
        &html! {
            ul.allowed {
                @for Allowed { tool, addresses, addresses_omitted, shells, exec, reason, .. } in
                    report.allowed.iter().take(MOST)
                {
                    li {
                        p {
                            (inked(&words_of::headline(tool, addresses, *addresses_omitted, shells, Ink::Plain)))
                            ": " (words::name(reason))
                        }
                        (block(&words_of::argv(exec), &words_of::marks(addresses, shells, exec)))
                    }
                }
            }
            @if beyond > 0 { p.more { "and " (words::number(beyond)) " more" } }
        },
    )
}
