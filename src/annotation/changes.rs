//! Waiting for files to grow.

use nix::{
    errno::Errno,
    sys::inotify::{AddWatchFlags, InitFlags, Inotify},
};
use std::{fs::File, io, os::fd::AsRawFd};

/// Wakes up when one of some files was written to or removed.
///
/// Watch first, then read, then wait: what is written in between wakes the wait.
#[derive(Debug)]
pub struct Changes {
    inotify: Inotify,
}

impl Changes {
    /// Watches nothing yet.
    pub fn new() -> io::Result<Changes> {
        Ok(Changes { inotify: Inotify::init(InitFlags::IN_CLOEXEC)? })
    }

    /// Watches a file from now on. The file is the open one, whatever its name leads to by now.
    pub fn watch(&self, file: &File) -> io::Result<()> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        // A removed file's link count changes, which counts as an attribute.
        let flags = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_ATTRIB;
        self.inotify.add_watch(path.as_str(), flags)?;
        Ok(())
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
