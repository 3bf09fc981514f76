//! Runtimes by themselves, from a bundle.

use super::{Engine, Scenario};
use crate::harness::{Container, Dir, Release, cgroup2_only, run, youki};
use std::{fs, path::Path, process::Command};

pub(crate) const RUNC: Engine = Engine {
    name: "runc",
    program: || Path::new("runc"),
    release: |_| Release::installed(),
    scenarios: |dir, release, each| {
        let shim = dir.shim("buildwarden-runc");
        each(&bundle(dir, "sh /build.sh", || release.command(&shim)));
    },
};

pub(crate) const NEXT_RUNC: Engine = Engine { release: Release::next_with_cgroup2, ..RUNC };

pub(crate) const CRUN: Engine = Engine {
    name: "crun",
    program: || Path::new("crun"),
    release: |_| Release::installed(),
    scenarios: |dir, _, each| {
        let shim = dir.shim("buildwarden-crun");
        each(&bundle(dir, "sh /build.sh", || with_cgroup2(&shim)));
    },
};

pub(crate) const NEXT_CRUN: Engine = Engine {
    release: Release::next_with_cgroup2,
    scenarios: |dir, release, each| {
        let shim = dir.shim("buildwarden-crun");
        each(&bundle(dir, "sh /build.sh", || release.command(&shim)));
    },
    ..CRUN
};

pub(crate) const YOUKI: Engine = Engine {
    name: "youki",
    program: youki,
    release: |_| Release::installed(),
    scenarios: |dir, _, each| {
        let shim = dir.shim("buildwarden-youki");
        dir.configure(&format!("runtime.youki = {:?}", youki()));
        // `youki run` can miss the end of a container that ends at once, with us or without.
        each(&bundle(dir, "sleep 1; sh /build.sh", || with_cgroup2(&shim)));
    },
};

fn with_cgroup2(program: &Path) -> Command {
    let mut command = cgroup2_only();
    command.arg(program);
    command
}

/// A fresh bundle, and what a runtime makes of it.
fn bundle<'e>(
    dir: &'e Dir,
    script: &'static str,
    runtime: impl Fn() -> Command + 'e,
) -> Scenario<'e> {
    Scenario::new("run", &[1], move |observed| {
        let container = Container::new(dir, "build").script(script).hooks(&[]);
        container.write_config();
        let through = |args: &[&str]| {
            let mut command = runtime();
            command.arg("--root").arg(dir.path("runtime")).args(args);
            run(command.env("BUILDWARDEN_CONFIG", dir.config()))
        };
        let bundle = container.bundle().display().to_string();
        observed.step("run", || through(&["run", "--bundle", &bundle, "build"]));
        observed.step("list", || through(&["list"]));
        observed.files(&container.rootfs());
        fs::remove_dir_all(container.bundle()).unwrap();
    })
}
