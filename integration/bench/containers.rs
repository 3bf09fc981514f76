//! Containers in runc: our hooks against hooks that do nothing, and the shim against runc.

use super::{
    Plan,
    machine::timed,
    table::{Pairs, Row},
};
use crate::harness::{Container, Dir, milliseconds, program, run};
use std::{process::Stdio, time::Instant};

const STAGES: [&str; 2] = ["createRuntime", "poststop"];

pub(super) fn measure(plan: &Plan, rows: &mut Vec<Row>) {
    let dir = Dir::like_a_host();
    let ours = Container::new(&dir, "ours").args(&["/bin/true"]);
    let nothing = program("nothing");
    let other = Container::new(&dir, "other").args(&["/bin/true"]).other_hooks(&nothing, &STAGES);
    let bare = Container::new(&dir, "bare").args(&["/bin/true"]).hooks(&[]);
    // It takes the shim for runc: the shim finds the runtime in PATH by its own name.
    let shim = dir.shim("buildwarden-runc");
    let wrapped = Container::new(&dir, "wrapped").args(&["/bin/true"]).hooks(&[]).runtime(&shim);
    // Loads the probe set.
    once(&ours);

    let pairs = Pairs::measure(plan.containers, || once(&ours), || once(&other));
    rows.push(Row::added("runc run, with our hooks", "ms", &pairs, "hooks: exit(0)", "≤ +1 ms"));
    let pairs = Pairs::measure(plan.pairs, || once(&wrapped), || once(&bare));
    rows.push(Row::added("runc run, through the shim", "ms", &pairs, "runc, no hooks", ""));
    let pairs = Pairs::measure(plan.pairs, || create(&wrapped), || create(&bare));
    rows.push(Row::added("create, through the shim", "ms", &pairs, "runc, no hooks", ""));

    let list = |container: &Container<'_>| {
        let mut list = container.runc(&["list", "--quiet"]);
        list.stdout(Stdio::null());
        list
    };
    let [mut through, mut runc] = [list(&wrapped), list(&bare)];
    let pairs = Pairs::measure(plan.pairs, || timed(&mut through), || timed(&mut runc));
    rows.push(Row::added("list, passed through", "ms", &pairs, "runc", ""));
    drop([ours, other, bare, wrapped]);
    run(&mut dir.buildwarden(["gc", "--unload"])).expect_code(0);
}

/// Milliseconds of its start and its end together.
#[track_caller]
fn once(container: &Container<'_>) -> f64 {
    let begun = Instant::now();
    container.run().expect_code(0);
    milliseconds(begun.elapsed())
}

/// Milliseconds until it is created; then it goes.
#[track_caller]
fn create(container: &Container<'_>) -> f64 {
    container.write_config();
    let mut create = container.create();
    let took = timed(create.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
    run(&mut container.delete()).expect_code(0);
    took
}
