//! The report for a person at a terminal: the verdict first, then each finding
//! with its address marked, then the proof.

mod baseline;
pub(super) mod command;
pub(super) mod finding;
pub(super) mod job;
mod live;
pub(super) mod page;
pub(super) mod summary;
pub(super) mod tree;
pub(super) mod words;

pub use super::phrase::headline;
use super::{Bytes, baseline::Difference, model::Report};
pub use job::render_job;
pub use live::{
    LiveStatus, live_allowed, live_end, live_exec, live_finding, live_gap, live_job, live_row_end,
    live_row_finding, live_row_gap, live_start, live_status, live_whom,
};
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
    render_since(report, None, layout)
}

/// The whole report, with marks at what an earlier build did not execute.
pub fn render_since(report: &Report, baseline: Option<&Difference>, layout: Layout) -> String {
    let mut page = Page::new(layout);
    summary::head(&mut page, report);
    if let Some(difference) = baseline {
        baseline::since(&mut page, difference);
    }
    let Report { findings, findings_omitted, started, .. } = report;
    finding::all(&mut page, findings, *findings_omitted, *started, baseline);
    finding::allowed(&mut page, report);
    tree::tree(&mut page, report);
    summary::executables(&mut page, report);
    summary::completeness(&mut page, report);
    summary::cost(&mut page, report);
    page.into_text()
}

/// A command line on one row of at most `width` columns.
pub fn command_line(argv: &[Bytes], width: usize) -> String {
    command::one_line(argv.iter().map(Bytes::as_bytes), width)
}

/// What two reports differ in.
pub fn difference(difference: &Difference, layout: Layout) -> String {
    let mut page = Page::new(layout);
    baseline::difference(&mut page, difference);
    page.into_text()
}
