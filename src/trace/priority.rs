//! The scheduling class of the drain.

/// Asks for real-time priority (`SCHED_FIFO` 1): at normal priority an exec storm
/// on the collector's own CPU keeps it from running until the ring is full. `false`
/// where the system does not allow it (no CAP_SYS_NICE, a cgroup without real-time
/// budget).
pub fn real_time() -> bool {
    let parameter = libc::sched_param { sched_priority: 1 };
    // SAFETY: `parameter` lives through the call; 0 is the calling process.
    unsafe {
        libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &parameter) == 0
    }
}
