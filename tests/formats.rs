//! Every format of the report: compared with snapshots, validated against published
//! schemas, and read back where a build tried to be read as something else.

mod snapshot;

use buildwarden::{
    escape,
    report::{
        format::{Context, Format, render},
        json,
        model::{Process, Report},
        place::Place,
        text::Layout,
    },
};
use jsonschema::Validator;
use quick_xml::{Reader, events::Event};
use serde_json::Value;
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

const FIXTURES: [&str; 6] =
    ["clean", "one-finding", "many", "incomplete", "findings-incomplete", "hostile"];

/// Those whose snapshots are not in tests/report.rs.
const FORMATS: [Format; 7] = [
    Format::Markdown,
    Format::Sarif,
    Format::Junit,
    Format::GitlabCodequality,
    Format::Github,
    Format::InToto,
    Format::Ocsf,
];

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn fixture(name: &str) -> Report {
    let path = tests().join(format!("fixtures/{name}.json"));
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    json::parse(&bytes).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn context() -> Context<'static> {
    let subject = format!("app.tar=sha256:{}", "0123456789abcdef".repeat(4));
    Context { subjects: vec![subject.parse().unwrap()], ..Context::default() }
}

fn rendered(report: &Report, format: Format) -> String {
    render(report, format, &context()).unwrap()
}

/// A run of 100,000 execs with a thousand findings, as large as a report may become.
fn large() -> Report {
    let mut report = fixture("many");
    let execs = 100_000;
    (report.completeness.execs, report.completeness.last_sequence) = (execs, execs);
    let pattern = report.processes.clone();
    let process = |n: u64| Process {
        sequence: n + 1,
        parent: (n > 0).then(|| n / 3 + 1),
        argv: vec!["cc1".into(), format!("-o{n}.o").repeat(8).into()],
        findings: if n % 10 == 9 { vec![n / 10 + 1] } else { Vec::new() },
        ..pattern[n as usize % pattern.len()].clone()
    };
    report.processes = (0..10_000).map(process).collect();
    report.processes_omitted = execs - 10_000;
    let findings = report.findings.clone();
    report.findings = (1..=1000)
        .map(|n| {
            let mut finding = findings[n as usize % findings.len()].clone();
            (finding.n, finding.exec.sequence) = (n, n * 10);
            finding.exec.argv.push(format!("-x{n}").into());
            finding
        })
        .collect();
    let executable = report.executables[0].clone();
    report.executables = (0..10_000u64)
        .map(|n| {
            let mut one = executable.clone();
            one.path = format!("/usr/lib/x/{n}").into();
            one
        })
        .collect();
    report
}

#[test]
fn formats_are_as_in_the_snapshots() {
    for name in FIXTURES {
        let report = fixture(name);
        for format in FORMATS {
            // Evidence as it is: its fixture again, which nobody would read twice.
            if (name, format) == ("hostile", Format::InToto) {
                continue;
            }
            let file = format.file_name().unwrap_or("report.in-toto.json");
            let suffix = file.strip_prefix("report.").unwrap();
            snapshot::check(&format!("report/{name}.{suffix}"), &rendered(&report, format));
        }
    }
}

