//! The kernel's side: bpf(2) says no, the kernel has no type information, pins go.

use super::{
    BUILD, Extent, Outcome, came_to, expect_built, expect_next_complete, gc,
    left::expect_nothing_left, outcome,
};
use crate::harness::{Container, Dir, in_path, program, run};
use std::{fs, process::Command};

/// The commands of bpf(2) that hook, collector and poststop use, `enum bpf_cmd`.
const COMMANDS: [(&str, u32); 13] = [
    ("MAP_CREATE", 0),
    ("MAP_LOOKUP_ELEM", 1),
    ("MAP_UPDATE_ELEM", 2),
    ("MAP_DELETE_ELEM", 3),
    ("PROG_LOAD", 5),
    ("OBJ_PIN", 6),
    ("OBJ_GET", 7),
    ("MAP_GET_FD_BY_ID", 14),
    ("OBJ_GET_INFO_BY_FD", 15),
    ("RAW_TRACEPOINT_OPEN", 17),
    ("BTF_LOAD", 18),
    ("MAP_FREEZE", 22),
    ("LINK_CREATE", 28),
];

/// What it says no with, `errno`.
const ERRORS: [(&str, i32); 2] = [("EPERM", 1), ("ENOMEM", 12)];

/// The hooks for which it says no; the first one loads the probe set.
const STAGES: [&[&str]; 2] = [&["createRuntime"], &["createRuntime", "poststop"]];

pub(super) fn each_command(extent: Extent) {
    let refuse = program("refuse").display().to_string();
    let dir = Dir::with_bpffs();
    for (number, (error, errno)) in ERRORS.into_iter().enumerate() {
        // In part: EPERM for the one hook, ENOMEM for both.
        let stages = extent.choose(&STAGES[number..=number], &STAGES[..]);
        for (command, value) in COMMANDS {
            for stages in stages {
                let fault = format!("bpf({command}) fails with {error} in {}", stages.join(", "));
                let id = format!("{command}-{error}-{}", stages.len()).to_lowercase();
                gc(&dir, &["--unload"]).expect_code(0);
                let (errno, value) = (errno.to_string(), value.to_string());
                let through = [refuse.as_str(), &errno, &value];
                let container = stages
                    .iter()
                    .fold(Container::new(&dir, &id).script(BUILD), |container, stage| {
                        container.through(stage, &through)
                    })
                    .overheard("createRuntime");
                came_to(&fault, run_with_kernel(&dir, &container, &id));
            }
        }
    }
    expect_nothing_left(&dir);
}

/// Runs a container whose kernel says no to this or that: what comes of it.
#[track_caller]
fn run_with_kernel(dir: &Dir, container: &Container<'_>, id: &str) -> Outcome {
    let mut running = container.start();
    running.ready();
    running.go();
    let done = running.finish();
    expect_built(&done);
    gc(dir, &[]).expect_code(0);
    let outcome = outcome(dir, id);
    if let Outcome::Incomplete(reason) = &outcome
        && reason.starts_with("nothing was recorded")
    {
        let said = fs::read_to_string(container.said()).unwrap();
        assert!(said.contains("buildwarden: warning: "), "{id}: {said}");
    }
    outcome
}

#[test]
fn root_bpf_that_is_refused_is_told() {
    each_command(Extent::Part);
}

#[test]
pub(super) fn root_a_kernel_without_type_information_is_told() {
    let dir = Dir::with_bpffs();
    // Loaded by nobody yet, in a file system that is there before it is hidden.
    let mut mount = Command::new("mount");
    run(mount.args(["-t", "bpf", "bpf"]).arg(dir.path("bpf"))).expect_code(0);
    let unshare = in_path("unshare").display().to_string();
    let hide = "mount -t tmpfs none /sys/kernel/btf && exec \"$@\"";
    let through = [&*unshare, "--mount", "--propagation", "private", "sh", "-c", hide, "sh"];
    let container = Container::new(&dir, "btf").script(BUILD);
    let container = container.overheard("createRuntime").through("createRuntime", &through);
    let outcome = run_with_kernel(&dir, &container, "btf");
    let Outcome::Incomplete(reason) = &outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("nothing was recorded: "), "{reason}");
    came_to("the kernel has no type information (BTF)", outcome);
    drop(container);
    fs::remove_dir_all(dir.path("bundles/btf")).unwrap();
    expect_next_complete(&dir, "btf", "btf.2");
    expect_nothing_left(&dir);
}

#[test]
pub(super) fn root_pins_that_go_cost_at_most_completeness() {
    let unmount = |dir: &Dir| {
        run(Command::new("umount").arg("--lazy").arg(dir.path("bpf"))).expect_code(0);
    };
    let remove = |dir: &Dir| fs::remove_dir_all(dir.path("bpf/buildwarden")).unwrap();
    let cases: [(&str, fn(&Dir), bool); 4] = [
        ("the BPF file system is unmounted while a container runs", unmount, false),
        ("the BPF file system is unmounted, and the collector was killed", unmount, true),
        ("the pins are removed while a container runs", remove, false),
        ("the pins are removed, and the collector was killed", remove, true),
    ];
    for (fault, break_it, killed) in cases {
        let dir = Dir::with_bpffs();
        let container = Container::new(&dir, "pins").script(BUILD);
        let mut running = container.start();
        running.ready();
        dir.until_recorded("pins", "/bin/true");
        if killed {
            dir.kill_collector("pins");
        }
        break_it(&dir);
        running.go();
        expect_built(&running.finish());
        let outcome = outcome(&dir, "pins");
        // Who holds them, needs no pins; who comes later does.
        assert_eq!(outcome == Outcome::Complete, !killed, "{fault}: {outcome:?}");
        came_to(fault, outcome);
        dir.expect_nothing_live();
        drop(container);
        fs::remove_dir_all(dir.path("bundles/pins")).unwrap();
        expect_next_complete(&dir, "pins", "pins.2");
        expect_nothing_left(&dir);
    }
}
