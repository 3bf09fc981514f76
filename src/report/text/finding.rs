//! The findings: an overview, then each with its evidence.

use super::{
    command::{self, Mark},
    page::{Ink, Page, Piece, piece},
    words,
};
use crate::{
    event::base_name,
    report::{
        Bytes, Time,
        baseline::Difference,
        lineage::{self, Step},
        model::{
            Address, Allowed, Ancestor, Exec, Finding, Importance, Outcome, Report, Shell, Span,
            Tool,
        },
    },
};
use std::collections::HashMap;
use unicode_width::UnicodeWidthStr;

/// How many different findings are shown with their evidence.
const SHOWN: usize = 20;

/// How many addresses of one finding are shown.
pub(in crate::report) const ADDRESSES: usize = 8;

/// How many addresses, and shells, of a command line are looked for in it.
const MARKS: usize = 100;

/// How many notes on flags, and pieces of advice, there are.
const FLAGS: usize = 16;
const ADVICE: usize = 12;

/// Findings of the same command line.
pub(in crate::report) struct Group<'a> {
    pub(in crate::report) finding: &'a Finding,
    pub(in crate::report) count: u64,
    /// Their numbers, as many as [`Group::count`].
    pub(in crate::report) numbers: Vec<u64>,
    last: Time,
}

impl<'a> Group<'a> {
    /// A finding by itself.
    pub(in crate::report) fn of(finding: &'a Finding) -> Group<'a> {
        Group { finding, count: 1, numbers: vec![finding.n], last: finding.exec.time }
    }
}

/// Every finding of a run that began at `started`: the most important first, then as
/// they happened; `omitted` more were not kept. What the baseline has not is marked.
pub(super) fn all(
    page: &mut Page,
    findings: &[Finding],
    omitted: u64,
    started: Time,
    baseline: Option<&Difference>,
) {
    let groups = groups(findings);
    if groups.len() > 1 {
        page.gap();
        for group in groups.iter().take(SHOWN) {
            overview(page, group, baseline);
        }
    }
    for (i, group) in groups.iter().take(SHOWN).enumerate() {
        let alike = groups[..i].iter().find(|other| is_alike(other.finding, group.finding));
        one(page, group, started, alike.map(|other| other.finding), baseline);
    }
    let beyond: u64 = groups.iter().skip(SHOWN).map(|group| group.count).sum();
    let beyond = beyond.saturating_add(omitted);
    if beyond > 0 {
        page.gap();
        let more = words::count(beyond, "more finding is", "more findings are");
        let text = format!("{more} not shown here; --format json has what was kept");
        page.paragraph(0, &[], &[piece(Ink::Strong, text)]);
    }
}

/// What the policy allows, in a line or two each.
pub(super) fn allowed(page: &mut Page, report: &Report) {
    if report.allowed.is_empty() {
        return;
    }
    page.gap();
    page.title(0, "Allowed by the policy");
    for found in report.allowed.iter().take(SHOWN) {
        page.paragraph(2, &[], &allowed_headline(found));
        let marks = marks(&found.addresses, &found.shells, &found.exec);
        command::write(page, 4, &argv(&found.exec), &marks);
    }
    if let beyond @ 1.. = report.allowed.len().saturating_sub(SHOWN) {
        page.line(2, &[piece(Ink::Faint, format!("and {} more", words::number(beyond as u64)))]);
    }
}

/// `ping → 10.0.0.53: the reason`
pub(in crate::report) fn allowed_headline(found: &Allowed) -> Vec<Piece> {
    let Allowed { tool, addresses, addresses_omitted, shells, reason, .. } = found;
    let mut line = headline(tool, addresses, *addresses_omitted, shells, Ink::Plain);
    line.push(piece(Ink::Plain, format!(": {}", words::name(reason))));
    line
}

/// A finding by its headline and its command line.
pub(super) fn brief(page: &mut Page, time: Piece, finding: &Finding) {
    let indent = time.text.len();
    let mut lead = vec![time];
    lead.extend(importance(finding.importance));
    lead.push(piece(Ink::Plain, "  "));
    let line = title(finding);
    page.paragraph(0, &lead, &line);
    command::write(
        page,
        indent,
        &argv(&finding.exec),
        &marks(&finding.addresses, &finding.shells, &finding.exec),
    );
}

pub(in crate::report) fn groups(findings: &[Finding]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut index = HashMap::new();
    for finding in findings {
        let key = (
            &finding.recipe,
            finding.importance,
            &finding.tool.name,
            &finding.exec.path,
            &finding.exec.argv,
        );
        let at = *index.entry(key).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => {
                group.count += 1;
                group.numbers.push(finding.n);
                group.last = finding.exec.time;
            }
            None => groups.push(Group::of(finding)),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.finding.importance));
    groups
}

