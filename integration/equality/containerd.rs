//! containerd, by `ctr`.

use super::{Engine, Scenario};
use crate::harness::{Containerd, Release, rootfs};
use std::{fs, path::Path};

pub(crate) const CONTAINERD: Engine = Engine {
    name: "containerd",
    program: || Path::new("containerd"),
    release: |_| Release::installed(),
    scenarios: |dir, release, each| {
        let containerd = Containerd::of(dir, release);
        let shim = dir.shim("buildwarden-runc");
        each(&Scenario::new("ctr run", &[1], |observed| {
            let root = rootfs(dir);
            let options = ["--runc-binary", shim.to_str().unwrap()];
            observed.step("run", || containerd.run(&options, &root, "build", &["/build.sh"]));
            let info = containerd.ctr(&["container", "info", "build"]);
            observed.state("container", &info);
            observed.step("task", || containerd.ctr(&["task", "ls"]));
            observed.files(&root);
            containerd.ctr(&["container", "rm", "build"]).expect_code(0);
            fs::remove_dir_all(root).unwrap();
        }));
    },
};

pub(crate) const NEXT_CONTAINERD: Engine = Engine { release: Release::next, ..CONTAINERD };
