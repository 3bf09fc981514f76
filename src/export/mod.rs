//! Sending findings and the ends of containers to where an administrator looks: systemd's
//! journal, syslog, an OpenTelemetry collector.
//!
//! A process of its own per container, which follows the annotation log: whatever a
//! receiver does, the collector does not notice. Each output has a thread of its own, so
//! that one that hangs does not delay another.

mod journald;
mod otlp;
mod patience;
mod record;
mod syslog;

pub use record::{Field, Kind, Record, Severity};

use crate::{
    annotation::{Changes, LINE_MAX, Line, Tail},
    collect::{
        self,
        file::{ANNOTATIONS, EXPORTS},
    },
    config::{Outputs, Settings},
    confine::{Calls, Confined, Reach, confine},
    report::json,
    store::{Run, Store, StoreError},
};
use nix::{
    fcntl::{OFlag, openat, renameat},
    sys::stat::{Mode, fstat},
};
use patience::Patience;
use record::Reader;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    io::{self, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    path::PathBuf,
};

/// How many records are sent at a time where a receiver takes several.
const BATCH: usize = 100;

/// What became of a run's records at one output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Records that the receiver took, as far as can be told.
    pub sent: u64,
    /// Records that could not be sent, and lines of the log that could not be read.
    pub failed: u64,
    /// Why the last of those could not, or why no more were tried; null when all were sent.
    pub error: Option<String>,
}

impl Tally {
    /// Lines of which nobody knows what records they were.
    fn unreadable(&mut self, lines: u64, why: String) {
        self.failed += lines;
        self.error = Some(why);
    }
}

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Its files.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log or its directory.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// There is no log.
    #[error("{0}: there is no annotation log")]
    NoLog(String),
}

/// A receiver of records.
trait Output {
    /// Sends some; the number of those that were taken, and why the others were not.
    fn send(&mut self, records: &[Record], patience: &mut Patience) -> (usize, Option<String>);
}

/// The sending of a run's records, before it begins.
#[derive(Debug)]
pub struct Export<'a> {
    settings: &'a Settings,
    run: &'a Run,
    /// Locked, so that nobody else sends it.
    _log: File,
    directory: OwnedFd,
    /// Becomes `exports.json`.
    staging: File,
}

/// The name of what becomes `exports.json`.
const STAGING: &str = ".exports.json.new";

impl<'a> Export<'a> {
    /// Opens what it needs; `None` when another process sends this run already.
    ///
    /// # Errors
    /// When the log or its directory cannot be opened.
    pub fn open(settings: &'a Settings, run: &'a Run) -> Result<Option<Export<'a>>, ExportError> {
        let log = open(run)?;
        match log.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(source)) => return Err(io_error(run, source)),
        }
        let directory = run.directory()?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC;
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let staging = openat(&directory, STAGING, flags, Mode::from_bits_truncate(0o640))
            .map_err(|error| note_error(run, error.into()))?;
        let staging = File::from(staging);
        Ok(Some(Export { settings, run, _log: log, directory, staging }))
    }

    /// Gives up what sending needs not: whatever a receiver does to this process, it can write
    /// to no file that is there, and connect to no other port.
    pub fn confine(&self) -> Confined {
        let port = self.settings.outputs.otlp.as_ref().and_then(|url| url.port_or_known_default());
        let reach = Reach {
            rename_in: vec![self.directory.as_fd()],
            connect: port.into_iter().collect(),
            ..Reach::default()
        };
        confine(reach, Calls::EXPORTER)
    }

    /// Sends what the run's log has and will have to every output that is configured, until
    /// the container has ended; and leaves beside the log what became of it, in the place of
    /// what an earlier export left.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn send(self) -> Result<BTreeMap<&'static str, Tally>, ExportError> {
        let tallies = send_to_each(self.settings, self.run, outputs(&self.settings.outputs));
        self.note(&tallies)?;
        Ok(tallies)
    }

    fn note(mut self, tallies: &BTreeMap<&'static str, Tally>) -> Result<(), ExportError> {
        let text = json::pretty(tallies).map_err(|error| note_error(self.run, error.into()))?;
        self.staging
            .write_all(text.as_bytes())
            .and_then(|()| Ok(renameat(&self.directory, STAGING, &self.directory, EXPORTS)?))
            .map_err(|source| note_error(self.run, source))
    }
}

