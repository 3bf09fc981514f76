//! The event file, `execs.jsonl`: one line of JSON for every exec, exit and gap of
//! a container's run, in the order in which the kernel delivered them.
//!
//! Lines are written in batches, each ended by a line that says how far the ring was
//! drained: what stands behind the last of those was torn by a crash, and its records
//! are still in the ring. That line has the batch's value of the [`Chain`].
//!
//! The first line is a header. All times are nanoseconds: `t` since the header's `began`,
//! and a process's `age` is how long it had been there at `t`. A line that speaks of another
//! exec names it by its sequence number, and that exec's line stands before it: so nobody who
//! reads has to remember processes. An end that is written at once with its process's last
//! exec is in that one's line, and else a line of its own. Where the writer, whose memory is bounded, does not know
//! the exec, it says nothing of who started a process, and names one that ended by `pid` and
//! `age`.
//!
//! What a line leaves out has its default: 0 for numbers, empty for lists, for `cpid` the
//! pid, for `name` the path, and for `argv` the name and nothing else.

use crate::{
    chain::Chain,
    event::{Exec, Exit, Flags, Gap, ProcessId},
    report::{Bytes, Time, model::Importance},
};
use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    io::Write as _,
};

/// The version of the format.
pub const VERSION: u32 = 2;

/// Bytes of argv that a line keeps at least; it was judged in full before.
pub const ARGV_LEAST: usize = 8 << 10;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// `execs`.
    pub buildwarden: String,
    /// [`VERSION`].
    pub version: u32,
    /// The container's id.
    pub container: String,
    /// Which run of it.
    pub run: u32,
    /// What the times of the lines count from.
    pub began: Time,
    /// What added to nanoseconds since boot gives nanoseconds since the Unix epoch.
    pub boot_to_unix_ns: i64,
}

/// Why a line is not the header of a file that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It is none, or was changed.
    #[error("the header is missing or changed")]
    Missing,
    /// It is of another version.
    #[error(
        "it is an event file of version {0}, and expected is version {VERSION}: read it with the \
         program that wrote it"
    )]
    Version(u32),
}

impl Header {
    /// The header of a file whose times count from `began`, nanoseconds since boot.
    pub fn new(container: &str, run: u32, boot_to_unix_ns: i64, began: u64) -> Header {
        Header {
            buildwarden: "execs".to_owned(),
            version: VERSION,
            container: container.to_owned(),
            run,
            began: Time::from_boot(began, boot_to_unix_ns),
            boot_to_unix_ns,
        }
    }

    /// Reads a file's first line.
    ///
    /// # Errors
    /// When it is none, or of another version.
    pub fn parse(line: &[u8]) -> Result<Header, HeaderError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        if !is_header(line) {
            return Err(HeaderError::Missing);
        }
        match serde_json::from_slice(line) {
            Ok(Versioned { version: VERSION }) => {
                serde_json::from_slice(line).map_err(|_| HeaderError::Missing)
            }
            Ok(Versioned { version }) => Err(HeaderError::Version(version)),
            Err(_) => Err(HeaderError::Missing),
        }
    }

    /// What the times of the lines count from, in nanoseconds since boot.
    pub fn began_since_boot(&self) -> u64 {
        u64::try_from(self.began.unix_ns() - i128::from(self.boot_to_unix_ns)).unwrap_or(0)
    }
}

