//! Which steps belong to one build, where builds run side by side and nobody says.

use crate::harness::{Dir, Docker, Done, Podman, Release, until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{collections::BTreeMap, fs, thread};

/// A build of three steps, each of which runs until it is told to end.
fn containerfile(name: char) -> String {
    let steps = (1..=3).map(|step| format!("RUN {WAIT}; : step {name}{step}\n"));
    format!("FROM img:1\n{}", steps.collect::<String>())
}

const WAIT: &str = "trap 'exit 0' USR1; while :; do sleep 0.02; done";

/// Runs two builds side by side, step by step; the build of each step, and what told it,
/// by the step.
#[track_caller]
fn side_by_side(dir: &Dir, build: impl Fn(&str) -> Done + Sync) -> Builds {
    thread::scope(|scope| {
        let builds = ['a', 'b'].map(|name| {
            let build = &build;
            scope.spawn(move || build(&containerfile(name)))
        });
        for _ in 1..=3 {
            let both = until("a step of each build", || {
                let live = dir.live();
                (live.len() == 2).then_some(live)
            });
            until("the end of both steps", || {
                let live = both.iter().filter(|id| dir.live().contains(id));
                // Who has no handler yet is not ended by it: they are their namespaces' first.
                live.clone().filter_map(|id| first_process(dir, id)).for_each(tell_to_end);
                (live.count() == 0).then_some(())
            });
        }
        for build in builds {
            build.join().unwrap().expect_code(0);
        }
    });
    builds(dir)
}

/// The host's pid of a live container's first process.
fn first_process(dir: &Dir, id: &str) -> Option<Pid> {
    let attachment = fs::read(dir.run().join(id).join("attachment.json")).ok()?;
    let attachment: Value = serde_json::from_slice(&attachment).ok()?;
    Some(Pid::from_raw(attachment["attached"]["pid"].as_i64()?.try_into().ok()?))
}

fn tell_to_end(process: Pid) {
    // It may have ended.
    let _ = kill(process, Signal::SIGUSR1);
}

/// The build of each step, and what told it, by the step's name.
type Builds = BTreeMap<String, (String, String)>;

/// The build of each step on record.
fn builds(dir: &Dir) -> Builds {
    let of = |run: &String| {
        let report = dir.report(run);
        assert_eq!(report.completeness.reasons, [""; 0], "{run}");
        assert_eq!(report.job, None, "{run}");
        let step = report.container.step.unwrap();
        let script = String::from_utf8(step.command.last().unwrap().to_vec()).unwrap();
        let name = script.rsplit(' ').next().unwrap().to_owned();
        let build = step.build.unwrap_or_else(|| panic!("{run}: {script}"));
        (name, (build.id, build.source))
    };
    dir.runs().iter().map(of).collect()
}

#[track_caller]
fn expect_two(builds: &Builds, source: &str) {
    let names: Vec<&str> = builds.keys().map(String::as_str).collect();
    assert_eq!(names, ["a1", "a2", "a3", "b1", "b2", "b3"]);
    for (step, build) in builds {
        assert_eq!(build.1, source, "{builds:?}");
        assert_eq!(*build == builds["a1"], step.starts_with('a'), "{builds:?}");
        assert_eq!(*build == builds["b1"], step.starts_with('b'), "{builds:?}");
    }
}

fn buildkit_builds_are_told_apart(dir: &Dir, docker: &Docker<'_>) {
    let found = side_by_side(dir, |text| docker.build(true, &[], text));
    expect_two(&found, "built upon");

    // Its first step is `a`'s, from the cache.
    let text = containerfile('a').lines().take(2).collect::<Vec<_>>().join("\n");
    let text = text + "\nRUN : step c2\nRUN : step c3\n";
    let before = dir.runs().len();
    let done = docker.build_cached(true, &[], &text).expect_code(0);
    assert_eq!(dir.runs().len(), before + 2, "{done}");
    let found = builds(dir);
    assert_eq!(found["c2"], found["c3"]);
    assert!(found["c2"] != found["a1"] && found["c2"] != found["b1"], "{found:?}");
    dir.expect_nothing_live();
}

#[test]
fn root_buildkit_builds_side_by_side_are_told_apart() {
    let dir = Dir::new();
    buildkit_builds_are_told_apart(
        &dir,
        &Docker::with_usual_cgroups(&dir, Release::installed(), &[]),
    );
}

#[test]
fn root_next_buildkit_builds_side_by_side_are_told_apart() {
    // The second is what newer ones do by themselves: images are containerd's.
    for options in [&[][..], &["--feature=containerd-snapshotter=true"]] {
        let dir = Dir::new();
        let docker = Docker::with_usual_cgroups(&dir, Release::next(&dir), options);
        buildkit_builds_are_told_apart(&dir, &docker);
    }
}

fn classic_builds_are_told_apart(dir: &Dir, docker: &Docker<'_>) {
    let found = side_by_side(dir, |text| docker.build(false, &[], text));
    expect_two(&found, "built upon");
    // No step of a build.
    docker.run(&["--rm", "--name", "no-step"], "true").expect_code(0);
    let run = dir.runs().into_iter().find(|run| {
        let step = dir.report(run).container.step.unwrap();
        step.command.last().is_some_and(|script| **script == *b"true")
    });
    assert_eq!(dir.report(&run.unwrap()).container.step.unwrap().build, None);

    // An image from elsewhere that says it was made of `a`'s last step.
    docker.load_image("claims:1", &run_of(dir, "a3"));
    docker.build(false, &[], "FROM claims:1\nRUN : step h1\n").expect_code(0);
    let run = run_of(dir, "h1");
    let build = dir.report(&run).container.step.unwrap().build.unwrap();
    assert_eq!((build.id, build.source.as_str()), (run, "built upon"));
    dir.expect_nothing_live();
}

/// The run of a step by its name.
#[track_caller]
fn run_of(dir: &Dir, name: &str) -> String {
    let is_it = |run: &String| {
        let step = dir.report(run).container.step.unwrap();
        step.command.last().is_some_and(|script| script.ends_with(format!(" {name}").as_bytes()))
    };
    dir.runs().into_iter().find(is_it).unwrap()
}

#[test]
fn root_classic_builds_side_by_side_are_told_apart() {
    let dir = Dir::new();
    classic_builds_are_told_apart(
        &dir,
        &Docker::with_usual_cgroups(&dir, Release::installed(), &[]),
    );
}

#[test]
fn root_next_classic_builds_side_by_side_are_told_apart() {
    let dir = Dir::new();
    classic_builds_are_told_apart(
        &dir,
        &Docker::with_usual_cgroups(&dir, Release::next(&dir), &[]),
    );
}

fn buildah_builds_are_told_apart(release: impl Fn(&Dir) -> Release) {
    for buildah in [false, true] {
        let dir = Dir::new();
        let podman = Podman::of(&dir, release(&dir));
        let found = side_by_side(&dir, |text| {
            if buildah { podman.buildah(&[], text) } else { podman.build(&[], text) }
        });
        expect_two(&found, "builder process");
        dir.expect_nothing_live();
    }
}

#[test]
fn root_buildah_builds_side_by_side_are_told_apart() {
    buildah_builds_are_told_apart(|_| Release::installed());
}

#[test]
fn root_next_buildah_builds_side_by_side_are_told_apart() {
    buildah_builds_are_told_apart(Release::next_with_cgroup2);
}
