//! Waiting for files to grow and directories to fill.

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor},
};
use std::{
    ffi::OsString,
    io,
    os::fd::{AsFd as _, AsRawFd},
    path::Path,
    time::{Duration, Instant},
};

/// Wakes up when something that is watched changes.
///
/// Watch first, then read, then wait: what is written in between wakes the wait.
#[derive(Debug)]
pub struct Changes {
    inotify: Inotify,
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Watch(WatchDescriptor);

/// Something changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This did; in a directory the entry of that name.
    At(Watch, Option<OsString>),
    /// More changed than the kernel keeps: anything may have.
    Anything,
}

impl Changes {
    /// Watches nothing yet.
    pub fn new() -> io::Result<Changes> {
        Ok(Changes { inotify: Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)? })
    }

    /// Watches an open directory and the files in it from now on, whatever its name leads
    /// to by then.
    pub fn in_directory(directory: &impl AsRawFd) -> io::Result<Changes> {
        let changes = Changes::new()?;
        changes.add(directory)?;
        Ok(changes)
    }

    /// Watches an open directory and the files in it too; once more is as once.
    pub fn add(&self, directory: &impl AsRawFd) -> io::Result<()> {
        let flags = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE
            // The removal of the directory changes its link count, which is an attribute.
            | AddWatchFlags::IN_ATTRIB;
        self.watch(&by_descriptor(directory), flags).map(drop)
    }

    /// Watches an open file: wakes when it is written to or removed.
    pub fn watch_file(&self, file: &impl AsRawFd) -> io::Result<Watch> {
        self.watch(&by_descriptor(file), AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_ATTRIB)
    }

    /// Watches a directory: wakes when something is made or removed in it, or it itself
    /// is removed; not when a file in it grows.
    pub fn watch_entries(&self, directory: &Path) -> io::Result<Watch> {
        let flags = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_ONLYDIR
            | AddWatchFlags::IN_DONT_FOLLOW;
        self.watch(directory, flags)
    }

    /// Watches something no more.
    pub fn forget(&self, watch: Watch) {
        // Gone by itself when what it watched is gone.
        let _ = self.inotify.rm_watch(watch.0);
    }

    fn watch(&self, path: &Path, flags: AddWatchFlags) -> io::Result<Watch> {
        Ok(Watch(self.inotify.add_watch(path, flags)?))
    }

    /// Waits for the next change; several at once count as one.
    pub fn wait(&self) -> io::Result<()> {
        self.next(None).map(drop)
    }

    /// The next changes, waited for until a moment if one is given; none when it has come.
    pub fn next(&self, until: Option<Instant>) -> io::Result<Vec<Change>> {
        let events = self.events(until)?;
        Ok(events.into_iter().map(change).collect())
    }

    /// Waits for the next change of something else than the content of files called
    /// `but`; `false` when there was none before the deadline.
    pub fn wait_until(&self, deadline: Instant, but: &str) -> io::Result<bool> {
        let counts = |event: &InotifyEvent| {
            event.mask != AddWatchFlags::IN_MODIFY || event.name.as_deref() != Some(but.as_ref())
        };
        loop {
            let events = self.events(Some(deadline))?;
            if events.is_empty() || events.iter().any(counts) {
                return Ok(!events.is_empty());
            }
        }
    }

    fn events(&self, until: Option<Instant>) -> io::Result<Vec<InotifyEvent>> {
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let mut fds = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, left.map_or(PollTimeout::NONE, timeout)) {
                Ok(0) if left.is_some_and(|left| left.is_zero()) => return Ok(Vec::new()),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            match self.inotify.read_events() {
                Ok(events) => return Ok(events),
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn by_descriptor(open: &impl AsRawFd) -> std::path::PathBuf {
    format!("/proc/self/fd/{}", open.as_raw_fd()).into()
}

/// Rounded up, so that nobody wakes before the moment has come.
fn timeout(left: Duration) -> PollTimeout {
    let ms = left.as_nanos().div_ceil(1_000_000);
    i32::try_from(ms).ok().and_then(|ms| PollTimeout::try_from(ms).ok()).unwrap_or(PollTimeout::MAX)
}

fn change(event: InotifyEvent) -> Change {
    if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
        return Change::Anything;
    }
    Change::At(Watch(event.wd), event.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, io::Write as _};

    #[test]
    fn it_wakes_for_what_it_watches_and_for_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = fs::File::create_new(&path).unwrap();
        let mut other = fs::File::create_new(dir.path().join("other")).unwrap();
        let changes = Changes::new().unwrap();
        let file = changes.watch_file(&log).unwrap();
        let directory = changes.watch_entries(dir.path()).unwrap();
        let now = || changes.next(Some(Instant::now())).unwrap();

        other.write_all(b"x").unwrap();
        assert_eq!(now(), []);
        log.write_all(b"x").unwrap();
        assert_eq!(changes.next(None).unwrap(), [Change::At(file, None)]);
        fs::create_dir(dir.path().join("new")).unwrap();
        assert_eq!(now(), [Change::At(directory, Some("new".into()))]);
        fs::remove_file(&path).unwrap();
        assert!(now().contains(&Change::At(file, None)));
        changes.forget(file);
        changes.forget(directory);
        now();
        other.write_all(b"x").unwrap();
        log.write_all(b"x").unwrap();
        assert_eq!(now(), []);
    }

    #[test]
    fn one_file_that_grows_does_not_wake_who_waits_for_others() {
        let dir = tempfile::tempdir().unwrap();
        let mut busy = fs::File::create_new(dir.path().join("busy")).unwrap();
        let mut other = fs::File::create_new(dir.path().join("other")).unwrap();
        let open = fs::File::open(dir.path()).unwrap();
        let changes = Changes::in_directory(&open).unwrap();
        let soon = || Instant::now() + Duration::from_millis(20);
        let wakes = || changes.wait_until(soon(), "busy").unwrap();

        assert!(!wakes());
        busy.write_all(b"x").unwrap();
        assert!(!wakes());
        busy.write_all(b"x").unwrap();
        other.write_all(b"x").unwrap();
        assert!(wakes());
        fs::remove_file(dir.path().join("busy")).unwrap();
        assert!(wakes());
        // A moment that has come already hides nothing that has happened.
        other.write_all(b"x").unwrap();
        assert!(changes.wait_until(Instant::now(), "busy").unwrap());
    }
}
