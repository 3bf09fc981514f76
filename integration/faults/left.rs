//! What containers that have ended must not leave.

use super::gc;
use crate::harness::{Dir, until};
use buildwarden::{host::cgroup2_mount, trace};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle};
use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, SystemTime},
};

/// `BW_SLOTS` and the states of a slot, of `bpf/record.h`.
const SLOTS: u32 = 2048;
const TAKEN: u32 = 2;

/// One of the maps that are pinned in a directory's own BPF file system.
fn map(dir: &Dir, name: &str) -> MapHandle {
    let path = trace::pin_directory(&dir.bpffs()).join(name);
    MapHandle::from_pinned_path(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_ne_bytes(bytes[..4].try_into().unwrap())
}

/// Nothing of any container is there: no run directory, process, cgroup, scope or slot, and
/// `gc` has nothing more to do. And what the containers share goes when it is asked to: pins, maps.
#[track_caller]
pub(super) fn expect_nothing_left(dir: &Dir) {
    until("the end of all collectors", || {
        dir.processes_with(Some(b"collect")).is_empty().then_some(())
    });
    // Who is killed while it removes a container's directory leaves the rest of it, or the
    // slot, to `gc`, which knows the first from a hook at work by its age.
    for id in dir.live() {
        let run = dir.run().join(id);
        assert!(!run.join("attachment.json").exists(), "{}", run.display());
        let two_hours_ago = SystemTime::now() - Duration::from_secs(7200);
        File::open(run).unwrap().set_modified(two_hours_ago).unwrap();
    }
    gc(dir, &[]).expect_code(0);
    dir.expect_nothing_live();
    assert_eq!(gc(dir, &[]).expect_code(0).stdout(), "");
    let named = cgroups(&cgroup2_mount().unwrap(), &format!("{}.", dir.name()));
    assert_eq!(named, [""; 0]);
    // Loaded by nobody, or unloaded with the file system under it.
    if !trace::pin_directory(&dir.bpffs()).exists() {
        return;
    }

    for name in ["scopes", "pid_namespaces"] {
        assert_eq!(map(dir, name).keys().count(), 0, "{name}");
    }
    let slots = map(dir, "slots");
    let state = |slot: u32| {
        let slot = slots.lookup(&slot.to_ne_bytes(), MapFlags::ANY).unwrap().unwrap();
        number(&slot)
    };
    let taken: Vec<_> = (0..SLOTS).filter(|slot| state(*slot) == TAKEN).collect();
    assert_eq!(taken, [0; 0]);
    drop(slots);
    let maps = maps(dir);
    gc(dir, &["--unload"]).expect_code(0);
    assert!(!dir.bpffs().join("buildwarden").exists());
    // They go with the last program, some time after it is let go.
    let gone = |id: &u32| MapHandle::from_map_id(*id).is_err();
    until("no map of any scope", || maps.iter().all(gone).then_some(()));
}

/// The ids of all maps of the probe set, those of the rings too.
fn maps(dir: &Dir) -> Vec<u32> {
    let pinned = fs::read_dir(trace::pin_directory(&dir.bpffs())).unwrap();
    let names = pinned.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let id = |map: &MapHandle| map.info().unwrap().info.id;
    let mut ids: Vec<u32> =
        names.filter(|name| !name.starts_with("link_")).map(|name| id(&map(dir, &name))).collect();
    let rings = map(dir, "rings");
    let ring = |slot: u32| rings.lookup(&slot.to_ne_bytes(), MapFlags::ANY).ok()?;
    ids.extend((0..SLOTS).filter_map(ring).map(|id| number(&id)));
    ids
}

/// The names of the cgroups at and below `directory` that begin so.
fn cgroups(directory: &Path, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.extend(name.starts_with(prefix).then_some(name));
            found.extend(cgroups(&entry.path(), prefix));
        }
    }
    found
}
