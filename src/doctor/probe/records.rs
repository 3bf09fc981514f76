//! What is written about the containers of the probe.

use super::Failure;
use crate::config::Settings;
use crate::report::json;
use crate::report::model::Report;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the report may be in coming after the container's end.
const LIMIT: Duration = Duration::from_secs(10);

const PAUSE: Duration = Duration::from_millis(10);

/// A report of one exec is a few KiB.
const MAX_REPORT: u64 = 1 << 20;

/// The directories that hooks write to.
pub(super) struct Records {
    state: PathBuf,
    live: PathBuf,
}

impl Records {
    pub(super) fn new(settings: &Settings) -> Records {
        Records { state: settings.state_dir.join("containers"), live: settings.run_dir.clone() }
    }

    fn report(&self, id: &Path) -> PathBuf {
        self.state.join(id).join("report.json")
    }

    /// The report is there when poststop has returned; a collector that is faster may
    /// still be writing it then.
    pub(super) fn wait(&self, id: &str) -> Result<Report, Failure> {
        let path = self.report(id.as_ref());
        let deadline = Instant::now() + LIMIT;
        loop {
            match read(&path) {
                Err(Failure::NoReport(_)) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                found => return found,
            }
        }
    }

    /// The runs that are on record.
    pub(super) fn runs(&self) -> BTreeSet<OsString> {
        let entries = fs::read_dir(&self.state).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).collect()
    }

    /// The first report that `wanted` holds for, of runs that were not there `before`.
    pub(super) fn find(
        &self,
        before: &BTreeSet<OsString>,
        wanted: impl Fn(&Report) -> bool,
    ) -> Result<(OsString, Report), Failure> {
        let deadline = Instant::now() + LIMIT;
        loop {
            for run in self.runs().difference(before) {
                if let Ok(report) = read(&self.report(run.as_ref()))
                    && wanted(&report)
                {
                    return Ok((run.clone(), report));
                }
            }
            if Instant::now() >= deadline {
                return Err(Failure::NoReport(self.state.clone()));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Removes what is on record of a run. Goes on after an error, and tells every one.
    pub(super) fn remove(&self, run: impl AsRef<Path>) -> Result<(), Failure> {
        let mut errors = Vec::new();
        for dir in [self.state.join(&run), self.live.join(&run)] {
            match fs::remove_dir_all(&dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    errors.push(format!("{}: {error}", dir.display()));
                }
                _ => {}
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Failure::Leftover(errors.join("; "))) }
    }
}

fn read(path: &Path) -> Result<Report, Failure> {
    let bad = |reason: String| Failure::BadReport { path: path.to_owned(), reason };
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_REPORT).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Failure::NoReport(path.to_owned()))
        }
        Err(error) => Err(bad(error.to_string())),
        Ok(_) => json::parse(&bytes).map_err(|error| bad(error.to_string())),
    }
}
