//! What is said of the run as a whole: the verdict, the proof, the cost.

use super::{
    command,
    page::{Ink, Page, Piece, piece},
    words,
};
use crate::report::model::{
    Completeness, Container, Cost, Events, Importance, Job, Report, Verdict,
};

/// How many executables are named.
const EXECUTABLES: usize = 10;

/// The verdict, and of what.
pub(super) fn head(page: &mut Page, report: &Report) {
    // What the facts say, not what the file says of itself: it may have been changed.
    let derived = report.verdict_of_facts();
    verdict(page, derived, counts_of(report));
    fact(page, "container", container(&report.container));
    if let Some(step) = &report.container.step {
        let room = page.width().saturating_sub(13);
        let command = step.command.iter().map(|argument| &**argument);
        fact(page, "command", command::one_line(command, room));
        if let Some(build) = &step.build {
            let id = words::name(&build.id);
            fact(page, "build", format!("{id} ({})", words::name(&build.source)));
        }
    }
    for (i, job) in jobs(report).into_iter().enumerate() {
        fact(page, if i == 0 { "job" } else { "" }, job);
    }
    let length = words::between(report.started, report.finished);
    fact(page, "ran", format!("{}, for {length}", words::moment(report.started)));
    if derived != report.verdict {
        let lead = piece(Ink::Strong, format!("  {:<10} ", "beware"));
        let text = format!(
            "the file says {}, which its own facts contradict: it was changed",
            report.verdict.as_str()
        );
        page.paragraph(0, &[lead], &[piece(Ink::Critical, text)]);
    }
    let completeness = &report.completeness;
    if completeness.is_complete() {
        fact(page, "seen", format!("everything: {}", all_seen(completeness)));
    } else {
        let lead = piece(Ink::Strong, format!("  {:<10} ", "seen"));
        let text = format!("NOT EVERYTHING: {}", not_seen(report.has_findings()));
        page.paragraph(0, &[lead], &[piece(Ink::Critical, text)]);
        for shortcoming in completeness.shortcomings() {
            let text = words::sentence(&shortcoming);
            page.paragraph(13, &[piece(Ink::Plain, "- ")], &[piece(Ink::Plain, text)]);
        }
    }
}

/// The container's job, and what else is known or not known of jobs.
pub(in crate::report) fn jobs(report: &Report) -> Vec<String> {
    let name = |job: &Job| format!("{} ({})", words::name(&job.id), words::name(&job.source));
    let mut jobs: Vec<String> = report.job.iter().map(name).collect();
    if let (true, lost @ 1..) = (jobs.is_empty(), report.completeness.lost_environments) {
        let lost = words::count(lost, "environment", "environments");
        jobs.push(format!("not known: {lost} that may name it could not be delivered"));
    }
    let other =
        report.other_jobs.iter().map(|job| format!("{} has run execs in it too", name(job)));
    jobs.extend(other);
    jobs
}

/// What was seen of a run of which everything was.
pub(in crate::report) fn all_seen(completeness: &Completeness) -> String {
    match completeness.execs {
        0 => "nothing was executed".to_owned(),
        1 => "the entrypoint was the only exec".to_owned(),
        n => format!("all {} execs, from the entrypoint on", words::number(n)),
    }
}

/// What it means that not everything was seen.
pub(in crate::report) fn not_seen(has_findings: bool) -> &'static str {
    match has_findings {
        true => "there may be more than these findings",
        false => "this run cannot be called clean",
    }
}

/// `web-build, 7f3a9c1e5b2d, from node:20, through podman, run 2`
pub(in crate::report) fn container(container: &Container) -> String {
    let mut what = vec![short_id(&container.id)];
    if let Some(name) = &container.name {
        what.insert(0, words::name(name));
    }
    if let Some(image) = &container.image {
        what.push(format!("from {}", words::name(image)));
    }
    if let Some(engine) = &container.engine {
        what.push(format!("through {}", words::name(engine)));
    }
    if container.run > 1 {
        what.push(format!("run {}", container.run));
    }
    what.join(", ")
}

/// What "clean" and "incomplete" mean.
pub(in crate::report) const NOTHING: &str =
    "nothing suspicious was executed, and everything was seen";
pub(in crate::report) const NOT_EVERYTHING: &str =
    "nothing suspicious was seen, but not everything was seen";

/// The verdict as a word and in words; `counts` are those of the findings.
pub(super) fn verdict(page: &mut Page, verdict: Verdict, counts: Vec<Piece>) {
    let plain = |text| vec![piece(Ink::Plain, text)];
    let (word, text) = match verdict {
        Verdict::Clean => (piece(Ink::Good, "CLEAN"), plain(NOTHING)),
        Verdict::Incomplete => (piece(Ink::Critical, "INCOMPLETE"), plain(NOT_EVERYTHING)),
        Verdict::Findings => (piece(Ink::Critical, "FINDINGS"), counts),
    };
    page.paragraph(0, &[word, piece(Ink::Plain, "  ")], &text);
}

