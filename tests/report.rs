//! Reports: the fixtures rendered and compared with snapshots that a person can read.
//!
//! `BUILDWARDEN_UPDATE=1 cargo test` writes the snapshots anew; read the diff.

mod snapshot;

use buildwarden::report::{
    json,
    model::{JobReport, Report},
    text::{self, Layout},
};
use std::{fs, path::Path};

const FIXTURES: [&str; 6] =
    ["clean", "one-finding", "many", "incomplete", "findings-incomplete", "hostile"];

fn fixture(name: &str) -> (String, Report) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let report = json::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    (text, report)
}

#[test]
fn text_is_as_in_the_snapshots() {
    for name in FIXTURES {
        let (_, report) = fixture(name);
        for (kind, width, colour) in [("80", 80, false), ("120", 120, false), ("colour", 80, true)]
        {
            let text = text::render(&report, Layout { width, colour });
            snapshot::check(&format!("report/{name}.{kind}.txt"), &text);
        }
    }
}

#[test]
fn no_line_is_wider_than_the_terminal_and_nothing_is_hidden() {
    use unicode_width::UnicodeWidthStr;
    for name in FIXTURES {
        let (_, report) = fixture(name);
        for width in [40, 80, 120, 200] {
            for line in text::render(&report, Layout { width, colour: false }).lines() {
                assert!(line.width() <= width, "{name} at {width}: {line}");
                assert!(!line.chars().any(buildwarden::escape::is_hidden), "{name}: {line:?}");
            }
        }
    }
}

#[test]
fn a_report_is_written_as_it_was_read() {
    for name in FIXTURES {
        let (text, report) = fixture(name);
        assert!(json::pretty(&report).unwrap() == text, "{name}");
    }
}

#[test]
fn the_schema_in_the_docs_is_that_of_the_types() {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let schema = settings.clone().into_generator().into_root_schema_for::<Report>();
    snapshot::check("../../docs/report.schema.json", &json::pretty(&schema).unwrap());
    let schema = settings.into_generator().into_root_schema_for::<JobReport>();
    snapshot::check("../../docs/job-report.schema.json", &json::pretty(&schema).unwrap());
}

#[test]
fn a_verdict_that_the_facts_contradict_is_not_believed() {
    let (_, mut report) = fixture("clean");
    report.completeness.lost = 1;
    let text = text::render(&report, Layout { width: 80, colour: false });
    assert!(text.starts_with("INCOMPLETE"), "{text}");
    assert!(text.contains("the file says clean, which its own facts contradict"), "{text}");
}

#[test]
fn a_report_without_what_was_added_later_is_read() {
    let (text, _) = fixture("one-finding");
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    for added in ["timeline", "processes", "processes_omitted"] {
        assert!(value.as_object_mut().unwrap().remove(added).is_some(), "{added}");
    }
    let report = json::parse(value.to_string().as_bytes()).unwrap();
    assert_eq!((report.timeline, report.processes.len()), (None, 0));
}
