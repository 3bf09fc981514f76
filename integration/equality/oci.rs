//! Runtimes by themselves, from a bundle.

use super::{Engine, Observed, Scenario, version};
use crate::harness::{Container, Dir, Done, cgroup2_only, run};
use std::{fs, process::Command};

pub(crate) const RUNC: Engine = Engine {
    name: "runc",
    version: || version("runc"),
    scenarios: |dir, each| {
        dir.shim("buildwarden-runc");
        let through = |container: &Container<'_>| {
            let mut command = Command::new(dir.shim("buildwarden-runc"));
            command.arg("--root").arg(dir.path("runc")).args(["run", "--bundle"]);
            run(command
                .arg(container.bundle())
                .arg("build")
                .env("BUILDWARDEN_CONFIG", dir.config()))
        };
        each(&Scenario::new("run", &[1], |observed| bundle(dir, observed, through)));
    },
};

pub(crate) const CRUN: Engine = Engine {
    name: "crun",
    version: || version("crun"),
    scenarios: |dir, each| {
        dir.shim("buildwarden-crun");
        let through = |container: &Container<'_>| {
            let mut command = cgroup2_only();
            command.arg(dir.shim("buildwarden-crun")).arg("--root").arg(dir.path("crun"));
            command.args(["run", "--bundle"]).arg(container.bundle()).arg("build");
            run(command.env("BUILDWARDEN_CONFIG", dir.config()))
        };
        each(&Scenario::new("run", &[1], |observed| bundle(dir, observed, through)));
    },
};

/// A fresh bundle, and what a runtime makes of it.
fn bundle(dir: &Dir, observed: &mut Observed, through: impl Fn(&Container<'_>) -> Done) {
    let container = Container::new(dir, "build").args(&["/bin/sh", "/build.sh"]).hooks(&[]);
    container.write_config();
    observed.step("run", || through(&container));
    observed.files(&container.rootfs());
    fs::remove_dir_all(container.bundle()).unwrap();
}
