//! The process tree: what was executed by what, and when.

use super::{
    Layout, command,
    page::{Ink, Page, Piece, piece},
    words,
};
use crate::report::{
    model::{Process, Report},
    tree::{Row, rows},
};
use unicode_width::UnicodeWidthStr;

/// How many rows are shown.
const ROWS: usize = 40;
/// Columns of the time before each row.
const TIME: usize = 11;
/// Columns that the command line of the deepest row has.
const LEAST: usize = 16;

pub(super) fn tree(page: &mut Page, report: &Report) {
    if report.processes.is_empty() {
        return;
    }
    page.rule();
    page.title(0, "Process tree");
    body(page, report);
}

/// The tree alone, without colours.
pub(in crate::report) fn process_tree(report: &Report, width: usize) -> String {
    let mut page = Page::new(Layout { width, colour: false });
    body(&mut page, report);
    page.into_text()
}

fn body(page: &mut Page, report: &Report) {
    let (rows, beyond) = rows(report, ROWS);
    for row in &rows {
        let line = self::row(row, page.width());
        page.line(0, &line);
    }
    if beyond > 0 {
        let more = format!("and {}", words::count(beyond, "more exec", "more execs"));
        page.line(TIME + 2, &[piece(Ink::Faint, more)]);
    }
}

/// `   12 ms  ├ wget -q http://8.8.8.8/  ← finding 1`
fn row(row: &Row<'_>, width: usize) -> Vec<Piece> {
    let Row { stem, depth: levels, process, count } = row;
    let time = Some(words::duration(process.offset_ms)).filter(|time| time.width() <= TIME);
    let time = time.unwrap_or_else(|| "…".to_owned());
    let mut line = vec![piece(Ink::Faint, format!("{time:>TIME$}  "))];
    let note = note(process, *count);
    let beside = TIME + 2 + note.iter().map(|note| note.text.width()).sum::<usize>();
    // However deep it is, there is room for what was executed.
    let deepest = (width / 3).min(width.saturating_sub(beside + LEAST)) / 2;
    let stem: String = match levels.checked_sub(deepest) {
        Some(above @ 1..) => "… ".chars().chain(stem.chars().skip(2 * (above + 1))).collect(),
        _ => stem.clone(),
    };
    let used = beside + stem.width();
    line.push(piece(Ink::Faint, stem));
    let ink = if process.findings.is_empty() { Ink::Plain } else { Ink::Critical };
    line.push(piece(ink, command_line(process, width.saturating_sub(used).max(1))));
    line.extend(note);
    line
}

/// The command line, or the file where there is none.
fn command_line(process: &Process, width: usize) -> String {
    match process.argv.as_slice() {
        [] => command::one_line([process.path.as_bytes()], width),
        argv => command::one_line(argv.iter().map(|argument| argument.as_bytes()), width),
    }
}

/// What stands behind the command line.
fn note(process: &Process, count: u64) -> Vec<Piece> {
    let mut note = Vec::new();
    if count > 1 {
        note.push(piece(Ink::Faint, format!("  ×{}", words::number(count))));
    }
    match process.findings.as_slice() {
        // Of many in one row, and of what went well, nothing is said.
        [] if count == 1 => {
            let end = process.outcome.as_ref().and_then(|end| match (end.exit_code, end.signal) {
                (_, Some(signal)) => Some(format!("  signal {signal}")),
                (Some(0) | None, None) => None,
                (Some(code), None) => Some(format!("  exit {code}")),
            });
            note.extend(end.map(|end| piece(Ink::Faint, end)));
        }
        [] => {}
        [n] => note.push(piece(Ink::Critical, format!("  ← finding {n}"))),
        [n, ..] => note.push(piece(Ink::Critical, format!("  ← findings {n} …"))),
    }
    note
}
