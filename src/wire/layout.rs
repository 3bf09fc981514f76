//! The layout of `bpf/record.h`: offsets and sizes of what is read. A test
//! compares every one with the BTF of the compiled object.

/// `enum bw_record_type`.
pub(super) const EXEC: u32 = 1;
/// `enum bw_record_type`.
pub(super) const EXIT: u32 = 2;
/// `enum bw_record_type`.
pub(super) const ENVIRONMENT: u32 = 3;
/// `BW_NO_SPILL`.
pub(super) const NO_SPILL: u8 = 255;

/// `struct bw_process`.
pub(super) mod process {
    pub(crate) const START: usize = 0;
    pub(crate) const PID: usize = 8;
    pub(crate) const SIZE: usize = 16;
}

/// `struct bw_exec`.
pub(super) mod exec {
    pub(crate) const NUMBER: usize = 8;
    pub(crate) const TIME: usize = 16;
    pub(crate) const PROCESS: usize = 24;
    pub(crate) const INODE: usize = 40;
    pub(crate) const ARGV_TOTAL: usize = 48;
    pub(crate) const ARGV_LEN: usize = 56;
    pub(crate) const CONTAINER_PID: usize = 60;
    pub(crate) const UID: usize = 64;
    pub(crate) const GID: usize = 68;
    pub(crate) const LOGINUID: usize = 72;
    pub(crate) const FLAGS: usize = 76;
    pub(crate) const DEVICE: usize = 80;
    pub(crate) const PATH_LEN: usize = 84;
    pub(crate) const NAME_LEN: usize = 86;
    pub(crate) const PARENTS: usize = 88;
    pub(crate) const SPILL: usize = 89;
    pub(crate) const CPU: usize = 92;
    pub(crate) const SIZE: usize = 96;
}

/// `struct bw_exit`.
pub(super) mod exit {
    pub(crate) const TIME: usize = 8;
    pub(crate) const PROCESS: usize = 16;
    pub(crate) const STATUS: usize = 32;
    pub(crate) const SIZE: usize = 40;
}

/// `struct bw_environment`.
pub(super) mod environment {
    pub(crate) const PROCESS: usize = 8;
    pub(crate) const TOTAL: usize = 24;
    pub(crate) const SIZE: usize = 32;
}
