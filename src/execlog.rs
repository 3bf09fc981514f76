//! The event file, `execs.jsonl`: one line of JSON for every exec, exit and gap of
//! a container's run, in the order in which the kernel delivered them.
//!
//! Lines are written in batches, each ended by a line that says how far the ring was
//! drained: what stands behind the last of those was torn by a crash, and its records
//! are still in the ring. That line has the batch's value of the [`Chain`].
//!
//! The first line is a header. What a line leaves out has its default: 0 for
//! numbers, empty for lists, the path for the name.

use crate::{
    chain::Chain,
    event::{Exec, Exit, Flags, Gap, ProcessId},
    report::{Bytes, model::Importance},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, io::Write as _};

/// Bytes of argv that a line keeps at least; it was judged in full before.
pub const ARGV_LEAST: usize = 8 << 10;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// `execs`.
    pub buildwarden: String,
    /// Version of the format.
    pub version: u32,
    /// The container's id.
    pub container: String,
    /// Which run of it.
    pub run: u32,
    /// What added to nanoseconds since boot gives nanoseconds since the Unix epoch.
    pub boot_to_unix_ns: i64,
}

impl Header {
    /// The header of version 1.
    pub fn new(container: &str, run: u32, boot_to_unix_ns: i64) -> Header {
        let buildwarden = "execs".to_owned();
        Header { buildwarden, version: 1, container: container.to_owned(), run, boot_to_unix_ns }
    }
}

/// A line after the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A program was executed.
    Exec(Box<ExecLine>),
    /// A process that had executed something ended.
    Exit(ExitLine),
    /// Something could not be delivered.
    Gap(GapLine),
    /// Everything before this line is out of the ring up to this position.
    Drained(u64),
}

impl Line {
    /// Reads a line, with or without its end. The first key says what it is.
    ///
    /// # Errors
    /// When it is not a line of this format.
    pub fn parse(line: &[u8]) -> serde_json::Result<Line> {
        #[derive(Deserialize)]
        struct Gapped {
            gap: GapLine,
        }
        #[derive(Deserialize)]
        struct Position {
            drained: u64,
        }
        if line.starts_with(b"{\"exec\"") {
            serde_json::from_slice(line).map(Line::Exec)
        } else if line.starts_with(b"{\"exit\"") {
            serde_json::from_slice(line).map(Line::Exit)
        } else if line.starts_with(b"{\"drained\"") {
            serde_json::from_slice(line).map(|Position { drained }| Line::Drained(drained))
        } else {
            serde_json::from_slice(line).map(|Gapped { gap }| Line::Gap(gap))
        }
    }
}

/// The sequence number of the last exec in these bytes of an event file, which may begin
/// and end within a line; none when no line of an exec begins in them.
pub fn last_sequence(bytes: &[u8]) -> Option<u64> {
    const BEGINS: &[u8] = b"\n{\"exec\":";
    let at = memchr::memmem::rfind(bytes, BEGINS)? + BEGINS.len();
    let digits = bytes[at..].split(|byte| !byte.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A program was executed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ExecLine {
    /// Its sequence number.
    pub exec: u64,
    /// Nanoseconds since boot.
    pub t: u64,
    /// The process, as the host numbers it.
    pub pid: u32,
    /// When the process started, nanoseconds since boot.
    pub start: u64,
    /// The process, as the container numbers it.
    #[serde(default)]
    pub cpid: u32,
    /// Pids and starts of its ancestors, parent first, up to the first that has a
    /// line of its own.
    #[serde(default)]
    pub parents: Vec<(u32, u64)>,
    /// The user, as the host numbers it.
    #[serde(default)]
    pub uid: u32,
    /// The file executed.
    #[serde(default)]
    pub path: Bytes,
    /// Its name as it was given to execve(2).
    #[serde(default)]
    pub name: Option<Bytes>,
    /// The arguments, secrets replaced.
    #[serde(default)]
    pub argv: Vec<Bytes>,
    /// Length of argv where not all of it is here.
    #[serde(default)]
    pub argv_len: u64,
    /// The names of [`Flags`].
    #[serde(default)]
    pub flags: Vec<String>,
    /// The highest importance among its findings.
    #[serde(default)]
    pub finding: Option<Importance>,
}

/// A process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct ExitLine {
    /// The process, as the host numbers it.
    pub exit: u32,
    /// When the process started, nanoseconds since boot.
    pub start: u64,
    /// Nanoseconds since boot.
    pub t: u64,
    /// Wait status.
    #[serde(default)]
    pub status: u32,
}

/// Something could not be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapLine {
    /// Execs, since the gap before.
    pub execs: u64,
    /// Exits, since the gap before.
    pub exits: u64,
}

