//! The report for a person at a terminal: the verdict first, then each finding
//! with its address marked, then the proof.

pub(super) mod command;
pub(super) mod finding;
pub(super) mod job;
mod live;
pub(super) mod page;
pub(super) mod summary;
pub(super) mod tree;
pub(super) mod words;

use super::model::Report;
pub use job::render_job;
pub use live::{live_allowed, live_end, live_exec, live_finding, live_gap, live_job, live_start};
use page::Page;
pub use words::{between, minute, moment};

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
    finding::all(&mut page, &report.findings, report.findings_omitted, report.started);
    finding::allowed(&mut page, report);
    tree::tree(&mut page, report);
    summary::executables(&mut page, report);
    summary::completeness(&mut page, report);
    summary::cost(&mut page, report);
    page.into_text()
}
