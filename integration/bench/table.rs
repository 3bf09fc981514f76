//! The table: a figure, its reference, how they compare, and the goal.

use crate::harness::quantile;
use comfy_table::{CellAlignment, Table, presets};

const HEADER: [&str; 7] = ["WHAT", "OURS", "REFERENCE", "", "COMPARED", "QUARTILES", "GOAL"];

/// A line of it.
#[derive(Debug)]
pub(super) struct Row([String; 7]);

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

    fn compared(&self, how: fn(f64, f64) -> f64) -> Vec<f64> {
        self.ours.iter().zip(&self.reference).map(|(ours, other)| how(*ours, *other)).collect()
    }
}

impl Row {
    /// How many times as much as the reference.
    pub(super) fn ratio(what: &str, unit: &str, pairs: &Pairs, than: &str, goal: &str) -> Row {
        let ratios = pairs.compared(|ours, other| ours / other);
        Row::compared(what, unit, pairs, than, goal, &ratios, |ratio| format!("×{ratio:.2}"))
    }

    /// How much more than the reference.
    pub(super) fn added(what: &str, unit: &str, pairs: &Pairs, than: &str, goal: &str) -> Row {
        let added = pairs.compared(|ours, other| ours - other);
        Row::compared(what, unit, pairs, than, goal, &added, |added| format!("{added:+.2}"))
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
        let median = |values: &[f64]| format!("{:.2} {unit}", quantile(values, 0.5));
        let [low, mid, high] = [0.25, 0.5, 0.75].map(|part| text(quantile(values, part)));
        let quartiles = format!("{low} … {high}");
        let reference = median(&pairs.reference);
        Row([
            what.to_owned(),
            median(&pairs.ours),
            reference,
            than.to_owned(),
            mid,
            quartiles,
            goal.to_owned(),
        ])
    }

    /// Several times the same, without a reference.
    pub(super) fn alone(what: &str, unit: &str, values: &[f64], goal: &str) -> Row {
        let [low, mid, high] =
            [0.25, 0.5, 0.75].map(|part| format!("{:.2}", quantile(values, part)));
        let mut row = Row::single(what, &format!("{mid} {unit}"), goal);
        row.0[5] = format!("{low} … {high}");
        row
    }

    /// One figure.
    pub(super) fn single(what: &str, figure: &str, goal: &str) -> Row {
        let none = String::new;
        Row([what.to_owned(), figure.to_owned(), none(), none(), none(), none(), goal.to_owned()])
    }
}

/// Prints them all.
pub(super) fn print(rows: &[Row]) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(HEADER);
    rows.iter().for_each(|row| {
        table.add_row(&row.0);
    });
    for column in [1, 2, 4, 5] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().for_each(|line| println!("{}", line.trim_end()));
}