fn overview(page: &mut Page, group: &Group<'_>, baseline: Option<&Difference>) {
    let finding = group.finding;
    let mut lead = vec![piece(Ink::Plain, format!("{:>4}  ", finding.n))];
    lead.extend(importance(finding.importance));
    lead.push(piece(Ink::Plain, "  "));
    let mut line = new_mark(finding, baseline);
    line.extend(title(finding));
    if group.count > 1 {
        line.push(piece(Ink::Plain, format!(" ×{}", words::number(group.count))));
    }
    if let Some(outcome) = &finding.outcome {
        line.push(piece(Ink::Faint, format!(" · {}", ended(outcome))));
    }
    page.paragraph(0, &lead, &line);
}

fn one(
    page: &mut Page,
    group: &Group<'_>,
    started: Time,
    alike: Option<&Finding>,
    baseline: Option<&Difference>,
) {
    let Finding { addresses, addresses_omitted, shells, exec, .. } = group.finding;
    let finding = group.finding;
    page.rule();
    let mut lead = vec![piece(Ink::Strong, format!("{}  ", finding.n))];
    lead.extend(importance(finding.importance));
    lead.push(piece(Ink::Plain, "  "));
    let mut line = new_mark(finding, baseline);
    line.extend(title(finding));
    let title = if finding.title.is_empty() { &finding.recipe } else { &finding.title };
    line.push(piece(Ink::Faint, format!(" · {}", words::name(title))));
    page.paragraph(0, &lead, &line);
    page.gap();
    command::write(page, 3, &argv(exec), &marks(addresses, shells, exec));
    page.gap();

    for address in addresses.iter().take(ADDRESSES) {
        page.paragraph(3, &[], &place(address, ink(finding.importance)));
    }
    let beyond = addresses.len().saturating_sub(ADDRESSES) as u64;
    if let beyond @ 1.. = beyond.saturating_add(*addresses_omitted) {
        let more = words::count(beyond, "more address", "more addresses");
        page.paragraph(3, &[], &[piece(Ink::Faint, format!("and {more}"))]);
    }
    for shell in shells.iter().take(ADDRESSES) {
        let text = command::one_line([shell.text.as_bytes()], page.width());
        let role = format!(" stands as {}", words::name(&shell.role));
        page.paragraph(3, &[], &[piece(ink(finding.importance), text), piece(Ink::Plain, role)]);
    }
    page.paragraph(3, &[], &[piece(Ink::Plain, happened(group, started))]);
    for note in notes(finding) {
        page.paragraph(3, &[], &[piece(Ink::Plain, note)]);
    }
    page.gap();
    tree(page, finding);
    why(page, finding);
    what_to_do(page, finding, alike);
}

/// How the command line was read where an address or a shell stands.
fn why(page: &mut Page, finding: &Finding) {
    let lines = reasons(finding);
    if lines.is_empty() {
        return;
    }
    page.gap();
    page.title(3, "Why");
    for line in lines {
        page.paragraph(5, &[piece(Ink::Plain, "- ")], &[piece(Ink::Plain, line)]);
    }
}

/// The lines of the explanation that are about an address or a shell, if any is.
pub(in crate::report) fn reasons(finding: &Finding) -> Vec<String> {
    const MOST: usize = 12;
    let lines = &finding.explanation;
    let says_it = |line: &&String| {
        finding.addresses.iter().take(MOST).any(|found| line.contains(&found.address))
            || finding.shells.iter().take(MOST).any(|found| line.contains(&found.role))
    };
    let mut shown: Vec<&String> = lines.iter().collect();
    if lines.iter().any(|line| says_it(&line)) {
        shown.retain(says_it);
    }
    shown.truncate(MOST);
    shown.into_iter().map(|line| words::sentence(line)).collect()
}

/// Pieces of advice that are about the finding itself; those after them are much the
/// same for all findings of a recipe.
pub(in crate::report) const SPECIFIC: usize = 2;

