//! The process tree, cut down to a number of rows: the findings and what led to them
//! stay, then what came first.

use super::model::{Process, Report};
use std::collections::HashMap;

/// A row of the tree.
#[derive(Debug)]
pub(super) struct Row<'a> {
    /// What leads to it from the left: `│ ├ `. Empty for a process without parent.
    pub(super) stem: String,
    /// How many processes are above it.
    pub(super) depth: usize,
    pub(super) process: &'a Process,
    /// How many siblings of the same file it stands for, itself included.
    pub(super) count: u64,
}

/// A process, with siblings right after it that executed the same file and nothing else.
struct Unit {
    process: usize,
    count: u64,
    /// The unit that its parent is in.
    parent: Option<usize>,
}

/// The rows, and how many execs of the run are in none of them.
pub(super) fn rows(report: &Report, most: usize) -> (Vec<Row<'_>>, u64) {
    let units = units(&report.processes);
    let shown = chosen(&report.processes, &units, most);
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); units.len()];
    let mut roots = Vec::new();
    for (i, unit) in units.iter().enumerate().filter(|(i, _)| shown[*i]) {
        match unit.parent {
            Some(parent) => children[parent].push(i),
            None => roots.push(i),
        }
    }
    // No recursion: a chain of ten thousand would be as deep.
    let mut rows = Vec::new();
    let mut told = 0;
    let mut stack: Vec<(usize, String, bool, usize)> =
        roots.into_iter().rev().map(|root| (root, String::new(), false, 0)).collect();
    while let Some((at, above, more, depth)) = stack.pop() {
        let unit = &units[at];
        let stem = match (depth, more) {
            (0, _) => String::new(),
            (_, true) => format!("{above}├ "),
            (_, false) => format!("{above}└ "),
        };
        let below = match (depth, more) {
            (0, _) => String::new(),
            (_, true) => format!("{above}│ "),
            (_, false) => format!("{above}  "),
        };
        told += unit.count;
        rows.push(Row { stem, depth, process: &report.processes[unit.process], count: unit.count });
        for (i, child) in children[at].iter().enumerate().rev() {
            stack.push((*child, below.clone(), i + 1 < children[at].len(), depth + 1));
        }
    }
    let all = (report.processes.len() as u64).saturating_add(report.processes_omitted);
    (rows, all.saturating_sub(told))
}

/// Processes with those that follow them and look the same taken together.
fn units(processes: &[Process]) -> Vec<Unit> {
    let mut has_children: Vec<bool> = vec![false; processes.len()];
    let by_sequence: HashMap<u64, usize> =
        processes.iter().enumerate().map(|(i, process)| (process.sequence, i)).collect();
    // A parent executed before its child; whatever a file says, there are no circles.
    let parent_of = |process: &Process| {
        let parent = process.parent.filter(|parent| *parent < process.sequence)?;
        by_sequence.get(&parent).copied()
    };
    for process in processes {
        if let Some(parent) = parent_of(process) {
            has_children[parent] = true;
        }
    }
    let mut order: Vec<usize> = (0..processes.len()).collect();
    order.sort_by_key(|i| processes[*i].sequence);
    let mut units: Vec<Unit> = Vec::new();
    let mut unit_of: Vec<usize> = vec![usize::MAX; processes.len()];
    // The last unit below each parent, where it may grow.
    let mut last: HashMap<Option<usize>, usize> = HashMap::new();
    for i in order {
        let process = &processes[i];
        let parent = parent_of(process).map(|at| unit_of[at]).filter(|unit| *unit != usize::MAX);
        let is_leaf = !has_children[i] && process.findings.is_empty();
        if let Some(unit) = last.get(&parent).copied().filter(|_| is_leaf)
            && processes[units[unit].process].path == process.path
        {
            units[unit].count += 1;
            unit_of[i] = unit;
            continue;
        }
        unit_of[i] = units.len();
        match is_leaf {
            true => last.insert(parent, units.len()),
            false => last.remove(&parent),
        };
        units.push(Unit { process: i, count: 1, parent });
    }
    units
}

