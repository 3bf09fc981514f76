//! Draining one scope's ring.
//!
//! libbpf's own consumer gives every record back to the kernel as soon as its
//! callback returns. Ours gives a batch back after the caller has written it
//! down, so that a collector that is killed in between loses nothing: whoever
//! takes over reads the batch again and knows it by its sequence numbers.

use super::mapping::{Mapping, page_size};
use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

/// `BPF_RINGBUF_BUSY_BIT`: reserved, not yet written.
const BUSY: u32 = 1 << 31;
/// `BPF_RINGBUF_DISCARD_BIT`: given up by its writer.
const DISCARDED: u32 = 1 << 30;
/// `BPF_RINGBUF_HDR_SZ`: length and page offset before each record.
const HEADER: u64 = 8;

/// The consumer's side of a BPF ring buffer.
#[derive(Debug)]
pub(super) struct Ring {
    map: OwnedFd,
    /// One page: how far we are.
    consumer: Mapping,
    /// One page: how far the kernel is; then the data, twice in a row, so that a
    /// record that wraps is contiguous.
    producer: Mapping,
    size: u64,
}

/// How far a batch went, in bytes since the ring was made; give it to
/// [`Ring::commit`] when the batch is safe elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u64);

impl Ring {
    /// Opens the ring buffer `map` of `size` data bytes.
    pub(super) fn new(map: OwnedFd, size: usize) -> nix::Result<Ring> {
        let consumer = Mapping::new(&map, page_size(), 0, true)?;
        let producer = Mapping::new(&map, page_size() + 2 * size, page_size(), false)?;
        Ok(Ring { map, consumer, producer, size: size as u64 })
    }

    /// Readable when there are records.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }

    /// Data bytes it holds.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Visits the records that are there, from the first not committed one and up
    /// to about `limit` bytes of them. `None` when there is none.
    pub(super) fn read(&self, limit: u64, mut visit: impl FnMut(&[u8])) -> Option<Position> {
        let begin = self.position(&self.consumer).load(Ordering::Acquire);
        let end = self.position(&self.producer).load(Ordering::Acquire);
        let mut at = begin;
        while at < end && at - begin < limit {
            let offset = page_size() + (at & (self.size - 1)) as usize;
            // SAFETY: the kernel keeps a header of two aligned u32 at `at`, inside
            // the doubled data pages; the length word is released with its record.
            let header: &AtomicU32 = unsafe { self.producer.at(offset, 4).cast().as_ref() };
            let word = header.load(Ordering::Acquire);
            if word & BUSY != 0 {
                break;
            }
            let len = u64::from(word & !(BUSY | DISCARDED));
            if word & DISCARDED == 0 {
                let record = self.producer.at(offset + HEADER as usize, len as usize);
                // SAFETY: `at` checked that it is mapped; the kernel writes there
                // again only after the consumer position has passed it, which
                // only `commit` moves.
                visit(unsafe { std::slice::from_raw_parts(record.as_ptr(), len as usize) });
            }
            at += (len + HEADER).next_multiple_of(8);
        }
        (at != begin).then_some(Position(at))
    }

    /// Gives everything before `position` back to the kernel. A position that is
    /// behind, or that the kernel has not reached, changes nothing.
    pub(super) fn commit(&self, position: Position) {
        let consumer = self.position(&self.consumer);
        let end = self.position(&self.producer).load(Ordering::Acquire);
        if (consumer.load(Ordering::Acquire)..=end).contains(&position.0) {
            consumer.store(position.0, Ordering::Release);
        }
    }

    fn position<'a>(&self, page: &'a Mapping) -> &'a AtomicU64 {
        // SAFETY: both pages begin with an aligned unsigned long.
        unsafe { page.at(0, 8).cast().as_ref() }
    }
}
