//! What a hook leaves for the collector and for whoever may have to take over.

use super::{CollectError, directory::Directory};
use crate::{annotation::Attached, host, oci::could_be_a_run, report::Time};
use serde::{Deserialize, Serialize};
use std::{io::Write as _, path::Path};

/// The file in a container's run directory.
const FILE: &str = "attachment.json";

/// A container whose recording began, or should have begun.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Attachment {
    /// The `attached` annotation.
    pub(super) attached: Attached,
    /// When the hook began, nanoseconds since boot; 0 where that is not known.
    #[serde(default)]
    pub(super) begun: u64,
    /// The name of the directory of its log and report.
    pub(super) directory: String,
    /// The process that runs the build it is a step of.
    #[serde(default)]
    pub(super) builder: Option<String>,
    /// Why nothing is recorded, when nothing is.
    pub(super) failure: Option<String>,
    /// How its recording was lost, when there is nothing left to drain.
    #[serde(skip)]
    pub(super) lost: Option<Lost>,
}

/// A recording whose end nobody saw.
#[derive(Clone, Debug)]
pub(super) struct Lost {
    /// What happened to it.
    pub(super) reason: String,
    /// When something of it was written down for the last time.
    pub(super) last: Time,
}

impl Attachment {
    /// Writes it, where there is none.
    pub(super) fn write(&self, run: &Directory) -> Result<(), CollectError> {
        let path = || run.path().join(FILE);
        let failed = |error| CollectError::io(&path(), "write", error);
        let bytes = serde_json::to_vec(self).map_err(|error| failed(error.into()))?;
        run.create_file(FILE)?.write_all(&bytes).map_err(failed)
    }

    /// Reads it; `None` when the hook did not come so far.
    pub(super) fn read(run: &Directory) -> Result<Option<Attachment>, CollectError> {
        // One without content is of a hook that was killed before it wrote it, by one call.
        let bytes = run.content(FILE)?.filter(|bytes| !bytes.is_empty());
        let Some(bytes) = bytes else { return Ok(None) };
        let malformed = |reason| CollectError::Malformed { path: run.path().join(FILE), reason };
        let read: Attachment =
            serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        // Somebody may have changed it; where we write is not theirs to say.
        if !could_be_a_run(&read.directory) {
            return Err(malformed(format!("{:?} is not the name of a run", read.directory)));
        }
        Ok(Some(read))
    }

    /// Adds what a hook does not wait for: this boot's id, and when the kernel's recording began,
    /// nanoseconds since boot.
    pub(super) fn registered(&mut self, at: Option<u64>) {
        self.attached.boot_id = self.attached.boot_id.take().or_else(host::boot_id);
        let took = at.map_or(0, |at| at.saturating_sub(self.begun));
        self.attached.attach_ms = took as f64 / 1e6;
    }

    /// When recording began, as far as [`Attachment::registered`] was told.
    pub(super) fn began(&self) -> Time {
        let took = self.attached.attach_ms * 1e6;
        Time::from_boot(self.begun.saturating_add(took as u64), self.attached.boot_to_unix_ns)
    }

    /// Writes it in the place of the one that is there.
    pub(super) fn replace(&self, run: &Directory) -> Result<(), CollectError> {
        Attachment::remove(run)?;
        self.write(run)
    }

    /// Removes it.
    pub(super) fn remove(run: &Directory) -> Result<(), CollectError> {
        run.remove(FILE)
    }
}

/// What a container's run directory says of the run that is kept in `directory`; `None`
/// when it says nothing, or is about another run.
pub fn attachment_of(run: &Path, directory: &str) -> Option<Attached> {
    let run = Directory::open(run).ok()??;
    let attachment = Attachment::read(&run).ok()??;
    (attachment.directory == directory).then_some(attachment.attached)
}
