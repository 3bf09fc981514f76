//! The report of a job: the verdict, its containers and steps, their findings, what was
//! not seen.

use super::{LONGEST, WIDTH, code, fitting, prose, sections, sign, verdict};
use crate::report::{
    model::Verdict,
    text::{finding, summary, words},
    view::{OfJob, Part, View},
};

/// Bytes of the table of containers, and of a list of what was not seen.
const TABLE: usize = 16_000;
const MISSING: usize = 6_000;

/// The report of a job; `view` is of one.
pub(in crate::report) fn render(view: &View<'_>) -> String {
    let end = end(view);
    let mut page = head(view);
    page.push_str(&table(view));
    let with_findings: Vec<&Part<'_>> =
        view.parts.iter().filter(|part| part.has_findings()).collect();
    let mut left_out = 0_u64;
    for (i, part) in with_findings.iter().enumerate() {
        // What is there is shared, so that the first cannot hide the others.
        let left = LONGEST.saturating_sub(page.len() + end.len());
        let section = findings(part, left / (with_findings.len() - i));
        if section.is_empty() {
            left_out = left_out.saturating_add(part.count());
        }
        page.push_str(&section);
    }
    if left_out > 0 {
        let more = words::count(left_out, "more finding", "more findings");
        page.push_str(&format!(
            "**{more} in other containers left out here;** `--format json` has what was kept.\n\n"
        ));
    }
    page + &end
}

/// The verdict, and of what.
fn head(view: &View<'_>) -> String {
    let mut page = verdict(view.verdict, &view.summary);
    page.push_str(&format!("- job: {}\n", code(view.job.as_deref().unwrap_or_default())));
    if let Some(OfJob { kinds, .. }) = &view.of_job {
        page.push_str(&format!("- {}\n", prose(&format!("containers: {kinds}"))));
    }
    let execs = words::count(view.execs, "exec", "execs");
    page.push_str(&match (view.missing.is_empty(), view.verdict) {
        (true, _) => format!("- seen: everything, {execs}\n\n"),
        (false, Verdict::Findings) => {
            format!("- seen: **not everything**, {execs}: there may be more; see below\n\n")
        }
        (false, _) => format!("- seen: **not everything**, {execs}; see below\n\n"),
    });
    page
}

/// A row for each container: those about which there is something to say first.
fn table(view: &View<'_>) -> String {
    if view.parts.is_empty() {
        return String::new();
    }
    let (clean, others): (Vec<_>, Vec<_>) = view.parts.iter().partition(|p| p.word == "clean");
    let rows: Vec<String> = others.iter().chain(&clean).map(|part| row(part, view)).collect();
    let shown: Vec<&str> = fitting(&rows, TABLE).collect();
    let mut table =
        "Verdict | Container or step | Findings | Execs\n--- | --- | ---: | ---:\n".to_owned();
    table.extend(shown.iter().copied());
    if let beyond @ 1.. = rows.len() - shown.len() {
        table.push_str(&format!("\nand {} more\n", words::number(beyond as u64)));
    }
    table + "\n"
}

fn row(part: &Part<'_>, view: &View<'_>) -> String {
    let mut what = cell(&summary::container(part.container));
    // Many jobs may have been asked for.
    let job = part.job.map(|job| words::name(&job.id)).filter(|job| view.job.as_ref() != Some(job));
    if let Some(job) = job {
        what.push_str(&format!(" of job {}", cell(&job)));
    }
    if let Some(step) = part.step(WIDTH) {
        what.push_str(&format!(": {}", cell(&step)));
    }
    let findings = words::number(part.count());
    let execs = part.execs.map_or("–".to_owned(), words::number);
    format!("{} | {what} | {findings} | {execs}\n", sign(part.word))
}

/// Text as code in a cell, which a bar ends unless a backslash is before it. What two of
/// them before a bar are is read in different ways: no code span has that.
fn cell(text: &str) -> String {
    let mut spans = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("\\|") {
        spans.push(code(&rest[..=at]));
        rest = &rest[at + 1..];
    }
    spans.push(code(rest));
    spans.join(" ").replace('|', "\\|")
}

/// The findings of a container; nothing where there is no room for a word about them.
fn findings(part: &Part<'_>, room: usize) -> String {
    /// Bytes of a sentence about what is left out.
    const MORE: usize = 200;
    let still = if part.runs { ", which still runs: so far" } else { "" };
    let name = part.name.as_deref().unwrap_or_default();
    let title = format!("### Findings of {}{still}\n\n", code(name));
    let Some(room) = room.checked_sub(title.len() + MORE) else { return String::new() };
    let (sections, left_out) = sections(&finding::groups(part.findings), part, "####", room);
    let mut section = title + &sections;
    if left_out > 0 {
        let more = words::count(left_out, "more finding is", "more findings are");
        section
            .push_str(&format!("**{more} left out here;** `--format json` has what was kept.\n\n"));
    }
    section
}

/// What was not seen, what was set aside, and by whom all this is said.
fn end(view: &View<'_>) -> String {
    let mut end = String::new();
    let mut list = |title: &str, items: Vec<String>| {
        if !items.is_empty() {
            let shown: Vec<&str> = fitting(&items, MISSING).collect();
            end.push_str(&format!("### {title}\n\n"));
            end.extend(shown.iter().copied());
            if let beyond @ 1.. = items.len() - shown.len() {
                end.push_str(&format!("- and {} more\n", words::number(beyond as u64)));
            }
            end.push('\n');
        }
    };
    list("Not seen", view.missing.iter().map(|line| format!("- {}\n", prose(line))).collect());
    let set_aside = view.parts.iter().filter(|part| part.is_set_aside);
    list(
        "Set aside: still running, and what they do from here on does not count",
        set_aside
            .map(|part| format!("- {}\n", code(part.name.as_deref().unwrap_or_default())))
            .collect(),
    );
    let proof = match view.missing.is_empty() {
        true if view.parts.iter().any(|part| part.is_set_aside) => {
            "Complete but for what was set aside: each other report shows that every exec of its \
             container was seen."
        }
        true => "Complete: each report shows that every exec of its container was seen.",
        false => "Not complete: there may be more than is said here.",
    };
    let tool = code(&format!("{} {}", view.tool.name, view.tool.version));
    format!("{end}{proof} Written by {tool}.\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_in_a_cell_does_not_end_it() {
        let cases = [
            ("npm ci", "`npm ci`"),
            ("a | b", r"`a \| b`"),
            (r"grep 'a\|b' x", r"`grep 'a\` `\|b' x`"),
            (r"\\|", r"`\\` `\|`"),
            ("`|`", r"`` `\|` ``"),
            (r"a\", r"`a\`"),
        ];
        for (text, want) in cases {
            let cell = cell(text);
            assert_eq!(cell, want);
            // One backslash before each bar, however a reader counts them.
            assert!(!cell.contains(r"\\|"), "{cell}");
        }
    }
}
