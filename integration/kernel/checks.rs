//! What must be seen on each kernel of what `try.sh` does.

use super::Tried;
use crate::harness::Exec;
use buildwarden::report::model::{Outcome, Process, Report};

/// What is checked, in the words of docs/kernels.md, and what to put there; panics where it is not
/// as it must be.
pub(super) const CHECKS: &[(&str, fn(&Tried) -> &'static str)] = &[
    ("the programs load and attach", loads),
    ("execs from the entrypoint on, each and whole", whole),
    ("no exec of the host or of another cgroup", others),
    ("processes in a cgroup below", below),
    ("processes that left the cgroup", away),
    ("processes in a pid namespace of their own", namespaces),
    ("a scope in a scope: both have it", nested),
    ("processes put in from outside, and the job they name", entered),
    ("an argument of 128 KiB", long),
    ("1 MB of arguments, more than the ring holds", longer),
    ("an exec without any argument", no_argv),
    ("exit codes and signals", ends),
    ("the end of a container that nobody tells of", abandoned),
    ("`buildwarden run`", run),
    ("a collector confines itself", confined),
];

const YES: &str = "yes";

fn build(tried: &Tried) -> (Report, Vec<Exec>) {
    (tried.report("build"), tried.dir.execs("build"))
}

/// The one exec of `/bin/true` with this argument.
#[track_caller]
fn one<'a>(execs: &'a [Exec], argument: &str) -> &'a Exec {
    let is = |exec: &&Exec| exec.argv.len() == 2 && exec.has("/bin/true") && exec.has(argument);
    let found: Vec<&Exec> = execs.iter().filter(is).collect();
    let [exec] = found[..] else { panic!("{argument}: {} execs of {}", found.len(), execs.len()) };
    exec
}

/// Its flags must be these.
#[track_caller]
fn flags(execs: &[Exec], argument: &str, flags: &[&str]) {
    let mut seen = one(execs, argument).flags.clone();
    // Whether the file was written in the container is for others to check.
    seen.retain(|flag| flag != "upper_layer");
    assert_eq!(seen, flags, "{argument}");
}

fn loads(tried: &Tried) -> &'static str {
    let checks = tried.doctor["checks"].as_array().unwrap();
    let ok = |name: &str| {
        checks.iter().any(|check| {
            check["name"].as_str().unwrap().starts_with(name) && check["status"] == "ok"
        })
    };
    for name in [
        "BPF ring buffer",
        "load the programs",
        "attach tp_btf/sched_process_exec",
        "attach tp_btf/sched_process_fork",
        "attach tp_btf/sched_process_exit",
    ] {
        assert!(ok(name), "{name}: {:?}", tried.doctor);
    }
    YES
}

fn whole(tried: &Tried) -> &'static str {
    let (report, execs) = build(tried);
    assert_eq!(
        execs[0].argv.iter().map(|argument| argument.as_bytes()).collect::<Vec<_>>(),
        [&b"/bin/sh"[..], b"/build.sh"]
    );
    let sequences: Vec<u64> = execs.iter().map(|exec| exec.sequence).collect();
    assert_eq!(sequences, (1..=execs.len() as u64).collect::<Vec<_>>());
    for name in ["build", "abandoned", "run", "inner"] {
        let seen = tried.report(name).completeness;
        assert_eq!(seen.reasons, [""; 0], "{name}");
        assert_eq!(
            (seen.execs, seen.lost, seen.truncated, seen.unreadable),
            (seen.last_sequence, 0, 0, 0),
            "{name}"
        );
        assert!(seen.attached_before_first_exec && seen.programs_attached, "{name}");
    }
    assert_eq!(report.completeness.execs, execs.len() as u64);
    YES
}

fn others(tried: &Tried) -> &'static str {
    let (_, execs) = build(tried);
    flags(&execs, "inside", &[]);
    for argument in ["outside", "beside"] {
        assert!(!execs.iter().any(|exec| exec.has(argument)), "{argument}: {execs:?}");
    }
    YES
}

fn below(tried: &Tried) -> &'static str {
    flags(&build(tried).1, "below", &[]);
    YES
}

fn away(tried: &Tried) -> &'static str {
    flags(&build(tried).1, "away", &["left_cgroup"]);
    YES
}

fn namespaces(tried: &Tried) -> &'static str {
    let (_, execs) = build(tried);
    flags(&execs, "in-a-pid-namespace", &[]);
    flags(&execs, "away-in-a-pid-namespace", &["left_cgroup"]);
    YES
}

