//! Which steps belong to one build, where builds run side by side and nobody says.

use crate::harness::{Dir, Docker, Done, Podman, Release};
use std::{collections::BTreeMap, fs, thread};

/// A build of three steps. With `sync`, a directory that both builds share, each of them
/// waits for the other build's.
fn containerfile(own: char, other: char, sync: Option<&str>) -> String {
    let mut text = "FROM img:1\n".to_owned();
    for step in 1..=3 {
        let wait = match sync {
            Some(mount) => format!(
                "RUN {mount} :>/sync/{own}{step}; until [ -e /sync/{other}{step} ]; do sleep 0.02; done; "
            ),
            None => "RUN ".to_owned(),
        };
        text += &format!("{wait}: step {own}{step}\n");
    }
    text
}

/// Runs two builds side by side; the build of each step, and what told it, by the step.
#[track_caller]
fn side_by_side(
    dir: &Dir,
    sync: Option<&str>,
    build: impl Fn(&str) -> Done + Sync,
) -> BTreeMap<String, (String, String)> {
    thread::scope(|scope| {
        let builds = [('a', 'b'), ('b', 'a')].map(|(own, other)| {
            let build = &build;
            scope.spawn(move || build(&containerfile(own, other, sync)))
        });
        for build in builds {
            build.join().unwrap().expect_code(0);
        }
    });
    builds(dir)
}

/// The build of each step on record.
fn builds(dir: &Dir) -> BTreeMap<String, (String, String)> {
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
fn expect_two(builds: &BTreeMap<String, (String, String)>, source: &str) {
    let names: Vec<&str> = builds.keys().map(String::as_str).collect();
    assert_eq!(names, ["a1", "a2", "a3", "b1", "b2", "b3"]);
    for (step, build) in builds {
        assert_eq!(build.1, source, "{builds:?}");
        assert_eq!(*build == builds["a1"], step.starts_with('a'), "{builds:?}");
        assert_eq!(*build == builds["b1"], step.starts_with('b'), "{builds:?}");
    }
}

fn buildkit_builds_are_told_apart(dir: &Dir, docker: &Docker<'_>) {
    let mount = Some("--mount=type=cache,id=sync,target=/sync");
    let found = side_by_side(dir, mount, |text| docker.build(true, &[], text));
    expect_two(&found, "built upon");

    // Its first step is `a`'s, from the cache.
    let text = containerfile('a', 'b', mount).lines().take(2).collect::<Vec<_>>().join("\n");
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
    buildkit_builds_are_told_apart(&dir, &Docker::with_usual_cgroups(&dir, Release::installed()));
}

#[test]
fn root_next_buildkit_builds_side_by_side_are_told_apart() {
    let dir = Dir::new();
    buildkit_builds_are_told_apart(&dir, &Docker::with_usual_cgroups(&dir, Release::next(&dir)));
}

fn classic_builds_are_told_apart(dir: &Dir, docker: &Docker<'_>) {
    // Nothing that two of its builds could meet in.
    let found = side_by_side(dir, None, |text| docker.build(false, &[], text));
    expect_two(&found, "built upon");
    // No step of a build.
    docker.run(&["--rm", "--name", "no-step"], "true").expect_code(0);
    let run = dir.runs().into_iter().find(|run| {
        let step = dir.report(run).container.step.unwrap();
        step.command.last().is_some_and(|script| **script == *b"true")
    });
    assert_eq!(dir.report(&run.unwrap()).container.step.unwrap().build, None);
    dir.expect_nothing_live();
}

#[test]
fn root_classic_builds_side_by_side_are_told_apart() {
    let dir = Dir::new();
    classic_builds_are_told_apart(&dir, &Docker::with_usual_cgroups(&dir, Release::installed()));
}

#[test]
fn root_next_classic_builds_side_by_side_are_told_apart() {
    let dir = Dir::new();
    classic_builds_are_told_apart(&dir, &Docker::with_usual_cgroups(&dir, Release::next(&dir)));
}

fn buildah_builds_are_told_apart(release: impl Fn(&Dir) -> Release) {
    for buildah in [false, true] {
        let dir = Dir::new();
        let podman = Podman::of(&dir, release(&dir));
        let sync = dir.path("sync");
        fs::create_dir(&sync).unwrap();
        let volume = format!("{}:/sync", sync.display());
        let options = ["--volume", &volume];
        let found = side_by_side(&dir, Some(""), |text| {
            if buildah { podman.buildah(&options, text) } else { podman.build(&options, text) }
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
