//! A piece of memory that is shared with the kernel.

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use std::{ffi::c_void, num::NonZeroUsize, os::fd::AsFd, ptr::NonNull};

/// Pages of a BPF map, mapped shared; unmapped on drop.
#[derive(Debug)]
pub(super) struct Mapping {
    base: NonNull<c_void>,
    len: usize,
    /// What it is instead where there is no kernel: memory of a test.
    #[cfg(test)]
    memory: Option<memory::Memory>,
}

impl Mapping {
    /// Maps `len` bytes (rounded up to whole pages) of `map` from byte `offset`, a
    /// multiple of the page size.
    pub(super) fn new(
        map: impl AsFd,
        len: usize,
        offset: usize,
        writable: bool,
    ) -> nix::Result<Mapping> {
        let len = NonZeroUsize::new(len.next_multiple_of(page_size()))
            .ok_or(nix::errno::Errno::EINVAL)?;
        let protection = if writable {
            ProtFlags::PROT_READ | ProtFlags::PROT_WRITE
        } else {
            ProtFlags::PROT_READ
        };
        // SAFETY: a new mapping at an address of the kernel's choice cannot touch
        // memory that anything else uses.
        let base =
            unsafe { mmap(None, len, protection, MapFlags::MAP_SHARED, map, offset as i64) }?;
        Ok(Mapping {
            base,
            len: len.get(),
            #[cfg(test)]
            memory: None,
        })
    }

    /// How many bytes are mapped: whole pages.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The address of byte `offset`, of which `len` bytes are mapped.
    ///
    /// # Panics
    /// When that is outside the mapping: offsets come from this program, never
    /// from a record.
    pub(super) fn at(&self, offset: usize, len: usize) -> NonNull<u8> {
        let end = offset.checked_add(len);
        assert!(end.is_some_and(|end| end <= self.len), "{offset}+{len} of {}", self.len);
        // SAFETY: inside the mapping, as just checked.
        unsafe { self.base.cast::<u8>().add(offset) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        #[cfg(test)]
        if self.memory.is_some() {
            return;
        }
        // SAFETY: made by `new` with this length; every reference into it borrows
        // `self`. The result is of no use: there is nothing left to do.
        let _ = unsafe { munmap(self.base, self.len) };
    }
}

// SAFETY: an owned mapping has no thread of its own; shared access is by atomics
// and by records that the kernel does not change until they are given back.
unsafe impl Send for Mapping {}
// SAFETY: as above; nothing here changes through a shared reference.
unsafe impl Sync for Mapping {}

/// The page size in bytes.
pub(super) fn page_size() -> usize {
    rustix::param::page_size()
}

/// Memory that stands for a map, so that Miri can watch what is done to it: it knows no
/// mapping that is shared with a kernel.
#[cfg(test)]
pub(super) mod memory {
    use super::{Mapping, page_size};
    use std::{cell::UnsafeCell, ptr::NonNull, sync::Arc};

    /// Eight bytes that both sides may change.
    #[derive(Debug)]
    #[repr(transparent)]
    struct Word(UnsafeCell<u64>);

    // SAFETY: whoever reads or writes it does so by atomics, or is ordered by them.
    unsafe impl Sync for Word {}

    /// Zeroed pages, which two may have.
    #[derive(Clone, Debug)]
    pub(in crate::trace) struct Memory(Arc<[Word]>);

    impl Memory {
        pub(in crate::trace) fn new(len: usize) -> Memory {
            let words = len.next_multiple_of(page_size()) / size_of::<Word>();
            Memory((0..words).map(|_| Word(UnsafeCell::new(0))).collect())
        }

        /// As if it were a map's.
        pub(in crate::trace) fn mapping(&self) -> Mapping {
            let first = NonNull::from(&*self.0).cast::<Word>();
            let base = NonNull::new(UnsafeCell::<u64>::raw_get(first.as_ptr().cast()));
            let base = base.expect("memory has an address").cast();
            Mapping { base, len: size_of_val(&*self.0), memory: Some(self.clone()) }
        }
    }

    #[test]
    fn nothing_outside_is_handed_out() {
        let mapping = Memory::new(1).mapping();
        let len = page_size();
        assert_eq!(mapping.at(0, len), mapping.at(0, 0));
        for (offset, size) in [(len, 1), (len - 7, 8), (usize::MAX, 2), (1, usize::MAX)] {
            let outside = || mapping.at(offset, size);
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(outside)).is_err());
        }
    }
}
