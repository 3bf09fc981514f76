//! What there is of Buildwarden on this machine, of one directory's configuration.

use crate::harness::{Dir, until};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle, MapType, query};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// How much of each there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Inventory {
    /// Rings in the slots of the probe set.
    pub(super) rings: usize,
    /// Files in its bpffs.
    pub(super) pins: usize,
    /// Processes of Buildwarden.
    pub(super) processes: usize,
    /// Their descriptors.
    pub(super) descriptors: usize,
    /// Their resident memory, KiB.
    pub(super) memory: usize,
    /// Directories of live containers.
    pub(super) live: usize,
    /// Cgroups of its containers.
    pub(super) cgroups: usize,
}

impl Inventory {
    /// What has a name, and a way to read it.
    pub(super) const COLUMNS: [(&str, fn(&Inventory) -> usize); 7] = [
        ("rings", |all| all.rings),
        ("pins", |all| all.pins),
        ("processes", |all| all.processes),
        ("descriptors", |all| all.descriptors),
        ("memory KiB", |all| all.memory),
        ("run directories", |all| all.live),
        ("cgroups", |all| all.cgroups),
    ];

    /// The highest of each.
    pub(super) fn peak(&self, other: &Inventory) -> Inventory {
        Inventory {
            rings: self.rings.max(other.rings),
            pins: self.pins.max(other.pins),
            processes: self.processes.max(other.processes),
            descriptors: self.descriptors.max(other.descriptors),
            memory: self.memory.max(other.memory),
            live: self.live.max(other.live),
            cgroups: self.cgroups.max(other.cgroups),
        }
    }
}

/// What in the kernel has a number: every one that was ever ours.
#[derive(Debug, Default)]
pub(super) struct Kernel {
    maps: BTreeSet<u32>,
    programs: BTreeSet<u32>,
}

impl Kernel {
    /// Takes stock, and remembers the numbers.
    pub(super) fn take_stock(&mut self, dir: &Dir) -> Inventory {
        let pins = files(&dir.path("bpf/buildwarden"));
        let mut rings = BTreeSet::new();
        for pin in &pins {
            // A link is none, and what is being loaded may be gone again.
            let Ok(map) = MapHandle::from_pinned_path(pin) else { continue };
            let Ok(info) = map.info() else { continue };
            self.maps.insert(info.info.id);
            if map.map_type() == MapType::ArrayOfMaps {
                rings = inner(&map);
            }
        }
        self.maps.extend(&rings);
        self.programs.extend(programs_of(&pins));
        let processes = dir.processes();
        Inventory {
            rings: rings.len(),
            pins: pins.len(),
            processes: processes.len(),
            descriptors: processes.iter().map(|pid| descriptors(pid.as_raw())).sum(),
            memory: processes.iter().filter_map(|pid| resident(pid.as_raw())).sum(),
            live: dir.live().iter().filter(|name| dir.run().join(name).is_dir()).count(),
            cgroups: cgroups(dir.name()),
        }
    }

    /// How many maps and programs were ours.
    pub(super) fn known(&self) -> (usize, usize) {
        (self.maps.len(), self.programs.len())
    }

    /// Waits until the kernel has freed them all, which it does some time later.
    #[track_caller]
    pub(super) fn expect_gone(&self) {
        until("the kernel to free our maps and programs", || {
            let maps: BTreeSet<u32> = query::MapInfoIter::default().map(|info| info.id).collect();
            let programs: BTreeSet<u32> =
                query::ProgInfoIter::default().map(|info| info.id).collect();
            (self.maps.is_disjoint(&maps) && self.programs.is_disjoint(&programs)).then_some(())
        });
    }
}

/// The numbers of the maps in an array of maps.
fn inner(map: &MapHandle) -> BTreeSet<u32> {
    let ids = (0..map.max_entries()).filter_map(|slot| {
        let id = map.lookup(&slot.to_ne_bytes(), MapFlags::ANY).ok()??;
        Some(u32::from_ne_bytes(id.try_into().ok()?))
    });
    ids.filter(|id| *id != 0).collect()
}

/// The numbers of the programs whose links are pinned.
fn programs_of(pins: &[PathBuf]) -> BTreeSet<u32> {
    let links = pins.iter().filter(|pin| {
        pin.file_name().is_some_and(|name| name.to_string_lossy().starts_with("link_"))
    });
    let info = |pin: &PathBuf| libbpf_rs::Link::open(pin).ok()?.info().ok();
    links.filter_map(info).map(|info| info.prog_id).collect()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// How many descriptors a process has; 0 when it has ended.
pub(super) fn descriptors(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// A process's resident memory in KiB, without what is its file; none when it has ended.
pub(super) fn resident(pid: i32) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    field.trim().strip_suffix(" kB")?.parse().ok()
}

/// Cgroups of containers whose directory has this name.
fn cgroups(name: &str) -> usize {
    let prefix = format!("{name}.");
    let root = buildwarden::host::cgroup2_mount().unwrap();
    let entries = fs::read_dir(root).unwrap().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)).count()
}
