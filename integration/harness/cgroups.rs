//! Cgroups that engines leave.

use super::wait::DEADLINE;
use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// Removes a cgroup that others may use too, if nobody does.
pub(super) fn remove_empty(name: &str) {
    for mount in mounts() {
        // Not empty, or not there.
        let _ = fs::remove_dir(mount.join(name));
    }
}

/// Removes a cgroup with what is below it, in all hierarchies: from their roots, and
/// from this process's own cgroup, below which an engine may have put it.
pub(super) fn remove(name: &str) {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().filter_map(|line| line.splitn(3, ':').nth(2)).map(|path| &path[1..]);
    let parents: Vec<&str> = own.chain([""]).collect();
    for mount in mounts() {
        for parent in &parents {
            remove_tree(&mount.join(parent).join(name));
        }
    }
}

fn remove_tree(cgroup: &Path) {
    // Not there when nothing ran.
    let Ok(entries) = fs::read_dir(cgroup) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir())) {
        remove_tree(&entry.path());
    }
    // An engine's last process may be on its way out.
    let start = Instant::now();
    while fs::remove_dir(cgroup).is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy)
        && start.elapsed() < DEADLINE
    {
        thread::sleep(Duration::from_millis(5));
    }
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
