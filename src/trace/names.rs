//! The names that the kernel side looks for: `names` of `bpf/maps.h`.

use super::{TraceError, slots::NAME_LEN};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle};

/// What an exec may claim, by the name of what runs: `enum bw_rank`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// Something that runs tools: a multi-call program, a loader, an emulator. The last
    /// quarter of a ring is for these and for tools.
    Carrier = 1,
    /// A listed tool: its exec wakes the collector, and the last eighth of a ring is for it.
    Tool = 2,
}

/// Adds base names to the map. What a name has, also by how it begins, is never taken from it:
/// several configurations share the map.
pub(super) fn add(map: &MapHandle, names: &[(String, Rank)]) -> Result<(), TraceError> {
    names.iter().try_for_each(|(name, rank)| {
        let (key, rank) = (key(name), *rank as u32);
        let failed = |e| TraceError::bpf(format!("list {name:?}"), e);
        let has = map.lookup(&key, MapFlags::ANY).map_err(failed)?;
        let has = has.and_then(|has| has.try_into().ok()).map_or(0, u32::from_ne_bytes);
        if has >= rank {
            return Ok(());
        }
        map.update(&key, &rank.to_ne_bytes(), MapFlags::ANY).map_err(failed)
    })
}

/// A name as the kernel side compares it, cut like `task_struct.comm`: `struct name`.
/// One that ends in `*` matches all that begin so.
fn key(name: &str) -> [u8; 4 + NAME_LEN] {
    let (name, is_prefix) = match name.strip_suffix('*') {
        Some(prefix) => (prefix, true),
        None => (name, false),
    };
    let len = name.len().min(NAME_LEN - 1);
    // The NUL behind a whole name counts.
    let bits = 8 * (len + usize::from(!is_prefix)) as u32;
    let mut key = [0; 4 + NAME_LEN];
    key[..4].copy_from_slice(&bits.to_ne_bytes());
    key[4..4 + len].copy_from_slice(&name.as_bytes()[..len]);
    key
}
