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
            if len > self.size - HEADER {
                // No kernel writes that. What follows is not known: its numbers will be missing.
                break;
            }
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

#[cfg(test)]
mod tests {
    use super::{super::mapping::memory::Memory, *};
    use std::thread;

    const SIZE: usize = if cfg!(miri) { 512 } else { 4096 };

    /// The kernel's side, over memory of a test: it mirrors by hand what is mapped twice.
    struct Producer {
        consumer: Mapping,
        producer: Mapping,
        reserved: u64,
    }

    /// Both sides of a new ring.
    fn ring() -> (Ring, Producer) {
        let (consumer, producer) = (Memory::new(page_size()), Memory::new(page_size() + 2 * SIZE));
        let ring = Ring {
            map: std::fs::File::open("/dev/null").unwrap().into(),
            consumer: consumer.mapping(),
            producer: producer.mapping(),
            size: SIZE as u64,
        };
        let producer =
            Producer { consumer: consumer.mapping(), producer: producer.mapping(), reserved: 0 };
        (ring, producer)
    }

    impl Producer {
        fn word(page: &Mapping) -> &AtomicU64 {
            // SAFETY: a page begins with an aligned word, which is changed by atomics only.
            unsafe { page.at(0, 8).cast().as_ref() }
        }

        /// The header's length word at a position.
        fn header(&self, at: u64) -> &AtomicU32 {
            let offset = page_size() + (at & (SIZE as u64 - 1)) as usize;
            // SAFETY: aligned to eight, and changed by atomics only.
            unsafe { self.producer.at(offset, 4).cast().as_ref() }
        }

        /// Whether there is room, and then its place, which is busy.
        fn reserve(&mut self, len: usize) -> Option<u64> {
            let at = self.reserved;
            let end = at + (len as u64 + HEADER).next_multiple_of(8);
            let committed = Self::word(&self.consumer).load(Ordering::Acquire);
            if end - committed > SIZE as u64 {
                return None;
            }
            self.header(at).store(len as u32 | BUSY, Ordering::Relaxed);
            Self::word(&self.producer).store(end, Ordering::Release);
            self.reserved = end;
            Some(at)
        }

        /// Fills a place, in both copies where it wraps, and gives it to the consumer.
        fn submit(&self, at: u64, record: &[u8], flags: u32) {
            let start = (at & (SIZE as u64 - 1)) as usize + HEADER as usize;
            for (i, byte) in record.iter().enumerate() {
                for copy in [start + i, (start + i + SIZE) % (2 * SIZE)] {
                    let place = self.producer.at(page_size() + copy, 1);
                    // SAFETY: reserved: the consumer does not look at it before the header
                    // is no longer busy.
                    unsafe { place.write(*byte) };
                }
            }
            self.header(at).store(record.len() as u32 | flags, Ordering::Release);
        }

        fn write(&mut self, record: &[u8]) -> bool {
            let Some(at) = self.reserve(record.len()) else { return false };
            self.submit(at, record, 0);
            true
        }
    }

    fn read(ring: &Ring, limit: u64) -> (Vec<Vec<u8>>, Option<Position>) {
        let mut records = Vec::new();
        let position = ring.read(limit, |record| records.push(record.to_vec()));
        (records, position)
    }

    #[test]
    fn what_is_not_committed_is_read_again_and_not_written_over() {
        let (ring, mut producer) = ring();
        assert_eq!(read(&ring, u64::MAX), (vec![], None));
        assert!(producer.write(b"one") && producer.write(b"") && producer.write(b"three"));
        let (records, position) = read(&ring, u64::MAX);
        assert_eq!(records, [&b"one"[..], b"", b"three"]);
        assert_eq!(read(&ring, u64::MAX), (records, position));
        assert!(!producer.write(&[7; SIZE - 47]) && producer.write(&[7; SIZE - 48]));
        ring.commit(position.unwrap());
        assert!(producer.write(b"four"));
        let (records, last) = read(&ring, u64::MAX);
        assert_eq!(records, [vec![7; SIZE - 48], b"four".to_vec()]);
        // One that is behind, and one that is not there yet.
        ring.commit(Position(0));
        ring.commit(Position(1 << 40));
        assert_eq!(read(&ring, u64::MAX).1, last);
    }

    #[test]
    fn busy_ends_a_batch_and_discarded_is_passed_over() {
        let (ring, mut producer) = ring();
        let [first, second] = [3, 5].map(|len| producer.reserve(len).unwrap());
        producer.submit(second, b"later", 0);
        assert_eq!(read(&ring, u64::MAX), (vec![], None));
        producer.submit(first, b"bad", DISCARDED);
        let (records, position) = read(&ring, u64::MAX);
        assert_eq!((records, position), (vec![b"later".to_vec()], Some(Position(32))));
        // A limit is one of bytes, and met by whole records.
        assert_eq!(read(&ring, 1), (vec![], Some(Position(16))));
    }

    #[test]
    fn a_length_that_no_kernel_writes_reads_nothing_outside() {
        let (ring, mut producer) = ring();
        assert!(producer.write(b"good"));
        for len in [SIZE as u32 - 7, SIZE as u32, 2 * SIZE as u32, u32::MAX >> 2] {
            producer.reserved = 16;
            Producer::word(&producer.producer).store(16, Ordering::Release);
            let at = producer.reserve(0).unwrap();
            producer.header(at).store(len, Ordering::Release);
            assert_eq!(read(&ring, u64::MAX), (vec![b"good".to_vec()], Some(Position(16))));
        }
    }

    #[test]
    fn each_record_comes_once_and_in_order_while_others_are_written() {
        // Miri takes a second for what else takes a microsecond.
        const RECORDS: u32 = if cfg!(miri) { 100 } else { 20_000 };
        const WORDS: usize = if cfg!(miri) { 30 } else { 300 };
        const LIMIT: u64 = if cfg!(miri) { 100 } else { 1000 };
        let (ring, mut producer) = ring();
        let record = |n: u32| n.to_ne_bytes().repeat(1 + n as usize % WORDS);
        thread::scope(|scope| {
            scope.spawn(move || {
                for n in 0..RECORDS {
                    while !producer.write(&record(n)) {
                        thread::yield_now();
                    }
                }
            });
            let mut next = 0;
            while next < RECORDS {
                let position = ring.read(LIMIT, |bytes| {
                    assert!(bytes == record(next), "record {next}");
                    next += 1;
                });
                match position {
                    Some(position) => ring.commit(position),
                    None => thread::yield_now(),
                }
            }
        });
        assert_eq!(read(&ring, u64::MAX), (vec![], None));
    }
}
