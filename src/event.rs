//! What happened in a scope, as the rest of the program sees it.
//!
//! Values borrow the bytes they were decoded from (a ring record, a line of the
//! event file, a command line given to `buildwarden check`), so that looking at
//! an exec allocates nothing. Strings are bytes: argv is not UTF-8.

/// One process, unambiguous while the host is up.
///
/// `pid` is the thread group id in the initial pid namespace, `start` the
/// process's start in nanoseconds since boot (`task_struct.start_boottime`);
/// pids are reused, pairs are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId {
    /// Thread group id in the initial pid namespace.
    pub pid: u32,
    /// Start time, nanoseconds since boot.
    pub start: u64,
}

/// Facts about an exec that are either true or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u32);

impl Flags {
    /// argv is longer than what was delivered.
    pub const TRUNCATED: Flags = Flags(1 << 0);
    /// argv could not be read from the new image.
    pub const UNREADABLE: Flags = Flags(1 << 1);
    /// The file executed lives in memory only (`memfd_create`).
    pub const MEMFD: Flags = Flags(1 << 2);
    /// The file executed has no name in any directory any more.
    pub const DELETED: Flags = Flags(1 << 3);
    /// The file executed was written in this container (overlayfs upper layer).
    pub const UPPER_LAYER: Flags = Flags(1 << 4);
    /// The process had left the container's cgroup; its pid namespace gave it away.
    pub const LEFT_CGROUP: Flags = Flags(1 << 5);
    /// The resolved path is longer than what was delivered: its head is missing.
    pub const PATH_TRUNCATED: Flags = Flags(1 << 6);
    /// An interpreter was executed for a script (`#!`) or by binfmt_misc.
    pub const SCRIPT: Flags = Flags(1 << 7);
    /// The process was put into the container from outside, as `docker exec` does.
    pub const ENTERED: Flags = Flags(1 << 8);

    /// Every flag with the name it has in reports.
    pub const NAMES: [(Flags, &'static str); 9] = [
        (Flags::TRUNCATED, "truncated"),
        (Flags::UNREADABLE, "unreadable"),
        (Flags::MEMFD, "memfd"),
        (Flags::DELETED, "deleted"),
        (Flags::UPPER_LAYER, "upper_layer"),
        (Flags::LEFT_CGROUP, "left_cgroup"),
        (Flags::PATH_TRUNCATED, "path_truncated"),
        (Flags::SCRIPT, "script"),
        (Flags::ENTERED, "entered"),
    ];

    /// Whether every flag of `other` is set.
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags and `other`'s.
    #[must_use]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// The names of the flags that are set, in [`Flags::NAMES`] order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| name)
    }
}

/// The arguments of a program as the kernel lays them out: each followed by NUL.
///
/// A last argument without NUL (argv cut, or overwritten) is an argument too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Argv<'a>(pub &'a [u8]);

impl<'a> Argv<'a> {
    /// The arguments in order, `argv[0]` first, without their NUL.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        let terminated = self.0.strip_suffix(b"\0").unwrap_or(self.0);
        let empty = self.0.is_empty();
        terminated.split(|byte| *byte == 0).filter(move |_| !empty)
    }
}

/// A program was executed: the new image is in place, its first instruction has
/// not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exec<'a> {
    /// 1 for the scope's first exec, then contiguous in the order of delivery: a hole
    /// stands for what was lost.
    pub sequence: u64,
    /// Nanoseconds since boot.
    pub time: u64,
    /// The process that executed.
    pub process: ProcessId,
    /// Its pid in the container's pid namespace.
    pub container_pid: u32,
    /// Its ancestors in the scope, parent first.
    pub parents: Parents,
    /// User id in the initial user namespace.
    pub uid: u32,
    /// Group id in the initial user namespace.
    pub gid: u32,
    /// Login uid of the audit session; `u32::MAX` when there is none.
    pub loginuid: u32,
    /// Inode of the file executed.
    pub inode: u64,
    /// Device of the file executed, as in `stat(2)`'s `st_dev` encoding of the kernel (`major << 20 | minor`).
    pub device: u32,
    /// Path of the file executed, symbolic links resolved, in the container's view.
    /// For a script this is its interpreter.
    pub path: &'a [u8],
    /// The file's name as it was given to `execve(2)`.
    pub name: &'a [u8],
    /// argv as the new image sees it.
    pub argv: Argv<'a>,
    /// Length in bytes of argv before anything was cut.
    pub argv_len: u64,
    /// What else is known.
    pub flags: Flags,
}

