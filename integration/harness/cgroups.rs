//! Cgroups that engines leave.

use std::{fs, path::PathBuf};

/// Removes a cgroup with what is below it, in all hierarchies.
pub(super) fn remove(name: &str) {
    for mount in mounts() {
        remove_tree(&mount.join(name));
    }
}

fn remove_tree(cgroup: &PathBuf) {
    // Not there when nothing ran.
    let Ok(entries) = fs::read_dir(cgroup) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir())) {
        remove_tree(&entry.path());
    }
    let _ = fs::remove_dir(cgroup);
}

/// Where cgroup hierarchies are mounted, of either version.
fn mounts() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut found = Vec::new();
    for line in mounts.lines() {
        if let [_, path, "cgroup" | "cgroup2", ..] = line.split(' ').collect::<Vec<_>>()[..] {
            found.push(PathBuf::from(path));
        }
    }
    found
}
