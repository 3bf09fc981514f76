//! The slots: `struct bw_slot` and `struct bw_host` of `bpf/record.h`, shared
//! with the kernel side by mapping.

use super::mapping::{Mapping, page_size};
use std::{
    ops::Range,
    os::fd::AsFd,
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

/// `BW_SLOTS`: scopes that can live at once.
pub(super) const SLOTS: u32 = 2048;
/// `BW_DEPTHS`: cgroup depths a scope can lie at.
pub(super) const DEPTHS: u32 = 64;
/// `BW_SPILLS`: buffers for an argv that is too long for a record.
pub(super) const SPILLS: usize = 4;
/// `BW_SPILL_SIZE`, bytes.
pub(super) const SPILL_SIZE: usize = 2 << 20;
/// `BW_NAME_LEN`: bytes of a tool's name that the kernel compares, with a NUL.
pub(super) const NAME_LEN: usize = 16;

/// Which slot of the probe set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotId(pub(super) u32);

/// No ring is in it.
pub(super) const VACANT: u32 = 0;
/// A ring is in it and nobody uses it.
pub(super) const READY: u32 = 1;
/// It belongs to a scope, or to somebody who is setting it up or taking it down.
pub(super) const TAKEN: u32 = 2;
/// Its scope has ended; a program may be in its ring still.
pub(super) const SPENT: u32 = 3;

/// `struct bw_slot`.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) state: AtomicU32,
    pub(super) pid_namespace: AtomicU32,
    pub(super) cgroup: AtomicU64,
    pub(super) execs: AtomicU64,
    pub(super) lost_execs: AtomicU64,
    pub(super) exits: AtomicU64,
    pub(super) lost_exits: AtomicU64,
    pub(super) truncated: AtomicU32,
    pub(super) lost_environments: AtomicU32,
    pub(super) urgent: AtomicU32,
    pub(super) owner: AtomicU32,
    disowned: AtomicU32,
    pad: u32,
    pub(super) first: AtomicU64,
    pub(super) registered: AtomicU64,
}

