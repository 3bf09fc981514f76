//! Writing the annotation log.

use super::{Attached, Finished, Gap, Key, NamedJob, Tail};
use crate::{
    chain::Chain,
    report::{
        Time, json,
        model::{Allowed, Finding},
    },
};
use serde::Serialize;
use std::{
    fs::File,
    io::{self, Write},
};

/// Appends to the annotation log of one container.
///
/// Each line is one `write(2)` of the whole line to a file opened for appending,
/// so that a reader never sees two lines mixed, and a crash tears only the last. Each
/// has its value of the [`Chain`].
#[derive(Debug)]
pub struct Log {
    file: File,
    container: String,
    /// Whether the file ends inside a line.
    torn: bool,
    chain: Chain,
}

/// A line as it is written, its value still in its own type.
#[derive(Serialize)]
struct Written<'a, V> {
    time: Time,
    container: &'a str,
    key: Key,
    value: &'a V,
}

impl Log {
    /// The log of `container` in `file`, which is open for appending, and for reading
    /// if it may hold lines of an earlier writer: after one that was torn, the next
    /// line begins on a line of its own.
    pub fn new(file: File, container: &str) -> io::Result<Log> {
        let mut lines = Tail::new(file.try_clone()?);
        let mut chain = lines.chain()?;
        chain.torn_line(lines.torn());
        Ok(Log { file, container: container.to_owned(), torn: lines.is_torn(), chain })
    }

    /// The log of `container` in `file`, which is new.
    pub fn begin(file: File, container: &str) -> Log {
        Log { file, container: container.to_owned(), torn: false, chain: Chain::default() }
    }

    /// Recording began.
    pub fn attached(&mut self, time: Time, attached: &Attached) -> io::Result<()> {
        self.append(time, Key::Attached, attached)
    }

    /// The `n`th job that an exec's environment named.
    pub fn job(&mut self, time: Time, n: u64, named: &NamedJob) -> io::Result<()> {
        self.append(time, Key::Job(n), named)
    }

    /// A finding, as the report will have it; its outcome is left out.
    pub fn finding(&mut self, time: Time, finding: &Finding) -> io::Result<()> {
        self.append_without_outcome(time, Key::Finding(finding.n), finding)
    }

    /// The `n`th match that the policy allows; its outcome is left out.
    pub fn allowed(&mut self, time: Time, n: u64, allowed: &Allowed) -> io::Result<()> {
        self.append_without_outcome(time, Key::Allowed(n), allowed)
    }

    fn append_without_outcome<V: Serialize>(
        &mut self,
        time: Time,
        key: Key,
        value: &V,
    ) -> io::Result<()> {
        let mut value = serde_json::to_value(value)?;
        if let Some(fields) = value.as_object_mut() {
            fields.shift_remove("outcome");
        }
        self.append(time, key, &value)
    }

    /// Something was lost, for the `n`th time.
    pub fn gap(&mut self, time: Time, n: u64, gap: &Gap) -> io::Result<()> {
        self.append(time, Key::Gap(n), gap)
    }

    /// The container ended. The last line.
    pub fn finished(&mut self, time: Time, finished: &Finished) -> io::Result<()> {
        self.append(time, Key::Finished, finished)
    }

    /// The file, to sync or to hand on.
    pub fn file(&self) -> &File {
        &self.file
    }

    fn append<V: Serialize>(&mut self, time: Time, key: Key, value: &V) -> io::Result<()> {
        let mut line = if self.torn { b"\n".to_vec() } else { Vec::new() };
        line.extend(json::line(&Written { time, container: &self.container, key, value })?.bytes());
        line.pop_if(|brace| *brace == b'}');
        let mut chain = self.chain.clone();
        chain.seal(&mut line);
        // Not write_all: what a full disk leaves of the line must not be continued
        // by a later one.
        let written = loop {
            match self.file.write(&line) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                result => break result?,
            }
        };
        if written == line.len() {
            self.torn = false;
            self.chain = chain;
            return Ok(());
        }
        self.torn |= written > 0;
        self.chain.torn_line(&line[..written]);
        Err(io::Error::new(
            io::ErrorKind::StorageFull,
            format!("annotation log took {written} of {} bytes of a line", line.len()),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        annotation::{Entry, Line, Tail},
        report::model::{Job, Verdict},
    };

    fn read(file: &File) -> Vec<Line> {
        let mut tail = Tail::new(file.try_clone().unwrap());
        let mut lines = Vec::new();
        while let Some(line) = tail.next_line().unwrap() {
            lines.extend(Line::parse(line));
        }
        lines
    }

    #[test]
    fn lines_are_read_as_they_were_written_and_a_torn_one_costs_only_itself() {
        let time = Time::from_unix_ns(1);
        let gap = Gap { execs: 3, exits: 1 };
        let finished = Finished {
            verdict: Verdict::Incomplete,
            findings: Default::default(),
            report: Some("report.json".into()),
            reasons: vec!["a\nb".into()],
            formats: Vec::new(),
            formats_failed: Vec::new(),
            job: Some(Job { id: "j".into(), source: "s".into() }),
            other_jobs: vec![],
            sha256: Default::default(),
        };
        let named = NamedJob { job: finished.job.clone().unwrap(), exec: 4, taken: true };
        let mut file = tempfile::tempfile().unwrap();
        let mut log = Log::new(file.try_clone().unwrap(), "c1").unwrap();
        log.gap(time, 1, &gap).unwrap();
        file.write_all(b"{\"time\":\"2026-").unwrap();
        let mut log = Log::new(file.try_clone().unwrap(), "c1").unwrap();
        log.finished(time, &finished).unwrap();
        log.gap(time, 2, &gap).unwrap();
        log.job(time, 1, &named).unwrap();

        let lines = read(&file);
        let keys: Vec<_> = lines.iter().map(|line| line.key.to_string()).collect();
        let want =
            ["gap.1", "finished", "gap.2", "job.1"].map(|key| format!("dev.buildwarden.{key}"));
        assert_eq!(keys, want);
        assert_eq!(lines[0].entry().unwrap(), Entry::Gap(gap));
        assert_eq!(lines[1].entry().unwrap(), Entry::Finished(finished));
        assert_eq!(lines[3].entry().unwrap(), Entry::Job(named));
        assert_eq!((lines[1].time, lines[1].container.as_str()), (time, "c1"));
    }
}