/// Which units are shown.
fn chosen(processes: &[Process], units: &[Unit], most: usize) -> Vec<bool> {
    let mut shown = vec![false; units.len()];
    let mut room = most;
    for (i, _) in
        units.iter().enumerate().filter(|(_, unit)| !processes[unit.process].findings.is_empty())
    {
        let chain: Vec<usize> = std::iter::successors(Some(i), |at| units[*at].parent)
            .take_while(|at| !shown[*at])
            .take(room + 1)
            .collect();
        if chain.len() > room {
            continue;
        }
        room -= chain.len();
        chain.into_iter().for_each(|at| shown[at] = true);
    }
    for (i, unit) in units.iter().enumerate() {
        if room == 0 {
            break;
        }
        if !shown[i] && unit.parent.is_none_or(|parent| shown[parent]) {
            shown[i] = true;
            room -= 1;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::json;

    /// A report with these processes: sequence, parent, path, findings.
    fn report(processes: &[(u64, Option<u64>, &str, &[u64])]) -> Report {
        let text = include_bytes!("../../tests/fixtures/clean.json");
        let mut report = json::parse(text).unwrap();
        let one = report.processes.swap_remove(0);
        report.processes_omitted = 100;
        report.processes = processes
            .iter()
            .map(|(sequence, parent, path, findings)| Process {
                sequence: *sequence,
                parent: *parent,
                path: path.into(),
                findings: findings.to_vec(),
                ..one.clone()
            })
            .collect();
        report
    }

    #[test]
    fn rows_keep_findings_and_their_ancestors() {
        let processes: [(u64, Option<u64>, &str, &[u64]); 9] = [
            (1, None, "sh", &[]),
            (2, Some(1), "npm", &[]),
            (3, Some(2), "cc", &[]),
            (4, Some(2), "cc", &[]),
            (5, Some(1), "rm", &[]),
            (6, Some(2), "cc", &[]),
            (7, Some(2), "sh", &[]),
            (8, Some(7), "wget", &[1]),
            // From outside of the container, or lost.
            (9, Some(99), "top", &[]),
        ];
        let report = report(&processes);
        let check = |most, want: &[&str], left_out| {
            let (rows, omitted) = rows(&report, most);
            let rows: Vec<String> = rows
                .iter()
                .map(|row| {
                    let path = String::from_utf8_lossy(&row.process.path);
                    let count =
                        if row.count > 1 { format!(" ×{}", row.count) } else { String::new() };
                    format!("{}{path}{count}", row.stem)
                })
                .collect();
            assert_eq!(rows, want);
            assert_eq!(omitted, left_out);
        };
        check(99, &["sh", "├ npm", "│ ├ cc ×3", "│ └ sh", "│   └ wget", "└ rm", "top"], 100);
        check(5, &["sh", "└ npm", "  ├ cc ×3", "  └ sh", "    └ wget"], 102);
        check(4, &["sh", "└ npm", "  └ sh", "    └ wget"], 105);
        check(2, &["sh", "└ npm"], 107);
        check(0, &[], 109);
    }

    #[test]
    fn a_deep_chain_and_circles_are_no_trouble() {
        let chain: Vec<_> = (1..=10_000)
            .map(|n| (n, Some(n - 1), "sh", if n == 10_000 { &[1][..] } else { &[] }))
            .collect();
        let count = |report: &Report| {
            let (rows, omitted) = rows(report, 40);
            (rows.len(), omitted)
        };
        assert_eq!(count(&report(&chain)), (40, 10_060));
        let circle: [(u64, Option<u64>, &str, &[u64]); 3] =
            [(1, Some(2), "a", &[]), (2, Some(1), "b", &[1]), (3, Some(3), "c", &[])];
        assert_eq!(count(&report(&circle)), (3, 100));
    }
}