fn what_to_do(page: &mut Page, finding: &Finding, alike: Option<&Finding>) {
    let advice = advice(finding);
    if advice.is_empty() {
        return;
    }
    page.gap();
    page.title(3, "What to do");
    if let Some(other) = alike.filter(|other| other.advice == finding.advice) {
        let text = format!("the same as for finding {}", other.n);
        page.paragraph(5, &[], &[piece(Ink::Plain, text)]);
        return;
    }
    let whole = if alike.is_some() { SPECIFIC } else { advice.len() };
    for (i, line) in advice.iter().take(whole).enumerate() {
        let lead = piece(Ink::Plain, format!("{}. ", i + 1));
        page.paragraph(5, &[lead], &[piece(Ink::Plain, line.as_str())]);
    }
    if let (Some(other), true) = (alike, advice.len() > whole) {
        let text =
            format!("Then as for finding {}, points {} to {}.", other.n, whole + 1, advice.len());
        page.paragraph(5, &[], &[piece(Ink::Plain, text)]);
    }
}

/// What to do, in this order, and how much of it is left out.
pub(in crate::report) fn advice(finding: &Finding) -> Vec<String> {
    let advice = &finding.advice;
    let mut shown: Vec<String> =
        advice.iter().take(ADVICE).map(|line| words::sentence(line)).collect();
    if let beyond @ 1.. = advice.len().saturating_sub(ADVICE) as u64 {
        shown.push(format!("And {} not shown here.", words::count(beyond, "point", "points")));
    }
    shown
}

/// Whether what to do about the first, which is shown before, goes for the second too.
pub(in crate::report) fn is_alike(first: &Finding, second: &Finding) -> bool {
    first.advice == second.advice
        || first.recipe == second.recipe
            && first.advice.len() == second.advice.len()
            && first.advice.len() > SPECIFIC
}

/// `NEW`, where the baseline has nothing of the kind.
fn new_mark(finding: &Finding, baseline: Option<&Difference>) -> Vec<Piece> {
    let Finding { recipe, tool, addresses, .. } = finding;
    let new = baseline.is_some_and(|baseline| baseline.is_new(recipe, tool, addresses));
    if new { vec![piece(Ink::Mark, "NEW"), piece(Ink::Plain, " ")] } else { Vec::new() }
}

/// The headline of a finding.
pub(in crate::report) fn title(finding: &Finding) -> Vec<Piece> {
    let Finding { tool, addresses, addresses_omitted, shells, importance, .. } = finding;
    headline(tool, addresses, *addresses_omitted, shells, ink(*importance))
}

/// `wget → 8.8.8.8, 1.1.1.1 and 3 more`; `nc starts /bin/sh`
pub(in crate::report) fn headline(
    tool: &Tool,
    addresses: &[Address],
    omitted: u64,
    shells: &[Shell],
    ink: Ink,
) -> Vec<Piece> {
    const NAMED: usize = 3;
    const LONGEST: usize = 40;
    let mut line = vec![piece(Ink::Strong, words::name(&tool.name))];
    let mut seen: Vec<&str> = Vec::new();
    for address in addresses.iter().take(100) {
        if !seen.contains(&address.address.as_str()) {
            seen.push(&address.address);
        }
    }
    if !seen.is_empty() {
        let named: Vec<_> = seen.iter().take(NAMED).map(|address| words::name(address)).collect();
        line.extend([piece(Ink::Plain, " → "), piece(ink, named.join(", "))]);
    }
    let more = (seen.len().saturating_sub(NAMED) as u64).saturating_add(omitted);
    if more > 0 {
        line.push(piece(Ink::Plain, format!(" and {} more", words::number(more))));
    }
    if let Some(shell) = shells.first() {
        let text = command::one_line([shell.text.as_bytes()], LONGEST);
        line.extend([piece(Ink::Plain, " starts "), piece(ink, text)]);
    }
    line
}

pub(super) fn importance(importance: Importance) -> Vec<Piece> {
    match importance {
        Importance::Critical => vec![piece(Ink::Critical, "CRITICAL")],
        Importance::Medium => vec![piece(Ink::Medium, "MEDIUM"), piece(Ink::Plain, "  ")],
    }
}

pub(in crate::report) fn ink(importance: Importance) -> Ink {
    match importance {
        Importance::Critical => Ink::Critical,
        Importance::Medium => Ink::Medium,
    }
}