/// Whether a line is, or once was, a header: it begins as one.
pub fn is_header(line: &[u8]) -> bool {
    line.starts_with(b"{\"buildwarden\":\"execs\"")
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
    /// When, since the header's `began`.
    pub t: i64,
    /// The process, as the host numbers it.
    pub pid: u32,
    /// How long the process had been there.
    pub age: i64,
    /// The process, as the container numbers it: see [`ExecLine::container_pid`].
    #[serde(default)]
    pub cpid: Option<u32>,
    /// The exec that the process comes of: the last one of its parent, or where that has
    /// executed nothing, of the nearest ancestor that has.
    #[serde(default)]
    pub by: Option<u64>,
    /// The user, as the host numbers it.
    #[serde(default)]
    pub uid: u32,
    /// The file executed.
    #[serde(default)]
    pub path: Bytes,
    /// Its name as it was given to execve(2): see [`ExecLine::name`].
    #[serde(default)]
    pub name: Option<Bytes>,
    /// The arguments, secrets replaced: see [`ExecLine::argv`].
    #[serde(default)]
    pub argv: Option<Vec<Bytes>>,
    /// Length of argv where not all of it is here.
    #[serde(default)]
    pub argv_len: u64,
    /// The names of [`Flags`].
    #[serde(default)]
    pub flags: Vec<String>,
    /// The highest importance among its findings.
    #[serde(default)]
    pub finding: Option<Importance>,
    /// How long it ran, where its process ended before anything else was executed in that:
    /// see [`ExecLine::end`].
    #[serde(default)]
    pub ran: Option<i64>,
    /// The wait status of that end.
    #[serde(default)]
    pub status: u32,
}

/// A process that had executed something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct ExitLine {
    /// Its last exec; none where the writer did not know it.
    pub exit: Option<u64>,
    /// When, since the header's `began`.
    pub t: i64,
    /// The process, as the host numbers it, where no exec names it.
    #[serde(default)]
    pub pid: u32,
    /// How long that had been there.
    #[serde(default)]
    pub age: i64,
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
    /// The process, in a file whose times count from `began`, nanoseconds since boot.
    pub fn process(&self, began: u64) -> ProcessId {
        process(self.pid, self.t, self.age, began)
    }

    /// The process, as the container numbers it.
    pub fn container_pid(&self) -> u32 {
        self.cpid.unwrap_or(self.pid)
    }

    /// The file's name as it was given to execve(2).
    pub fn name(&self) -> &Bytes {
        self.name.as_ref().unwrap_or(&self.path)
    }

    /// The arguments, secrets replaced.
    pub fn argv(&self) -> &[Bytes] {
        match &self.argv {
            Some(argv) => argv,
            None => std::slice::from_ref(self.name()),
        }
    }

    /// The end of its process, where it is in the same line.
    pub fn end(&self) -> Option<ExitLine> {
        let t = self.t.wrapping_add(self.ran?);
        Some(ExitLine { exit: Some(self.exec), t, pid: 0, age: 0, status: self.status })
    }

    /// Whether the flag called `name` is set.
    pub fn has_flag(&self, name: &str) -> bool {
        self.flags.iter().any(|flag| flag == name)
    }
}

impl ExitLine {
    /// The process, where no exec names it: as of [`ExecLine::process`].
    pub fn process(&self, began: u64) -> ProcessId {
        process(self.pid, self.t, self.age, began)
    }
}

fn process(pid: u32, t: i64, age: i64, began: u64) -> ProcessId {
    let start = began.wrapping_add_signed(t).wrapping_add_signed(age.wrapping_neg());
    ProcessId { pid, start }
}

/// Appends the header's line to `out`.
pub fn push_header(out: &mut Vec<u8>, header: &Header) {
    push_json(out, header);
    out.push(b'\n');
}

/// What an exec's line says beside the exec.
#[derive(Clone, Copy, Debug)]
pub struct Beside {
    /// What the file's times count from, nanoseconds since boot.
    pub began: u64,
    /// As in [`ExecLine::by`].
    pub by: Option<u64>,
    /// The highest importance among its findings.
    pub finding: Option<Importance>,
    /// Bytes of argv to keep at most.
    pub argv_kept: usize,
}

