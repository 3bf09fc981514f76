//! Waiting for a scope to empty.

use super::{CgroupError, Scope};
use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::FileExt as _,
    },
};

/// `cgroup.events` of a cgroup. Wait on it for `EPOLLPRI`, then ask again.
#[derive(Debug)]
pub struct Populated {
    events: File,
}

impl Populated {
    /// Watches a scope's cgroup.
    ///
    /// # Errors
    /// When the cgroup is gone: nothing is in it then.
    pub fn watch(scope: &Scope) -> Result<Populated, CgroupError> {
        let path = scope.directory.join("cgroup.events");
        let events = File::open(&path).map_err(CgroupError::io(&path))?;
        Ok(Populated { events })
    }

    /// Whether a process is in the cgroup or below it. One that is gone has none.
    pub fn is_populated(&self) -> bool {
        let mut text = [0; 256];
        let read: io::Result<usize> = self.events.read_at(&mut text, 0);
        read.is_ok_and(|len| text[..len].split(|byte| *byte == b'\n').any(|l| l == b"populated 1"))
    }
}

impl AsFd for Populated {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}
