//! A process that begins in a cgroup.

use nix::libc;
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

/// fork(2), into a cgroup where there is one. Who is moved to it later has the kernel wait for
/// an RCU grace period meanwhile, and with it every engine that makes or removes a cgroup.
///
/// # Errors
/// When the kernel refuses.
pub fn fork_into(cgroup: Option<BorrowedFd<'_>>) -> io::Result<Forked> {
    let mut flags = 0;
    let mut descriptor = 0;
    if let Some(cgroup) = cgroup {
        flags = INTO_CGROUP;
        descriptor = cgroup.as_raw_fd() as u64;
    }
    let arguments = libc::clone_args {
        flags,
        pidfd: 0,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: descriptor,
    };
    // SAFETY: the child has a copy of the memory, on the same stack, as after fork(2). What the
    // C library would see to are locks that other threads hold, and its own number of the
    // thread, which nobody asks for before the child has executed something.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>())
    };
    match pid {
        0 => Ok(Forked::Child),
        1.. => Ok(Forked::Parent(Pid::from_raw(pid as i32).ok_or(io::ErrorKind::Other)?)),
        _ => Err(io::Error::last_os_error()),
    }
}
