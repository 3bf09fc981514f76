//! What is said of the run as a whole: the verdict, the proof, the cost.

use super::{
    command,
    page::{Ink, Page, Piece, piece},
    words,
};
use crate::{
    escape,
    report::model::{Importance, Report, Verdict},
};

/// How many executables are named.
const EXECUTABLES: usize = 10;

/// The verdict, and of what.
pub(super) fn head(page: &mut Page, report: &Report) {
    page.paragraph(0, &[], &verdict(report));
    let container = &report.container;
    let mut what = vec![short_id(&container.id)];
    if let Some(name) = &container.name {
        what.insert(0, escape::visible(name.as_bytes()).into_owned());
    }
    if let Some(image) = &container.image {
        what.push(format!("from {}", escape::visible(image.as_bytes())));
    }
    if let Some(engine) = &container.engine {
        what.push(format!("through {}", escape::visible(engine.as_bytes())));
    }
    if container.run > 1 {
        what.push(format!("run {}", container.run));
    }
    fact(page, "container", what.join(", "));
    if let Some(job) = &report.job {
        let id = escape::visible(job.id.as_bytes());
        fact(page, "job", format!("{id} ({})", escape::visible(job.source.as_bytes())));
    }
    let length = words::between(report.started, report.finished);
    fact(page, "ran", format!("{}, for {length}", words::moment(report.started)));
    let completeness = &report.completeness;
    if completeness.is_complete() {
        let seen = match completeness.execs {
            0 => "everything: nothing was executed".to_owned(),
            1 => "everything: the entrypoint was the only exec".to_owned(),
            n => format!("everything: all {} execs, from the entrypoint on", words::number(n)),
        };
        fact(page, "seen", seen);
    } else {
        let lead = piece(Ink::Strong, format!("  {:<10} ", "seen"));
        let text = match report.findings.is_empty() {
            true => "NOT EVERYTHING: this run cannot be called clean",
            false => "NOT EVERYTHING: there may be more than these findings",
        };
        page.paragraph(0, &[lead], &[piece(Ink::Critical, text)]);
        for shortcoming in completeness.shortcomings() {
            let text = escape::prose(&shortcoming);
            page.paragraph(13, &[piece(Ink::Plain, "- ")], &[piece(Ink::Plain, text)]);
        }
    }
}

fn verdict(report: &Report) -> Vec<Piece> {
    match report.verdict {
        Verdict::Clean => vec![
            piece(Ink::Good, "CLEAN"),
            piece(Ink::Plain, "  nothing suspicious was executed, and everything was seen"),
        ],
        Verdict::Incomplete => vec![
            piece(Ink::Critical, "INCOMPLETE"),
            piece(Ink::Plain, "  nothing suspicious was seen, but not everything was seen"),
        ],
        Verdict::Findings => {
            let count = |importance| {
                let found = report.findings.iter();
                found.filter(|finding| finding.importance == importance).count() as u64
            };
            let counts = [(Importance::Critical, Ink::Critical), (Importance::Medium, Ink::Medium)];
            let mut line = vec![piece(Ink::Critical, "FINDINGS"), piece(Ink::Plain, "  ")];
            let mut first = true;
            for (importance, ink) in counts {
                let n = count(importance);
                if n > 0 {
                    let and = if first { "" } else { " and " };
                    line.push(piece(Ink::Plain, and));
                    line.push(piece(ink, format!("{} {}", words::number(n), importance.as_str())));
                    first = false;
                }
            }
            if report.findings_omitted > 0 {
                let more = words::number(report.findings_omitted);
                line.push(piece(Ink::Plain, format!(" and {more} that were not kept")));
            }
            line
        }
    }
}

fn fact(page: &mut Page, name: &str, text: String) {
    let lead = piece(Ink::Faint, format!("  {name:<10} "));
    page.paragraph(0, &[lead], &[piece(Ink::Plain, text)]);
}

/// The beginning of an engine's long hexadecimal id; another id whole.
fn short_id(id: &str) -> String {
    let long = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let shown = id.get(..12).filter(|_| long).unwrap_or(id);
    escape::visible(shown.as_bytes()).into_owned()
}

/// What was executed most.
pub(super) fn executables(page: &mut Page, report: &Report) {
    if report.executables.is_empty() {
        return;
    }
    rule(page);
    let files = (report.executables.len() as u64).saturating_add(report.executables_omitted);
    page.title(
        0,
        &format!(
            "{} of {}",
            words::count(report.completeness.execs, "exec", "execs"),
            words::count(files, "program", "different programs")
        ),
    );
    for executable in report.executables.iter().take(EXECUTABLES) {
        let count = format!("{:>9}  ", words::number(executable.count));
        let room = page.width().saturating_sub(count.len());
        let path = command::one_line([executable.path.as_bytes()], room);
        page.line(0, &[piece(Ink::Plain, count), piece(Ink::Plain, path)]);
    }
    if let beyond @ 1.. = files.saturating_sub(EXECUTABLES as u64) {
        let more = format!("and {} more; --format json names them", words::number(beyond));
        page.line(11, &[piece(Ink::Faint, more)]);
    }
}

/// The proof that everything was seen, or what is missing from it.
pub(super) fn completeness(page: &mut Page, report: &Report) {
    let found = &report.completeness;
    rule(page);
    let mut text = String::new();
    if found.is_complete() {
        page.title(0, "Complete");
        text.push_str("Recording began before the entrypoint was executed. ");
        match found.execs {
            0 => (),
            1 => text.push_str("Its exec, number 1, is the only one that was counted. "),
            n => text.push_str(&format!(
                "Execs 1 to {} were counted by the kernel, and {} arrived. ",
                words::number(found.last_sequence),
                words::number(n),
            )),
        }
        text.push_str(
            "None was lost, none was cut or unreadable, and the kernel programs were still \
             attached at the end.",
        );
    } else {
        page.title(0, "Not complete");
        let shortcomings = found.shortcomings();
        text.push_str(&format!(
            "{}; so what is above may not be all.",
            words::list(
                &shortcomings
                    .iter()
                    .map(|line| escape::prose(line).into_owned())
                    .collect::<Vec<_>>()
            )
        ));
        if let Some(first) = text.get_mut(..1) {
            first.make_ascii_uppercase();
        }
    }
    if found.lost_exits > 0 {
        text.push_str(&format!(
            " {} of processes could not be delivered: those outcomes are unknown.",
            words::count(found.lost_exits, "end", "ends")
        ));
    }
    if let Some(events) = &report.events {
        let file = escape::visible(events.file.as_bytes());
        let digest = escape::visible(events.sha256.as_bytes());
        text.push_str(&format!(
            " The {} are in {file}, SHA-256 {digest}.",
            words::count(events.count, "event", "events")
        ));
    }
    page.paragraph(2, &[], &[piece(Ink::Plain, text)]);
}

/// What it took.
pub(super) fn cost(page: &mut Page, report: &Report) {
    let cost = &report.cost;
    let text = format!(
        "Tracing took {} at the start and {} at the end; {} of CPU time; a ring of {}.",
        words::duration(cost.attach_ms),
        words::duration(cost.finish_ms),
        words::duration(cost.collector_cpu_ms),
        words::size(cost.ring_bytes),
    );
    page.paragraph(2, &[], &[piece(Ink::Faint, text)]);
}

fn rule(page: &mut Page) {
    page.gap();
    let rule = "─".repeat(page.width());
    page.line(0, &[piece(Ink::Faint, rule)]);
}
