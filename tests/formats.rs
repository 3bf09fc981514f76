//! Every format of the report: compared with snapshots, validated against published
//! schemas, and read back where a build tried to be read as something else.

mod pages;
mod schemas;
mod snapshot;

use buildwarden::{
    escape,
    report::{
        Time,
        baseline::{self, Paths, compare},
        format::{Context, Format, JobContext, render, render_job},
        json,
        model::{JobContainer, JobReport, JobState, Process, Report, Verdict},
        place::Place,
        text::{self, Layout},
    },
};
use pages::{FIXTURES, clean_job, fixture, hostile_job, job};
use quick_xml::{Reader, events::Event};
use serde_json::Value;
use std::{
    collections::HashSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

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

fn context() -> Context<'static> {
    let subject = format!("app.tar=sha256:{}", "0123456789abcdef".repeat(4));
    Context { subjects: vec![subject.parse().unwrap()], ..Context::default() }
}

fn rendered(report: &Report, format: Format) -> String {
    render(report, format, &context()).unwrap()
}

fn job_context() -> JobContext {
    let now = Time::from_unix_ns(1_795_440_000_000_000_000);
    JobContext { layout: context().layout, places: Vec::new(), now }
}

/// What there is in all formats: a report, or that of a job.
enum Subject {
    One(Box<Report>),
    Job(JobReport),
}

impl Subject {
    fn render(&self, format: Format) -> String {
        match self {
            Subject::One(report) => rendered(report, format),
            Subject::Job(job) => render_job(job, format, &job_context()).unwrap(),
        }
    }

    /// How many findings a list has.
    fn listed(&self) -> usize {
        match self {
            Subject::One(report) => report.findings.len(),
            Subject::Job(job) => {
                job.containers.iter().map(|c| c.findings.len()).sum::<usize>().min(5000)
            }
        }
    }

    fn verdict(&self) -> Verdict {
        match self {
            Subject::One(report) => report.verdict,
            Subject::Job(job) => job.verdict,
        }
    }
}

/// Text of a build that tries each format.
const EVIL: &str = "x\n::error::y\r\u{1b}[31m ```|\\|`| ~~~ <img src=x> ]]> &lt; @user [a](http://x.example) \
    {0} %0A ##[error]z \u{202e}\u{200b} ' \" -- # www.x.example";

/// A job whose containers, findings and gaps are more than any format shows.
fn large_job() -> JobReport {
    let mut containers: Vec<JobContainer> = Vec::new();
    let (findings, others) = (large().findings, job().containers);
    for n in 0..100 {
        containers.extend(others.iter().cloned().map(|mut container| {
            container.directory = format!("{}-{n}", container.directory);
            container.container.id = container.directory.clone();
            if n == 0 && container.state == JobState::Finished {
                container.findings = findings.clone();
            }
            container
        }));
    }
    let reasons = (0..400).map(|n| format!("{EVIL}: {n}")).collect();
    JobReport::new(EVIL, containers, reasons)
}

/// Every job of the pages, and what is harder.
fn jobs() -> Vec<(&'static str, JobReport)> {
    let mut omitted = clean_job().containers;
    omitted[0].findings_omitted = 7;
    vec![
        ("job", job()),
        ("job-clean", clean_job()),
        ("job-hostile", hostile_job(EVIL)),
        ("job-empty", JobReport::new("acme/web/4713", Vec::new(), Vec::new())),
        ("job-omitted", JobReport::new("acme/web/4714", omitted, Vec::new())),
        ("job-large", large_job()),
    ]
}

/// Every report and every job.
fn subjects() -> Vec<(&'static str, Subject)> {
    let reports = reports().into_iter().map(|(name, report)| (name, Subject::One(report.into())));
    reports.chain(jobs().into_iter().map(|(name, job)| (name, Subject::Job(job)))).collect()
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
    for (name, job) in jobs().into_iter().take(4) {
        for format in FORMATS.into_iter().filter(|format| *format != Format::InToto) {
            let suffix = format.file_name().unwrap().strip_prefix("report.").unwrap();
            let text = render_job(&job, format, &job_context()).unwrap();
            snapshot::check(&format!("report/{name}.{suffix}"), &text);
        }
    }
}

/// Every fixture and the large report, with its name.
fn reports() -> Vec<(&'static str, Report)> {
    let fixtures = FIXTURES.map(|name| (name, fixture(name)));
    let omitted = Report { findings_omitted: 7, verdict: Verdict::Findings, ..fixture("clean") };
    fixtures.into_iter().chain([("large", large()), ("omitted", omitted)]).collect()
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
    let evil = hostile_job(EVIL);
    for (name, subject) in
        [("hostile", Subject::One(fixture("hostile").into())), ("job", Subject::Job(evil))]
    {
        for format in Format::ALL {
            if (name, format) == ("job", Format::InToto) {
                continue;
            }
            let text = subject.render(format);
            let hidden = text.chars().find(|c| *c != '\n' && escape::is_hidden(*c));
            assert_eq!(hidden, None, "{name} {}", format.name());
            assert!(text.len() < 400_000, "{name} {}: {} bytes", format.name(), text.len());
        }
    }
}

