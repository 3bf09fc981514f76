//! What was executed how often.

use super::{command::inline, page};
use crate::report::{
    model::{Executable, Report},
    text::words,
};
use maud::{Markup, html};

/// How many files are shown at once, and how many more can be opened.
const FIRST: usize = 20;
const MORE: usize = 1_000;

pub(super) fn section(report: &Report) -> Markup {
    let files = &report.executables;
    if files.is_empty() {
        return html! {};
    }
    let all = (files.len() as u64).saturating_add(report.executables_omitted);
    let (first, more) = files.split_at(files.len().min(FIRST));
    let more = &more[..more.len().min(MORE)];
    let beyond = all.saturating_sub((first.len() + more.len()) as u64);
    let caption = format!(
        "{} of {}",
        words::count(report.completeness.execs, "exec", "execs"),
        words::count(all, "program", "different programs"),
    );
    let content = html! {
        (table(&caption, first))
        @if !more.is_empty() {
            details.fold {
                summary { (words::count(more.len() as u64, "more program", "more programs")) }
                (table("Less frequent programs", more))
            }
        }
        @if beyond > 0 {
            p.more { "and " (words::number(beyond)) " more; " code { "report.json" } " names 10,000." }
        }
    };
    page::section("programs", "Programs", &content)
}

fn table(caption: &str, files: &[Executable]) -> Markup {
    html! {
        table.programs {
            caption { (caption) }
            thead { tr { th scope="col" { "Execs" } th scope="col" { "File" } } }
            tbody {
                @for Executable { path, count } in files {
                    tr { td.number { (words::number(*count)) } td { (inline([path.as_bytes()])) } }
                }
            }
        }
    }
}