/// What each output says: whatever ends one, the others go on and are heard.
fn send_to_each(
    settings: &Settings,
    run: &Run,
    outputs: Vec<(&'static str, Make)>,
) -> BTreeMap<&'static str, Tally> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = outputs
            .into_iter()
            .map(|(name, make)| (name, scope.spawn(move || follow(settings, run, make()))))
            .collect();
        let joined = threads.into_iter().map(|(name, thread)| {
            let gone = |_| Tally { error: Some("it panicked".to_owned()), ..Tally::default() };
            (name, thread.join().unwrap_or_else(gone))
        });
        joined.collect()
    })
}

/// Leaves whoever started this process.
pub fn detach() {
    // Where there is no cgroup of its own to be had, it sends from that of its parent.
    let _ = collect::detach();
}

/// Those that are configured, by name.
fn outputs(configured: &Outputs) -> Vec<(&'static str, Make)> {
    let mut outputs: Vec<(&'static str, Make)> = Vec::new();
    if let Some(socket) = configured.journald.clone() {
        outputs.push(("journald", Box::new(move || Box::new(journald::Journald::new(socket)))));
    }
    if let Some(daemon) = configured.syslog.clone() {
        outputs.push(("syslog", Box::new(move || Box::new(syslog::Syslog::new(daemon)))));
    }
    if let Some(url) = configured.otlp.clone() {
        outputs.push(("otlp", Box::new(move || Box::new(otlp::Otlp::new(url)))));
    }
    outputs
}

type Make = Box<dyn FnOnce() -> Box<dyn Output> + Send>;

fn open(run: &Run) -> Result<File, ExportError> {
    run.open(ANNOTATIONS)?.ok_or_else(|| ExportError::NoLog(run.name().to_owned()))
}

fn note_error(run: &Run, source: io::Error) -> ExportError {
    ExportError::Io { path: run.path().join(EXPORTS), source }
}

fn io_error(run: &Run, source: io::Error) -> ExportError {
    ExportError::Io { path: run.path().join(ANNOTATIONS), source }
}

/// Sends every record of a run to one output. Where the log cannot be read to its end,
/// that is the output's error, and what it has sent still counts.
fn follow(settings: &Settings, run: &Run, output: Box<dyn Output>) -> Tally {
    let mut tally = Tally::default();
    if let Err(error) = send_all(settings, run, output, &mut tally) {
        tally.error = Some(error.to_string());
    }
    tally
}

fn send_all(
    settings: &Settings,
    run: &Run,
    mut output: Box<dyn Output>,
    tally: &mut Tally,
) -> Result<(), ExportError> {
    let failed = |source| io_error(run, source);
    let changes = Changes::new().map_err(failed)?;
    let mut lines = Tail::new(open(run)?);
    changes.watch_file(lines.file()).map_err(failed)?;
    let (id, _) = run.identity();
    // Its end, should nobody write the log's last line. It may have come already.
    let _ = changes.watch_entries(&settings.run_dir.join(&id));
    let store = Store::of(settings);
    let mut reader = Reader::default();
    let mut patience = Patience::default();
    let mut too_long = 0;
    loop {
        // Asked before reading: what is written before a container's end is seen then.
        let live = store.is_live(&id);
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let Some(bytes) = lines.next_line().map_err(failed)? else { break };
            match Line::parse(bytes).and_then(|line| reader.record(&line)) {
                Ok(record) => batch.extend(record),
                Err(error) => tally.unreadable(1, format!("{ANNOTATIONS}: {error}")),
            }
        }
        let passed_over = lines.too_long() - too_long;
        if passed_over > 0 {
            too_long = lines.too_long();
            tally.unreadable(
                passed_over,
                format!("{ANNOTATIONS}: a line is longer than {LINE_MAX} bytes"),
            );
        }
        if batch.is_empty() {
            let removed = fstat(lines.file()).is_ok_and(|stat| stat.st_nlink == 0);
            if !live || removed {
                return Ok(());
            }
            changes.wait().map_err(failed)?;
            continue;
        }
        let (sent, error) = output.send(&batch, &mut patience);
        tally.sent += sent as u64;
        tally.failed += (batch.len() - sent) as u64;
        tally.error = error.or(tally.error.take());
        if batch.iter().any(|record| record.kind == Kind::Finished) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::FileExt as _, sync::mpsc};
    use tempfile::TempDir;

    /// A receiver that takes everything.
    struct Willing;

    impl Output for Willing {
        fn send(&mut self, records: &[Record], _: &mut Patience) -> (usize, Option<String>) {
            (records.len(), None)
        }
    }

    /// A line of a container's log.
    fn line(key: &str, value: &str) -> String {
        let time = "1970-01-01T00:00:00Z";
        format!(r#"{{"time":"{time}","container":"web","key":"{key}","value":{value}}}"#) + "\n"
    }

    fn finished() -> String {
        let value = r#"{"verdict":"clean","findings":{"critical":0,"medium":0},"report":null}"#;
        line("dev.buildwarden.finished", value)
    }

    /// The run of a container that has ended.
    struct Ended {
        settings: Settings,
        run: Run,
        _root: TempDir,
    }

    impl Ended {
        /// Its log is this, behind so many bytes of a hole.
        fn with_log(text: &str, hole: u64) -> Ended {
            let root = TempDir::new().unwrap();
            let settings = Settings {
                state_dir: root.path().join("state"),
                run_dir: root.path().join("run"),
                ..Settings::default()
            };
            let run = Store::of(&settings).run("web").unwrap();
            fs::create_dir_all(run.path()).unwrap();
            let log = File::create(run.path().join(ANNOTATIONS)).unwrap();
            log.write_all_at(text.as_bytes(), hole).unwrap();
            Ended { settings, run, _root: root }
        }

        fn send_to(&self, outputs: Vec<(&'static str, Make)>) -> BTreeMap<&'static str, Tally> {
            send_to_each(&self.settings, &self.run, outputs)
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_counts_as_not_sent() {
        let finished = finished();
        let finding = line("dev.buildwarden.finding.1", "{}");
        let malformed = "annotations.jsonl: expected a line of an annotation log: ";
        let too_long = format!("annotations.jsonl: a line is longer than {LINE_MAX} bytes");
        // Text, and how many bytes of a hole lie before it.
        let cases: [(&str, u64, u64, u64, Option<&str>); 5] = [
            (&finished, 0, 1, 0, None),
            (&line("dev.buildwarden.other", "{}"), 0, 0, 0, None),
            (&("torn\n".to_owned() + &finished), 0, 1, 1, Some(malformed)),
            (&(finding + &finished), 0, 1, 1, Some(malformed)),
            (&("\n".to_owned() + &finished), LINE_MAX as u64 + (1 << 20), 1, 1, Some(&too_long)),
        ];
        for (text, hole, sent, failed, error) in cases {
            let run = Ended::with_log(text, hole);
            let tally = &run.send_to(vec![("willing", Box::new(|| Box::new(Willing)))])["willing"];
            assert_eq!((tally.sent, tally.failed), (sent, failed), "{text}: {tally:?}");
            let said = tally.error.as_deref().unwrap_or_default();
            assert!(said.starts_with(error.unwrap_or_default()), "{tally:?}");
            assert_eq!(said.is_empty(), error.is_none(), "{tally:?}");
        }
    }

    #[test]
    fn an_output_that_fails_leaves_the_others_alone() {
        /// Says that the log is open, before it takes everything.
        struct Telling(mpsc::Sender<()>);

        impl Output for Telling {
            fn send(
                &mut self,
                records: &[Record],
                patience: &mut Patience,
            ) -> (usize, Option<String>) {
                self.0.send(()).unwrap();
                Willing.send(records, patience)
            }
        }

        let run = Ended::with_log(&finished(), 0);
        let log = run.run.path().join(ANNOTATIONS);
        let (tell, told) = mpsc::channel();
        let tallies = run.send_to(vec![
            (
                "late",
                Box::new(move || {
                    told.recv().unwrap();
                    fs::remove_file(log).unwrap();
                    Box::new(Willing)
                }),
            ),
            ("panicking", Box::new(|| panic!("as the test wants it"))),
            ("telling", Box::new(|| Box::new(Telling(tell)))),
        ]);
        let said =
            |name| (tallies[name].sent, tallies[name].failed, tallies[name].error.as_deref());
        assert_eq!(said("late"), (0, 0, Some("web: there is no annotation log")));
        assert_eq!(said("panicking"), (0, 0, Some("it panicked")));
        assert_eq!(said("telling"), (1, 0, None));
    }
}
