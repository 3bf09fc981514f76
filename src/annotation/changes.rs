//! Waiting for the files of a directory to grow.

use nix::{
    errno::Errno,
    sys::inotify::{AddWatchFlags, InitFlags, Inotify},
};
use std::{io, os::fd::AsRawFd};

/// Wakes up when a file in a directory was made or written to.
///
/// Watch first, then read, then wait: what is written in between wakes the wait.
#[derive(Debug)]
pub struct Changes {
    inotify: Inotify,
}

impl Changes {
    /// Watches an open directory from now on, whatever its name leads to by then.
    pub fn in_directory(directory: &impl AsRawFd) -> io::Result<Changes> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
        let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
        let flags = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE
            // The removal of the directory changes its link count, which is an attribute.
            | AddWatchFlags::IN_ATTRIB;
        inotify.add_watch(path.as_str(), flags)?;
        Ok(Changes { inotify })
    }

    /// Waits for the next change; several at once count as one.
    pub fn wait(&self) -> io::Result<()> {
        loop {
            match self.inotify.read_events() {
                Err(Errno::EINTR) => (),
                result => return result.map(drop).map_err(io::Error::from),
            }
        }
    }
}
