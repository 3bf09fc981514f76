//! The kernel's type information. The format is in the kernel's
//! Documentation/bpf/btf.rst.

use super::error::{HostError, read_bounded};
use std::path::Path;

const PATH: &str = "/sys/kernel/btf/vmlinux";

/// Ten times what distributions' kernels have.
const MAX_BYTES: u64 = 64 << 20;

const MAGIC: u16 = 0xEB9F;

/// Names that must be there: the tracepoints' prototypes, and the fields by
/// which a task is found to be in a scope.
const NEEDED: [&str; 7] = [
    "btf_trace_sched_process_exec",
    "btf_trace_sched_process_exit",
    "btf_trace_sched_process_fork",
    "task_struct",
    "dfl_cgrp",
    "pid_namespace",
    "start_boottime",
];

/// The kernel's type information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Btf {
    /// Its size.
    pub bytes: usize,
    /// The names that the probe set needs and that are not in it.
    pub missing: Vec<&'static str>,
}

impl Btf {
    pub(super) fn read() -> Result<Btf, HostError> {
        let path = Path::new(PATH);
        let bytes = read_bounded(path, MAX_BYTES)?;
        let names = names(&bytes).map_err(|reason| HostError::malformed(path, reason))?;
        let missing = |name: &&'static str| {
            // Names are NUL-terminated, the first one is empty.
            let needle = [b"\0", name.as_bytes(), b"\0"].concat();
            memchr::memmem::find(names, &needle).is_none()
        };
        Ok(Btf { bytes: bytes.len(), missing: NEEDED.into_iter().filter(missing).collect() })
    }
}

/// The section of names: `magic u16, version u8, flags u8, hdr_len u32, type_off
/// u32, type_len u32, str_off u32, str_len u32`, offsets from the header's end.
fn names(bytes: &[u8]) -> Result<&[u8], &'static str> {
    let too_short = "shorter than its header says";
    let number = |at: usize| -> Result<usize, &'static str> {
        let field: [u8; 4] =
            bytes.get(at..at + 4).and_then(|field| field.try_into().ok()).ok_or(too_short)?;
        usize::try_from(u32::from_ne_bytes(field)).map_err(|_| too_short)
    };
    if bytes.get(..2) != Some(&MAGIC.to_ne_bytes()) {
        return Err("does not begin with BTF's magic number");
    }
    let start = number(4)?.checked_add(number(16)?).ok_or(too_short)?;
    let end = start.checked_add(number(20)?).ok_or(too_short)?;
    bytes.get(start..end).ok_or(too_short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn btf(str_off: u32, str_len: u32) -> Vec<u8> {
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        for number in [24, 0, 0, str_off, str_len] {
            bytes.extend(u32::to_ne_bytes(number));
        }
        bytes.extend(b"\0int\0");
        bytes
    }

    #[test]
    fn names_are_read_within_bounds() {
        let short = Err("shorter than its header says");
        assert_eq!(names(&btf(0, 5)), Ok(&b"\0int\0"[..]));
        assert_eq!(names(&btf(1, 5)), short);
        assert_eq!(names(&btf(u32::MAX, u32::MAX)), short);
        assert_eq!(names(&btf(0, 5)[..23]), short);
        assert_eq!(names(b""), Err("does not begin with BTF's magic number"));
    }
}
