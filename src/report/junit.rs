//! JUnit's XML: a suite for the container, in which each finding is a failed test and
//! what the policy allows is a skipped one.

use super::{
    model::{Finding, Report, Verdict},
    phrase,
    text::{finding, words},
};
use quick_xml::{
    Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};
use std::collections::HashMap;

/// The report. Every character of it was written out before that XML forbids.
pub(super) fn render(report: &Report) -> String {
    let (listed, beyond) = phrase::listed(report);
    let mut cases: Vec<Case> = listed.iter().map(|(_, found)| failed(report, found)).collect();
    cases.extend(report.allowed.iter().take(phrase::FINDINGS_MAX).map(|found| Case {
        class: words::name(&found.recipe),
        name: phrase::allowed_headline(found),
        end: End::Skipped { message: words::name(&found.reason) },
    }));
    if phrase::verdict(report) != Verdict::Findings {
        let (class, name) =
            ("buildwarden".to_owned(), "nothing suspicious was executed".to_owned());
        cases.push(Case { class, name, end: End::Passed });
    }
    cases.push(seen(report));
    distinguish(&mut cases);

    let failures = cases.iter().filter(|case| matches!(case.end, End::Failed { .. })).count();
    let skipped = cases.iter().filter(|case| matches!(case.end, End::Skipped { .. })).count();
    let seconds = report.finished.ns_since(report.started) as f64 / 1e9;
    let mut xml = Xml(Writer::new_with_indent(Vec::new(), b' ', 2));
    xml.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    let counts = [
        ("tests", cases.len().to_string()),
        ("failures", failures.to_string()),
        ("errors", "0".to_owned()),
        ("time", format!("{seconds:.3}")),
    ];
    let suite_only = [
        ("name", phrase::container(report)),
        ("skipped", skipped.to_string()),
        ("timestamp", report.started.0.strftime("%Y-%m-%dT%H:%M:%S").to_string()),
    ];
    xml.open("testsuites", &[&[("name", "buildwarden".to_owned())][..], &counts].concat());
    xml.open("testsuite", &[&suite_only[..], &counts].concat());
    xml.open("properties", &[]);
    let job = report.job.as_ref().map(|job| words::name(&job.id));
    let properties = [
        ("verdict", Some(phrase::verdict(report).as_str().to_owned())),
        ("container", Some(words::name(&report.container.id))),
        ("job", job),
        ("execs", Some(report.completeness.execs.to_string())),
        ("findings not listed", (beyond > 0).then(|| beyond.to_string())),
    ];
    for (name, value) in properties {
        if let Some(value) = value {
            xml.empty("property", &[("name", name.to_owned()), ("value", value)]);
        }
    }
    xml.close("properties");
    cases.iter().for_each(|case| case.write(&mut xml));
    xml.close("testsuite");
    xml.close("testsuites");
    xml.into_text()
}

/// One test case.
struct Case {
    class: String,
    name: String,
    end: End,
}

enum End {
    Passed,
    Failed { kind: &'static str, message: String, text: String },
    Skipped { message: String },
}

impl Case {
    fn write(&self, xml: &mut Xml) {
        let attributes = [("classname", self.class.clone()), ("name", self.name.clone())];
        match &self.end {
            End::Passed => xml.empty("testcase", &attributes),
            End::Failed { kind, message, text } => {
                xml.open("testcase", &attributes);
                let failure = [("type", (*kind).to_owned()), ("message", message.clone())];
                xml.open("failure", &failure);
                xml.event(Event::Text(BytesText::new(text)));
                xml.close("failure");
                xml.close("testcase");
            }
            End::Skipped { message } => {
                xml.open("testcase", &attributes);
                xml.empty("skipped", &[("message", message.clone())]);
                xml.close("testcase");
            }
        }
    }
}

/// A finding.
fn failed(report: &Report, found: &Finding) -> Case {
    let group = finding::Group::of(found);
    let mut lines = vec![
        format!("command: {}", phrase::command(found)),
        format!("started by: {}", phrase::lineage(found).join(" → ")),
    ];
    lines.extend(phrase::places(found).iter().map(|place| format!("address: {place}")));
    lines.push(finding::happened(&group, report.started));
    lines.extend(finding::notes(found));
    let advice = phrase::advice(found);
    lines.extend(advice.iter().enumerate().map(|(i, line)| format!("{}. {line}", i + 1)));
    let name = phrase::headline(found);
    let message = format!("{}: {name}", phrase::importance(found.importance));
    let kind = found.importance.as_str();
    let end = End::Failed { kind, message, text: lines.join("\n") };
    Case { class: words::name(&found.recipe), name, end }
}

/// Whether everything was seen.
fn seen(report: &Report) -> Case {
    let shortcomings = phrase::shortcomings(&report.completeness);
    let end = match shortcomings.is_empty() {
        true => End::Passed,
        false => End::Failed {
            kind: "incomplete",
            message: "not everything was seen".to_owned(),
            text: shortcomings.join("\n"),
        },
    };
    let (class, name) = ("buildwarden".to_owned(), "everything was seen".to_owned());
    Case { class, name, end }
}

/// Readers take tests of the same name for one: the second is called so.
fn distinguish(cases: &mut [Case]) {
    let mut seen: HashMap<(String, String), u64> = HashMap::new();
    for case in cases {
        let count = seen.entry((case.class.clone(), case.name.clone())).or_insert(0);
        *count += 1;
        if *count > 1 {
            case.name = format!("{} ({count})", case.name);
        }
    }
}

/// The document as it is written. Writing to memory does not fail.
struct Xml(Writer<Vec<u8>>);

impl Xml {
    fn event(&mut self, event: Event<'_>) {
        let _ = self.0.write_event(event);
    }

    fn open(&mut self, name: &str, attributes: &[(&str, String)]) {
        self.event(Event::Start(start(name, attributes)));
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, String)]) {
        self.event(Event::Empty(start(name, attributes)));
    }

    fn close(&mut self, name: &str) {
        self.event(Event::End(BytesEnd::new(name)));
    }

    fn into_text(self) -> String {
        // Everything that was written is text.
        let mut text = String::from_utf8(self.0.into_inner()).unwrap_or_default();
        text.push('\n');
        text
    }
}

fn start<'a>(name: &'a str, attributes: &[(&str, String)]) -> BytesStart<'a> {
    let attributes = attributes.iter().map(|(key, value)| (*key, value.as_str()));
    BytesStart::new(name).with_attributes(attributes)
}
