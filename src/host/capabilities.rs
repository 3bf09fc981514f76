//! What this process may do.

use super::error::HostError;
use caps::{CapSet, Capability};

/// The effective capabilities that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// `CAP_BPF`, Linux 5.8.
    pub bpf: bool,
    /// `CAP_PERFMON`, Linux 5.8.
    pub perfmon: bool,
    /// `CAP_SYS_ADMIN`, which stands in for the two above.
    pub sys_admin: bool,
    /// `CAP_SYS_RESOURCE`.
    pub sys_resource: bool,
    /// `CAP_SYS_NICE`.
    pub sys_nice: bool,
}

impl Capabilities {
    pub(super) fn read() -> Result<Capabilities, HostError> {
        let effective = caps::read(None, CapSet::Effective)
            .map_err(|error| HostError::Capabilities(error.to_string()))?;
        let has = |capability| effective.contains(&capability);
        Ok(Capabilities {
            bpf: has(Capability::CAP_BPF),
            perfmon: has(Capability::CAP_PERFMON),
            sys_admin: has(Capability::CAP_SYS_ADMIN),
            sys_resource: has(Capability::CAP_SYS_RESOURCE),
            sys_nice: has(Capability::CAP_SYS_NICE),
        })
    }
}
