//! JUnit's XML: a suite for each container, in which each finding is a failed test and
//! what the policy allows is a skipped one.

use super::{
    Time, phrase,
    text::{finding, summary, words},
    view::{FINDINGS_MAX, Listed, OfJob, Part, View},
};
use crate::escape;
use quick_xml::{
    Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};
use std::collections::HashMap;

/// Columns of a command line.
const COMMAND: usize = 200;

/// The report. Every character of it was written out before that XML forbids.
pub(super) fn render(view: &View<'_>) -> String {
    let mut suites: Vec<Suite> = view.of_job.iter().map(|of_job| whole(view, of_job)).collect();
    let (listed, _) = view.listed();
    let mut rest = listed.as_slice();
    for part in &view.parts {
        // They are in the order of their containers.
        let own = rest.iter().take_while(|listed| std::ptr::eq(listed.part, part)).count();
        let (own, others) = rest.split_at(own);
        suites.push(suite(view, part, own));
        rest = others;
    }
    // Readers take tests of the same name for one, whatever their suites are.
    distinguish(suites.iter_mut().flat_map(|suite| &mut suite.cases));

    let mut xml = Xml(Writer::new_with_indent(Vec::new(), b' ', 2));
    xml.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    let (started, until) = view.span();
    let seconds = started.zip(until).map_or(0.0, |(from, to)| seconds(from, to));
    let all = counts(suites.iter().flat_map(|suite| &suite.cases), seconds);
    xml.open("testsuites", &[&[("name", "buildwarden".to_owned())][..], &all].concat());
    suites.iter().for_each(|suite| suite.write(&mut xml));
    xml.close("testsuites");
    xml.into_text()
}

fn seconds(from: Time, to: Time) -> f64 {
    to.ns_since(from) as f64 / 1e9
}

