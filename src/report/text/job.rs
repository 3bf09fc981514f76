//! A job's report: the verdict, its containers, their findings, what was not seen.

use super::{
    Layout, command, finding,
    page::{Ink, Page, Piece, piece},
    summary, words,
};
use crate::report::model::{JobContainer, JobFindings, JobReport, JobState, Verdict};

/// How many containers without anything to say about them are listed.
const CLEAN: usize = 40;
/// Columns of a verdict in the list.
const WORD: usize = 12;
/// Columns of a count of execs; a narrow page goes without.
const EXECS: usize = 14;
const NARROW: usize = 60;

/// The whole report of a job. Whatever a build controls in it is escaped.
pub fn render_job(report: &JobReport, layout: Layout) -> String {
    let mut page = Page::new(layout);
    head(&mut page, report);
    containers(&mut page, report);
    findings(&mut page, report);
    gaps(&mut page, report);
    page.into_text()
}

fn head(page: &mut Page, report: &JobReport) {
    let JobFindings { critical, medium, omitted } = report.findings;
    summary::verdict(page, report.verdict, summary::counts(critical, medium, omitted));
    summary::fact(page, "job", words::name(&report.job));
    summary::fact(page, "containers", kinds(report));
    let execs = words::count(report.execs, "exec", "execs");
    if report.is_complete() {
        summary::fact(page, "seen", format!("everything: {execs}"));
    } else {
        let lead = piece(Ink::Strong, format!("  {:<10} ", "seen"));
        let text = match report.verdict {
            Verdict::Findings => "NOT EVERYTHING: there may be more than these findings",
            _ => "NOT EVERYTHING: this job cannot be called clean; see below",
        };
        page.paragraph(0, &[lead], &[piece(Ink::Critical, text)]);
    }
}