/// What the runners of CI systems would obey in a log: a line that begins with
/// `::name::`, and `##[name]` or `##name[…]` anywhere.
fn is_command(line: &str) -> bool {
    line.trim_start().strip_prefix("::").is_some_and(|rest| rest.contains("::"))
        || line.split("##").skip(1).any(|rest| {
            rest.trim_start_matches(|c: char| c == '#' || c.is_ascii_alphanumeric())
                .starts_with('[')
        })
}

#[test]
fn no_line_of_any_format_is_a_command_to_a_runner() {
    const COMMANDS: [&str; 4] = [
        "::error::x",
        "##vso[task.setvariable variable=x]y",
        "##[add-mask]x",
        "##teamcity[buildStatus text='x']",
    ];
    for command in COMMANDS {
        let mut report = fixture("one-finding");
        let text = || command.to_owned();
        report.container.name = Some(text());
        report.container.cgroup = command.into();
        report.completeness.reasons.push(text());
        for finding in &mut report.findings {
            finding.exec.argv = vec![command.into(); 3];
            finding.exec.path = command.into();
            finding.exec.flags.push(text());
            (finding.tool.name, finding.title) = (text(), text());
            finding.addresses[0].text = command.into();
            finding.addresses[0].role = text();
            (finding.advice, finding.explanation) = (vec![text()], vec![text()]);
            for ancestor in &mut finding.ancestry {
                ancestor.argv = vec![command.into()];
            }
        }
        for process in &mut report.processes {
            process.argv = vec![command.into()];
        }
        report.executables[0].path = command.into();
        let difference = compare(&fixture("clean"), &report, Paths::Exact);
        let mut texts = vec![
            ("diff in text".to_owned(), text::difference(&difference, context().layout)),
            ("diff in Markdown".to_owned(), baseline::markdown(&difference)),
            ("diff in JSON".to_owned(), json::pretty(&difference).unwrap()),
        ];
        for subject in [Subject::One(report.into()), Subject::Job(hostile_job(command))] {
            for format in Format::ALL {
                if matches!((&subject, format), (Subject::Job(_), Format::InToto)) {
                    continue;
                }
                texts.push((format.name().to_owned(), subject.render(format)));
            }
        }
        for (what, text) in texts {
            for line in text.lines() {
                // Its lines are commands of ours, and hold no other.
                let own = line.strip_prefix("::").filter(|_| what == "github");
                assert!(!is_command(own.unwrap_or(line)), "{what}: {line}");
            }
        }
    }
}

#[test]
fn a_statement_is_about_one_container() {
    let error = render_job(&clean_job(), Format::InToto, &job_context()).unwrap_err();
    assert!(error.to_string().contains("`buildwarden report ID`"), "{error}");
}

