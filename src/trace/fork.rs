//! Another program, begun in a cgroup and not waited for.

use nix::{
    libc,
    unistd::{ForkResult, fork},
};
use rustix::{
    process::Pid,
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout},
};
use std::{
    arch::asm,
    ffi::{CStr, CString, c_char},
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
    ptr,
};

/// `CLONE_INTO_CGROUP` of linux/sched.h, since Linux 5.7.
const INTO_CGROUP: u64 = 1 << 33;
/// Of a child until it has executed the program, bytes: it makes a few system calls.
const STACK: usize = 16 << 10;
/// As shells do who cannot execute what they are told to.
const NOT_EXECUTED: i32 = 127;

/// A set of signals, as the kernel has it.
type KernelSignals = u64;

/// What a child is to execute, and with what.
struct Child<'a> {
    program: &'a CStr,
    /// Up to a null pointer.
    argv: Vec<*const c_char>,
    input: BorrowedFd<'a>,
    output: BorrowedFd<'a>,
}

/// Executes `program` with these arguments, of which the first is its name, and without an
/// environment. It reads `input` and writes to `output`, also what are errors. It begins in
/// `cgroup`, where there is one and the system lets us: filters of system calls refuse
/// clone3(2) as a whole. Who is moved there later has the kernel wait for an RCU grace period
/// meanwhile, and with it every engine that makes or removes a cgroup.
///
/// Nobody waits until it is executed, which on a busy machine is most of what a hook takes. Until
/// then the child has this process's memory and no copy: that makes a start more than twice
/// as long, and each page that this process writes to then is copied, too. So what the child reads
/// is not given back before this process ends: a few pages for each.
///
/// # Errors
/// When the kernel makes no process. A program that cannot be executed is one that ends with 127.
pub fn spawn_into(
    cgroup: Option<BorrowedFd<'_>>,
    program: &'static CStr,
    arguments: Vec<CString>,
    input: BorrowedFd<'_>,
    output: BorrowedFd<'_>,
) -> io::Result<Pid> {
    let argv = arguments.into_iter().map(|argument| argument.into_raw().cast_const());
    let argv = argv.chain([ptr::null()]).collect();
    let child: &Child<'_> = Box::leak(Box::new(Child { program, argv, input, output }));
    let pid = match clone(cgroup, child) {
        Some(pid) => pid,
        // SAFETY: the child makes system calls and nothing else.
        None => match unsafe { fork() }? {
            ForkResult::Parent { child } => child.as_raw(),
            ForkResult::Child => become_program(child),
        },
    };
    Pid::from_raw(pid).ok_or_else(|| io::ErrorKind::Other.into())
}

/// The child's part. It shares memory with a process that goes on, so it only makes system calls,
/// by functions that write to no memory but their stack; and to `errno`, should it fail.
extern "C" fn become_program(child: &Child<'_>) -> ! {
    let streams = dup2_stdin(child.input)
        .and_then(|()| dup2_stdout(child.output))
        .and_then(|()| dup2_stderr(child.output));
    let none: KernelSignals = 0;
    // SAFETY: the kernel reads eight bytes, which are there.
    let unblocked = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            ptr::null::<KernelSignals>(),
            size_of::<KernelSignals>(),
        )
    };
    if streams.is_ok() && unblocked == 0 {
        let environment = ptr::null::<c_char>();
        // SAFETY: both end with a null pointer, and hold texts that end with a null byte, which
        // nobody frees.
        unsafe {
            libc::execve(child.program.as_ptr(), child.argv.as_ptr(), &raw const environment)
        };
    }
    // SAFETY: nothing of this process is to be written out or tidied up by its child.
    unsafe { libc::_exit(NOT_EXECUTED) }
}

/// The child's pid; `None` when the kernel refuses.
fn clone(cgroup: Option<BorrowedFd<'_>>, child: &Child<'_>) -> Option<i32> {
    // Sixteen bytes each, as the stack is to be aligned.
    let stack: &mut [u128] = Box::leak(vec![0; STACK / size_of::<u128>()].into());
    let arguments = libc::clone_args {
        flags: libc::CLONE_VM as u64 | cgroup.map_or(0, |_| INTO_CGROUP),
        pidfd: 0,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.as_mut_ptr() as u64,
        stack_size: STACK as u64,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: cgroup.map_or(0, |cgroup| cgroup.as_raw_fd() as u64),
    };
    // SAFETY: the child is on a stack of its own, which is never freed, and calls a function that
    // does not return, with what is never freed either. Descriptors that it uses are open in its
    // own table, a copy of ours at this moment.
    let pid = unsafe { clone3(&arguments, become_program, child) };
    i32::try_from(pid).ok().filter(|pid| *pid > 0)
}

/// clone3(2) with a child that calls `begin`; its pid, or a negative error.
///
/// # Safety
/// `arguments` name a stack of its own; it, and all that `begin` reads, stay where they are.
unsafe fn clone3<'a>(
    arguments: &libc::clone_args,
    begin: extern "C" fn(&'a Child<'a>) -> !,
    child: &'a Child<'a>,
) -> i64 {
    let result: i64;
    // SAFETY: as above; the child has the registers of its parent, but for its result and stack.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, {child}",
            "call {begin}",
            "ud2",
            "2:",
            begin = in(reg) begin,
            child = in(reg) child,
            inout("rax") libc::SYS_clone3 => result,
            in("rdi") arguments,
            in("rsi") size_of::<libc::clone_args>(),
            out("rcx") _,
            out("r11") _,
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, {child}",
            "blr {begin}",
            "brk #1",
            "2:",
            begin = in(reg) begin,
            child = in(reg) child,
            in("x8") libc::SYS_clone3,
            inout("x0") arguments => result,
            in("x1") size_of::<libc::clone_args>(),
        );
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{SigSet, Signal};
    use rustix::process::{WaitOptions, waitpid};
    use std::{
        fs::File,
        io::{Read as _, Seek as _, Write as _},
        os::fd::AsFd as _,
    };

    /// What a program wrote, and its exit code.
    fn spawned(program: &'static CStr, arguments: &[&str], given: &str) -> (String, Option<i32>) {
        let arguments = arguments.iter().map(|word| CString::new(*word).unwrap()).collect();
        let [mut input, mut output]: [File; 2] =
            std::array::from_fn(|_| tempfile::tempfile().unwrap());
        input.write_all(given.as_bytes()).unwrap();
        input.rewind().unwrap();
        let pid = spawn_into(None, program, arguments, input.as_fd(), output.as_fd()).unwrap();
        let ended = waitpid(Some(pid), WaitOptions::empty()).unwrap();
        output.rewind().unwrap();
        let mut written = String::new();
        output.read_to_string(&mut written).unwrap();
        (written, ended.and_then(|(_, status)| status.exit_status()))
    }

    #[test]
    #[cfg_attr(miri, ignore = "makes processes")]
    fn a_program_has_its_arguments_and_streams_and_no_environment() {
        SigSet::from(Signal::SIGTERM).thread_block().unwrap();
        let script =
            "cat; echo $0 $1; echo ${HOME-none} >&2; grep SigBlk /proc/self/status; exit 3";
        for _ in 0..100 {
            let (written, code) = spawned(c"/bin/sh", &["sh", "-c", script, "a", "b c"], "given\n");
            assert_eq!(written, "given\na b c\nnone\nSigBlk:\t0000000000000000\n");
            assert_eq!(code, Some(3));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "makes processes")]
    fn one_that_cannot_be_executed_ends_as_in_a_shell() {
        assert_eq!(spawned(c"/nonexistent", &["x"], ""), (String::new(), Some(127)));
    }
}
