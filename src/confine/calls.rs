//! System calls: a seccomp filter.

use seccompiler::{
    SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use std::collections::BTreeMap;

/// Which system calls stay. All others fail with EPERM: whoever made one says what it was
/// for, which ends up among the reasons of an incomplete report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls {
    /// Waiting for a scope's end, and the map operations that drain and release a slot.
    collects: bool,
    /// Threads, notifications of files, and sockets to send from.
    sends: bool,
}

/// Memory, time, threads that are there, and files that the kernel lets one have.
const COMMON: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_faccessat,
    libc::SYS_fchmod,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_futex,
    libc::SYS_getcpu,
    libc::SYS_getdents64,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_pwrite64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_statx,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_unlinkat,
    libc::SYS_write,
    libc::SYS_writev,
];

/// The older forms of some, which only some architectures have.
#[cfg(target_arch = "x86_64")]
const OLDER: &[i64] = &[
    libc::SYS_access,
    libc::SYS_epoll_wait,
    libc::SYS_lstat,
    libc::SYS_open,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[i64] = &[];

const COLLECTS: &[i64] = &[
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_pidfd_open,
    libc::SYS_signalfd4,
];

const SENDS: &[i64] = &[
    // Threads; what is in the arguments of the newer form cannot be seen from here.
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_rm_watch,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
];

/// Commands of bpf(2), as in linux/bpf.h.
const BPF_MAP_LOOKUP_ELEM: u64 = 1;
const BPF_MAP_UPDATE_ELEM: u64 = 2;
const BPF_MAP_DELETE_ELEM: u64 = 3;
const BPF_OBJ_GET: u64 = 7;
const BPF_OBJ_GET_INFO_BY_FD: u64 = 15;

impl Calls {
    /// What a collector needs: no process, no socket, no program, nobody else's files.
    pub const COLLECTOR: Calls = Calls { collects: true, sends: false };
    /// What an exporter needs.
    pub const EXPORTER: Calls = Calls { collects: false, sends: true };

    /// Takes all others away from the calling thread.
    pub(super) fn restrict(self) -> Result<(), String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let architecture = std::env::consts::ARCH.try_into().map_err(|error| text(&error))?;
        let rules = self.rules().map_err(|error| text(&error))?;
        let refuse = SeccompAction::Errno(libc::EPERM as u32);
        let filter = SeccompFilter::new(rules, refuse, SeccompAction::Allow, architecture)
            .map_err(|error| text(&error))?;
        let program: seccompiler::BpfProgram =
            filter.try_into().map_err(|error: seccompiler::BackendError| text(&error))?;
        apply_filter(&program).map_err(|error| text(&error))
    }

    /// The calls that stay, each with what its arguments may be: no rule, anything.
    fn rules(self) -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
        let lists = [COMMON, OLDER]
            .into_iter()
            .chain(self.collects.then_some(COLLECTS))
            .chain(self.sends.then_some(SENDS));
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
            lists.flatten().map(|call| (*call, Vec::new())).collect();
        let one_of = |index, values: &[u64]| {
            let rule = |value: &u64| {
                SeccompRule::new(vec![SeccompCondition::new(index, Len::Dword, Op::Eq, *value)?])
            };
            values.iter().map(rule).collect::<Result<Vec<_>, _>>()
        };
        // Memory that can be executed is for nobody.
        let not_executable = || {
            let mask = Op::MaskedEq(libc::PROT_EXEC as u64);
            Ok(vec![SeccompRule::new(vec![SeccompCondition::new(2, Len::Dword, mask, 0)?])?])
        };
        rules.insert(libc::SYS_mmap, not_executable()?);
        rules.insert(libc::SYS_mprotect, not_executable()?);
        // abort(3) ends with a signal to itself.
        rules.insert(libc::SYS_tgkill, one_of(0, &[std::process::id().into()])?);
        if self.collects {
            let commands = [
                BPF_MAP_LOOKUP_ELEM,
                BPF_MAP_UPDATE_ELEM,
                BPF_MAP_DELETE_ELEM,
                BPF_OBJ_GET,
                BPF_OBJ_GET_INFO_BY_FD,
            ];
            rules.insert(libc::SYS_bpf, one_of(0, &commands)?);
        }
        if self.sends {
            let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];
            rules.insert(libc::SYS_socket, one_of(0, &families.map(|family| family as u64))?);
            rules.insert(libc::SYS_ioctl, one_of(1, &[libc::FIONBIO])?);
        }
        Ok(rules)
    }
}
