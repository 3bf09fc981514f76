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
    annotation::{Changes, Line, Tail},
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
    /// Records that could not be sent.
    pub failed: u64,
    /// Why the last of those could not; null when all were sent.
    pub error: Option<String>,
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
    /// When the log cannot be read.
    pub fn send(self) -> Result<BTreeMap<&'static str, Tally>, ExportError> {
        let Export { settings, run, .. } = self;
        let tallies = std::thread::scope(|scope| {
            let threads: Vec<_> = outputs(&settings.outputs)
                .into_iter()
                .map(|(name, make)| (name, scope.spawn(move || follow(settings, run, make()))))
                .collect();
            let joined = threads.into_iter().map(|(name, thread)| {
                // A panic of one is no reason to lose what the others say.
                let gone = || Tally { error: Some("it panicked".to_owned()), ..Tally::default() };
                let tally = thread.join().unwrap_or_else(|_| Ok(gone()))?;
                Ok((name, tally))
            });
            joined.collect::<Result<BTreeMap<_, _>, ExportError>>()
        })?;
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

/// Sends every record of a run to one output.
fn follow(
    settings: &Settings,
    run: &Run,
    mut output: Box<dyn Output>,
) -> Result<Tally, ExportError> {
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
    let mut tally = Tally::default();
    loop {
        // Asked before reading: what is written before a container's end is seen then.
        let live = store.is_live(&id);
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let Some(bytes) = lines.next_line().map_err(failed)? else { break };
            batch.extend(Line::parse(bytes).ok().and_then(|line| reader.record(&line)));
        }
        if batch.is_empty() {
            let removed = fstat(lines.file()).is_ok_and(|stat| stat.st_nlink == 0);
            if !live || removed {
                return Ok(tally);
            }
            changes.wait().map_err(failed)?;
            continue;
        }
        let (sent, error) = output.send(&batch, &mut patience);
        tally.sent += sent as u64;
        tally.failed += (batch.len() - sent) as u64;
        tally.error = error.or(tally.error);
        if batch.iter().any(|record| record.kind == Kind::Finished) {
            return Ok(tally);
        }
    }
}
