//! The only room that knows libbpf, and the only one with `unsafe`: loads and pins
//! the probe set, registers scopes, drains rings.
//!
//! A scope's life is a chain: [`ProbeSet::open_or_load`] → [`ProbeSet::register`] →
//! [`Drain::open`] → [`Drain::read`]/[`Drain::commit`] → [`ProbeSet::retire`].

mod drain;
mod error;
mod features;
mod fork;
mod heap;
mod load;
mod mapping;
mod messages;
mod names;
mod priority;
mod probe_set;
mod ring;
mod slots;
mod verifier;

pub use drain::Drain;
pub use error::TraceError;
pub use features::{Feature, Trial};
pub use fork::spawn_into;
pub use heap::trim_heap;
pub use names::Rank;
pub use priority::real_time;
pub use probe_set::{ProbeSet, ScopeKey, Setup, pin_directory, unload};
pub use ring::Position;
pub use slots::{Counters, SlotId};
pub use verifier::{INSTRUCTIONS_MAX, Verified};

/// The deepest cgroup that can be a scope.
const MAX_DEPTH: u32 = slots::DEPTHS - 1;

/// The compiled kernel side. libelf wants it aligned.
static OBJECT: &[u8] = {
    #[repr(align(8))]
    struct Aligned<T: ?Sized>(T);
    static ALIGNED: &Aligned<[u8]> =
        &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/exec.bpf.o")));
    &ALIGNED.0
};
