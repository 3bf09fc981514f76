//! The collector's end of a scope: its ring, its counters, its spill buffers.

use super::{
    ProbeSet, TraceError,
    mapping::Mapping,
    ring::{Position, Ring},
    slots::{Counters, HostFacts, SPILL_SIZE, SPILLS, SlotId, SlotTable},
};
use libbpf_rs::{Link, MapCore as _, MapFlags, MapHandle};
use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::fs::FileExt as _,
    },
    sync::atomic::Ordering,
};

/// What drains one scope. Made with privileges, used without.
#[derive(Debug)]
pub struct Drain {
    slot: SlotId,
    ring: Ring,
    counters: SlotTable,
    host: HostFacts,
    spill_map: OwnedFd,
    links: Vec<HeldLink>,
    registered: Registered,
}

/// What leads the kernel from a process to the ring, as it was when the drain began.
#[derive(Debug)]
struct Registered {
    scopes: MapHandle,
    cgroup: u64,
    pid_namespaces: MapHandle,
    pid_namespace: u32,
    rings: MapHandle,
    ring: u32,
}

impl Drain {
    /// Opens the ring and counters of `slot`.
    ///
    /// # Errors
    /// When the slot has no ring, or the kernel refuses.
    pub fn open(probes: &ProbeSet, slot: SlotId) -> Result<Drain, TraceError> {
        let mapped = |e: nix::Error| TraceError::bpf("map the ring", e);
        let id = probes
            .map("rings")?
            .lookup(&slot.0.to_ne_bytes(), MapFlags::ANY)
            .map_err(|e| TraceError::bpf("look up the ring", e))?
            .and_then(|id| id.try_into().ok())
            .map(u32::from_ne_bytes)
            .ok_or_else(|| {
                TraceError::Unknown(probes.slots.get(slot).cgroup.load(Ordering::Acquire))
            })?;
        let ring = MapHandle::from_map_id(id).map_err(|e| TraceError::bpf("open the ring", e))?;
        let size = ring.max_entries() as usize;
        let ring = owned(&ring)?;
        let of = probes.slots.get(slot);
        let registered = Registered {
            scopes: probes.map("scopes")?,
            cgroup: of.cgroup.load(Ordering::Acquire),
            pid_namespaces: probes.map("pid_namespaces")?,
            pid_namespace: of.pid_namespace.load(Ordering::Acquire),
            rings: probes.map("rings")?,
            ring: id,
        };
        let links = probes.links()?.into_iter().map(HeldLink::new).collect::<io::Result<_>>();
        Ok(Drain {
            slot,
            registered,
            ring: Ring::new(ring, size).map_err(mapped)?,
            counters: SlotTable::pages_of(probes.map("slots")?.as_fd(), slot).map_err(mapped)?,
            host: HostFacts::new(probes.map("host")?.as_fd()).map_err(mapped)?,
            spill_map: owned(&probes.map("spills")?)?,
            links: links.map_err(|e| TraceError::bpf("look at a link", e))?,
        })
    }

    /// The slot it drains.
    pub fn slot(&self) -> SlotId {
        self.slot
    }

    /// Readable when there are records: wait on it edge-triggered.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }

    /// Data bytes the ring holds.
    pub fn ring_bytes(&self) -> u64 {
        self.ring.size()
    }

    /// What the kernel counted so far.
    pub fn counters(&self) -> Counters {
        self.counters.counters(self.slot)
    }

    /// Whether all programs are still attached.
    pub fn programs_attached(&self) -> bool {
        !self.links.is_empty() && self.links.iter().all(HeldLink::is_attached)
    }

