//! The processes that this one descends from.

use super::stat::Stat;
use std::{fs::File, io::Read as _};

/// Deeper is nothing that is asked for.
const DEPTH: usize = 32;
/// Of a command line: what tells what it is about comes early.
const COMMAND_LINE: u64 = 64 << 10;

/// A process that this one descends from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    /// Its pid.
    pub pid: u32,
    /// When it began, in clock ticks since boot: with the pid, its name.
    pub start: u64,
    /// Its arguments.
    pub arguments: Vec<Vec<u8>>,
}

/// This process's parent, its parent, and so on. Each is alive while the one before it
/// is asked about only if it waits for that, as an engine and its runtime do for a hook.
pub fn ancestors() -> impl Iterator<Item = Ancestor> {
    let of = |pid: u32| Stat::of(&pid.to_string()).map(|stat| (pid, stat));
    let first = Stat::of("self").and_then(|own| of(own.parent));
    // The first of all has the parent 0, which is none.
    std::iter::successors(first, move |(_, stat)| of(stat.parent))
        .take(DEPTH)
        .map(|(pid, stat)| Ancestor { pid, start: stat.start, arguments: arguments(pid) })
}

fn arguments(pid: u32) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(format!("/proc/{pid}/cmdline"));
    // Gone, or a thread of the kernel: no arguments.
    let _ = file.and_then(|file| file.take(COMMAND_LINE).read_to_end(&mut bytes));
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_the_parent() {
        let first = ancestors().next().unwrap();
        assert_eq!(first.pid, std::os::unix::process::parent_id());
        assert!(!first.arguments[0].is_empty());
    }
}