/// `4 critical, 2 medium`, of a report
pub(in crate::report) fn counts_of(report: &Report) -> Vec<Piece> {
    let count = |importance: Importance| {
        report.findings.iter().filter(|f| f.importance == importance).count() as u64
    };
    let [critical, medium] = [Importance::Critical, Importance::Medium].map(count);
    counts(critical, medium, report.findings_omitted)
}

/// `4 critical, 2 medium`
pub(in crate::report) fn counts(critical: u64, medium: u64, omitted: u64) -> Vec<Piece> {
    let mut line: Vec<Piece> = Vec::new();
    let kinds = [
        (Ink::Critical, critical, "critical"),
        (Ink::Medium, medium, "medium"),
        (Ink::Plain, omitted, "more that were not kept"),
    ];
    for (ink, n, what) in kinds.into_iter().filter(|(_, n, _)| *n > 0) {
        if !line.is_empty() {
            line.push(piece(Ink::Plain, ", "));
        }
        line.push(piece(ink, format!("{} {what}", words::number(n))));
    }
    line
}

pub(super) fn fact(page: &mut Page, name: &str, text: String) {
    let lead = piece(Ink::Faint, format!("  {name:<10} "));
    page.paragraph(0, &[lead], &[piece(Ink::Plain, text)]);
}

/// The beginning of an engine's long hexadecimal id; another id whole.
pub(in crate::report) fn short_id(id: &str) -> String {
    let long = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let shown = id.get(..12).filter(|_| long).unwrap_or(id);
    words::name(shown)
}

/// What was executed most.
pub(super) fn executables(page: &mut Page, report: &Report) {
    if report.executables.is_empty() {
        return;
    }
    page.rule();
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
        page.paragraph(11, &[], &[piece(Ink::Faint, more)]);
    }
}

/// The proof that everything was seen, or the facts about what was not.
pub(super) fn completeness(page: &mut Page, report: &Report) {
    let found = &report.completeness;
    page.rule();
    page.title(0, if found.is_complete() { "Complete" } else { "Not complete" });
    for text in proof(found) {
        page.paragraph(2, &[], &[piece(Ink::Plain, text)]);
    }
    if let Some(events) = &report.events {
        page.paragraph(2, &[], &[piece(Ink::Faint, event_file(events))]);
    }
}

/// What shows that everything was seen, or the facts about what was not.
pub(in crate::report) fn proof(found: &Completeness) -> Vec<String> {
    let text = if found.is_complete() {
        let counted = match found.execs {
            0 => String::new(),
            1 => "The kernel counted one exec, and it arrived. ".to_owned(),
            n => format!("The kernel counted execs 1 to {0}, and {0} arrived. ", words::number(n)),
        };
        format!(
            "Recording began before the entrypoint was executed. {counted}None was lost, cut or \
             unreadable, and the kernel programs were still attached at the end."
        )
    } else {
        let no = |yes: bool| if yes { "" } else { " not" };
        format!(
            "Recording had{} begun before the first exec. {} arrived, the last one is number {}; \
             {} lost, {} cut, {} unreadable. The kernel programs were{} attached at the end.",
            no(found.attached_before_first_exec),
            words::count(found.execs, "exec", "execs"),
            words::number(found.last_sequence),
            words::number(found.lost),
            words::number(found.truncated),
            words::number(found.unreadable),
            no(found.programs_attached),
        )
    };
    let mut proof = vec![text];
    if found.lost_exits > 0 {
        let ends = words::count(found.lost_exits, "process's end", "processes' ends");
        proof.push(format!("{ends} could not be delivered: those outcomes are unknown."));
    }
    proof
}

/// `Event file: execs.jsonl (25 events), SHA-256 709d…`
pub(in crate::report) fn event_file(events: &Events) -> String {
    format!(
        "Event file: {} ({}), SHA-256 {}",
        words::name(&events.file),
        words::count(events.count, "event", "events"),
        words::name(&events.sha256),
    )
}

/// What it took.
pub(super) fn cost(page: &mut Page, report: &Report) {
    page.paragraph(2, &[], &[piece(Ink::Faint, price(&report.cost))]);
}

/// `Cost: 55 ms at the start, …`
pub(in crate::report) fn price(cost: &Cost) -> String {
    format!(
        "Cost: {} at the start, {} at the end, {} of CPU time, a ring of {}",
        words::duration(cost.attach_ms),
        words::duration(cost.finish_ms),
        words::duration(cost.collector_cpu_ms),
        words::size(cost.ring_bytes),
    )
}
