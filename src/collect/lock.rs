//! The lock in a container's run directory: who holds it may drain the container's
//! ring and write its report. It goes with its process.

use super::{CollectError, directory::Directory};
use crate::{config::Settings, oci::ContainerId};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    libc,
    poll::{PollTimeout, poll},
};
use rustix::process::Pid;
use std::{fs::File, io};

/// The lock file.
const FILE: &str = "lock";
/// How long to wait before trying a lock again that is held for a moment, milliseconds.
const RETRY_MS: u16 = 5;
/// How often a hook tries.
const TRIES: u32 = 200;

/// Who has a container.
pub(super) enum Lock {
    /// We.
    Held(Held),
    /// Another process: its collector, or who took over.
    Busy(Pid),
    /// Nobody any more: it has ended.
    Gone,
}

/// A container's run directory, with its lock.
pub(super) struct Held {
    pub(super) run: Directory,
    /// A POSIX lock ends when its process closes *any* descriptor of the file, so
    /// this is the only one.
    _file: File,
}

impl Lock {
    /// Takes the lock of a container, if it is free.
    pub(super) fn take(settings: &Settings, id: &ContainerId) -> Result<Lock, CollectError> {
        let path = settings.run_dir.join(id.as_str());
        let Some(run) = Directory::open(&path)? else { return Ok(Lock::Gone) };
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
            Ok(Some(holder)) => return Ok(Lock::Busy(holder)),
            Err(error) => return Err(CollectError::file(&path.join(FILE), "lock", error)),
        }
        // Whoever had it may have ended the container and removed the directory.
        let removed = nix::sys::stat::fstat(&file).is_ok_and(|stat| stat.st_nlink == 0);
        Ok(if removed { Lock::Gone } else { Lock::Held(Held { run, _file: file }) })
    }
}

impl Held {
    /// Takes the lock of a container whose run directory was just made; `None` when it is
    /// gone again: whoever removes that of an earlier run may take this for it. A sweep may
    /// have the lock for a moment, and lets go of what has not begun.
    pub(super) fn wait(
        settings: &Settings,
        id: &ContainerId,
    ) -> Result<Option<Held>, CollectError> {
        for _ in 0..TRIES {
            match Lock::take(settings, id)? {
                Lock::Held(held) => return Ok(Some(held)),
                Lock::Busy(_) => pause(),
                Lock::Gone => return Ok(None),
            }
        }
        Err(CollectError::Collector {
            id: id.to_string(),
            reason: "somebody else holds the lock of its new run directory".to_owned(),
        })
    }

    /// Removes the lock file, and with it the lock.
    pub(super) fn remove(run: &Directory) -> Result<(), CollectError> {
        run.remove(FILE)
    }
}

/// Waits for whoever has a lock for a moment.
pub(super) fn pause() {
    // Nothing to poll: a signal may cut it short.
    let _ = poll(&mut [], PollTimeout::from(RETRY_MS));
}

/// Locks the file, or names the process that has it locked. A POSIX lock and not
/// flock(2), because it knows its holder: no pid file can be out of date.
fn lock(file: &File) -> nix::Result<Option<Pid>> {
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    loop {
        match fcntl(file, FcntlArg::F_SETLK(&whole)) {
            Ok(_) => return Ok(None),
            Err(Errno::EACCES | Errno::EAGAIN) => {}
            Err(error) => return Err(error),
        }
        let mut holder = whole;
        fcntl(file, FcntlArg::F_GETLK(&mut holder))?;
        if let Some(pid) =
            Pid::from_raw(holder.l_pid).filter(|_| holder.l_type != libc::F_UNLCK as i16)
        {
            return Ok(Some(pid));
        }
        // It was released in between.
    }
}