/// How many there are.
fn counts<'a>(
    cases: impl Iterator<Item = &'a Case> + Clone,
    seconds: f64,
) -> [(&'static str, String); 4] {
    let failures = cases.clone().filter(|case| matches!(case.end, End::Failed { .. })).count();
    [
        ("tests", cases.count().to_string()),
        ("failures", failures.to_string()),
        ("errors", "0".to_owned()),
        ("time", format!("{seconds:.3}")),
    ]
}

/// The tests of a container, or of a job as a whole.
struct Suite {
    name: String,
    started: Time,
    seconds: f64,
    properties: Vec<(&'static str, String)>,
    cases: Vec<Case>,
}

impl Suite {
    fn write(&self, xml: &mut Xml) {
        let skipped = self.cases.iter().filter(|case| matches!(case.end, End::Skipped { .. }));
        let own = [
            ("name", self.name.clone()),
            ("skipped", skipped.count().to_string()),
            ("timestamp", self.started.0.strftime("%Y-%m-%dT%H:%M:%S").to_string()),
        ];
        let counts = counts(self.cases.iter(), self.seconds);
        xml.open("testsuite", &[&own[..], &counts].concat());
        xml.open("properties", &[]);
        for (name, value) in &self.properties {
            xml.empty("property", &[("name", (*name).to_owned()), ("value", value.clone())]);
        }
        xml.close("properties");
        self.cases.iter().for_each(|case| case.write(xml));
        xml.close("testsuite");
    }
}

/// What a job has beside its containers.
fn whole(view: &View<'_>, of_job: &OfJob) -> Suite {
    let job = view.job.clone().unwrap_or_default();
    let name = format!("the containers of job {job} are known");
    let properties = vec![
        ("verdict", view.verdict.as_str().to_owned()),
        ("job", job.clone()),
        ("containers", of_job.kinds.clone()),
        ("execs", view.execs.to_string()),
    ];
    Suite {
        name: format!("job {job}"),
        started: view.span().0.unwrap_or(of_job.now),
        seconds: 0.0,
        properties,
        cases: vec![seen(name, &of_job.reasons)],
    }
}

/// A container, and those of its findings that are listed.
fn suite(view: &View<'_>, part: &Part<'_>, listed: &[Listed<'_, '_>]) -> Suite {
    let inside = part.inside();
    let mut cases: Vec<Case> = listed.iter().map(failed).collect();
    cases.extend(part.allowed.iter().take(FINDINGS_MAX).map(|found| Case {
        class: words::name(&found.recipe),
        name: phrase::allowed_headline(found),
        end: End::Skipped { message: words::name(&found.reason) },
    }));
    let beyond = part.count().saturating_sub(listed.len() as u64);
    let nothing = format!("nothing suspicious was executed{inside}");
    if !part.has_findings() {
        cases.push(Case::own(nothing, End::Passed));
    } else if listed.is_empty() {
        // What has findings never passes.
        let message = format!("{} not listed here", words::count(beyond, "finding", "findings"));
        let end = End::Failed { kind: "findings", message, text: String::new() };
        cases.push(Case::own(nothing, end));
    }
    let everything = format!("everything was seen{inside}");
    cases.push(match part.is_set_aside && part.missing.is_empty() {
        true => {
            let message = "it still runs, and what it does from here on does not count".to_owned();
            Case::own(everything, End::Skipped { message })
        }
        false => seen(everything, &part.missing),
    });

    let properties = [
        ("verdict", Some(part.word.to_owned())),
        ("container", Some(words::name(&part.container.id))),
        ("job", part.job.map(|job| words::name(&job.id))),
        ("execs", part.execs.map(|execs| execs.to_string())),
        ("findings not listed", (beyond > 0).then(|| beyond.to_string())),
        // The steps of a build have no other name that says what they are.
        ("command", view.of_job.as_ref().and_then(|_| part.step(COMMAND))),
    ];
    let started = part.started.unwrap_or(part.until);
    Suite {
        name: summary::container(part.container),
        started,
        seconds: seconds(started, part.until),
        properties: properties
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect(),
        cases,
    }
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
    /// One of ours.
    fn own(name: String, end: End) -> Case {
        Case { class: "buildwarden".to_owned(), name, end }
    }

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
fn failed(listed: &Listed<'_, '_>) -> Case {
    let Listed { part, finding: found, .. } = listed;
    let mut lines = vec![format!("command: {}", phrase::command(found))];
    if part.name.is_some() {
        lines.push(format!("container: {}", summary::container(part.container)));
    }
    lines.push(format!("started by: {}", phrase::lineage(found).join(" → ")));
    lines.extend(phrase::places(found).iter().map(|place| format!("address: {place}")));
    lines.push(part.happened(&finding::Group::of(found)));
    lines.extend(finding::notes(found));
    let advice = finding::advice(found);
    lines.extend(advice.iter().enumerate().map(|(i, line)| format!("{}. {line}", i + 1)));
    let name = format!("{}{}", phrase::headline(found), part.inside());
    let message = format!("{}: {name}", phrase::importance(found.importance));
    let kind = found.importance.as_str();
    let end = End::Failed { kind, message, text: lines.join("\n") };
    Case { class: words::name(&found.recipe), name, end }
}

/// Whether everything was seen.
fn seen(name: String, missing: &[String]) -> Case {
    let end = match missing {
        [] => End::Passed,
        _ => End::Failed {
            kind: "incomplete",
            message: "not everything was seen".to_owned(),
            text: missing.join("\n"),
        },
    };
    Case::own(name, end)
}

/// The second of the same name is called so.
fn distinguish<'a>(cases: impl Iterator<Item = &'a mut Case>) {
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
        let text = String::from_utf8(self.0.into_inner()).unwrap_or_default();
        let mut text = escape::defused_markup(&text).into_owned();
        text.push('\n');
        text
    }
}

fn start<'a>(name: &'a str, attributes: &[(&str, String)]) -> BytesStart<'a> {
    let attributes = attributes.iter().map(|(key, value)| (*key, value.as_str()));
    BytesStart::new(name).with_attributes(attributes)
}
