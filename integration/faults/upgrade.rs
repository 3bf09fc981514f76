//! A binary with another kernel side is installed while containers run.

use super::{
    BUILD, Outcome, came_to, expect_built, expect_next_complete, left::expect_nothing_left, outcome,
};
use crate::harness::{Container, Dir, run};
use buildwarden::trace;
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

/// This build's binary, but for the name of its kernel side, which another kernel side would
/// give it: it neither finds nor uses what this one has pinned.
fn another(dir: &Dir) -> PathBuf {
    let pins = trace::pin_directory(Path::new("/"));
    let abi = pins.file_name().unwrap().as_encoded_bytes();
    let mut other = abi.to_vec();
    other[0] = if other[0] == b'0' { b'1' } else { b'0' };
    let mut binary = fs::read(env!("CARGO_BIN_EXE_buildwarden")).unwrap();
    let places: Vec<usize> = memchr::memmem::find_iter(&binary, abi).collect();
    assert!(!places.is_empty());
    for place in places {
        binary[place..place + abi.len()].copy_from_slice(&other);
    }
    let path = dir.path("buildwarden-next");
    fs::write(&path, binary).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
pub(super) fn root_an_upgrade_leaves_live_containers_alone() {
    for killed in [false, true] {
        let dir = Dir::with_bpffs();
        let next = another(&dir);
        let gc = |args: &[&str]| {
            let mut gc = Command::new(&next);
            run(gc.arg("gc").args(args).env("BUILDWARDEN_CONFIG", dir.config())).expect_code(0)
        };
        // Begun by this binary, ended by the next.
        let old = Container::new(&dir, "old").script(BUILD).binary("poststop", &next);
        let mut running = old.start();
        running.ready();
        dir.collector("old");
        if killed {
            dir.kill_collector("old");
        }
        let new = Container::new(&dir, "new").script(BUILD);
        let new = new.binary("createRuntime", &next).binary("poststop", &next);
        let mut beside = new.start();
        beside.ready();
        let pinned = || fs::read_dir(dir.path("bpf/buildwarden")).unwrap().count();
        assert_eq!(pinned(), 2);
        // Neither of those in use is unloaded.
        gc(&["--unload"]);
        assert_eq!(pinned(), 2);
        for running in [&running, &beside] {
            running.go();
        }
        expect_built(&running.finish());
        expect_built(&beside.finish());
        assert_eq!(outcome(&dir, "new"), Outcome::Complete);
        let outcome = outcome(&dir, "old");
        assert_eq!(outcome == Outcome::Complete, !killed, "{outcome:?}");
        came_to(
            match killed {
                true => "an upgrade while a container runs, and its collector is killed",
                false => "an upgrade while a container runs",
            },
            outcome,
        );
        // Whoever upgrades has the new binary alone.
        gc(&["--unload"]);
        assert!(!dir.path("bpf/buildwarden").exists());
        drop(old);
        fs::remove_dir_all(dir.path("bundles/old")).unwrap();
        expect_next_complete(&dir, "old", "old.2");
        expect_nothing_left(&dir);
    }
}
