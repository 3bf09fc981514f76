//! Waiting for the files of directories to grow.

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::inotify::{AddWatchFlags, InitFlags, Inotify},
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd},
    time::Instant,
};

/// Wakes up when a file in a directory was made or written to.
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

    /// Watches an open directory from now on, whatever its name leads to by then.
    pub fn in_directory(directory: &impl AsRawFd) -> io::Result<Changes> {
        let changes = Changes::new()?;
        changes.add(directory)?;
        Ok(changes)
    }

    /// Watches an open directory too; once more is as once.
    pub fn add(&self, directory: &impl AsRawFd) -> io::Result<()> {
        let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
        let flags = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE
            // The removal of the directory changes its link count, which is an attribute.
            | AddWatchFlags::IN_ATTRIB;
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

    /// Waits for the next change of something else than the content of files called
    /// `but`; `false` when there was none before the deadline.
    pub fn wait_until(&self, deadline: Instant, but: &str) -> io::Result<bool> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // Rounded up: with 0 ms left of 0.4 it would spin.
            let left = left.as_millis().saturating_add(u128::from(!left.is_zero()));
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(0) if Instant::now() >= deadline => return Ok(false),
                Ok(0) | Err(Errno::EINTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            let events = self.inotify.read_events()?;
            let counts = |event: &nix::sys::inotify::InotifyEvent| {
                event.mask != AddWatchFlags::IN_MODIFY
                    || event.name.as_deref() != Some(but.as_ref())
            };
            if events.iter().any(counts) {
                return Ok(true);
            }
        }
    }
}