impl ExecLine {
    /// The process.
    pub fn process(&self) -> ProcessId {
        ProcessId { pid: self.pid, start: self.start }
    }

    /// Whether the flag called `name` is set.
    pub fn has_flag(&self, name: &str) -> bool {
        self.flags.iter().any(|flag| flag == name)
    }
}

impl ExitLine {
    /// As the event it was.
    pub fn event(&self) -> Exit {
        let process = ProcessId { pid: self.exit, start: self.start };
        Exit { time: self.t, process, status: self.status }
    }
}

/// Appends the header's line to `out`.
pub fn push_header(out: &mut Vec<u8>, header: &Header) {
    push_json(out, header);
    out.push(b'\n');
}

/// What an exec's line says beside the exec.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// As in [`ExecLine::parents`].
    pub parents: &'a [ProcessId],
    /// The highest importance among its findings.
    pub finding: Option<Importance>,
    /// Bytes of argv to keep at most.
    pub argv_kept: usize,
}

/// Appends an exec's line, with the arguments `argv`.
pub fn push_exec<'a>(
    out: &mut Vec<u8>,
    exec: &Exec<'_>,
    argv: impl Iterator<Item = &'a [u8]>,
    beside: Beside<'_>,
) {
    push_number(out, "{\"exec\":", exec.sequence);
    push_number(out, ",\"t\":", exec.time);
    push_number(out, ",\"pid\":", exec.process.pid.into());
    push_number(out, ",\"start\":", exec.process.start);
    if exec.container_pid != 0 {
        push_number(out, ",\"cpid\":", exec.container_pid.into());
    }
    for (i, parent) in beside.parents.iter().enumerate() {
        push_number(out, if i == 0 { ",\"parents\":[[" } else { ",[" }, parent.pid.into());
        push_number(out, ",", parent.start);
        out.push(b']');
    }
    if !beside.parents.is_empty() {
        out.push(b']');
    }
    if exec.uid != 0 {
        push_number(out, ",\"uid\":", exec.uid.into());
    }
    out.extend(b",\"path\":");
    push_bytes(out, exec.path);
    if exec.name != exec.path {
        out.extend(b",\"name\":");
        push_bytes(out, exec.name);
    }
    let mut kept = 0;
    let mut separator = ",\"argv\":[";
    let mut cut = false;
    for argument in argv {
        let room = beside.argv_kept.saturating_sub(kept);
        cut |= argument.len() >= room;
        if room == 0 {
            break;
        }
        out.extend(separator.as_bytes());
        separator = ",";
        push_bytes(out, &argument[..argument.len().min(room)]);
        kept += argument.len() + 1;
    }
    if separator == "," {
        out.push(b']');
    }
    if cut {
        push_number(out, ",\"argv_len\":", exec.argv_len);
    }
    let mut separator = ",\"flags\":[";
    for flag in exec.flags.names() {
        out.extend(separator.as_bytes());
        separator = ",";
        push_json(out, &flag);
    }
    if separator == "," {
        out.push(b']');
    }
    if let Some(importance) = beside.finding {
        out.extend(b",\"finding\":");
        push_json(out, &importance);
    }
    out.extend(b"}\n");
}

/// Appends an exit's line.
pub fn push_exit(out: &mut Vec<u8>, exit: &Exit) {
    push_number(out, "{\"exit\":", exit.process.pid.into());
    push_number(out, ",\"start\":", exit.process.start);
    push_number(out, ",\"t\":", exit.time);
    if exit.status != 0 {
        push_number(out, ",\"status\":", exit.status.into());
    }
    out.extend(b"}\n");
}

/// Appends a gap's line.
pub fn push_gap(out: &mut Vec<u8>, gap: &Gap) {
    push_number(out, "{\"gap\":{\"execs\":", gap.execs);
    push_number(out, ",\"exits\":", gap.exits);
    out.extend(b"}}\n");
}

/// Appends the line that ends what is written at once: how far the ring is drained.
/// `chain` is that of the file, all of `out` what is added to it.
pub fn push_drained(out: &mut Vec<u8>, position: u64, chain: &mut Chain) {
    push_number(out, "{\"drained\":", position);
    chain.seal(out);
}

fn push_number(out: &mut Vec<u8>, before: &str, number: u64) {
    out.extend(before.as_bytes());
    // Writing to a vector does not fail.
    let _ = write!(out, "{number}");
}

/// Bytes in the form of [`Bytes`].
fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => push_json(out, text),
        Err(_) => push_json(out, &Bytes::from(bytes)),
    }
}

fn push_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Neither writing to a vector nor these types fail.
    let _ = serde_json::to_writer(out, value);
}

/// Which sequence numbers have been seen, as ranges: one for a run without loss.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequences {
    /// First to last of each range.
    ranges: BTreeMap<u64, u64>,
    count: u64,
}

