//! The processes, each below the one that started it.

use super::{Run, command::executed, page};
use crate::report::{
    model::{Outcome, Process, Report},
    text::words,
    tree::{Row, rows},
};
use maud::{Markup, html};

/// How many rows are shown.
const SHOWN: usize = 2_000;
/// How deep the tree is drawn; what is deeper stands at this depth.
const DEPTH: usize = 24;
/// How many rows a tree may have that is open from the beginning.
const SMALL: usize = 40;
/// How many findings of one row are named.
const NAMED: usize = 4;

pub(super) fn section(report: &Report, run: &Run<'_>) -> Markup {
    let (rows, beyond) = rows(report, SHOWN);
    let tree = Tree { run, open: rows.len() <= SMALL };
    let content = html! {
        @if rows.is_empty() {
            p.faint { "This report does not list its processes." }
        } @else {
            p.faint {
                "What started what"
                @if run.findings.is_empty() { "." } @else { "; the way to each finding is open." }
            }
            (tree.list(&rows, 0))
        }
        @if beyond > 0 {
            p.more {
                (words::count(beyond, "more exec is", "more execs are"))
                " not shown here; the event file has every exec."
            }
        }
    };
    page::section("processes", "Processes", &content)
}

struct Tree<'a> {
    run: &'a Run<'a>,
    open: bool,
}

impl Tree<'_> {
    /// Rows of the same depth, each with the deeper ones after it; at most [`DEPTH`] calls
    /// deep.
    fn list(&self, rows: &[Row<'_>], depth: usize) -> Markup {
        let begins = |row: &Row<'_>| row.depth <= depth || depth >= DEPTH;
        html! {
            ul.tree[depth == 0] {
                @for branch in rows.chunk_by(|_, next| !begins(next)) {
                    @if let Some((row, below)) = branch.split_first() {
                        li {
                            @if below.is_empty() {
                                div.leaf { (self.row(row, true)) }
                            } @else {
                                details open[depth == 0 || self.open || lead_to_finding(below)] {
                                    summary { (self.row(row, false)) }
                                    (self.list(below, depth + 1))
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn row(&self, row: &Row<'_>, linked: bool) -> Markup {
        let Process { path, argv, argv_omitted, offset_ms, outcome, findings, .. } = row.process;
        html! {
            (executed(path, argv))
            @if *argv_omitted > 0 { span.faint { "…" } }
            @if row.count > 1 { " ×" (words::number(row.count)) }
            span.when {
                " +" (words::duration(*offset_ms))
                @if let Some(outcome) = outcome { " · " (ended(outcome)) }
            }
            // A link in a summary would be a button in a button.
            @for n in findings.iter().take(NAMED) {
                " "
                @match self.run.link(*n).filter(|_| linked) {
                    Some(link) => a.tag.finding href=(link) { "finding " (n) },
                    None => span.tag.finding { "finding " (n) },
                }
            }
        }
    }
}

/// Whether one of the rows is a finding.
fn lead_to_finding(rows: &[Row<'_>]) -> bool {
    rows.iter().any(|row| !row.process.findings.is_empty())
}

fn ended(outcome: &Outcome) -> Markup {
    html! {
        @match (outcome.exit_code, outcome.signal) {
            (_, Some(signal)) => span.failed { "signal " (signal) },
            (Some(0), None) => "exit 0",
            (Some(code), None) => span.failed { "exit " (code) },
            (None, None) => "ended",
        }
        " · " (words::duration(outcome.duration_ms))
    }
}
