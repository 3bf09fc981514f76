//! What shows that everything was seen, and what the tracing cost.

use super::page;
use crate::report::{model::Report, phrase, text::summary};
use maud::{Markup, html};

pub(super) fn section(report: &Report) -> Markup {
    let found = &report.completeness;
    let title = if found.is_complete() { "Complete" } else { "Not complete" };
    page::section(
        "proof",
        title,
        &html! {
            @for text in summary::proof(found) { p { (text) } }
            @if !found.is_complete() {
                ul { @for text in phrase::shortcomings(found) { li { (text) } } }
            }
            @if let Some(events) = &report.events { p.faint { (summary::event_file(events)) } }
            p.faint { (summary::price(&report.cost)) }
        },
    )
}
