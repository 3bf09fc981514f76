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

mod sequences;
#[cfg(test)]
mod tests;
mod write;

pub use sequences::Sequences;
pub use write::{Batch, Beside, push_drained, push_exec, push_exit, push_gap, push_header};

use crate::{
    event::{Flags, ProcessId},
    report::{Bytes, Time, model::Importance},
};
use serde::{Deserialize, Serialize};

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

/// The names of an exec's flags, owned.
pub fn flag_names(flags: Flags) -> Vec<String> {
    flags.names().map(str::to_owned).collect()
}
