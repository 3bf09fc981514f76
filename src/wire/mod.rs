//! Bytes from a ring to [`Event`]s: checked reads, no libbpf, no I/O.
//!
//! Layout: `bpf/record.h`. Nothing here trusts a length.

mod layout;

use crate::event::{Argv, Environment, Event, Exec, Exit, Flags, Parents, ProcessId};
use layout::{ENVIRONMENT, EXEC, EXIT, NO_SPILL, environment, exec, exit, process};

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The record ends before a field, or before what its lengths promise.
    #[error("record of {have} bytes ends before byte {need}")]
    Short {
        /// Bytes there are.
        have: usize,
        /// Bytes there should be.
        need: usize,
    },
    /// `type` is none that this program knows.
    #[error("unknown record type {0}")]
    Type(u32),
    /// `size` differs from the length that the ring gave.
    #[error("record says {said} bytes and has {have}")]
    Size {
        /// The record's own word.
        said: u32,
        /// Bytes there are.
        have: usize,
    },
}

/// Where an argv lies that did not fit into its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spill {
    buffers: [u8; 3],
    /// Bytes of argv in the buffers, one after the other.
    pub len: usize,
}

impl Spill {
    /// The indices of the buffers, in order.
    pub fn buffers(&self) -> impl Iterator<Item = usize> {
        self.buffers.into_iter().take_while(|index| *index != NO_SPILL).map(usize::from)
    }
}

/// The spill buffers of a record; `None` when argv is in the record, or when it is no exec.
pub fn spill(record: &[u8]) -> Option<Spill> {
    if u32_at(record, 0) != Ok(EXEC) {
        return None;
    }
    let buffers: [u8; 3] = array_at(record, exec::SPILL).ok()?;
    (buffers[0] != NO_SPILL)
        .then_some(Spill { buffers, len: u32_at(record, exec::ARGV_LEN).ok()? as usize })
}

/// The kernel's number of an exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// The CPU that it happened on.
    pub cpu: u32,
    /// 1 for the scope's first exec on that CPU, then contiguous.
    pub number: u64,
}

/// The number of an exec record; `None` when it is none.
pub fn number(record: &[u8]) -> Option<Number> {
    if u32_at(record, 0) != Ok(EXEC) {
        return None;
    }
    let number = u64_at(record, exec::NUMBER).ok()?;
    Some(Number { cpu: u32_at(record, exec::CPU).ok()?, number })
}

/// Decodes one record. `spilled` is the argv that [`spill`] told of.
///
/// # Errors
/// [`DecodeError`] when the bytes are no record of this layout.
pub fn decode<'a>(record: &'a [u8], spilled: Option<&'a [u8]>) -> Result<Event<'a>, DecodeError> {
    let kind = u32_at(record, 0)?;
    let said = u32_at(record, 4)?;
    if said as usize != record.len() {
        return Err(DecodeError::Size { said, have: record.len() });
    }
    match kind {
        EXEC => decode_exec(record, spilled).map(Event::Exec),
        EXIT => decode_exit(record).map(Event::Exit),
        ENVIRONMENT => decode_environment(record).map(Event::Environment),
        unknown => Err(DecodeError::Type(unknown)),
    }
}

fn decode_exec<'a>(record: &'a [u8], spilled: Option<&'a [u8]>) -> Result<Exec<'a>, DecodeError> {
    let [count] = array_at(record, exec::PARENTS)?;
    let parents = exec::SIZE;
    let path = parents + usize::from(count) * process::SIZE;
    let name = path + usize::from(u16_at(record, exec::PATH_LEN)?);
    let argv = name + usize::from(u16_at(record, exec::NAME_LEN)?);
    let argv_len = u32_at(record, exec::ARGV_LEN)? as usize;
    let flags = Flags(u32_at(record, exec::FLAGS)?);
    Ok(Exec {
        // Given by whoever drains: the kernel numbers each CPU's.
        sequence: 0,
        time: u64_at(record, exec::TIME)?,
        process: process_at(record, exec::PROCESS)?,
        container_pid: u32_at(record, exec::CONTAINER_PID)?,
        parents: (0..usize::from(count))
            .map(|i| process_at(record, parents + i * process::SIZE))
            .collect::<Result<Parents, _>>()?,
        uid: u32_at(record, exec::UID)?,
        gid: u32_at(record, exec::GID)?,
        loginuid: u32_at(record, exec::LOGINUID)?,
        inode: u64_at(record, exec::INODE)?,
        device: u32_at(record, exec::DEVICE)?,
        path: bytes_at(record, path, name - path)?,
        name: bytes_at(record, name, argv - name)?,
        argv: Argv(match spilled {
            Some(bytes) => bytes,
            None => bytes_at(record, argv, argv_len)?,
        }),
        argv_len: u64_at(record, exec::ARGV_TOTAL)?,
        flags,
    })
}

fn decode_exit(record: &[u8]) -> Result<Exit, DecodeError> {
    bytes_at(record, 0, exit::SIZE)?;
    Ok(Exit {
        time: u64_at(record, exit::TIME)?,
        process: process_at(record, exit::PROCESS)?,
        status: u32_at(record, exit::STATUS)?,
    })
}

fn decode_environment(record: &[u8]) -> Result<Environment<'_>, DecodeError> {
    let kept = record.len().saturating_sub(environment::SIZE);
    Ok(Environment {
        process: process_at(record, environment::PROCESS)?,
        total: u64_at(record, environment::TOTAL)?,
        bytes: bytes_at(record, environment::SIZE, kept)?,
    })
}

fn process_at(record: &[u8], offset: usize) -> Result<ProcessId, DecodeError> {
    Ok(ProcessId {
        pid: u32_at(record, offset + process::PID)?,
        start: u64_at(record, offset + process::START)?,
    })
}

fn bytes_at(record: &[u8], offset: usize, len: usize) -> Result<&[u8], DecodeError> {
    record
        .get(offset..offset + len)
        .ok_or(DecodeError::Short { have: record.len(), need: offset + len })
}

fn array_at<const N: usize>(record: &[u8], offset: usize) -> Result<[u8; N], DecodeError> {
    record
        .get(offset..)
        .and_then(|tail| tail.first_chunk())
        .copied()
        .ok_or(DecodeError::Short { have: record.len(), need: offset + N })
}

fn u16_at(record: &[u8], offset: usize) -> Result<u16, DecodeError> {
    array_at(record, offset).map(u16::from_ne_bytes)
}

fn u32_at(record: &[u8], offset: usize) -> Result<u32, DecodeError> {
    array_at(record, offset).map(u32::from_ne_bytes)
}

fn u64_at(record: &[u8], offset: usize) -> Result<u64, DecodeError> {
    array_at(record, offset).map(u64::from_ne_bytes)
}

#[cfg(test)]
mod tests;
