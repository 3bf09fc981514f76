//! The heap of a process that lives long.

/// Gives back to the system what a start has used and freed. Each watched container has a
/// collector, which needs little more than what it reads from the ring.
pub fn trim_heap() {
    // SAFETY: it only gives back pages that no allocation lies in.
    unsafe { libc::malloc_trim(0) };
}