/// `4: 2 clean, 1 with findings, 1 still running`
pub(in crate::report) fn kinds(report: &JobReport) -> String {
    type Kind = (&'static str, fn(&JobContainer) -> bool);
    let kinds: [Kind; 6] = [
        ("with findings", JobContainer::has_findings),
        ("incomplete", |c| c.verdict == Some(Verdict::Incomplete) && !c.has_findings()),
        ("clean", |c| c.verdict == Some(Verdict::Clean) && !c.has_findings()),
        ("still running", |c| c.state == JobState::Running),
        ("still running and set aside", |c| c.state == JobState::SetAside),
        ("without a report", |c| c.state == JobState::Unfinished),
    ];
    let all = &report.containers;
    let counted = kinds.iter().filter_map(|(kind, is)| {
        let count = all.iter().filter(|container| is(container)).count() as u64;
        (count > 0).then(|| format!("{} {kind}", words::number(count)))
    });
    match all.len() as u64 {
        0 => "none".to_owned(),
        n => format!("{}: {}", words::number(n), counted.collect::<Vec<_>>().join(", ")),
    }
}

/// A line or two for each container; of many clean ones, the first.
fn containers(page: &mut Page, report: &JobReport) {
    let mut clean = 0;
    let (shown, beyond): (Vec<_>, Vec<_>) = report.containers.iter().partition(|container| {
        let unremarkable = container.verdict == Some(Verdict::Clean) && !container.has_findings();
        clean += usize::from(unremarkable);
        !unremarkable || clean <= CLEAN
    });
    if shown.is_empty() {
        return;
    }
    page.rule();
    for container in shown {
        one(page, container, &report.job);
    }
    if let beyond @ 1.. = beyond.len() as u64 {
        let more = format!("and {} more that are clean", words::number(beyond));
        page.paragraph(WORD, &[], &[piece(Ink::Faint, more)]);
    }
}

/// `asked` is the report's job, which may be a pattern for many.
fn one(page: &mut Page, container: &JobContainer, asked: &str) {
    let word = word(container);
    let ink = match word {
        "clean" => Ink::Good,
        "set aside" => Ink::Plain,
        _ => Ink::Critical,
    };
    let room = if page.width() < NARROW { 0 } else { EXECS };
    let execs = match container.verdict {
        Some(_) if room > 0 => words::count(container.execs, "exec", "execs"),
        _ => String::new(),
    };
    let lead = [piece(ink, format!("{word:<WORD$}")), piece(Ink::Plain, format!("{execs:<room$}"))];
    page.paragraph(0, &lead, &[piece(Ink::Strong, summary::container(&container.container))]);
    let indent = WORD + room;
    if let Some(job) = container.job.as_ref().filter(|job| job.id != asked) {
        page.paragraph(indent, &[], &[piece(Ink::Plain, format!("job {}", words::name(&job.id)))]);
    }
    if let Some(step) = &container.container.step {
        let room = page.width().saturating_sub(indent);
        let command = command::one_line(step.command.iter().map(|argument| &**argument), room);
        page.line(indent, &[piece(Ink::Plain, command)]);
        if let Some(build) = &step.build {
            let text = format!("build {} ({})", words::name(&build.id), words::name(&build.source));
            page.paragraph(indent, &[], &[piece(Ink::Plain, text)]);
        }
    }
}

/// The findings of each container, below what it is.
fn findings(page: &mut Page, report: &JobReport) {
    for container in report.containers.iter().filter(|container| container.has_findings()) {
        page.rule();
        let name = piece(Ink::Strong, summary::container(&container.container));
        let mut line: Vec<Piece> = vec![piece(Ink::Plain, "Findings of "), name];
        if matches!(container.state, JobState::Running | JobState::SetAside) {
            line.push(piece(Ink::Plain, ", which still runs: so far"));
        }
        page.paragraph(0, &[], &line);
        if let Some(started) = container.began() {
            finding::all(page, &container.findings, container.findings_omitted, started, None);
        }
    }
}

/// What was not seen, and what was set aside.
fn gaps(page: &mut Page, report: &JobReport) {
    let set_aside =
        report.containers.iter().filter(|container| container.state == JobState::SetAside);
    let notes = missing(report);
    if !notes.is_empty() {
        page.rule();
        page.title(0, "Not complete");
        for note in notes {
            page.paragraph(2, &[piece(Ink::Plain, "- ")], &[piece(Ink::Plain, note)]);
        }
    }
    for (i, container) in set_aside.enumerate() {
        if i == 0 {
            page.rule();
            page.title(0, "Set aside: still running, and what they do from here on does not count");
        }
        page.paragraph(2, &[piece(Ink::Plain, "- ")], &[piece(Ink::Plain, brief(container))]);
    }
}

/// How a container stands: its verdict, or why it has none.
pub(in crate::report) fn word(container: &JobContainer) -> &'static str {
    match (container.has_findings(), container.verdict, container.state) {
        (true, ..) => "findings",
        (_, Some(Verdict::Clean), _) => "clean",
        (_, Some(_), _) => "incomplete",
        (_, None, JobState::SetAside) => "set aside",
        (_, None, JobState::Running) => "running",
        (_, None, _) => "no report",
    }
}

/// What was not seen, and of what, a sentence each.
pub(in crate::report) fn missing(report: &JobReport) -> Vec<String> {
    let mut notes: Vec<String> =
        report.reasons.iter().map(|reason| words::sentence(reason)).collect();
    for container in &report.containers {
        let name = brief(container);
        notes.extend(lacks(container).iter().map(|lack| format!("{name}: {lack}")));
    }
    notes
}

/// What was not seen of a container, a sentence each.
pub(in crate::report) fn lacks(container: &JobContainer) -> Vec<String> {
    let state = match container.state {
        JobState::Running => {
            Some("it is still running; if it is not, `buildwarden gc` ends its recording")
        }
        JobState::Unfinished => {
            Some("it is gone and its report was not written; `buildwarden gc` writes it")
        }
        JobState::Finished | JobState::SetAside => None,
    };
    let lacks = container.shortcomings.iter().map(|lack| words::sentence(lack));
    state.map(str::to_owned).into_iter().chain(lacks).collect()
}

/// `web-build (7f3a9c1e5b2d)`: what `buildwarden report` takes, and a name where it has one.
pub(in crate::report) fn brief(container: &JobContainer) -> String {
    let directory = summary::short_id(&container.directory);
    match &container.container.name {
        Some(name) => format!("{} ({directory})", words::name(name)),
        None => directory,
    }
}
