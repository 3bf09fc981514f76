//! `/proc/<pid>/stat`, the fields that are asked for: proc_pid_stat(5).

use std::{fs, io, os::unix::fs::MetadataExt as _, time::Duration};

/// What it tells of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// Its parent's pid.
    pub(super) parent: u32,
    /// When it began, in clock ticks since boot.
    pub(super) start: u64,
}

impl Stat {
    /// Of a process by its pid, or of `self`.
    pub(super) fn of(process: &str) -> Option<Stat> {
        Stat::parse(&super::read_from_kernel(format!("/proc/{process}/stat").as_ref()).ok()?)
    }

    /// `pid (name) state ppid …`, and the start as the 22nd; a name can hold anything.
    fn parse(stat: &[u8]) -> Option<Stat> {
        let name_ends = memchr::memrchr(b')', stat)?;
        let rest = std::str::from_utf8(&stat[name_ends + 1..]).ok()?;
        let mut fields = rest.split_ascii_whitespace().skip(1);
        let parent = fields.next()?.parse().ok()?;
        Some(Stat { parent, start: fields.nth(17)?.parse().ok()? })
    }

    /// How long after boot it began, to the clock tick.
    pub(super) fn since_boot(self) -> Option<Duration> {
        let per_second = rustix::param::clock_ticks_per_second();
        Some(Duration::from_millis(self.start.checked_mul(1000)? / per_second))
    }
}

/// When a process began, in clock ticks since boot, as the kernel itself counts; none where
/// this process is told other times.
pub fn began(pid: u32) -> Option<u64> {
    // The initial time namespace has this number; without any, there is no other.
    const INITIAL: u64 = 0xEFFF_FFFA;
    match fs::metadata("/proc/self/ns/time") {
        Ok(namespace) if namespace.ino() != INITIAL => None,
        Err(error) if error.kind() != io::ErrorKind::NotFound => None,
        _ => Stat::of(&pid.to_string()).map(|stat| stat.start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parent_and_start_are_found_whatever_the_name() {
        let rest = "S 7 1 1 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 99123 1 2";
        let want = Some(Stat { parent: 7, start: 99123 });
        for name in ["cat", "a) S 1 (b", "\u{e9} ", ""] {
            assert_eq!(Stat::parse(format!("12 ({name}) {rest}").as_bytes()), want, "{name}");
        }
        assert_eq!(Stat::parse(b"12 (\xff) S 7 1 1 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 99123"), want);
        for text in ["", "12 (cat", "12 (cat) S", "12 (cat) S x", "12 (cat) S 7 1 1"] {
            assert_eq!(Stat::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn ticks_are_told_as_time() {
        let start = |start| Stat { parent: 1, start }.since_boot();
        let ticks = rustix::param::clock_ticks_per_second();
        assert_eq!(start(500), Some(Duration::from_millis(500 * 1000 / ticks)));
        assert_eq!(start(u64::MAX), None);
    }
}