fn validator(name: &str) -> Validator {
    let path = tests().join("schemas").join(name);
    let text = fs::read_to_string(&path).unwrap();
    // A slip in SARIF's own pattern for languages, which other validators read over.
    let text = text.replace("{2}-[a-zA-Z]{2}]?$", "{2}-[a-zA-Z]{2}$");
    let schema: Value = serde_json::from_str(&text).unwrap();
    jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

#[track_caller]
fn check_valid(validator: &Validator, name: &str, instance: &Value) {
    let errors: Vec<String> = validator
        .iter_errors(instance)
        .take(5)
        .map(|error| format!("{}: {error:.300}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{name}:\n{}", errors.join("\n"));
}

/// Every fixture and the large report, with its name.
fn reports() -> Vec<(&'static str, Report)> {
    let fixtures = FIXTURES.map(|name| (name, fixture(name)));
    fixtures.into_iter().chain([("large", large())]).collect()
}

#[test]
fn sarif_is_valid() {
    let validator = validator("sarif-2.1.0.json");
    for (name, report) in reports() {
        let sarif: Value = serde_json::from_str(&rendered(&report, Format::Sarif)).unwrap();
        check_valid(&validator, name, &sarif);
        let run = &sarif["runs"][0];
        let results = run["results"].as_array().unwrap();
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        assert_eq!(results.len(), report.findings.len().max(usize::from(name == "incomplete")));
        for result in results {
            let rule = &rules[result["ruleIndex"].as_u64().unwrap() as usize];
            assert_eq!(rule["id"], result["ruleId"], "{name}");
            assert_eq!(result["locations"].as_array().unwrap().len(), 1);
        }
    }
}

#[test]
fn in_toto_is_valid() {
    let validator = validator("in-toto-statement-v1-runtime-trace-v0.1.json");
    for (name, report) in reports() {
        let statement: Value = serde_json::from_str(&rendered(&report, Format::InToto)).unwrap();
        check_valid(&validator, name, &statement);
        let predicate = &statement["predicate"];
        let entries = predicate["monitorLog"]["process"].as_array().unwrap();
        assert_eq!(entries.len(), report.processes.len(), "{name}");
        for (entry, process) in entries.iter().zip(&report.processes) {
            assert_eq!(entry["arguments"], serde_json::to_value(&process.argv).unwrap(), "{name}");
        }
        let findings = predicate["buildwarden"]["findings"].clone();
        assert!(findings == serde_json::to_value(&report.findings).unwrap(), "{name}");
    }
}

#[test]
fn ocsf_is_valid() {
    let validator = validator("ocsf-1.8.0-detection_finding.json");
    for (name, report) in reports() {
        let lines = rendered(&report, Format::Ocsf);
        let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut count = 0;
        for event in events {
            check_valid(&validator, name, &event);
            assert_eq!(event["type_uid"], 200_401);
            count += 1;
        }
        assert_eq!(count, report.findings.len().max(usize::from(name == "incomplete")), "{name}");
    }
}

/// `xmllint` comes with libxml2-utils, which `integration/setup` installs.
#[test]
fn junit_is_valid() {
    for (name, report) in reports() {
        let mut child = Command::new("xmllint")
            .args(["--noout", "--nonet", "--schema"])
            .arg(tests().join("schemas/junit-10.xsd"))
            .arg("-")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("xmllint runs: `integration/setup` installs libxml2-utils");
        let xml = rendered(&report, Format::Junit);
        child.stdin.take().unwrap().write_all(xml.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_schema_refuses_what_is_not_of_it() {
    let cases = [
        ("sarif-2.1.0.json", r#"{"version": "2.1.0"}"#),
        ("in-toto-statement-v1-runtime-trace-v0.1.json", r#"{"_type": "x"}"#),
        ("ocsf-1.8.0-detection_finding.json", r#"{"class_uid": 2004}"#),
    ];
    for (name, instance) in cases {
        let instance = serde_json::from_str(instance).unwrap();
        assert!(!validator(name).is_valid(&instance), "{name}");
    }
}

#[test]
fn a_finding_points_at_its_line() {
    let place = Place { path: "docker/Dockerfile".to_owned(), line: 3, last_line: 4 };
    let report = fixture("one-finding");
    let at = |format| {
        render(&report, format, &Context { place: Some(place.clone()), ..context() }).unwrap()
    };
    let sarif: Value = serde_json::from_str(&at(Format::Sarif)).unwrap();
    let location = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(location["artifactLocation"]["uri"], "docker/Dockerfile");
    assert_eq!(
        (&location["region"]["startLine"], &location["region"]["endLine"]),
        (&3.into(), &4.into())
    );
    let issues: Value = serde_json::from_str(&at(Format::GitlabCodequality)).unwrap();
    assert_eq!(issues[0]["location"]["path"], "docker/Dockerfile");
    assert_eq!(issues[0]["location"]["lines"]["begin"], 3);
    assert!(at(Format::Github).contains(",file=docker/Dockerfile,line=3,endLine=4::"));
}

#[test]
fn nothing_is_hidden_in_any_format() {
    let report = fixture("hostile");
    for format in Format::ALL {
        let text = rendered(&report, format);
        let hidden = text.chars().find(|c| *c != '\n' && escape::is_hidden(*c));
        assert_eq!(hidden, None, "{}", format.name());
        assert!(text.len() < 400_000, "{}: {} bytes", format.name(), text.len());
    }
}

#[test]
fn no_line_is_a_command_to_a_runner_but_ours() {
    let mut commands = fixture("one-finding");
    let argv = ["::stop-commands::x", "x", "::add-mask::y ", "##[group]z", "##vso[task.x]"];
    commands.findings[0].exec.argv = argv.iter().cycle().take(60).map(Into::into).collect();
    commands.findings[0].advice = vec![format!("see {}", "::error::x ##[error] ".repeat(40))];
    commands.findings[0].explanation = vec!["8.8.8.8 ::error::x".to_owned()];
    for process in &mut commands.processes {
        process.argv = vec!["::error title=x::y".into(), "##[x]".into()];
    }
    commands.executables[0].path = "::error::x".into();
    for (name, report) in reports().into_iter().chain([("commands", commands)]) {
        for line in rendered(&report, Format::Github).lines() {
            let kinds = ["::error title=", "::warning title=", "::notice title="];
            assert!(kinds.iter().any(|kind| line.starts_with(kind)), "{name}: {line}");
            let (properties, _) = line[2..].split_once("::").unwrap();
            assert!(!properties.contains(':'), "{name}: {line}");
        }
        // What is printed in a job's log goes past the runner too.
        let mut texts: Vec<(Format, String)> =
            [Format::Text, Format::Markdown, Format::Junit, Format::Sarif]
                .map(|format| (format, rendered(&report, format)))
                .into();
        texts.extend((40..140).step_by(9).map(|width| {
            let layout = Layout { width, colour: false };
            let context = Context { layout, ..context() };
            (Format::Text, render(&report, Format::Text, &context).unwrap())
        }));
        for (format, text) in texts {
            for line in text.lines() {
                let line = line.trim_start();
                let is_command = line.starts_with("::") && line[2..].contains("::");
                assert!(!is_command, "{name} {}: {line}", format.name());
                let old = line.split_once("##").is_some_and(|(_, rest)| {
                    rest.trim_start_matches(|c: char| c.is_ascii_lowercase()).starts_with('[')
                });
                assert!(format != Format::Text || !old, "{name}: {line}");
            }
        }
    }
}

#[test]
fn annotations_are_as_many_as_github_shows() {
    for (name, report) in reports() {
        let text = rendered(&report, Format::Github);
        for kind in ["::error", "::warning", "::notice"] {
            let count = text.lines().filter(|line| line.starts_with(kind)).count();
            assert!(count <= 10, "{name}: {count} {kind}");
        }
    }
}

#[test]
fn xml_holds_what_was_written_into_it() {
    let report = fixture("hostile");
    let xml = rendered(&report, Format::Junit);
    let mut reader = Reader::from_str(&xml);
    let (mut failures, mut names) = (0, Vec::new());
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) | Event::Empty(tag) => {
                let name = tag.name().as_ref().to_owned();
                failures += usize::from(name == "failure");
                names.push(name);
                tag.attributes().for_each(|attribute| drop(attribute.unwrap()));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    names.sort();
    names.dedup();
    let ours = ["failure", "properties", "property", "testcase", "testsuite", "testsuites"];
    assert!(
        names.iter().all(|name| ours.contains(&name.as_str()) || name == "skipped"),
        "{names:?}"
    );
    assert_eq!(failures, report.findings.len() + usize::from(!report.completeness.is_complete()));
}

/// Markdown without its code: fenced blocks and spans, found as a reader finds them.
fn outside_of_code(markdown: &str) -> String {
    let mut out = String::new();
    let mut fence: Option<usize> = None;
    for line in markdown.lines() {
        let run = line.len() - line.trim_start_matches('`').len();
        match fence {
            Some(length) if run >= length && line.trim_end_matches('`').is_empty() => fence = None,
            Some(_) => {}
            None if run >= 3 && !line[run..].contains('`') => fence = Some(run),
            None => {
                let mut rest = line;
                while let Some(at) = rest.find('`') {
                    out.push_str(&rest[..at]);
                    let after = rest[at..].trim_start_matches('`');
                    let length = rest[at..].len() - after.len();
                    let end = after
                        .match_indices(&"`".repeat(length))
                        .map(|(end, _)| end)
                        .find(|end| {
                            !after[end + length..].starts_with('`') && !after[..*end].ends_with('`')
                        })
                        .unwrap_or_else(|| panic!("a code span is not closed: {line}"));
                    out.push('C');
                    rest = &after[end + length..];
                }
                out.push_str(rest);
                out.push('\n');
            }
        }
    }
    assert_eq!(fence, None, "a code block is not closed");
    out
}

#[test]
fn markdown_of_a_build_is_code() {
    for (name, report) in reports() {
        let text = rendered(&report, Format::Markdown);
        assert!(text.len() <= 65_000, "{name}: {} bytes", text.len());
        let tags = ["<details>", "<details open>", "</details>", "<summary>", "</summary>"];
        let mut outside = outside_of_code(&text);
        tags.iter().for_each(|tag| outside = outside.replace(tag, ""));
        for line in outside.lines() {
            let forbidden = ['<', '>', '@', '[', ']', '\\', '|', '~', '_', '&', '!', '$'];
            assert!(!line.contains(forbidden), "{name}: {line}");
            assert!(!line.contains("://") && !line.contains("www."), "{name}: {line}");
            let marks = line.matches('#').count();
            let title = line.chars().take_while(|c| *c == '#').count();
            assert_eq!(marks, title, "{name}: {line}");
        }
    }
    let large = rendered(&large(), Format::Markdown);
    assert!(large.contains("more findings are left out here"), "{large}");
}

#[test]
fn what_is_cut_has_a_mark() {
    let mut report = fixture("one-finding");
    let argv = &mut report.findings[0].exec.argv;
    argv.insert(1, vec![b'x'; 2 << 20].into());
    report.findings[0].addresses[0].argument += 1;
    for format in FORMATS.into_iter().filter(|format| *format != Format::InToto) {
        let text = rendered(&report, format);
        // A bracket in a SARIF message has a backslash before it, which has one in JSON.
        assert!(text.replace("\\\\]", "]").contains("bytes]…"), "{}", format.name());
        assert!(text.contains("8.8.8.8"), "{}", format.name());
        assert!(text.len() < 60_000, "{}: {} bytes", format.name(), text.len());
    }
}

/// Prints how long each format takes; asserts only what does not depend on the machine.
#[test]
fn a_large_report_stays_within_limits() {
    let report = large();
    for format in Format::ALL {
        let begun = Instant::now();
        let text = rendered(&report, format);
        println!("{:<20} {:>10} bytes {:>8.1?}", format.name(), text.len(), begun.elapsed());
        // What GitHub takes of a SARIF file is 10 MB, compressed.
        let most = if format == Format::Json || format == Format::InToto { 64 } else { 8 };
        assert!(text.len() < most << 20, "{}: {} bytes", format.name(), text.len());
    }
}
