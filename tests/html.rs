//! The report as a page: the fixtures rendered and compared with snapshots, and what
//! must hold of every page. What a browser makes of them is tested in `integration/browser`.
//!
//! `BUILDWARDEN_UPDATE=1 cargo test` writes the snapshots anew; read the diff.

mod pages;
mod snapshot;

use buildwarden::{
    escape,
    report::{
        html, json,
        model::{BUCKETS_MAX, Executable, JobReport, PROCESSES_MAX, Process, Report, Timeline},
    },
};
use pages::{FIXTURES, clean_job, fixture, hostile_job, job};
use std::{fs, process::Command};

/// The page without its style and the hash of it, a line for each block.
fn readable(page: &str) -> String {
    let cut = |text: &str, from: &str, to: &str| {
        let (before, rest) = text.split_once(from).unwrap();
        let (_, after) = rest.split_once(to).unwrap();
        format!("{before}{from}…{to}{after}")
    };
    let mut text = cut(page, "<style>", "</style>");
    text = cut(&text, "sha256-", "'");
    for tag in [
        "article",
        "body",
        "caption",
        "dd",
        "desc",
        "details",
        "div",
        "dl",
        "figcaption",
        "figure",
        "footer",
        "h1",
        "h2",
        "h3",
        "h4",
        "head",
        "header",
        "li",
        "line",
        "main",
        "meta",
        "nav",
        "ol",
        "p",
        "path",
        "pre",
        "rect",
        "section",
        "summary",
        "svg",
        "table",
        "tbody",
        "td",
        "text",
        "th",
        "thead",
        "title",
        "tr",
        "ul",
    ] {
        for end in [" ", ">"] {
            text = text.replace(&format!("<{tag}{end}"), &format!("\n<{tag}{end}"));
        }
    }
    text.replace("</body>", "\n</body>")
}

/// Every page with its name.
fn pages() -> Vec<(&'static str, String)> {
    let mut pages = FIXTURES.map(|name| (name, html::render(&fixture(name)))).to_vec();
    pages.push(("job", html::render_job(&job())));
    pages.push(("job-clean", html::render_job(&clean_job())));
    pages
}

#[test]
fn pages_are_as_in_the_snapshots() {
    for (name, page) in pages() {
        snapshot::check(&format!("report/{name}.html"), &readable(&page));
    }
}

/// Whatever a build puts into a report: it is text, and it is seen.
#[test]
fn nothing_of_a_build_is_markup_or_hidden() {
    let mut report = fixture("hostile");
    let evil = "</style></script><img src=x onerror=alert(1)>\"'&lt;\u{202e}";
    let text = || evil.to_owned();
    report.tool.version = text();
    report.container.name = Some(text());
    report.container.image = Some(text());
    report.container.annotations.insert(text(), text());
    for finding in &mut report.findings {
        finding.title = text();
        finding.recipe = text();
        finding.tool.name = text();
        finding.advice = vec![text()];
        finding.explanation = vec![text()];
        finding.exec.flags = vec![text()];
        finding.exec.argv = vec![evil.into(), "\u{0}\u{1b}[31m".into()];
        finding.exec.path = evil.into();
        finding.category.name = text();
        finding.ancestry.iter_mut().for_each(|ancestor| ancestor.argv = vec![evil.into()]);
    }
    report.processes.iter_mut().for_each(|process| process.argv = vec![evil.into()]);
    report.executables = vec![Executable { path: evil.into(), count: 1 }];
    report.completeness.reasons = vec![text()];
    report.job.as_mut().unwrap().id = text();
    let evil_pages = [html::render(&report), html::render_job(&hostile_job(evil))];
    for page in &evil_pages {
        assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;&quot;"), "it is shown");
        for refused in ["<img", "<script", "onerror=alert(1)>", "</script", "href=\"http"] {
            assert!(!page.contains(refused), "{refused}");
        }
        assert_eq!(page.matches("</style>").count(), 1);
    }
    for page in pages().into_iter().map(|(_, page)| page).chain(evil_pages) {
        let hidden = page.chars().find(|c| *c != '\n' && escape::is_hidden(*c));
        assert_eq!(hidden, None);
    }
}

