//! podman, and buildah with the same storage.

use super::{
    Engine, Scenario,
    cli::{self, Cli},
    without_ids,
};
use crate::harness::{Dir, Done, Podman, Release};
use std::path::Path;

impl Cli for Podman<'_> {
    fn command(&self, args: &[&str]) -> Done {
        self.podman(args)
    }

    fn run(&self, options: &[&str], script: &str) -> Done {
        Podman::run(self, &[options, &["img:1", "sh", "-c", script]].concat())
    }
}

pub(crate) const PODMAN: Engine = Engine {
    name: "podman",
    program: || Path::new("podman"),
    release: |_| Release::installed(),
    scenarios: |dir, release, each| {
        let podman = Podman::of(dir, release);
        each(&cli::in_foreground(&podman, dir));
        each(&cli::exec(&podman, dir));
        let again: &[&[&str]] = &[&["stop", "--time", "0", "build"], &["start", "build"]];
        each(&cli::again("stop, start", again, &podman, dir));
        each(&cli::killed(&podman, dir));
        let line = |line: &str| Some(without_ids(line));
        let build = |options: &[&str], file: &str| podman.build(options, file);
        each(&cli::build("build", &podman, dir, line, build));
        each(&pod(&podman, dir));
    },
};

pub(crate) const NEXT_PODMAN: Engine = Engine { release: Release::next_with_cgroup2, ..PODMAN };

pub(crate) const BUILDAH: Engine = Engine {
    name: "buildah",
    program: || Path::new("buildah"),
    release: |_| Release::installed(),
    scenarios: |dir, release, each| {
        let podman = Podman::of(dir, release);
        let line = |line: &str| Some(without_ids(line));
        let bud = |options: &[&str], file: &str| podman.buildah(options, file);
        each(&cli::build("bud", &podman, dir, line, bud));
        each(&buildah_run(&podman));
    },
};

pub(crate) const NEXT_BUILDAH: Engine = Engine { release: Release::next_with_cgroup2, ..BUILDAH };

/// A member of a pod. Nothing in the configuration of podman's infra container tells it from
/// others: it has a report too.
fn pod<'e>(podman: &'e Podman<'_>, dir: &'e Dir) -> Scenario<'e> {
    Scenario::new("pod", &[0, 1], move |observed| {
        let ids = |line: &str| Some(without_ids(line));
        let parent = format!("/{}", dir.name());
        let create = ["pod", "create", "--name", "pod", "--network", "none"];
        let infra = ["--infra-image", "img:1", "--infra-command", "sleep 600"];
        let create = [&create[..], &infra, &["--cgroup-parent", &parent]].concat();
        observed.lines("pod create", ids, || podman.podman(&create));
        observed.step("run", || {
            let member = ["run", "--pod", "pod", "--name", "build", "img:1", "sh", "/build.sh"];
            podman.podman(&member)
        });
        cli::state(podman, observed);
        observed.lines("pod rm", ids, || {
            podman.podman(&["pod", "rm", "--force", "--time", "0", "pod"])
        });
    })
}

fn buildah_run<'e>(podman: &'e Podman<'_>) -> Scenario<'e> {
    Scenario::new("run", &[1], move |observed| {
        // What a scenario that failed has left: mostly nothing.
        podman.buildah_with_host_hooks(&["rm", "build"]);
        let from = ["from", "--name", "build", "--network", "none", "img:1"];
        podman.buildah_with_host_hooks(&from).expect_code(0);
        observed.lines("run", without_hint, || {
            let run = ["run", "--network", "none", "--runtime", podman.runtime(), "build", "--"];
            podman.buildah_with_host_hooks(&[&run[..], &["sh", "/build.sh"]].concat())
        });
        let mounted = podman.buildah_with_host_hooks(&["mount", "build"]).expect_code(0).stdout();
        observed.files(mounted.trim_end().as_ref());
        podman.buildah_with_host_hooks(&["rm", "build"]).expect_code(0);
    })
}

/// buildah says so of each hook that it was not told of; `run` cannot be told.
fn without_hint(line: &str) -> Option<String> {
    (!line.contains("Implicit hook directories are deprecated")).then(|| line.to_owned())
}
