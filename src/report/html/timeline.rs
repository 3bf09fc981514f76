//! Execs over time, the findings marked.
//!
//! Places are percentages and sizes are pixels: the drawing is as wide as its room,
//! and its text as large as text.

use super::{Run, page};
use crate::report::{
    model::{BUCKETS_MAX, Finding, Importance, Report, Timeline},
    text::words,
};
use maud::{Markup, html};

/// Pixels: down to the marks of findings, to the top of the highest bar, to the foot of
/// the bars, to the end.
const MARKS: f64 = 24.0;
const TOP: f64 = 40.0;
const FOOT: f64 = 140.0;
const HEIGHT: f64 = 164.0;
/// Percent of the width that the number of a mark needs.
const NUMBER: f64 = 4.0;

/// The findings of one bucket.
struct Marked<'a> {
    first: &'a Finding,
    importance: Importance,
    count: u64,
}

pub(super) fn section(report: &Report, run: &Run<'_>) -> Markup {
    let content = match &report.timeline {
        Some(timeline) if !timeline.execs.is_empty() => figure(timeline, run),
        _ => html! { p.faint { "This report does not say when its execs happened." } },
    };
    page::section("timeline", "Timeline", &content)
}

fn figure(timeline: &Timeline, run: &Run<'_>) -> Markup {
    let buckets = &timeline.execs[..timeline.execs.len().min(BUCKETS_MAX)];
    let width = 100.0 / buckets.len() as f64;
    let ms = |bucket: f64| bucket * timeline.bucket_ms as f64;
    let highest = buckets.iter().copied().max().unwrap_or(0);
    let peak = buckets.iter().position(|execs| *execs == highest).unwrap_or(0);
    let marked = marked(timeline, buckets.len(), run);
    let told = format!(
        "Each bar is {}. The highest is {}, {} into the run.",
        words::duration(ms(1.0)),
        words::count(highest, "exec", "execs"),
        words::duration(ms(peak as f64)),
    );
    let found: u64 = marked.iter().flatten().map(|marked| marked.count).sum();
    let summary = format!(
        "{told} {}.",
        match found {
            0 => "There is no finding on it".to_owned(),
            n => words::count(n, "finding is marked", "findings are marked"),
        }
    );
    let mut numbered = -NUMBER;
    html! {
        figure.timeline {
            svg role="img" aria-labelledby="timeline-title timeline-text" width="100%" height=(HEIGHT) {
                title #timeline-title { "Execs over time" }
                desc #timeline-text { (summary) }
                @for (bucket, execs) in buckets.iter().enumerate().filter(|(_, execs)| **execs > 0) {
                    // The least that can be seen.
                    @let height = (*execs as f64 / highest as f64 * (FOOT - TOP)).max(2.0);
                    rect.bar x=(percent(bucket as f64 * width)) y=(round(FOOT - height))
                        width=(percent(width * 0.8)) height=(round(height)) {}
                }
                line.axis x1="0" y1=(FOOT) x2="100%" y2=(FOOT) {}
                @for quarter in 0..=4_u8 {
                    @let anchor = ["start", "middle", "middle", "middle", "end"][usize::from(quarter)];
                    text class={ "tick" @if quarter % 2 == 1 { " odd" } }
                        x=(percent(f64::from(quarter) * 25.0)) y=(HEIGHT - 6.0) text-anchor=(anchor)
                    {
                        @if quarter == 0 { "0" } @else {
                            (words::duration(ms(buckets.len() as f64) * f64::from(quarter) / 4.0))
                        }
                    }
                }
                @for (bucket, marked) in marked.iter().enumerate() {
                    @if let Some(marked) = marked {
                        @let middle = (bucket as f64 + 0.4) * width;
                        (mark(middle, marked, middle - numbered >= NUMBER))
                        @if middle - numbered >= NUMBER { ({ numbered = middle; "" }) }
                    }
                }
            }
            figcaption { (summary) }
        }
    }
}

/// A diamond for a critical finding, a circle for a medium one, with a line down to its
/// bar.
fn mark(middle: f64, marked: &Marked<'_>, numbered: bool) -> Markup {
    let Marked { first, importance, count } = marked;
    html! {
        svg x=(percent(middle)) y=(MARKS) overflow="visible" class={ "mark " (importance.as_str()) } {
            line x1="0" y1="0" x2="0" y2=(FOOT - MARKS) {}
            @match importance {
                Importance::Critical => path d="M0 -7 L7 0 L0 7 L-7 0 Z" {},
                Importance::Medium => circle r="6" {},
            }
            @if numbered {
                text.number y="-11" text-anchor="middle" { (first.n) @if *count > 1 { "+" } }
            }
        }
    }
}

/// The findings of each bucket; those outside of the timeline are at its ends.
fn marked<'a>(timeline: &Timeline, buckets: usize, run: &'a Run<'a>) -> Vec<Option<Marked<'a>>> {
    let mut marked: Vec<Option<Marked<'a>>> = (0..buckets).map(|_| None).collect();
    for finding in run.findings {
        let after_ms = finding.exec.time.ns_since(run.started) / 1_000_000;
        let bucket = after_ms / timeline.bucket_ms.max(1);
        let last = buckets.saturating_sub(1);
        let place = &mut marked[usize::try_from(bucket).unwrap_or(last).min(last)];
        match place {
            Some(marked) => {
                marked.count += 1;
                marked.importance = marked.importance.max(finding.importance);
            }
            None => {
                *place = Some(Marked { first: finding, importance: finding.importance, count: 1 });
            }
        }
    }
    marked
}

/// `12.34%`
fn percent(part: f64) -> String {
    format!("{}%", round(part))
}

/// Two digits are a fraction of a pixel.
fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
