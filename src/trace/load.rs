//! Loads the probe set: once a host, by whoever comes first.

use super::{
    OBJECT, TraceError, messages, names,
    probe_set::{Setup, create_ring, directory, insert, make_directory, open_map, pin_directory},
    slots::{READY, SLOTS, SlotId, SlotTable},
};
use libbpf_rs::{
    MapCore as _, MapHandle, MapType, Object, ObjectBuilder, libbpf_sys::bpf_map_create_opts,
};
use std::{
    os::fd::{AsFd as _, AsRawFd as _},
    path::Path,
    sync::atomic::Ordering,
    thread,
};

/// The slot that gets a ring at once.
const FIRST: SlotId = SlotId(0);

/// Loads the object, attaches its programs and pins everything; the directory
/// appears under its name only when it is complete.
pub(super) fn load(setup: &Setup<'_>) -> Result<(), TraceError> {
    let dir = pin_directory(setup.bpffs);
    // No dot: the BPF file system refuses names with one.
    let staging = dir.with_file_name(concat!(env!("BUILDWARDEN_ABI"), "-loading"));
    // What a loader that was killed has left.
    if staging.exists() {
        std::fs::remove_dir_all(&staging).map_err(|e| directory(&staging, "remove", &e))?;
    }
    make_directory(&staging)?;

    messages::keep();
    let first = create_ring(setup.ring_bytes)?;
    let rings = create_rings(&first)?;
    thread::scope(|scope| {
        // Waits for an RCU grace period, while the kernel's types are read and the programs
        // verified. Who finds no ring ready makes one, and says what goes wrong with that.
        let inserting =
            thread::Builder::new().spawn_scoped(scope, || insert(&rings, FIRST, &first).is_ok());
        pin(load_object(&rings)?, &staging, setup)?;
        if inserting.is_ok_and(|inserting| inserting.join().unwrap_or(false)) {
            let slots = open_map(&staging, "slots")?;
            let slots =
                SlotTable::all(slots.as_fd()).map_err(|e| TraceError::bpf("map slots", e))?;
            slots.get(FIRST).state.store(READY, Ordering::Release);
        }
        Ok(())
    })?;
    std::fs::rename(&staging, &dir).map_err(|e| directory(&dir, "rename to", &e))
}

/// Makes `rings` of `bpf/maps.h` ahead of all others. Every ring is like `one` but for its size.
fn create_rings(one: &MapHandle) -> Result<MapHandle, TraceError> {
    let options = bpf_map_create_opts {
        sz: size_of::<bpf_map_create_opts>() as _,
        inner_map_fd: one.as_fd().as_raw_fd() as u32,
        ..Default::default()
    };
    let number = size_of::<u32>() as u32;
    MapHandle::create(MapType::ArrayOfMaps, Some("rings"), number, number, SLOTS, &options)
        .map_err(|e| TraceError::bpf("create the map of rings", e))
}

/// Has the kernel take the other maps and the programs.
fn load_object(rings: &MapHandle) -> Result<Object, TraceError> {
    let load = || {
        let mut open = ObjectBuilder::default().open_memory(OBJECT)?;
        for mut map in open.maps_mut().filter(|map| map.name() == "rings") {
            map.reuse_fd(rings.as_fd())?;
        }
        open.load()
    };
    load().map_err(|e| TraceError::bpf("load the probe set", e))
}

/// Attaches the programs, and pins their links and the maps in `staging`.
fn pin(mut object: Object, staging: &Path, setup: &Setup<'_>) -> Result<(), TraceError> {
    let failed = |what: &'static str| move |e: libbpf_rs::Error| TraceError::bpf(what, e);
    for mut map in object.maps_mut() {
        let path = staging.join(map.name());
        map.pin(&path).map_err(failed("pin a map"))?;
    }
    names::add(&open_map(staging, "names")?, &(setup.names)())?;
    for program in object.progs_mut() {
        let mut link = program.attach().map_err(failed("attach a program"))?;
        let path = staging.join(format!("link_{}", program.name().to_string_lossy()));
        link.pin(&path).map_err(failed("pin a link"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its type information would be refused before Linux 5.12, and every function be verified
    /// at each of its calls; and the BPF file system takes no name with a dot.
    #[test]
    fn the_object_has_no_data_of_the_compiler_s() {
        for section in [".rodata", ".data", ".bss"] {
            let has = OBJECT.windows(section.len()).any(|bytes| bytes == section.as_bytes());
            assert!(!has, "{section}: something in bpf/ is initialised to more than zeros");
        }
    }
}