#[test]
fn a_finding_of_a_job_points_at_the_line_of_its_step() {
    let place = Place { path: "Dockerfile".to_owned(), line: 7, last_line: 8 };
    let places = vec![None, None, Some(place)];
    let about = JobContext { places, ..job_context() };
    let at = |format| render_job(&job(), format, &about).unwrap();
    let sarif: Value = serde_json::from_str(&at(Format::Sarif)).unwrap();
    let issues: Value = serde_json::from_str(&at(Format::GitlabCodequality)).unwrap();
    let of = |n: usize| {
        let result = &sarif["runs"][0]["results"][n]["locations"][0];
        let path = result["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
        assert_eq!(path, issues[n]["location"]["path"]);
        (result["logicalLocations"][0]["name"].as_str().unwrap().to_owned(), path.to_owned())
    };
    assert_eq!(of(0), ("web-build (web)".to_owned(), "Dockerfile".to_owned()));
    assert_eq!(of(1), ("web-build (tests)".to_owned(), "report.json".to_owned()));
    assert_eq!(at(Format::Github).matches(",file=Dockerfile,line=7,endLine=8::").count(), 1);
}

#[test]
fn fingerprints_of_a_job_do_not_depend_on_its_containers_ids_and_order() {
    let fingerprints = |job: &JobReport| -> Vec<String> {
        let text = render_job(job, Format::GitlabCodequality, &job_context()).unwrap();
        let issues: Vec<Value> = serde_json::from_str(&text).unwrap();
        let mut all: Vec<String> =
            issues.iter().map(|issue| issue["fingerprint"].as_str().unwrap().to_owned()).collect();
        all.sort();
        all
    };
    let twice = |first: &str, second: &str| {
        let named = |id: &str| {
            let mut containers = job().containers;
            for container in &mut containers {
                container.directory = format!("{}-{id}", container.directory);
                container.container.id = container.directory.clone();
            }
            containers
        };
        JobReport::new("j", [named(first), named(second)].concat(), Vec::new())
    };
    let before = fingerprints(&twice("a", "b"));
    assert_eq!(before.iter().collect::<HashSet<_>>().len(), before.len());
    let mut next = twice("c", "d");
    next.containers.reverse();
    assert_eq!(fingerprints(&next), before);
    for (name, job) in jobs() {
        let all = fingerprints(&job);
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "{name}");
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
    let commands = ("commands", Subject::One(commands.into()));
    for (name, subject) in subjects().into_iter().chain([commands]) {
        for line in subject.render(Format::Github).lines() {
            let kinds = ["::error title=", "::warning title=", "::notice title="];
            assert!(kinds.iter().any(|kind| line.starts_with(kind)), "{name}: {line}");
            let (properties, _) = line[2..].split_once("::").unwrap();
            assert!(!properties.contains(':'), "{name}: {line}");
        }
        // What is printed in a job's log goes past the runner too.
        let mut texts: Vec<(Format, String)> =
            [Format::Text, Format::Markdown, Format::Junit, Format::Sarif]
                .map(|format| (format, subject.render(format)))
                .into();
        if let Subject::One(report) = &subject {
            texts.extend((40..140).step_by(9).map(|width| {
                let layout = Layout { width, colour: false };
                let context = Context { layout, ..context() };
                (Format::Text, render(report, Format::Text, &context).unwrap())
            }));
        }
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
    for (name, subject) in subjects() {
        let text = subject.render(Format::Github);
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

/// The tests of a JUnit file: suite, class and name, and whether it failed.
fn tests_in(xml: &str) -> Vec<(String, String, bool)> {
    let mut reader = Reader::from_str(xml);
    let (mut suite, mut tests) = (String::new(), Vec::new());
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) | Event::Empty(tag) => {
                let of = |key: &str| -> String {
                    let found = tag.try_get_attribute(key).unwrap();
                    found.map_or(String::new(), |found| found.value.to_string())
                };
                match tag.name().as_ref() {
                    "testsuite" => suite = of("name"),
                    "testcase" => {
                        tests.push((suite.clone(), of("classname") + ": " + &of("name"), false))
                    }
                    "failure" => tests.last_mut().unwrap().2 = true,
                    _ => {}
                }
            }
            Event::Eof => return tests,
            _ => {}
        }
    }
}

#[test]
fn a_job_has_a_suite_for_each_container_and_one_of_its_own() {
    for (name, job) in jobs() {
        let tests = tests_in(&render_job(&job, Format::Junit, &job_context()).unwrap());
        let names: HashSet<_> = tests.iter().map(|(_, name, _)| name).collect();
        assert_eq!(names.len(), tests.len(), "{name}: two tests of one name");
        let suites: HashSet<_> = tests.iter().map(|(suite, ..)| suite).collect();
        assert_eq!(suites.len(), job.containers.len() + 1, "{name}");
        // No suite of a container passes that has findings or is not complete.
        let mut failed: Vec<&str> =
            tests.iter().filter(|test| test.2).map(|(suite, ..)| suite.as_str()).collect();
        failed.dedup();
        let bad = |c: &&JobContainer| {
            !c.findings.is_empty() || c.findings_omitted > 0 || !c.is_complete()
        };
        let want = job.containers.iter().filter(bad).count();
        assert_eq!(failed.len(), want + usize::from(!job.reasons.is_empty()), "{name}");
    }
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
    for (name, subject) in subjects() {
        let text = subject.render(Format::Markdown);
        assert!(text.len() <= 65_000, "{name}: {} bytes", text.len());
        let tags = ["<details>", "<details open>", "</details>", "<summary>", "</summary>"];
        let mut outside = outside_of_code(&text);
        tags.iter().for_each(|tag| outside = outside.replace(tag, ""));
        for line in outside.lines() {
            // The table of a job's containers.
            let bars = line.matches(" | ").count();
            assert!(bars == 0 || bars == 3 && matches!(subject, Subject::Job(_)), "{name}: {line}");
            let line = line.replace(" | ", " ");
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
    let job = render_job(&large_job(), Format::Markdown, &job_context()).unwrap();
    for want in ["more findings in other containers left out here", "\n- and ", "\nand "] {
        assert!(job.contains(want), "{want}: {job}");
    }
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
    let large = [("report", Subject::One(large().into())), ("job", Subject::Job(large_job()))];
    for ((name, subject), format) in
        large.iter().flat_map(|subject| Format::ALL.map(|format| (subject, format)))
    {
        // Of a job, the one is refused and the other holds all that there is.
        if *name == "job" && matches!(format, Format::InToto | Format::Json) {
            continue;
        }
        let begun = Instant::now();
        let text = subject.render(format);
        println!(
            "{name:<6} {:<20} {:>10} bytes {:>8.1?}",
            format.name(),
            text.len(),
            begun.elapsed()
        );
        // What GitHub takes of a SARIF file is 10 MB, compressed.
        let most = match format {
            Format::Json | Format::InToto => 64,
            _ if *name == "job" => 16,
            _ => 8,
        };
        assert!(text.len() < most << 20, "{name} {}: {} bytes", format.name(), text.len());
    }
}
