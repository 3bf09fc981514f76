//! A process that begins in a cgroup.

use nix::{
    libc,
    unistd::{ForkResult, fork},
};
use rustix::process::Pid;
use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
};

/// `CLONE_INTO_CGROUP` of linux/sched.h, since Linux 5.7.
const INTO_CGROUP: u64 = 1 << 33;

/// Who goes on after a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    /// Whoever forked, with its child's pid.
    Parent(Pid),
    /// The child, which is to execute something or to exit.
    Child,
}

/// Forks into a cgroup where there is one and the system lets us: filters of system calls
/// refuse clone3(2) as a whole. Who is moved to a cgroup later has the kernel wait for an RCU
/// grace period meanwhile, and with it every engine that makes or removes a cgroup.
///
/// # Errors
/// When the kernel refuses fork(2) too.
pub fn fork_into(cgroup: Option<BorrowedFd<'_>>) -> io::Result<Forked> {
    let pid = match cgroup.and_then(clone_into) {
        Some(pid) => pid,
        // SAFETY: the child executes something or exits, as who calls this is told.
        None => match unsafe { fork() }? {
            ForkResult::Parent { child } => child.as_raw(),
            ForkResult::Child => 0,
        },
    };
    Ok(Pid::from_raw(pid).map_or(Forked::Child, Forked::Parent))
}

/// The child's pid, or 0 in the child; `None` when the kernel refuses.
fn clone_into(cgroup: BorrowedFd<'_>) -> Option<i32> {
    let arguments = libc::clone_args {
        flags: INTO_CGROUP,
        pidfd: 0,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: cgroup.as_raw_fd() as u64,
    };
    // SAFETY: the child has a copy of the memory, on the same stack, as after fork(2). What the
    // C library would see to are locks that other threads hold, and its own number of the
    // thread, which nobody asks for before the child has executed something.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>())
    };
    i32::try_from(pid).ok().filter(|pid| *pid >= 0)
}