    /// What somebody has taken away that leads from the container's processes to its ring:
    /// from then on execs were neither recorded nor counted. The pid namespace's part of it
    /// means something only to who holds the one of that number: it is given again once that
    /// is gone. Before Linux 5.19 only who is privileged is told anything.
    pub fn unregistered(&self, held_namespace: Option<u64>) -> Vec<&'static str> {
        let Registered { scopes, cgroup, pid_namespaces, pid_namespace, rings, ring } =
            &self.registered;
        let slot = self.slot.0;
        let keeps = |map: &MapHandle, key: &[u8], want: u32| {
            let found = map.lookup(key, MapFlags::ANY);
            found.map_or(true, |found| found.as_deref() == Some(&want.to_ne_bytes()))
        };
        let mut gone = Vec::new();
        if !keeps(scopes, &cgroup.to_ne_bytes(), slot) {
            gone.push("cgroup");
        }
        let of_namespace = held_namespace == Some((*pid_namespace).into());
        if of_namespace && !keeps(pid_namespaces, &pid_namespace.to_ne_bytes(), slot) {
            gone.push("pid namespace");
        }
        if !keeps(rings, &slot.to_ne_bytes(), *ring) {
            gone.push("ring");
        }
        gone
    }

    /// Visits up to about `limit` bytes of records that were not committed yet, in
    /// the order in which they were written. `None` when there is none.
    pub fn read(&self, limit: u64, visit: impl FnMut(&[u8])) -> Option<Position> {
        self.ring.read(limit, visit)
    }

    /// Whether there is no record that was not committed yet: the kernel wakes who waits
    /// then for the next.
    pub fn is_empty(&self) -> bool {
        self.ring.read(1, |_| ()).is_none()
    }

    /// Gives records back to the kernel, which may overwrite them now.
    pub fn commit(&self, position: Position) {
        self.ring.commit(position);
    }

    /// The first `len` bytes that lie in spill buffers, one after the other; fewer
    /// where the buffers are no longer ours.
    ///
    /// # Errors
    /// When the buffers cannot be mapped.
    pub fn spilled(
        &self,
        buffers: impl Iterator<Item = usize>,
        len: usize,
    ) -> Result<Vec<u8>, TraceError> {
        // Mapped for this one use: most builds never need it.
        let mapping = Mapping::new(&self.spill_map, SPILLS * SPILL_SIZE, 0, false)
            .map_err(|e| TraceError::bpf("map the spill buffers", e))?;
        let mut bytes = Vec::with_capacity(len.min(SPILLS * SPILL_SIZE));
        for index in buffers {
            let part = (len - bytes.len()).min(SPILL_SIZE);
            if !self.owns(index) || part == 0 {
                break;
            }
            let base = mapping.at(index * SPILL_SIZE, part);
            // SAFETY: mapped, as `at` checked; the kernel does not write to a
            // buffer until its owner has freed it.
            bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(base.as_ptr(), part) });
        }
        Ok(bytes)
    }

    /// Gives spill buffers back to the kernel.
    pub fn free_spilled(&self, buffers: impl Iterator<Item = usize>) {
        for index in buffers {
            if let Some(spill) = self.host.get().spills.get(index) {
                spill.free(self.slot);
            }
        }
    }

    fn owns(&self, index: usize) -> bool {
        self.host.get().spills.get(index).is_some_and(|spill| spill.belongs_to(self.slot))
    }
}

/// A program's link: held so that the program stays attached whatever becomes of the pins.
#[derive(Debug)]
struct HeldLink {
    _link: Link,
    /// What /proc shows of it. To ask by bpf(2) takes privileges before Linux 5.19, and a
    /// collector has none by then.
    shown: File,
}

impl HeldLink {
    fn new(link: Link) -> io::Result<HeldLink> {
        let shown = File::open(format!("/proc/self/fdinfo/{}", link.as_fd().as_raw_fd()))?;
        Ok(HeldLink { _link: link, shown })
    }

    /// Whether it still has a program.
    fn is_attached(&self) -> bool {
        let mut text = [0; 1024];
        let Ok(length) = self.shown.read_at(&mut text, 0) else { return false };
        let mut lines = text[..length].split(|byte| *byte == b'\n');
        let program = lines.find_map(|line| line.strip_prefix(b"prog_id:\t"));
        program.is_some_and(|id| id != b"0" && !id.is_empty())
    }
}

fn owned(map: &MapHandle) -> Result<OwnedFd, TraceError> {
    map.as_fd().try_clone_to_owned().map_err(|e| TraceError::bpf("duplicate a map's descriptor", e))
}