/// Appends an exec's line, with the arguments `argv`.
pub fn push_exec<'a>(
    out: &mut Vec<u8>,
    exec: &Exec<'_>,
    argv: impl Iterator<Item = &'a [u8]> + Clone,
    beside: Beside,
) {
    push_number(out, "{\"exec\":", exec.sequence);
    push_number(out, ",\"t\":", since(exec.time, beside.began));
    push_number(out, ",\"pid\":", exec.process.pid);
    push_number(out, ",\"age\":", since(exec.time, exec.process.start));
    if exec.container_pid != exec.process.pid {
        push_number(out, ",\"cpid\":", exec.container_pid);
    }
    if let Some(by) = beside.by {
        push_number(out, ",\"by\":", by);
    }
    if exec.uid != 0 {
        push_number(out, ",\"uid\":", exec.uid);
    }
    out.extend(b",\"path\":");
    push_bytes(out, exec.path);
    if exec.name != exec.path {
        out.extend(b",\"name\":");
        push_bytes(out, exec.name);
    }
    let alone = exec.name.len() < beside.argv_kept && argv.clone().eq([exec.name]);
    if !alone {
        push_argv(out, argv, beside.argv_kept, exec.argv_len);
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

/// Appends the first `room` bytes of arguments that are `len` long.
fn push_argv<'a>(out: &mut Vec<u8>, argv: impl Iterator<Item = &'a [u8]>, room: usize, len: u64) {
    out.extend(b",\"argv\":[");
    let (mut separator, mut kept, mut cut) = ("", 0, false);
    for argument in argv {
        let room = room.saturating_sub(kept);
        cut |= argument.len() >= room;
        if room == 0 {
            break;
        }
        out.extend(separator.as_bytes());
        separator = ",";
        push_bytes(out, &argument[..argument.len().min(room)]);
        kept += argument.len() + 1;
    }
    out.push(b']');
    if cut {
        push_number(out, ",\"argv_len\":", len);
    }
}

/// Appends an exit's line, in a file whose times count from `began`. `last` is the last exec
/// of the process, where that has a line.
pub fn push_exit(out: &mut Vec<u8>, exit: &Exit, last: Option<u64>, began: u64) {
    match last {
        Some(last) => push_number(out, "{\"exit\":", last),
        None => out.extend(b"{\"exit\":null"),
    }
    push_number(out, ",\"t\":", since(exit.time, began));
    if last.is_none() {
        push_number(out, ",\"pid\":", exit.process.pid);
        push_number(out, ",\"age\":", since(exit.time, exit.process.start));
    }
    push_status(out, exit.status);
    out.extend(b"}\n");
}

fn push_status(out: &mut Vec<u8>, status: u32) {
    if status != 0 {
        push_number(out, ",\"status\":", status);
    }
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

/// Nanoseconds from `earlier` to `time`, both since boot.
fn since(time: u64, earlier: u64) -> i64 {
    time.wrapping_sub(earlier).cast_signed()
}

/// Lines that are written at once.
#[derive(Debug, Default)]
pub struct Batch {
    lines: Vec<u8>,
    /// The last exec of each process in them: where the rest of its line goes, and when it was.
    execs: HashMap<ProcessId, (usize, u64), RandomState>,
    /// Ends of those: where they go, how long it ran, the wait status.
    ends: Vec<(usize, i64, u32)>,
    /// The lines, and the ends in them.
    sealed: Vec<u8>,
}

impl Batch {
    /// Adds an exec as [`push_exec`] does; the bytes that it takes.
    pub fn exec<'a>(
        &mut self,
        exec: &Exec<'_>,
        argv: impl Iterator<Item = &'a [u8]> + Clone,
        beside: Beside,
    ) -> usize {
        let before = self.lines.len();
        push_exec(&mut self.lines, exec, argv, beside);
        let end = self.lines.len() - b"}\n".len();
        self.execs.insert(exec.process, (end, exec.time));
        self.lines.len() - before
    }

    /// Adds an exit: to the line of its process's last exec, where that is in this batch, and
    /// else as [`push_exit`] does.
    pub fn exit(&mut self, exit: &Exit, last: Option<u64>, began: u64) {
        match self.execs.remove(&exit.process) {
            Some((at, time)) => self.ends.push((at, since(exit.time, time), exit.status)),
            None => push_exit(&mut self.lines, exit, last, began),
        }
    }

    /// Adds a gap.
    pub fn gap(&mut self, gap: &Gap) {
        push_gap(&mut self.lines, gap);
    }

    /// What is to be written of it, ended as by [`push_drained`]. It is empty then.
    pub fn seal(&mut self, position: u64, chain: &mut Chain) -> &[u8] {
        let Batch { lines, execs, ends, sealed } = self;
        sealed.clear();
        ends.sort_unstable();
        let mut copied = 0;
        for (at, ran, status) in ends.drain(..) {
            sealed.extend(&lines[copied..at]);
            copied = at;
            push_number(sealed, ",\"ran\":", ran);
            push_status(sealed, status);
        }
        sealed.extend(&lines[copied..]);
        push_drained(sealed, position, chain);
        lines.clear();
        execs.clear();
        sealed
    }
}

fn push_number(out: &mut Vec<u8>, before: &str, number: impl Display) {
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

    /// Whether a number was added.
    pub fn contains(&self, number: u64) -> bool {
        self.ranges.range(..=number).next_back().is_some_and(|(_, last)| number <= *last)
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

    const BESIDE: Beside = Beside { began: 8, by: None, finding: None, argv_kept: ARGV_LEAST };

    #[track_caller]
    fn exec_line(exec: &Exec<'_>, beside: Beside) -> (String, ExecLine) {
        let mut out = Vec::new();
        push_exec(&mut out, exec, exec.argv.iter(), beside);
        let Ok(Line::Exec(line)) = Line::parse(&out) else { panic!("no exec") };
        (String::from_utf8(out).unwrap(), *line)
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
        let finding = Some(Importance::Medium);
        let (_, line) = exec_line(&exec, Beside { by: Some(2), finding, ..BESIDE });
        let want = ExecLine {
            exec: 3,
            t: 1,
            pid: 7,
            age: 4,
            cpid: Some(0),
            by: Some(2),
            path: "/bin/sh".into(),
            name: Some(b"./\xff"[..].into()),
            argv: Some(vec!["sh".into(), "".into(), "\"\n".into()]),
            flags: flag_names(exec.flags),
            finding,
            ..ExecLine::default()
        };
        assert_eq!(line, want);
        assert_eq!(line.process(8), exec.process);

        let mut out = Vec::new();
        let exit = Exit { time: 11, process: exec.process, status: 256 };
        push_exit(&mut out, &exit, Some(3), 8);
        push_exit(&mut out, &exit, None, 8);
        push_gap(&mut out, &Gap { execs: 1, exits: 2 });
        push_drained(&mut out, 4096, &mut Chain::default());
        let lines: Vec<Line> = out
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| Line::parse(line).unwrap())
            .collect();
        let named = ExitLine { exit: Some(3), t: 3, pid: 0, age: 0, status: 256 };
        let unknown = ExitLine { exit: None, pid: 7, age: 6, ..named };
        assert_eq!(lines[0], Line::Exit(named));
        assert_eq!(lines[1], Line::Exit(unknown));
        assert_eq!(unknown.process(8), exit.process);
        assert_eq!(lines[2], Line::Gap(GapLine { execs: 1, exits: 2 }));
        assert_eq!(lines[3], Line::Drained(4096));
    }

    #[test]
    fn an_end_in_the_same_batch_is_in_the_line_of_the_last_exec() {
        let mut batch = Batch::default();
        let mut chain = Chain::default();
        let id = |pid| ProcessId { pid, start: 1 };
        let exec = |batch: &mut Batch, sequence, pid| {
            let (process, time) = (id(pid), 10 * sequence);
            let exec = Exec { sequence, time, process, path: b"/x", ..Exec::default() };
            batch.exec(&exec, [].into_iter(), BESIDE);
        };
        let exit = |pid, status| Exit { time: 100, process: id(pid), status };
        exec(&mut batch, 1, 7);
        exec(&mut batch, 2, 8);
        exec(&mut batch, 3, 7);
        batch.exit(&exit(7, 0), Some(3), 8);
        batch.exit(&exit(8, 9), Some(2), 8);
        exec(&mut batch, 4, 9);
        let first = batch.seal(64, &mut chain).to_vec();
        batch.exit(&exit(9, 256), Some(4), 8);
        batch.gap(&Gap { execs: 1, exits: 0 });
        let file = [&first[..], batch.seal(96, &mut chain)].concat();

        let mut read = Chain::default();
        let mut ends = Vec::new();
        for line in file.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n') {
            assert_ne!(read.line(line), crate::chain::Link::Broken);
            match Line::parse(line).unwrap() {
                Line::Exec(line) => ends.extend(line.end()),
                Line::Exit(line) => ends.push(line),
                Line::Gap(_) | Line::Drained(_) => {}
            }
        }
        let ends: Vec<_> = ends.iter().map(|end| (end.exit, end.t, end.status)).collect();
        assert_eq!(ends, [(Some(2), 92, 9), (Some(3), 92, 0), (Some(4), 92, 256)]);
        assert_eq!(read.last(), chain.last());
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        let exec = Exec {
            sequence: 1,
            time: 9,
            process: ProcessId { pid: 7, start: 5 },
            container_pid: 7,
            path: b"/bin/true",
            name: b"/bin/true",
            ..Exec::default()
        };
        // The name, argv; what is written of them.
        let cases: [(&[u8], &[u8], &str); 5] = [
            (b"/bin/true", b"/bin/true\0", ""),
            (b"true", b"true\0", r#","name":"true""#),
            (b"/bin/true", b"true\0", r#","argv":["true"]"#),
            (b"/bin/true", b"/bin/true\0\0", r#","argv":["/bin/true",""]"#),
            (b"/bin/true", b"", r#","argv":[]"#),
        ];
        for (name, argv, want) in cases {
            let exec = Exec { name, argv: Argv(argv), ..exec };
            let (text, line) = exec_line(&exec, BESIDE);
            let start = r#"{"exec":1,"t":1,"pid":7,"age":4,"path":"/bin/true""#;
            assert_eq!(text, format!("{start}{want}}}\n"));
            assert_eq!((&**line.name(), line.container_pid()), (name, 7));
            let read: Vec<&[u8]> = line.argv().iter().map(Bytes::as_bytes).collect();
            assert_eq!(read, exec.argv.iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_header_of_another_version_is_named() {
        let header = Header::new("c", 2, 1_700_000_000_000_000_000, 1_500_000_000);
        let mut out = Vec::new();
        push_header(&mut out, &header);
        assert_eq!(Header::parse(&out), Ok(header.clone()));
        assert_eq!(header.began.to_string(), "2023-11-14T22:13:21.500000000Z");
        assert_eq!(header.began_since_boot(), 1_500_000_000);
        let first =
            r#"{"buildwarden":"execs","version":1,"container":"c","run":1,"boot_to_unix_ns":5}"#;
        let error = Header::parse(first.as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it is an event file of version 1, and expected is version 2: read it with the program \
             that wrote it"
        );
        for line in ["", "{}", "{\"buildwarden\":\"execs\",\"version\":2}", "{\"exec\":1}"] {
            assert_eq!(Header::parse(line.as_bytes()), Err(HeaderError::Missing), "{line}");
        }
    }

    #[test]
    fn a_long_argv_is_cut_and_says_so() {
        let argument = vec![b'a'; ARGV_LEAST];
        let exec = Exec { argv_len: 12345, ..Exec::default() };
        let mut out = Vec::new();
        push_exec(&mut out, &exec, [b"x".as_slice(), &argument, b"y"].into_iter(), BESIDE);
        let Ok(Line::Exec(line)) = Line::parse(&out) else { panic!("no exec") };
        let argv = line.argv();
        assert_eq!(argv.len(), 2);
        assert_eq!((argv[1].len(), line.argv_len), (ARGV_LEAST - 2, 12345));
        // One that is all of argv, too.
        let exec = Exec { name: &argument, ..exec };
        out.clear();
        push_exec(&mut out, &exec, [argument.as_slice()].into_iter(), BESIDE);
        let Ok(Line::Exec(line)) = Line::parse(&out) else { panic!("no exec") };
        assert_eq!((line.argv()[0].len(), line.argv_len), (ARGV_LEAST, 12345));
    }

    #[test]
    fn sequences_are_counted_once_each_in_any_order() {
        let mut seen = Sequences::default();
        for number in [2, 1, 5, 4, 2, 7, 6] {
            seen.insert(number);
        }
        assert_eq!((seen.count(), seen.last(), seen.ranges.len()), (6, 7, 2));
        assert!(!seen.contains(3) && !seen.contains(0) && seen.contains(1) && seen.contains(7));
        assert!(seen.insert(3) && !seen.insert(3) && seen.insert(u64::MAX));
        assert_eq!((seen.count(), seen.last(), seen.ranges.len()), (8, u64::MAX, 2));
    }
}
