//! The report for a person at a terminal: the verdict first, then each finding
//! with its address marked, then the proof.

mod command;
mod finding;
mod page;
mod summary;
mod words;

use super::model::Report;
use page::Page;

/// How the text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Columns of the terminal; fewer than 40 count as 40.
    pub width: usize,
    /// Whether colours and other ANSI styles may be used; without them, marks are
    /// drawn on a line of their own.
    pub colour: bool,
}

/// The whole report. Whatever the build controls in it is escaped.
pub fn render(report: &Report, layout: Layout) -> String {
    let mut page = Page::new(layout);
    summary::head(&mut page, report);
    finding::all(&mut page, report);
    finding::allowed(&mut page, report);
    summary::executables(&mut page, report);
    summary::completeness(&mut page, report);
    summary::cost(&mut page, report);
    page.into_text()
}

/// One finding as soon as it is known, as `buildwarden watch` shows it: a headline
/// and the command line.
pub fn live_finding(found: &super::model::Finding, layout: Layout) -> String {
    let mut page = Page::new(layout);
    finding::brief(&mut page, found);
    page.into_text()
}

/// An exec on one line.
pub fn command_line<'a>(argv: impl IntoIterator<Item = &'a [u8]>, width: usize) -> String {
    command::one_line(argv, width)
}
