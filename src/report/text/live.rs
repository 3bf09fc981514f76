//! What happens, a line or two at a time, as `buildwarden watch` shows it. Each
//! begins with the seconds since recording began.

use super::{
    Layout, command, finding,
    page::{Ink, Page, Piece, piece},
    summary, words,
};
use crate::report::{
    Bytes, Time,
    model::{Allowed, Container, Finding, Job, Verdict},
};

/// Recording began.
pub fn live_start(time: Time, container: &Container, job: Option<&Job>, layout: Layout) -> String {
    let mut page = Page::new(layout);
    let mut text = format!("{}, since {}", summary::container(container), words::moment(time));
    if let Some(job) = job {
        text.push_str(&format!(", job {}", words::name(&job.id)));
    }
    page.paragraph(0, &[piece(Ink::Strong, "watching ")], &[piece(Ink::Plain, text)]);
    page.into_text()
}

/// An exec's environment named a job.
pub fn live_job(since_start_ms: f64, job: &Job, taken: bool, layout: Layout) -> String {
    let mut page = Page::new(layout);
    let word = if taken { "job  " } else { "also of job  " };
    let lead = [since(since_start_ms), piece(Ink::Strong, word)];
    let text = format!("{} ({})", words::name(&job.id), words::name(&job.source));
    page.paragraph(0, &lead, &[piece(Ink::Plain, text)]);
    page.into_text()
}

/// A finding as soon as it is known: its headline and its command line.
pub fn live_finding(since_start_ms: f64, found: &Finding, layout: Layout) -> String {
    let mut page = Page::new(layout);
    finding::brief(&mut page, since(since_start_ms), found);
    page.into_text()
}

/// A match that the policy allows, and why.
pub fn live_allowed(since_start_ms: f64, found: &Allowed, layout: Layout) -> String {
    let mut page = Page::new(layout);
    let lead = [since(since_start_ms), piece(Ink::Good, "allowed   ")];
    page.paragraph(0, &lead, &finding::allowed_headline(found));
    page.into_text()
}

/// An exec, on one line.
pub fn live_exec(since_start_ms: f64, pid: u32, argv: &[Bytes], layout: Layout) -> String {
    let mut page = Page::new(layout);
    let pid = format!("{pid:>7}  ");
    let time = since(since_start_ms);
    let room = page.width().saturating_sub(time.text.len() + pid.len());
    let command = command::one_line(argv.iter().map(Bytes::as_bytes), room);
    page.line(0, &[time, piece(Ink::Faint, pid), piece(Ink::Plain, command)]);
    page.into_text()
}

/// Something was lost.
pub fn live_gap(since_start_ms: f64, execs: u64, exits: u64, layout: Layout) -> String {
    let mut page = Page::new(layout);
    let lost = words::count(execs, "exec", "execs");
    let ends = words::count(exits, "process's end", "processes' ends");
    let text = match (execs, exits) {
        (_, 0) => lost,
        (0, _) => ends,
        _ => format!("{lost} and {ends}"),
    };
    let lead = [since(since_start_ms), piece(Ink::Critical, "LOST  ")];
    let text = format!("{text} could not be delivered by the kernel");
    page.paragraph(0, &lead, &[piece(Ink::Plain, text)]);
    page.into_text()
}

/// The container ended.
pub fn live_end(
    since_start_ms: f64,
    verdict: Verdict,
    reasons: &[String],
    layout: Layout,
) -> String {
    let mut page = Page::new(layout);
    let (ink, word) = match verdict {
        Verdict::Clean => (Ink::Good, "clean"),
        Verdict::Findings => (Ink::Critical, "findings"),
        Verdict::Incomplete => (Ink::Critical, "incomplete"),
    };
    let lead = [since(since_start_ms)];
    page.paragraph(0, &lead, &[piece(Ink::Plain, "the container ended: "), piece(ink, word)]);
    for reason in reasons {
        let lead = [piece(Ink::Plain, "- ")];
        page.paragraph(WIDTH, &lead, &[piece(Ink::Plain, words::sentence(reason))]);
    }
    page.into_text()
}

/// Columns of the time.
const WIDTH: usize = 11;

fn since(ms: f64) -> Piece {
    piece(Ink::Faint, format!("{:>+w$.3}s ", ms / 1000.0, w = WIDTH - 2))
}
