//! The processes that this one descends from.

use std::{
    fs::{self, File},
    io::Read as _,
};

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
    // A process's pid, its parent's, and its start.
    let of = |pid: u32| stat(&pid.to_string()).map(|(parent, start)| (pid, parent, start));
    let first = stat("self").and_then(|(parent, _)| of(parent));
    // The first of all has the parent 0, which is none.
    std::iter::successors(first, move |(_, parent, _)| of(*parent))
        .take(DEPTH)
        .map(|(pid, _, start)| Ancestor { pid, start, arguments: arguments(pid) })
}

/// The parent and the start of a process.
fn stat(process: &str) -> Option<(u32, u64)> {
    parse(&fs::read(format!("/proc/{process}/stat")).ok()?)
}

/// `pid (name) state ppid …`, and the start as the 22nd; a name can hold anything.
fn parse(stat: &[u8]) -> Option<(u32, u64)> {
    let name_ends = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[name_ends + 1..]).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some((fields.get(1)?.parse().ok()?, fields.get(19)?.parse().ok()?))
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
    fn parent_and_start_are_found_whatever_the_name() {
        let rest = "S 7 1 1 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 99123 1 2";
        for name in ["cat", "a) S 1 (b", "\u{e9} ", ""] {
            assert_eq!(parse(format!("12 ({name}) {rest}").as_bytes()), Some((7, 99123)), "{name}");
        }
        for text in ["", "12 (cat", "12 (cat) S", "12 (cat) S x"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_first_is_the_parent() {
        let first = ancestors().next().unwrap();
        assert_eq!(first.pid, std::os::unix::process::parent_id());
        assert!(!first.arguments[0].is_empty());
    }
}