/// `8.8.8.8, written 0x08080808, stands as URL host: globally routable`
pub(in crate::report) fn place(address: &Address, ink: Ink) -> Vec<Piece> {
    let canonical = words::name(&address.address);
    let mut line = vec![piece(ink, canonical)];
    if address.text.as_bytes() != address.address.as_bytes() {
        const LONGEST: usize = 60;
        let text = command::one_line([address.text.as_bytes()], LONGEST);
        line.push(piece(Ink::Plain, format!(", written {text},")));
    }
    let role = words::name(&address.role);
    let scope = words::name(&address.scope);
    line.push(piece(Ink::Plain, format!(" stands as {role}: {scope}")));
    line
}

/// When it happened, and what came of it.
pub(in crate::report) fn happened(group: &Group<'_>, started: Time) -> String {
    let Finding { exec, outcome, .. } = group.finding;
    let into = words::between(started, exec.time);
    let mut text = match group.count {
        1 => format!("It ran {into} into the container's run"),
        n => format!(
            "It ran {}, first {into} and last {} into the container's run; the first time",
            words::count(n, "time", "times"),
            words::between(started, group.last),
        ),
    };
    text.push_str(&format!(
        "{} as user {}, process {}, exec {}, ",
        if group.count == 1 { "," } else { "" },
        exec.uid,
        exec.container_pid,
        words::number(exec.sequence),
    ));
    match outcome {
        Some(outcome) => {
            text.push_str(&format!(
                "and {} after {}.",
                ended(outcome),
                words::duration(outcome.duration_ms)
            ));
        }
        None => text.push_str("and how it ended was not seen."),
    }
    text
}

/// `succeeded (exit code 0)`
pub(in crate::report) fn ended(outcome: &Outcome) -> String {
    match (outcome.exit_code, outcome.signal) {
        (_, Some(signal)) => format!("was killed by signal {signal}"),
        (Some(0), None) => "succeeded (exit code 0)".to_owned(),
        (Some(code), None) => format!("failed (exit code {code})"),
        (None, None) => "ended".to_owned(),
    }
}

/// What is unusual about the file and the process.
pub(in crate::report) fn notes(finding: &Finding) -> Vec<String> {
    let Finding { exec, tool, .. } = finding;
    let mut notes = Vec::new();
    if exec.argv_omitted > 0 {
        let bytes = words::count(exec.argv_omitted, "byte", "bytes");
        notes.push(format!("The end of its arguments, {bytes}, was judged and is not kept."));
    }
    if base_name(&exec.path) != tool.name.as_bytes() {
        const LONGEST: usize = 120;
        notes.push(format!(
            "The file executed is {}; that it is {} was seen by: {}.",
            command::one_line([exec.path.as_bytes()], LONGEST),
            words::name(&tool.name),
            words::name(&tool.matched_by),
        ));
    }
    notes.extend(exec.flags.iter().take(FLAGS).filter_map(|flag| {
        Some(match flag.as_str() {
            "truncated" => "Its arguments were longer than what was recorded.".to_owned(),
            "unreadable" => "Its arguments could not be read.".to_owned(),
            "memfd" => "The program existed in memory only, in no file.".to_owned(),
            "deleted" => "The program's file had been deleted when it was executed.".to_owned(),
            "upper_layer" => {
                "The program's file was written in this container, not in its image.".to_owned()
            }
            "left_cgroup" => "The process had left the container's cgroup.".to_owned(),
            "path_truncated" => "The path of the file is longer than what was recorded.".to_owned(),
            "entered" => "Its process was put into the container from outside.".to_owned(),
            // Said by the path, which is the interpreter's.
            "script" => return None,
            other => format!("Flag: {}.", words::name(other)),
        })
    }));
    if let beyond @ 1.. = exec.flags.len().saturating_sub(FLAGS) as u64 {
        notes.push(format!("And {} not shown here.", words::count(beyond, "flag", "flags")));
    }
    notes
}

