//! Writing the lines.

use super::Header;
use crate::{
    chain::Chain,
    event::{Exec, Exit, Gap, ProcessId},
    report::{Bytes, model::Importance},
};
use foldhash::fast::RandomState;
use serde::Serialize;
use std::{collections::HashMap, fmt::Display, io::Write as _};

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
