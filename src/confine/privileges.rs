//! Capabilities.

use rustix::{
    io,
    thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities},
};

/// Gives up every capability, and the way back.
pub(super) fn drop_all() -> io::Result<()> {
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}

/// What a process needs of root for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privileges {
    /// To read what engines and containers own, and what /proc tells about others only to
    /// who may trace them.
    Read,
    /// To make directories of ours, whoever owns the one above, and to register a scope.
    Record,
    /// To load the probe set too, which may mean to mount the BPF file system, and to find
    /// a map by its number.
    Load,
    /// To collect, before that is confined: all of this, and real-time priority.
    Collect,
}

impl Privileges {
    fn capabilities(self) -> CapabilitySet {
        let read = CapabilitySet::DAC_READ_SEARCH | CapabilitySet::SYS_PTRACE;
        let record = read
            | CapabilitySet::DAC_OVERRIDE
            | CapabilitySet::CHOWN
            // Without it, a directory loses the bit that gives its files to a group.
            | CapabilitySet::FSETID
            | CapabilitySet::FOWNER
            | CapabilitySet::BPF;
        let load = record
            | CapabilitySet::PERFMON
            | CapabilitySet::SYS_ADMIN
            | CapabilitySet::SYS_RESOURCE;
        match self {
            Privileges::Read => read,
            Privileges::Record => record,
            Privileges::Load => load,
            Privileges::Collect => load | CapabilitySet::SYS_NICE,
        }
    }
}

/// The capabilities of a thread that has in force only those that its step needs. A program
/// that it executes as root has all again.
#[derive(Debug)]
pub struct Kept {
    permitted: CapabilitySet,
}

impl Kept {
    /// Gives up for good what `most` does not need, and lets only `now` be in force. Where
    /// the kernel does not tell or take capabilities, all stays as it is.
    pub fn of(most: Privileges, now: Privileges) -> Kept {
        let permitted = capabilities(None).map(|have| have.permitted & most.capabilities());
        let kept = Kept { permitted: permitted.unwrap_or(CapabilitySet::empty()) };
        kept.step(now);
        kept
    }

    /// Lets these be in force, of those that are kept. Whoever lacks one is told by what it is
    /// for.
    pub fn step(&self, now: Privileges) {
        if self.permitted.is_empty() {
            return;
        }
        let sets = CapabilitySets {
            effective: self.permitted & now.capabilities(),
            permitted: self.permitted,
            inheritable: CapabilitySet::empty(),
        };
        let _ = set_capabilities(None, sets);
    }
}
