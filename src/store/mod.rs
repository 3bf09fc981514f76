//! The runs that this host has logs and reports of, to read: which there are, what
//! became of them, and their files.
//!
//! Every file is opened below its run's directory, and no symbolic link is followed
//! there.

mod error;
mod find;
mod job;
mod run;
mod summary;

pub use error::StoreError;
pub use job::{JobRuns, Known, Snapshot, job_container};
pub use run::{Run, open_regular};
pub use summary::{State, Summary};

use crate::{
    annotation::Attached,
    collect::{attachment_of, containers_directory},
    config::Settings,
    oci::{ContainerId, could_be_a_run, split_run},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Where the runs are kept.
#[derive(Clone, Debug)]
pub struct Store {
    /// A directory for each run.
    containers: PathBuf,
    /// A directory for each container that lives.
    live: PathBuf,
}

impl Store {
    /// Where these settings keep them.
    pub fn of(settings: &Settings) -> Store {
        Store { containers: containers_directory(settings), live: settings.run_dir.clone() }
    }

    /// Every run, in the order of their directories' names. What is there besides
    /// directories with such a name is passed over.
    ///
    /// # Errors
    /// When the directory is there and cannot be read.
    pub fn runs(&self) -> Result<Vec<Run>, StoreError> {
        let unreadable = |source| StoreError::Io { path: self.containers.clone(), source };
        let entries = match fs::read_dir(&self.containers) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(unreadable)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(unreadable)?;
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let name = entry.file_name().into_string().ok();
            names.extend(name.filter(|name| is_directory && could_be_a_run(name)));
        }
        names.sort();
        Ok(names.into_iter().map(|name| Run::new(&self.containers, name)).collect())
    }

    /// The run whose directory has this name; none when no run's has.
    pub fn run(&self, name: &str) -> Option<Run> {
        could_be_a_run(name).then(|| Run::new(&self.containers, name.to_owned()))
    }

    /// Where the runs are kept, and where containers that live are.
    pub fn directories(&self) -> [&Path; 2] {
        [&self.containers, &self.live]
    }

    /// What was to be the first line of a run's log, where there is no log yet, and
    /// whether its container is alive.
    fn beginning(&self, run: &Run) -> (Option<Attached>, bool) {
        let name = run.name();
        // The directory of a later run has a number behind the id.
        let ids = [Some(name), split_run(name).map(|(id, _)| id)];
        let live = || ids.iter().flatten().filter(|id| self.is_live(id));
        let attached = live().find_map(|id| attachment_of(&self.live.join(id), name));
        (attached, live().next().is_some())
    }

    /// Whether the container with this id lives, as far as the collection knows.
    pub fn is_live(&self, id: &str) -> bool {
        ContainerId::new(id).is_ok() && self.live.join(id).is_dir()
    }
}

#[cfg(test)]
mod tests;
