//! The lock in a container's run directory: who holds it may drain the container's
//! ring and write its report. It goes with its process.

use super::{CollectError, directory::Directory};
use crate::{config::Settings, oci::ContainerId};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    libc,
};
use rustix::process::Pid;
use std::{
    fs::File,
    io,
    sync::mpsc::{Receiver, sync_channel},
    thread,
    time::Duration,
};

/// The lock file.
const FILE: &str = "lock";
/// How long a hook waits for one that is held for a moment.
const MOMENT: Duration = Duration::from_secs(1);

/// Of the thread that waits, which does nothing else, bytes.
const STACK: usize = 64 << 10;

/// What became of waiting: the lock, unless the container has ended.
pub(super) type Waited = Result<Option<Held>, CollectError>;

/// Who has a container.
pub(super) enum Lock {
    /// We.
    Held(Held),
    /// Another process: its collector, who took over, a sweep, or a hook.
    Busy(Busy),
    /// Nobody any more: it has ended.
    Gone,
}

/// A container's run directory, with its lock.
pub(super) struct Held {
    pub(super) run: Directory,
    /// A POSIX lock ends when its process closes *any* descriptor of the file, so
    /// this is the only one.
    lock: File,
}

/// The lock of another process.
pub(super) struct Busy {
    pub(super) holder: Pid,
    held: Held,
}

impl Lock {
    /// Takes the lock of a container, if it is free.
    pub(super) fn take(settings: &Settings, id: &ContainerId) -> Result<Lock, CollectError> {
        match Directory::open(&settings.run_dir.join(id.as_str()))? {
            Some(run) => Lock::of(run),
            None => Ok(Lock::Gone),
        }
    }

    /// The same, of an open run directory.
    fn of(run: Directory) -> Result<Lock, CollectError> {
        let file = match run.append(FILE) {
            Ok(file) => file,
            // Removed between the two.
            Err(CollectError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(Lock::Gone);
            }
            Err(error) => return Err(error),
        };
        match lock(&file) {
            Ok(None) => {}
            Ok(Some(holder)) => {
                let held = Held { run, lock: file };
                return Ok(Lock::Busy(Busy { holder, held }));
            }
            Err(error) => return Err(CollectError::file(&run.path().join(FILE), "lock", error)),
        }
        Ok(Held { run, lock: file }.unless_removed().map_or(Lock::Gone, Lock::Held))
    }
}

impl Held {
    /// Takes the lock of a container whose run directory was just made; `None` when it is
    /// gone again: whoever removes that of an earlier run may take this for it. A sweep may
    /// have the lock for a moment, and lets go of what has not begun.
    pub(super) fn wait(run: Directory, id: &ContainerId) -> Result<Option<Held>, CollectError> {
        let busy = match Lock::of(run)? {
            Lock::Held(held) => return Ok(Some(held)),
            Lock::Gone => return Ok(None),
            Lock::Busy(busy) => busy,
        };
        if let Ok(held) = busy.wait()?.recv_timeout(MOMENT) {
            return held;
        }
        Err(CollectError::Collector {
            id: id.to_string(),
            reason: "somebody else holds the lock of its new run directory".to_owned(),
        })
    }

    /// Whoever had it before may have ended the container and removed the directory.
    fn unless_removed(self) -> Option<Held> {
        let removed = nix::sys::stat::fstat(&self.lock).is_ok_and(|stat| stat.st_nlink == 0);
        (!removed).then_some(self)
    }

    /// Removes the lock file, and with it the lock.
    pub(super) fn remove(run: &Directory) -> Result<(), CollectError> {
        run.remove(FILE)
    }
}

impl Busy {
    /// Waits for the lock on a thread of its own: the kernel gives it to who waits for it at
    /// once, but knows no deadline. Nobody has it any more where the container has ended.
    pub(super) fn wait(self) -> Result<Receiver<Waited>, CollectError> {
        let (sender, receiver) = sync_channel(1);
        let path = self.held.run.path().join(FILE);
        let failed = |error| CollectError::io(&path, "wait for", error);
        let own = path.clone();
        let wait = move || {
            let waited = wait_for(&self.held.lock);
            let waited = waited.map_err(|error| CollectError::file(&own, "wait for", error));
            // Who does not wait for it any more lets go of it.
            let _ = sender.send(waited.map(|()| self.held.unless_removed()));
        };
        thread::Builder::new().stack_size(STACK).spawn(wait).map_err(failed)?;
        Ok(receiver)
    }
}

/// A lock of all of a file.
const WHOLE: libc::flock = libc::flock {
    l_type: libc::F_WRLCK as libc::c_short,
    l_whence: libc::SEEK_SET as libc::c_short,
    l_start: 0,
    l_len: 0,
    l_pid: 0,
};

/// Locks the file, or names the process that has it locked. A POSIX lock and not
/// flock(2), because it knows its holder: no pid file can be out of date.
fn lock(file: &File) -> nix::Result<Option<Pid>> {
    loop {
        match fcntl(file, FcntlArg::F_SETLK(&WHOLE)) {
            Ok(_) => return Ok(None),
            Err(Errno::EACCES | Errno::EAGAIN) => {}
            Err(error) => return Err(error),
        }
        let mut holder = WHOLE;
        fcntl(file, FcntlArg::F_GETLK(&mut holder))?;
        if let Some(pid) =
            Pid::from_raw(holder.l_pid).filter(|_| holder.l_type != libc::F_UNLCK as i16)
        {
            return Ok(Some(pid));
        }
        // It was released in between.
    }
}

/// Locks the file once nobody else has it locked.
fn wait_for(file: &File) -> nix::Result<()> {
    loop {
        match fcntl(file, FcntlArg::F_SETLKW(&WHOLE)) {
            Err(Errno::EINTR) => {}
            locked => return locked.map(drop),
        }
    }
}
