//! What holds for a report that anybody may have written: in every format, alone, compared,
//! and in that of a job.

use buildwarden::report::{
    Time,
    baseline::{self, Paths, compare},
    format::{Context, Format, JobContext, render, render_job},
    json,
    model::{JobContainer, JobReport, JobState, Report, Verdict},
    text::{self, Layout},
};
use quick_xml::{Reader, events::Event};
use serde_json::Value;

pub(crate) fn check(data: &[u8]) {
    let Ok(report) = json::parse(data) else { return };
    let written = json::pretty(&report).expect("a report can be written");
    assert_eq!(json::parse(written.as_bytes()).expect("a report of ours"), report);
    if report.verdict_of_facts() == Verdict::Clean {
        assert!(report.findings.is_empty(), "clean, with a finding");
    }
    for colour in [false, true] {
        let layout = Layout { width: if colour { 1 } else { 80 }, colour };
        let text = text::render(&report, layout);
        // Colours begin with an escape of ours.
        super::check_shown("text", &if colour { text.replace('\u{1b}', "") } else { text });
    }
    for format in Format::ALL {
        let text = render(&report, format, &Context::default()).expect("a text");
        check_format(format, &text);
    }
    let difference = compare(&report, &report, Paths::Exact);
    assert!(!difference.has_new_contacts(), "not like itself");
    super::check_shown("diff", &text::difference(&difference, Context::default().layout));
    super::check_shown("diff in Markdown", &baseline::markdown(&difference));

    let now = report.finished;
    let job = JobReport::new("job", vec![container(report)], Vec::new());
    let context = JobContext { layout: Context::default().layout, places: Vec::new(), now };
    for format in Format::ALL.into_iter().filter(|format| *format != Format::InToto) {
        check_format(format, &render_job(&job, format, &context).expect("a text"));
    }
}

/// The container of a report, as a part of its job.
fn container(report: Report) -> JobContainer {
    let started: Time = report.started;
    JobContainer {
        directory: report.container.id.clone(),
        state: JobState::Finished,
        verdict: Some(report.verdict),
        container: report.container,
        job: report.job,
        started: Some(started),
        finished: Some(report.finished),
        execs: report.completeness.execs,
        findings: report.findings,
        findings_omitted: report.findings_omitted,
        allowed: report.allowed.len() as u64,
        shortcomings: report.completeness.shortcomings(),
    }
}

/// Whoever reads it for its format can, and who looks at it sees all of it.
fn check_format(format: Format, text: &str) {
    super::check_shown(format.name(), text);
    match format {
        Format::Json | Format::Sarif | Format::GitlabCodequality | Format::InToto => {
            serde_json::from_str::<Value>(text).expect("JSON");
        }
        Format::Ocsf => {
            text.lines().for_each(|line| drop(serde_json::from_str::<Value>(line).expect("JSON")));
        }
        Format::Junit => check_xml(text),
        Format::Text | Format::Html | Format::Markdown | Format::Github => {}
    }
}

fn check_xml(text: &str) {
    let mut reader = Reader::from_str(text);
    let mut depth = 0_usize;
    loop {
        match reader.read_event().expect("XML") {
            Event::Start(tag) => {
                depth += 1;
                tag.attributes().for_each(|attribute| drop(attribute.expect("an attribute")));
            }
            Event::End(_) => depth -= 1,
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0, "an element is open");
}
