//! The two clocks: the kernel stamps events with time since boot, reports are
//! written in wall-clock time.

use crate::report::Time;
use nix::time::{ClockId, clock_gettime};

fn now(clock: ClockId) -> i64 {
    // Fails only for a clock that does not exist.
    clock_gettime(clock).map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

/// Nanoseconds since boot.
pub(super) fn boot_ns() -> u64 {
    now(ClockId::CLOCK_BOOTTIME).unsigned_abs()
}

/// What added to nanoseconds since boot gives nanoseconds since the Unix epoch now.
pub(super) fn boot_to_unix_ns() -> i64 {
    now(ClockId::CLOCK_REALTIME) - now(ClockId::CLOCK_BOOTTIME)
}

/// Milliseconds since `boot_ns`.
pub(super) fn ms_since(begin: u64) -> f64 {
    boot_ns().saturating_sub(begin) as f64 / 1e6
}

/// The wall-clock time, by an offset taken earlier so that one report has one clock.
pub(super) fn time_now(boot_to_unix_ns: i64) -> Time {
    Time::from_boot(boot_ns(), boot_to_unix_ns)
}

/// CPU time of this process so far, in milliseconds.
pub(super) fn cpu_ms() -> f64 {
    now(ClockId::CLOCK_PROCESS_CPUTIME_ID) as f64 / 1e6
}