impl Slot {
    /// Takes the slot when it is in `state`; exactly one caller succeeds.
    pub(super) fn take(&self, state: u32) -> bool {
        self.state.compare_exchange(state, TAKEN, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Forgets the scope it belonged to.
    pub(super) fn clear(&self) {
        self.pid_namespace.store(0, Ordering::Relaxed);
        let words = [&self.cgroup, &self.first, &self.registered, &self.execs];
        for word in words.into_iter().chain([&self.lost_execs, &self.exits, &self.lost_exits]) {
            word.store(0, Ordering::Relaxed);
        }
        let counters = [&self.truncated, &self.lost_environments, &self.urgent];
        for counter in counters.into_iter().chain([&self.owner, &self.disowned]) {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

/// What the kernel counted in a scope so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Execs seen, delivered or lost.
    pub execs: u64,
    /// Execs that did not fit into the ring.
    pub lost_execs: u64,
    /// Exits seen.
    pub exits: u64,
    /// Exits that did not fit into the ring.
    pub lost_exits: u64,
    /// Execs whose argv was cut.
    pub truncated: u64,
    /// Environments of execs from outside that did not fit into the ring.
    pub lost_environments: u64,
    /// Execs of listed tools: when this changes, draining must not wait.
    pub urgent: u32,
}

/// All slots, or the pages that hold some.
#[derive(Debug)]
pub(super) struct SlotTable {
    mapping: Mapping,
    /// Where in the map the mapping begins.
    begin: usize,
}

impl SlotTable {
    /// Maps all slots.
    pub(super) fn all(map: impl AsFd) -> nix::Result<SlotTable> {
        let mapping = Mapping::new(map, SLOTS as usize * size_of::<Slot>(), 0, true)?;
        Ok(SlotTable { mapping, begin: 0 })
    }

    /// Maps the first page of them.
    pub(super) fn first(map: impl AsFd) -> nix::Result<SlotTable> {
        Ok(SlotTable { mapping: Mapping::new(map, page_size(), 0, true)?, begin: 0 })
    }

    /// Maps only the pages that `id` lies in, not to be written.
    pub(super) fn pages_of(map: impl AsFd, id: SlotId) -> nix::Result<SlotTable> {
        let slot = SlotTable::bytes(id);
        let begin = slot.start - slot.start % page_size();
        let mapping = Mapping::new(map, slot.end - begin, begin, false)?;
        Ok(SlotTable { mapping, begin })
    }

    /// Where in the map `id` lies. It may begin in one page and end in the next.
    fn bytes(id: SlotId) -> Range<usize> {
        let start = id.0 as usize * size_of::<Slot>();
        start..start + size_of::<Slot>()
    }

    /// The slot `id`.
    pub(super) fn get(&self, id: SlotId) -> &Slot {
        let offset = SlotTable::bytes(id).start - self.begin;
        let slot: NonNull<Slot> = self.mapping.at(offset, size_of::<Slot>()).cast();
        // SAFETY: inside the mapping and aligned (a multiple of eight from a page's start);
        // all fields are atomics, for which any bytes are a value.
        unsafe { slot.as_ref() }
    }

    /// The ids of the slots that are mapped whole.
    pub(super) fn ids(&self) -> impl Iterator<Item = SlotId> + use<> {
        let size = size_of::<Slot>();
        let end = (self.begin + self.mapping.len()) / size;
        (self.begin.div_ceil(size) as u32..SLOTS.min(end as u32)).map(SlotId)
    }

    /// The counters of `id`.
    pub(super) fn counters(&self, id: SlotId) -> Counters {
        let slot = self.get(id);
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        Counters {
            execs: read(&slot.execs),
            lost_execs: read(&slot.lost_execs),
            exits: read(&slot.exits),
            lost_exits: read(&slot.lost_exits),
            truncated: slot.truncated.load(Ordering::Acquire).into(),
            lost_environments: slot.lost_environments.load(Ordering::Acquire).into(),
            urgent: slot.urgent.load(Ordering::Acquire),
        }
    }
}

/// `struct bw_spill`.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Spill {
    claims: AtomicU32,
    owner: AtomicU32,
}

impl Spill {
    /// Whether it is `id`'s.
    pub(super) fn belongs_to(&self, id: SlotId) -> bool {
        self.owner.load(Ordering::Acquire) == id.0 + 1
    }

    /// Gives it back to the kernel, if it is `id`'s.
    pub(super) fn free(&self, id: SlotId) {
        let owner = &self.owner;
        if owner.compare_exchange(id.0 + 1, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.claims.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// `struct bw_host`.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Host {
    /// Bit d: some scope lies, or lay, at cgroup depth d.
    pub(super) depths: AtomicU64,
    /// The buffers for a long argv.
    pub(super) spills: [Spill; SPILLS],
}

/// The probe set's `struct bw_host`.
#[derive(Debug)]
pub(super) struct HostFacts(Mapping);

impl HostFacts {
    pub(super) fn new(map: impl AsFd) -> nix::Result<HostFacts> {
        Mapping::new(map, size_of::<Host>(), 0, true).map(HostFacts)
    }

    pub(super) fn get(&self) -> &Host {
        let host: NonNull<Host> = self.0.at(0, size_of::<Host>()).cast();
        // SAFETY: at the start of a page; all fields are atomics.
        unsafe { host.as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{btf_layout::check, trace::mapping::memory::Memory};
    use std::mem::offset_of;

    fn table() -> SlotTable {
        let memory = Memory::new(SLOTS as usize * size_of::<Slot>());
        SlotTable { mapping: memory.mapping(), begin: 0 }
    }

    #[test]
    fn every_slot_is_its_own_and_inside() {
        let table = table();
        assert_eq!(table.ids().count(), SLOTS as usize);
        for id in table.ids() {
            table.get(id).cgroup.store(u64::from(id.0) + 1, Ordering::Relaxed);
        }
        for id in table.ids() {
            assert_eq!(table.get(id).cgroup.load(Ordering::Relaxed), u64::from(id.0) + 1);
            table.get(id).clear();
        }
        assert!(table.ids().all(|id| table.counters(id) == Counters::default()));
    }

    #[test]
    #[cfg_attr(miri, ignore = "maps a file")]
    fn a_slot_is_the_same_in_its_pages_alone() {
        let map = tempfile::tempfile().unwrap();
        map.set_len((SLOTS as usize * size_of::<Slot>()) as u64).unwrap();
        let all = SlotTable::all(&map).unwrap();
        for id in all.ids() {
            all.get(id).execs.store(u64::from(id.0) + 1, Ordering::Relaxed);
        }
        let first = SlotTable::first(&map).unwrap();
        assert_eq!(first.ids().count(), page_size() / size_of::<Slot>());
        for id in first.ids() {
            assert_eq!(first.counters(id).execs, u64::from(id.0) + 1);
        }
        for id in all.ids() {
            let alone = SlotTable::pages_of(&map, id).unwrap();
            assert!(alone.ids().any(|inside| inside == id));
            assert_eq!(alone.counters(id).execs, u64::from(id.0) + 1);
        }
    }

    #[test]
    fn a_slot_is_taken_once_whoever_wants_it() {
        let table = table();
        let taken = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mine = table.ids().take(50).filter(|id| table.get(*id).take(VACANT));
                    taken.fetch_add(mine.count() as u32, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(taken.into_inner(), 50);
    }

    #[test]
    fn a_spill_buffer_is_given_back_by_its_owner_alone() {
        let host = HostFacts(Memory::new(size_of::<Host>()).mapping());
        let spill = &host.get().spills[1];
        spill.claims.store(1, Ordering::Relaxed);
        spill.owner.store(8, Ordering::Relaxed);
        spill.free(SlotId(6));
        assert!(spill.belongs_to(SlotId(7)) && !spill.belongs_to(SlotId(6)));
        spill.free(SlotId(7));
        spill.free(SlotId(7));
        assert!(!spill.belongs_to(SlotId(7)));
        assert_eq!(spill.claims.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn layout_is_that_of_record_h() {
        check(
            "bw_slot",
            size_of::<Slot>(),
            &[
                ("state", offset_of!(Slot, state)),
                ("pid_namespace", offset_of!(Slot, pid_namespace)),
                ("cgroup", offset_of!(Slot, cgroup)),
                ("execs", offset_of!(Slot, execs)),
                ("lost_execs", offset_of!(Slot, lost_execs)),
                ("exits", offset_of!(Slot, exits)),
                ("lost_exits", offset_of!(Slot, lost_exits)),
                ("truncated", offset_of!(Slot, truncated)),
                ("lost_environments", offset_of!(Slot, lost_environments)),
                ("urgent", offset_of!(Slot, urgent)),
                ("owner", offset_of!(Slot, owner)),
                ("disowned", offset_of!(Slot, disowned)),
                ("pad", offset_of!(Slot, pad)),
                ("first", offset_of!(Slot, first)),
                ("registered", offset_of!(Slot, registered)),
            ],
        );
        check(
            "bw_spill",
            size_of::<Spill>(),
            &[("claims", offset_of!(Spill, claims)), ("owner", offset_of!(Spill, owner))],
        );
        check(
            "bw_host",
            size_of::<Host>(),
            &[("depths", offset_of!(Host, depths)), ("spills", offset_of!(Host, spills))],
        );
        check("spill", SPILL_SIZE, &[]);
        check("name", 4 + NAME_LEN, &[("bits", 0), ("bytes", 4)]);
    }
}
