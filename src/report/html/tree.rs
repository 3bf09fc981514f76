//! The processes, each below the one that started it.

use super::{Run, command::executed, page};
use crate::report::{
    model::{Outcome, Process, Report},
    text::words,
};
use maud::{Markup, html};
use std::collections::HashMap;

/// How many processes are shown.
const SHOWN: usize = 2_000;
/// How deep the tree is drawn; what is deeper stands at this depth.
const DEPTH: usize = 24;
/// How many processes a tree may have that is open from the beginning.
const SMALL: usize = 40;

/// A process that is shown, and what is shown below it.
struct Node<'a> {
    process: &'a Process,
    children: Vec<usize>,
    depth: usize,
    /// Whether it or one below it is a finding.
    leads_to_finding: bool,
}

pub(super) fn section(report: &Report, run: &Run<'_>) -> Markup {
    let (nodes, roots) = nodes(&report.processes);
    let beyond = (report.processes.len() - nodes.len()) as u64;
    let beyond = beyond.saturating_add(report.processes_omitted);
    let tree = Tree { nodes: &nodes, run, open: nodes.len() <= SMALL };
    let content = html! {
        @if nodes.is_empty() {
            p.faint { "This report does not list its processes." }
        } @else {
            @if run.findings.is_empty() {
                p.faint { "What started what." }
            } @else {
                p.faint { "What started what; the way to each finding is open." }
            }
            (tree.list(&roots))
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

/// The processes that are shown, and which of them stand below no other.
fn nodes(processes: &[Process]) -> (Vec<Node<'_>>, Vec<usize>) {
    let chosen = chosen(processes);
    let mut at: HashMap<u64, usize> = HashMap::with_capacity(chosen.len());
    let mut nodes: Vec<Node<'_>> = Vec::with_capacity(chosen.len());
    let mut roots = Vec::new();
    let mut parents = Vec::with_capacity(chosen.len());
    for process in chosen {
        let number = nodes.len();
        // A parent comes before its children; another claim is not believed.
        let mut parent = process.parent.and_then(|parent| at.get(&parent).copied());
        if let Some(above) = parent.filter(|parent| nodes[*parent].depth + 1 >= DEPTH) {
            parent = parents[above];
        }
        let depth = parent.map_or(0, |parent| nodes[parent].depth + 1);
        let found = !process.findings.is_empty();
        nodes.push(Node { process, children: Vec::new(), depth, leads_to_finding: found });
        parents.push(parent);
        match parent {
            Some(parent) => nodes[parent].children.push(number),
            None => roots.push(number),
        }
        at.insert(process.sequence, number);
    }
    for number in (0..nodes.len()).rev() {
        if let (true, Some(parent)) = (nodes[number].leads_to_finding, parents[number]) {
            nodes[parent].leads_to_finding = true;
        }
    }
    (nodes, roots)
}

/// The findings with what led to them, then the first of the others; in their order.
fn chosen(processes: &[Process]) -> Vec<&Process> {
    let mut ordered: Vec<&Process> = processes.iter().collect();
    ordered.sort_by_key(|process| process.sequence);
    if ordered.len() <= SHOWN {
        return ordered;
    }
    let at: HashMap<u64, usize> =
        ordered.iter().enumerate().map(|(i, process)| (process.sequence, i)).collect();
    let mut keep = vec![false; ordered.len()];
    let mut room = SHOWN;
    let mut take = |i: usize| {
        let takes = room > 0 && !keep[i];
        if takes {
            keep[i] = true;
            room -= 1;
        }
        takes
    };
    for i in (0..ordered.len()).filter(|i| !ordered[*i].findings.is_empty()) {
        let mut next = Some(i);
        while let Some(i) = next.filter(|i| take(*i)) {
            next = ordered[i].parent.and_then(|parent| at.get(&parent).copied());
        }
    }
    (0..ordered.len()).for_each(|i| {
        take(i);
    });
    let mut keep = keep.into_iter();
    ordered.retain(|_| keep.next().unwrap_or(false));
    ordered
}

struct Tree<'a> {
    nodes: &'a [Node<'a>],
    run: &'a Run<'a>,
    open: bool,
}

impl Tree<'_> {
    /// At most [`DEPTH`] calls deep.
    fn list(&self, numbers: &[usize]) -> Markup {
        html! {
            ul.tree[numbers.first().is_some_and(|number| self.nodes[*number].depth == 0)] {
                @for node in numbers.iter().map(|number| &self.nodes[*number]) {
                    li {
                        @if node.children.is_empty() {
                            div.leaf { (self.row(node, true)) }
                        } @else {
                            details open[self.open || node.leads_to_finding || node.depth == 0] {
                                summary { (self.row(node, false)) }
                                (self.list(&node.children))
                            }
                        }
                    }
                }
            }
        }
    }

    fn row(&self, node: &Node<'_>, linked: bool) -> Markup {
        let Process { path, argv, argv_omitted, offset_ms, outcome, findings, .. } = node.process;
        html! {
            (executed(path, argv))
            @if *argv_omitted > 0 { span.faint { "…" } }
            span.when {
                " +" (words::duration(*offset_ms))
                @if let Some(outcome) = outcome { " · " (ended(outcome)) }
            }
            // A link in a summary would be a button in a button.
            @for n in findings.iter().take(4) {
                " "
                @match self.run.link(*n).filter(|_| linked) {
                    Some(link) => a.tag.finding href=(link) { "finding " (n) },
                    None => span.tag.finding { "finding " (n) },
                }
            }
        }
    }
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
