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
use unicode_width::UnicodeWidthStr as _;

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
    let lead = [since(since_start_ms), piece(Ink::Critical, "LOST  ")];
    page.paragraph(0, &lead, &[piece(Ink::Plain, lost(execs, exits))]);
    page.into_text()
}

fn lost(execs: u64, exits: u64) -> String {
    let lost = words::count(execs, "exec", "execs");
    let ends = words::count(exits, "process's end", "processes' ends");
    let text = match (execs, exits) {
        (_, 0) => lost,
        (0, _) => ends,
        _ => format!("{lost} and {ends}"),
    };
    format!("{text} could not be delivered by the kernel")
}

/// The container ended.
pub fn live_end(
    since_start_ms: f64,
    verdict: Verdict,
    reasons: &[String],
    layout: Layout,
) -> String {
    let mut page = Page::new(layout);
    let (ink, word) = verdict_word(verdict);
    let lead = [since(since_start_ms)];
    page.paragraph(0, &lead, &[piece(Ink::Plain, "the container ended: "), piece(ink, word)]);
    for reason in reasons {
        let lead = [piece(Ink::Plain, "- ")];
        page.paragraph(WIDTH, &lead, &[piece(Ink::Plain, words::sentence(reason))]);
    }
    page.into_text()
}

fn verdict_word(verdict: Verdict) -> (Ink, &'static str) {
    let ink = match verdict {
        Verdict::Clean => Ink::Good,
        Verdict::Findings | Verdict::Incomplete => Ink::Critical,
    };
    (ink, verdict.as_str())
}

/// Whose line it is where several containers are watched: the name, else the beginning of
/// the id and what the container was started with.
pub fn live_whom(container: &Container, found: Option<&Finding>) -> String {
    const COMMAND: usize = 30;
    if let Some(name) = &container.name {
        return words::name(name);
    }
    let id = summary::short_id(&container.id);
    let first = found.and_then(|found| found.ancestry.last()).filter(|a| a.sequence == Some(1));
    match first {
        Some(first) if !first.argv.is_empty() => {
            format!("{id} ({})", command::one_line(first.argv.iter().map(Bytes::as_bytes), COMMAND))
        }
        _ => id,
    }
}

/// A finding of one of several containers, on one line.
pub fn live_row_finding(whom: &str, found: &Finding, layout: Layout) -> String {
    let word = finding::importance(found.importance);
    let mut rest = finding::title(found);
    rest.push(piece(Ink::Plain, "  "));
    let argv = match found.exec.argv.as_slice() {
        [] => std::slice::from_ref(&found.exec.path),
        argv => argv,
    };
    row(found.exec.time, word, whom, rest, argv, layout)
}

/// What one of several containers lost.
pub fn live_row_gap(time: Time, whom: &str, execs: u64, exits: u64, layout: Layout) -> String {
    let rest = vec![piece(Ink::Plain, lost(execs, exits))];
    row(time, vec![piece(Ink::Critical, "LOST    ")], whom, rest, &[], layout)
}

/// The end of one of several containers.
pub fn live_row_end(
    time: Time,
    whom: &str,
    verdict: Verdict,
    complete: bool,
    layout: Layout,
) -> String {
    let (ink, word) = verdict_word(verdict);
    let mut rest = vec![piece(ink, word)];
    if !complete {
        rest.push(piece(Ink::Critical, ", not everything was seen"));
    }
    row(time, vec![piece(Ink::Faint, "ended   ")], whom, rest, &[], layout)
}

/// Of the whole: `3 live · 124 execs/s · 0 lost · 2 findings`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LiveStatus {
    /// Containers that live.
    pub live: u64,
    /// Execs a second.
    pub execs_per_second: f64,
    /// Execs, and ends of processes, that could not be delivered.
    pub lost: u64,
    /// Findings.
    pub findings: u64,
}

/// The status on one line, without its end.
pub fn live_status(status: LiveStatus, layout: Layout) -> String {
    let LiveStatus { live, execs_per_second, lost, findings } = status;
    let mark = |count: u64, ink| if count > 0 { ink } else { Ink::Faint };
    let dot = || piece(Ink::Faint, " · ");
    // The cast saturates.
    let rate = words::number(execs_per_second.round() as u64);
    let mut page = Page::new(layout);
    page.line(
        0,
        &[
            piece(Ink::Faint, format!("{} live", words::number(live))),
            dot(),
            piece(Ink::Faint, format!("{rate} execs/s")),
            dot(),
            piece(mark(lost, Ink::Critical), format!("{} lost", words::number(lost))),
            dot(),
            piece(mark(findings, Ink::Medium), words::count(findings, "finding", "findings")),
        ],
    );
    page.into_text().trim_end_matches('\n').to_owned()
}

/// `12:58:05  MEDIUM    web  wget → 198.51.100.7  wget -q …`; what there is no room for is
/// cut off.
fn row(
    time: Time,
    word: Vec<Piece>,
    whom: &str,
    rest: Vec<Piece>,
    argv: &[Bytes],
    layout: Layout,
) -> String {
    let mut page = Page::new(layout);
    let clock = time.0.strftime("%H:%M:%S  ").to_string();
    let mut line = vec![piece(Ink::Faint, clock)];
    line.extend(word);
    line.push(piece(Ink::Strong, format!("  {whom}  ")));
    line.extend(rest);
    let used: usize = line.iter().map(|piece| piece.text.width()).sum();
    // What is said of it stays, however long; the command line is what can be cut.
    let room = page.width().saturating_sub(used);
    if !argv.is_empty() && room > 8 {
        let command = command::one_line(argv.iter().map(Bytes::as_bytes), room);
        line.push(piece(Ink::Plain, command));
    }
    page.line(0, &line);
    page.into_text()
}

/// Columns of the time.
const WIDTH: usize = 11;

fn since(ms: f64) -> Piece {
    piece(Ink::Faint, format!("{:>+w$.3}s ", ms / 1000.0, w = WIDTH - 2))
}