fn nested(tried: &Tried) -> &'static str {
    let (outer, execs) = build(tried);
    one(&execs, "in-a-scope-below");
    let inner = tried.report("inner");
    let [inside, outside] = [&inner, &outer].map(|report| report.container.cgroup.as_bytes());
    assert!(inside.starts_with(outside), "{inner:?}");
    let execs = tried.dir.execs(&inner.container.id);
    assert_eq!(execs.len(), 1, "{execs:?}");
    one(&execs, "in-a-scope-below");
    YES
}

fn entered(tried: &Tried) -> &'static str {
    let (report, execs) = build(tried);
    flags(&execs, "entered", &["entered"]);
    assert_eq!(report.job.map(|job| job.id).as_deref(), Some("acme/web/3/9"));
    YES
}

fn long(tried: &Tried) -> &'static str {
    let (_, execs) = build(tried);
    let longest = execs.iter().find(|exec| exec.argv.len() == 2 && exec.argv[1].len() == 131_071);
    let longest = longest.unwrap_or_else(|| panic!("not among {} execs", execs.len()));
    assert!(longest.argv[1].as_bytes().iter().all(|byte| *byte == b'x'));
    YES
}

fn longer(tried: &Tried) -> &'static str {
    let (report, execs) = build(tried);
    let bytes = |exec: &Exec| exec.argv.iter().map(|argument| argument.len()).sum::<usize>();
    let most = execs.iter().map(bytes).max().unwrap() as u64;
    assert!(most > 10 * 102_400 && most > report.cost.ring_bytes, "{most}: {:?}", report.cost);
    let [finding] = &report.findings[..] else { panic!("{} findings", report.findings.len()) };
    assert_eq!(
        (finding.addresses[0].address.as_str(), finding.addresses[0].argument),
        ("198.51.100.6", 11)
    );
    YES
}

fn no_argv(tried: &Tried) -> &'static str {
    let (_, execs) = build(tried);
    let wrapper = execs.iter().position(|exec| exec.has("no-argv")).unwrap();
    match &execs[wrapper + 1].argv[..] {
        [] => "none",
        [empty] if empty.is_empty() => "an empty one",
        other => panic!("{other:?}"),
    }
}

/// How the process of the exec with this argument ended.
#[track_caller]
fn end(report: &Report, argument: &str) -> (Option<u8>, Option<u8>) {
    let is = |process: &&Process| {
        process.argv.last().is_some_and(|last| last.as_bytes() == argument.as_bytes())
    };
    let process = report
        .processes
        .iter()
        .find(is)
        .unwrap_or_else(|| panic!("{argument}: {:?}", report.processes));
    let Some(Outcome { exit_code, signal, .. }) = process.outcome else { panic!("{process:?}") };
    (exit_code, signal)
}

fn ends(tried: &Tried) -> &'static str {
    let (report, _) = build(tried);
    assert_eq!(end(&report, "inside"), (Some(0), None));
    assert_eq!(end(&report, "exit 3"), (Some(3), None));
    assert_eq!(end(&report, "kill -KILL $$"), (None, Some(9)));
    let outcome = report.findings[0].outcome.as_ref();
    assert_eq!(outcome.and_then(|outcome| outcome.exit_code), Some(1));
    YES
}

fn abandoned(tried: &Tried) -> &'static str {
    let report = tried.report("abandoned");
    assert_eq!(end(&report, "/build.sh"), (Some(7), None));
    assert_eq!(report.findings.len(), 1, "{report:?}");
    assert_eq!(report.findings[0].addresses[0].address, "198.51.100.13");
    if tried.dir.path("left-to-gc").exists() { "yes, and `gc` frees its ring" } else { YES }
}

fn run(tried: &Tried) -> &'static str {
    let report = tried.report("run");
    assert_eq!(report.job.as_ref().map(|job| job.id.as_str()), Some("kernel"));
    let [finding] = &report.findings[..] else { panic!("{report:?}") };
    assert_eq!(finding.addresses[0].address, "198.51.100.7");
    assert_eq!(finding.ancestry.last().and_then(|entry| entry.sequence), Some(1));
    YES
}

fn confined(tried: &Tried) -> &'static str {
    let layers = tried.report("build").confined;
    match layers.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["no_new_privs", "landlock", "capabilities", "seccomp"] => YES,
        ["no_new_privs", "capabilities", "seccomp"] => "without Landlock",
        _ => panic!("{layers:?}"),
    }
}