impl Sequences {
    /// Adds a number; `false` when it was there already.
    pub fn insert(&mut self, number: u64) -> bool {
        let before = self.ranges.range(..=number).next_back().map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| number <= last) {
            return false;
        }
        self.count += 1;
        let joins_before = before.filter(|(_, last)| last + 1 == number);
        let after = number.checked_add(1).and_then(|next| self.ranges.remove(&next));
        let first = joins_before.map_or(number, |(first, _)| first);
        self.ranges.insert(first, after.unwrap_or(number));
        true
    }

    /// How many different numbers were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The highest number; 0 when there is none.
    pub fn last(&self) -> u64 {
        self.ranges.values().next_back().copied().unwrap_or(0)
    }
}

/// The names of an exec's flags, owned.
pub fn flag_names(flags: Flags) -> Vec<String> {
    flags.names().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Argv;

    #[test]
    fn the_last_exec_is_found_from_the_end() {
        let cases: [(&str, Option<u64>); 6] = [
            ("", None),
            ("{\"buildwarden\":\"execs\"}\n", None),
            ("{}\n{\"exec\":1,\"t\":5}\n{\"exec\":2,\"t\":6}\n{\"exit\":3}\n", Some(2)),
            ("torn\",\"argv\":[]}\n{\"exec\":17,", Some(17)),
            // An argument that imitates a line.
            ("\n{\"exec\":7,\"argv\":[\"\\n{\\\"exec\\\":99\"]}\n", Some(7)),
            ("\n{\"exec\":", None),
        ];
        for (text, want) in cases {
            assert_eq!(last_sequence(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn lines_are_read_as_they_were_written() {
        let exec = Exec {
            sequence: 3,
            time: 9,
            process: ProcessId { pid: 7, start: 5 },
            path: b"/bin/sh",
            name: b"./\xff",
            argv: Argv(b"sh\0\0\"\n\0"),
            flags: Flags::SCRIPT.with(Flags::MEMFD),
            ..Exec::default()
        };
        let parents = [ProcessId { pid: 1, start: 2 }, ProcessId { pid: 3, start: 4 }];
        let exit = Exit { time: 11, process: exec.process, status: 256 };
        let mut out = Vec::new();
        let finding = Some(Importance::Medium);
        let beside = Beside { parents: &parents, finding, argv_kept: ARGV_LEAST };
        push_exec(&mut out, &exec, exec.argv.iter(), beside);
        push_exit(&mut out, &exit);
        push_gap(&mut out, &Gap { execs: 1, exits: 2 });
        push_drained(&mut out, 4096, &mut Chain::default());
        let lines: Vec<Line> = out
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| Line::parse(line).unwrap())
            .collect();
        let want = ExecLine {
            exec: 3,
            t: 9,
            pid: 7,
            start: 5,
            parents: vec![(1, 2), (3, 4)],
            path: "/bin/sh".into(),
            name: Some(b"./\xff"[..].into()),
            argv: vec!["sh".into(), "".into(), "\"\n".into()],
            flags: flag_names(exec.flags),
            finding: Some(Importance::Medium),
            ..ExecLine::default()
        };
        assert_eq!(lines[0], Line::Exec(Box::new(want)));
        assert!(matches!(&lines[1], Line::Exit(line) if line.event() == exit));
        assert_eq!(lines[2], Line::Gap(GapLine { execs: 1, exits: 2 }));
        assert_eq!(lines[3], Line::Drained(4096));
    }

    #[test]
    fn a_long_argv_is_cut_and_says_so() {
        let argument = vec![b'a'; ARGV_LEAST];
        let exec = Exec { argv_len: 12345, ..Exec::default() };
        let mut out = Vec::new();
        let beside = Beside { parents: &[], finding: None, argv_kept: ARGV_LEAST };
        push_exec(&mut out, &exec, [b"x".as_slice(), &argument, b"y"].into_iter(), beside);
        let Ok(Line::Exec(line)) = Line::parse(&out) else { panic!("no exec") };
        assert_eq!(line.argv.len(), 2);
        assert_eq!((line.argv[1].len(), line.argv_len), (ARGV_LEAST - 2, 12345));
    }

    #[test]
    fn sequences_are_counted_once_each_in_any_order() {
        let mut seen = Sequences::default();
        for number in [2, 1, 5, 4, 2, 7, 6] {
            seen.insert(number);
        }
        assert_eq!((seen.count(), seen.last(), seen.ranges.len()), (6, 7, 2));
        assert!(seen.insert(3) && !seen.insert(3) && seen.insert(u64::MAX));
        assert_eq!((seen.count(), seen.last(), seen.ranges.len()), (8, u64::MAX, 2));
    }
}