#[test]
fn every_link_leads_somewhere_and_every_id_is_there_once() {
    for (name, page) in pages() {
        let attributes = |name: &str| {
            let begin = format!(" {name}=\"");
            let parts = page.split(&begin).skip(1);
            parts.map(|rest| rest.split('"').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let ids = attributes("id");
        for link in attributes("href") {
            let target = link.strip_prefix('#').unwrap_or_else(|| panic!("{name}: {link}"));
            assert!(ids.iter().any(|id| id == target), "{name}: {link}");
        }
        for label in attributes("aria-labelledby").iter().flat_map(|ids| ids.split(' ')) {
            assert!(ids.iter().any(|id| id == label), "{name}: {label}");
        }
        let mut unique = ids.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), ids.len(), "{name}: {ids:?}");
    }
}

/// The largest report there can be: of a run with many execs, and with deep and wide trees.
fn large() -> Report {
    let mut report = fixture("many");
    let finding = report.findings[0].clone();
    report.findings = (0..1000)
        .map(|i| {
            let mut finding = finding.clone();
            finding.n = i + 1;
            finding.exec.sequence = 10 * i + 11;
            finding.exec.argv.push(format!("--{i}").into());
            finding.exec.argv.push(vec![b'a'; 2048].into());
            finding
        })
        .collect();
    // A file of the largest argument that there is.
    report.findings[0].exec.argv.push(vec![b'x'; 2 << 20].into());
    report.processes = (1..=PROCESSES_MAX as u64)
        .map(|sequence| Process {
            sequence,
            // One chain, then all below one.
            parent: (sequence > 1).then(|| if sequence < 5000 { sequence - 1 } else { 1 }),
            argv: vec!["cc".into(), vec![0xff; 254].into()],
            findings: if sequence % 10 == 1 { vec![sequence / 10] } else { vec![] },
            ..report.processes[0].clone()
        })
        .collect();
    report.processes_omitted = 90_000;
    report.executables = (0..10_000)
        .map(|i| Executable { path: format!("/usr/lib/{i}").into(), count: 10 })
        .collect();
    report.timeline = Some(Timeline { bucket_ms: 345, execs: vec![833; BUCKETS_MAX] });
    report.completeness.execs = 100_000;
    report.completeness.last_sequence = 100_000;
    report
}

#[test]
fn a_job_of_many_containers_stays_small() {
    let mut containers = Vec::new();
    for i in 0..300 {
        containers.extend(job().containers.into_iter().map(|mut container| {
            container.directory = format!("{}.{i}", container.directory);
            container
        }));
    }
    let page = html::render_job(&JobReport::new("j", containers, vec![]));
    assert!(page.len() < 4 << 20, "{} bytes", page.len());
    assert!(page.contains("and 1,700 more"), "what is left out is counted");
}

#[test]
fn a_page_stays_small() {
    let report = large();
    let page = html::render(&report);
    assert!(page.len() < 4 << 20, "{} bytes", page.len());
    assert!(page.contains("98,000 more execs are not shown here"), "what is left out is counted");
    assert!(page.contains("962 more findings have no card here"), "what is left out is counted");
    assert!(page.contains("…[2,097,"), "and so are bytes");
}

/// The whole program, which also reads the report.
#[test]
fn a_page_is_made_in_little_memory() {
    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("report.json");
    fs::write(&report, json::pretty(&large()).unwrap()).unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_buildwarden"))
        .args(["report", "--format", "html", "--output"])
        .args([&directory.path().join("report.html"), &report])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN);
    let kib = usage.unwrap().max_rss();
    assert!(kib < 200 << 10, "{kib} KiB");
}

#[test]
fn a_report_without_timeline_and_processes_says_so() {
    let mut report = fixture("clean");
    report.timeline = None;
    report.processes.clear();
    let page = html::render(&report);
    assert!(page.contains("does not say when its execs happened"));
    assert!(page.contains("does not list its processes"));
}

/// A file that was changed: claims that cannot be true break nothing.
#[test]
fn impossible_trees_and_times_are_drawn() {
    let mut report = fixture("one-finding");
    for process in &mut report.processes {
        process.parent = Some(u64::MAX - process.sequence);
        process.offset_ms = f64::NAN;
    }
    let first = report.processes[0].clone();
    report.processes.push(Process { parent: Some(first.sequence), ..first });
    report.timeline = Some(Timeline { bucket_ms: 0, execs: vec![u64::MAX; 100_000] });
    assert!(html::render(&report).contains("</html>"));
    report.timeline = Some(Timeline { bucket_ms: u64::MAX, execs: vec![0; 3] });
    assert!(html::render(&report).contains("</html>"));
}
