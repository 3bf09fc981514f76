//! A piece of memory that is shared with the kernel.

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use std::{ffi::c_void, num::NonZeroUsize, os::fd::AsFd, ptr::NonNull};

/// Pages of a BPF map, mapped shared; unmapped on drop.
#[derive(Debug)]
pub(super) struct Mapping {
    base: NonNull<c_void>,
    len: usize,
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
        Ok(Mapping { base, len: len.get() })
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
