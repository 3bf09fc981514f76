//! containerd, by `ctr`.

use super::{Engine, Scenario, version};
use crate::harness::{Containerd, rootfs};
use std::fs;

pub(crate) const CONTAINERD: Engine = Engine {
    name: "containerd",
    version: || version("containerd"),
    scenarios: |dir, each| {
        let containerd = Containerd::new(dir);
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