/// Who started it, from the entrypoint down to the exec itself.
fn tree(page: &mut Page, finding: &Finding) {
    page.title(3, "Started by");
    let exec = &finding.exec;
    let mut depth = 0;
    for step in lineage::steps(finding) {
        let pieces = match step {
            Step::Unseen(text) => vec![piece(Ink::Faint, text)],
            Step::LeftOut(count) => vec![piece(Ink::Faint, lineage::left_out(count))],
            Step::Ancestor(ancestor) => {
                let entrypoint = ancestor.sequence == Some(1);
                let mut pieces = process(ancestor, row_width(page, depth, entrypoint));
                if entrypoint {
                    pieces.push(piece(Ink::Faint, ENTRYPOINT));
                }
                pieces
            }
        };
        branch(page, depth, pieces);
        depth += 1;
    }
    let entrypoint = exec.sequence == 1;
    let mut text = command::one_line(argv(exec), row_width(page, depth, entrypoint));
    if entrypoint {
        text.push_str(ENTRYPOINT);
    }
    branch(page, depth, vec![piece(ink(finding.importance), text)]);
}

/// What marks the container's first exec.
const ENTRYPOINT: &str = "   (entrypoint)";

/// Two columns a level; a level that would leave no room is drawn no deeper.
fn branch(page: &mut Page, depth: usize, pieces: Vec<Piece>) {
    let lead = if depth == 0 { vec![] } else { vec![piece(Ink::Faint, "└ ")] };
    page.paragraph(5 + indent(page, depth), &lead, &pieces);
}

fn indent(page: &Page, depth: usize) -> usize {
    (2 * depth.saturating_sub(1)).min(page.width() / 3)
}

fn row_width(page: &Page, depth: usize, entrypoint: bool) -> usize {
    let suffix = if entrypoint { ENTRYPOINT.len() } else { 0 };
    page.width().saturating_sub(5 + indent(page, depth) + 2 + suffix).max(16)
}

/// What an ancestor executed, and the file where the command line gives it another name.
fn process(ancestor: &Ancestor, width: usize) -> Vec<Piece> {
    let argv = match lineage::executed(ancestor) {
        Ok(argv) => argv,
        Err(unseen) => return vec![piece(Ink::Faint, unseen)],
    };
    if !lineage::is_renamed(ancestor) {
        return vec![piece(Ink::Plain, command::one_line(argv, width))];
    }
    let file = format!("  [{}]", command::one_line([ancestor.path.as_bytes()], width / 2));
    let room = width.saturating_sub(file.width());
    vec![piece(Ink::Plain, command::one_line(argv, room)), piece(Ink::Faint, file)]
}

/// The command line; for an exec without arguments, the file.
pub(in crate::report) fn argv(exec: &Exec) -> Vec<&[u8]> {
    match exec.argv.as_slice() {
        [] => vec![exec.path.as_bytes()],
        argv => argv.iter().map(|argument| argument.as_bytes()).collect(),
    }
}

/// Where the addresses and the shells stand in the command line; of many, the first.
pub(in crate::report) fn marks(addresses: &[Address], shells: &[Shell], exec: &Exec) -> Vec<Mark> {
    let addresses = addresses.iter().map(|found| (found.argument, found.span, &found.text));
    let shells = shells.iter().map(|found| (found.argument, found.span, &found.text));
    let all = addresses.take(MARKS).chain(shells.take(MARKS));
    let mark = |(argument, span, text): (usize, Option<Span>, &Bytes)| {
        let bytes = exec.argv.get(argument)?;
        let range = match span {
            Some(Span { start, end }) if start < end && end <= bytes.len() => start..end,
            _ => {
                let start = memchr::memmem::find(bytes, text)?;
                start..start + text.len()
            }
        };
        Some(Mark { argument, range })
    };
    all.filter_map(mark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::json;

    /// A file may say anything.
    #[test]
    fn of_very_much_the_beginning_is_shown() {
        let text = include_bytes!("../../../tests/fixtures/one-finding.json");
        let mut finding = json::parse(text).unwrap().findings.remove(0);
        finding.addresses = vec![finding.addresses[0].clone(); 5_000];
        finding.exec.flags = vec!["x".to_owned(); 5_000];
        finding.advice = vec!["do".to_owned(); 5_000];
        let Finding { addresses, shells, exec, .. } = &finding;
        assert_eq!(marks(addresses, shells, exec).len(), MARKS);
        let notes = notes(&finding);
        assert_eq!(notes.iter().filter(|note| *note == "Flag: x.").count(), FLAGS);
        assert_eq!(notes.last().unwrap(), "And 4,984 flags not shown here.");
        let advice = advice(&finding);
        assert_eq!(advice.len(), ADVICE + 1);
        assert_eq!(advice[ADVICE], "And 4,988 points not shown here.");
    }
}