impl<'a> Exec<'a> {
    /// The base name of the file executed.
    pub fn base_name(&self) -> &'a [u8] {
        base_name(self.path)
    }
}

/// What follows the last `/`.
pub fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// The nearest ancestors of a process, parent first; at most [`Parents::MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parents {
    ids: [ProcessId; Parents::MAX],
    len: usize,
}

impl Parents {
    /// How many ancestors an exec carries at most.
    pub const MAX: usize = 8;

    /// The ancestors, parent first.
    pub fn as_slice(&self) -> &[ProcessId] {
        &self.ids[..self.len]
    }
}

impl FromIterator<ProcessId> for Parents {
    /// The first [`Parents::MAX`] items.
    fn from_iter<I: IntoIterator<Item = ProcessId>>(items: I) -> Self {
        let mut parents = Parents::default();
        for id in items.into_iter().take(Parents::MAX) {
            parents.ids[parents.len] = id;
            parents.len += 1;
        }
        parents
    }
}

/// A process that had executed something ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Nanoseconds since boot.
    pub time: u64,
    /// The process that ended.
    pub process: ProcessId,
    /// Wait status as in `wait(2)`: exit code in bits 8 to 15, signal in bits 0 to 6.
    pub status: u32,
}

impl Exit {
    /// The exit code, when the process ended by itself.
    pub fn code(&self) -> Option<u8> {
        (self.status & 0x7f == 0).then_some((self.status >> 8) as u8)
    }

    /// The signal that ended the process, if one did.
    pub fn signal(&self) -> Option<u8> {
        let signal = (self.status & 0x7f) as u8;
        (signal != 0).then_some(signal)
    }
}

/// The environment of an exec that came into the container from outside. It comes right
/// before that exec and holds secrets: nothing of it may be kept but ids.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Environment<'a> {
    /// Who executed.
    pub process: ProcessId,
    /// Length in bytes before anything was cut.
    pub total: u64,
    /// `NAME=value` each, followed by NUL, as far as it was delivered.
    pub bytes: &'a [u8],
}

impl<'a> Environment<'a> {
    /// The variables that are text, in order. What is behind the last NUL was cut
    /// somewhere in the middle, and is none.
    pub fn variables(&self) -> impl Iterator<Item = (&'a str, &'a str)> + Clone + use<'a> {
        let whole = self.bytes.iter().rposition(|byte| *byte == 0).unwrap_or(0);
        let entries = self.bytes[..whole].split(|byte| *byte == 0);
        entries.filter_map(|entry| std::str::from_utf8(entry).ok()?.split_once('='))
    }

    /// Whether it is longer than what was delivered.
    pub fn is_cut(&self) -> bool {
        self.total > self.bytes.len() as u64
    }
}

impl std::fmt::Debug for Environment<'_> {
    /// Without the variables.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("process", &self.process)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

/// Something could not be delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// Execs that the kernel saw and could not deliver.
    pub execs: u64,
    /// Exits that the kernel saw and could not deliver.
    pub exits: u64,
}

/// What a scope's ring delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation an exec")]
pub enum Event<'a> {
    /// A program was executed.
    Exec(Exec<'a>),
    /// A process that had executed something ended.
    Exit(Exit),
    /// What an exec that came from outside brought with it.
    Environment(Environment<'a>),
    /// Something could not be delivered.
    Gap(Gap),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argv_keeps_empty_arguments_and_an_unterminated_tail() {
        let cases: [(&[u8], &[&[u8]]); 5] = [
            (b"", &[]),
            (b"\0", &[b""]),
            (b"a\0\0b\0", &[b"a", b"", b"b"]),
            (b"a\0b", &[b"a", b"b"]),
            (b"a\0\0", &[b"a", b""]),
        ];
        for (bytes, want) in cases {
            assert_eq!(Argv(bytes).iter().collect::<Vec<_>>(), want, "{bytes:?}");
        }
    }
}
