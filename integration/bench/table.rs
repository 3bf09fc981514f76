//! The table: a figure, its reference, how they compare, and the goal.

use crate::harness::quantile;
use comfy_table::{CellAlignment, Table, presets};

const HEADER: [&str; 7] =
    ["what", "measured", "reference", "compared", "quartiles", "goal", "remark"];
const QUARTILES: [f64; 3] = [0.25, 0.5, 0.75];

/// A line of it.
#[derive(Debug, Default)]
pub(super) struct Row {
    what: String,
    measured: String,
    reference: String,
    compared: String,
    quartiles: String,
    goal: String,
    remark: String,
}

/// What was measured in turn, one of each a pair, in one unit.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub(super) ours: Vec<f64>,
    pub(super) reference: Vec<f64>,
}

impl Pairs {
    /// So many, one first and then the other.
    pub(super) fn measure(
        count: usize,
        mut ours: impl FnMut() -> f64,
        mut reference: impl FnMut() -> f64,
    ) -> Pairs {
        let mut pairs = Pairs::default();
        for number in 0..count {
            if number % 2 == 0 {
                pairs.ours.push(ours());
                pairs.reference.push(reference());
            } else {
                pairs.reference.push(reference());
                pairs.ours.push(ours());
            }
        }
        pairs
    }

    pub(super) fn push(&mut self, ours: f64, reference: f64) {
        self.ours.push(ours);
        self.reference.push(reference);
    }

    /// The same, so many pairs at a time averaged into one.
    pub(super) fn averaged(&self, count: usize) -> Pairs {
        let mean = |some: &[f64]| some.iter().sum::<f64>() / some.len() as f64;
        let means = |values: &[f64]| values.chunks(count).map(mean).collect();
        Pairs { ours: means(&self.ours), reference: means(&self.reference) }
    }

    /// How many times as much as the reference, in the median.
    pub(super) fn times(&self) -> String {
        ratio(quantile(&self.compared(|ours, other| ours / other), 0.5))
    }

    fn compared(&self, how: fn(f64, f64) -> f64) -> Vec<f64> {
        self.ours.iter().zip(&self.reference).map(|(ours, other)| how(*ours, *other)).collect()
    }
}

impl Row {
    /// How many times as much as the reference.
    pub(super) fn ratio(what: &str, unit: &str, pairs: &Pairs, than: &str, goal: &str) -> Row {
        let ratios = pairs.compared(|ours, other| ours / other);
        Row::compared(what, unit, pairs, than, goal, &ratios, ratio)
    }

    /// How much more than the reference.
    pub(super) fn added(what: &str, unit: &str, pairs: &Pairs, than: &str, goal: &str) -> Row {
        let added = pairs.compared(|ours, other| ours - other);
        Row::compared(what, unit, pairs, than, goal, &added, |added| format!("{added:+.2}"))
    }

    /// What comes on top of the reference, and so how many times as much that is with it.
    pub(super) fn on_top(what: &str, unit: &str, ours: &[f64], other: &[f64], than: &str) -> Row {
        let without = quantile(other, 0.5);
        let ratios: Vec<f64> = ours.iter().map(|ours| (without + ours) / without).collect();
        let pairs = Pairs { ours: ours.to_vec(), reference: other.to_vec() };
        Row::compared(what, unit, &pairs, than, "", &ratios, ratio)
    }

    fn compared(
        what: &str,
        unit: &str,
        pairs: &Pairs,
        than: &str,
        goal: &str,
        values: &[f64],
        text: fn(f64) -> String,
    ) -> Row {
        let median = |values: &[f64]| format!("{} {unit}", figure(quantile(values, 0.5)));
        let [low, mid, high] = QUARTILES.map(|part| text(quantile(values, part)));
        Row {
            what: what.to_owned(),
            measured: median(&pairs.ours),
            reference: format!("{}, {than}", median(&pairs.reference)),
            compared: mid,
            quartiles: format!("{low} … {high}"),
            goal: goal.to_owned(),
            remark: String::new(),
        }
    }

    /// Several times the same, without a reference.
    pub(super) fn alone(what: &str, unit: &str, values: &[f64], goal: &str) -> Row {
        let [low, mid, high] = QUARTILES.map(|part| figure(quantile(values, part)));
        let quartiles = format!("{low} … {high}");
        Row { quartiles, ..Row::single(what, &format!("{mid} {unit}"), goal) }
    }

    /// One figure.
    pub(super) fn single(what: &str, measured: &str, goal: &str) -> Row {
        let [what, measured, goal] = [what, measured, goal].map(str::to_owned);
        Row { what, measured, goal, ..Row::default() }
    }

    /// The same, and something that no column is for.
    pub(super) fn remark(self, remark: String) -> Row {
        Row { remark, ..self }
    }

    fn cells(&self) -> [&str; 7] {
        let Row { what, measured, reference, compared, quartiles, goal, remark } = self;
        [what, measured, reference, compared, quartiles, goal, remark].map(String::as_str)
    }
}

/// As many digits as can be told apart.
fn figure(value: f64) -> String {
    let digits = match value {
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// With a hundredth of the reference told apart.
fn ratio(ratio: f64) -> String {
    let digits = if ratio < 2.0 { 3 } else { 1 };
    format!("×{ratio:.digits$}")
}

/// Prints the rows of each part, for a terminal or to be put into a document.
pub(super) fn print(parts: &[(&str, Vec<Row>)], markdown: bool) {
    if markdown {
        return print_markdown(parts);
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(HEADER.map(str::to_uppercase));
    for (name, rows) in parts {
        table.add_row([""]).add_row([format!("{name}:")]);
        for row in rows {
            let mut cells = row.cells().map(str::to_owned);
            cells[0].insert_str(0, "  ");
            table.add_row(cells);
        }
    }
    for column in [1, 3, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().for_each(|line| println!("{}", line.trim_end()));
}

fn print_markdown(parts: &[(&str, Vec<Row>)]) {
    let line = |cells: [&str; 7]| {
        println!("| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
    };
    line(HEADER);
    line(["---"; 7]);
    for (name, rows) in parts {
        line([&format!("**{name}**"), "", "", "", "", "", ""]);
        rows.iter().for_each(|row| line(row.cells()));
    }
}
