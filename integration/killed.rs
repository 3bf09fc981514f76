//! The shim, killed at each of its system calls.

use crate::{
    faults::{Outcome, came_to},
    harness::{Container, Dir, program, run},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What a bundle holds beside what its runtime gets.
fn strays(bundle: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(bundle).unwrap().map(|entry| entry.unwrap().path());
    let is_stray = |path: &PathBuf| {
        !["config.json", "rootfs", "sync"].contains(&path.file_name().unwrap().to_str().unwrap())
    };
    entries.filter(is_stray).collect()
}

#[test]
pub(crate) fn root_the_shim_killed_at_any_system_call_leaves_a_whole_config_json() {
    let dir = Dir::new();
    dir.configure("runtime.runc = '/bin/true'");
    let (shim, fault_at) = (dir.shim("buildwarden-runc"), program("fault-at"));
    let container = Container::new(&dir, "killed").hooks(&[]);
    container.write_config();
    let (bundle, config) = (container.bundle(), container.bundle().join("config.json"));
    let create = |mut command: Command| {
        command.arg("create").arg("--bundle").arg(&bundle).arg("killed");
        run(command.env("BUILDWARDEN_CONFIG", dir.config())).code
    };
    let old = fs::read(&config).unwrap();
    assert_eq!(create(Command::new(&shim)), 0);
    let new = fs::read(&config).unwrap();
    assert!(new != old);

    // How often the old one stood alone, the old one with a file beside it, the new one.
    let mut seen = [0; 3];
    for call in 1.. {
        fs::write(&config, &old).unwrap();
        let mut killed = Command::new(&fault_at);
        killed.args(["it", "kill", &call.to_string(), "/dev/null"]).arg(&shim);
        match create(killed) {
            0 => break,
            code => assert_eq!(code, 128 + 9, "call {call}"),
        }
        let found = fs::read(&config).unwrap();
        let left = strays(&bundle);
        assert!(found == old || found == new, "call {call}: {}", found.escape_ascii());
        let only = left
            .iter()
            .all(|path| path.file_name().unwrap().to_str().unwrap().starts_with(".config.json."));
        assert!(only && left.len() <= usize::from(found == old), "call {call}: {left:?}");
        seen[if found == new { 2 } else { left.len() }] += 1;
        // The next start is as any other, whatever lies there.
        assert_eq!(create(Command::new(&shim)), 0, "call {call}");
        assert!(fs::read(&config).unwrap() == new, "call {call}");
        assert_eq!(strays(&bundle), left, "call {call}");
        came_to("the shim is SIGKILLed before its Nth system call", Outcome::NotStarted);
        left.iter().for_each(|path| fs::remove_file(path).unwrap());
    }
    assert!(seen.iter().all(|times| *times > 0), "{seen:?}");
}
