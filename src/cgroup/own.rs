//! Cgroups that we make.

use super::{CgroupError, Scope, cgroup_of};
use crate::host;
use nix::{
    fcntl::{Flock, FlockArg},
    libc,
};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// The cgroup of collectors.
const COLLECTORS: &str = "buildwarden";
/// What the names of the others begin with.
const FRESH: &str = "buildwarden-";

/// The directory of the cgroup that collectors share: the container's would take them along
/// when it is killed, and would be charged for them.
///
/// # Errors
/// When there is no cgroup v2, or it cannot be written.
pub fn collectors() -> Result<File, CgroupError> {
    let directory = host::cgroup2_mount()?.join(COLLECTORS);
    made(&directory, || File::open(&directory))
}

/// Moves this process there, unless it began there.
///
/// # Errors
/// When there is no cgroup v2, or it cannot be written.
pub fn move_to_own() -> Result<(), CgroupError> {
    if cgroup_of("self").is_ok_and(|own| own == Path::new("/").join(COLLECTORS)) {
        return Ok(());
    }
    let directory = host::cgroup2_mount()?.join(COLLECTORS);
    // "0" is the writing process.
    made(&directory, || fs::write(directory.join("cgroup.procs"), "0"))
}

/// Does something in a cgroup, which is made where it is missing.
fn made<T>(directory: &Path, work: impl Fn() -> io::Result<T>) -> Result<T, CgroupError> {
    // What is removed while it is open is no device any more.
    let is_gone = |error: &io::Error| {
        error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
    };
    loop {
        match work() {
            Err(error) if is_gone(&error) => {}
            result => return result.map_err(CgroupError::io(directory)),
        }
        // Once more when `remove_left` was faster than the next try.
        match fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(CgroupError::io(directory)(error));
            }
            _ => {}
        }
    }
}

/// Removes the cgroups of ours that nobody is in any more: those of commands that left
/// processes behind, and the collectors'.
///
/// # Errors
/// When there is no cgroup v2.
pub fn remove_left() -> Result<(), CgroupError> {
    let ours = |directory: &&PathBuf| {
        let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name == COLLECTORS || name.starts_with(FRESH)
    };
    for directory in super::directories()?.iter().rev().filter(ours) {
        // Somebody is about to enter it.
        let Ok(_held) = hold(directory, FlockArg::LockExclusiveNonblock) else { continue };
        // Refused, and rightly, while somebody is in it.
        let _ = fs::remove_dir(directory);
    }
    Ok(())
}

/// Locks a cgroup's directory: it is not removed as left while somebody has it.
fn hold(directory: &Path, how: FlockArg) -> io::Result<Flock<File>> {
    Flock::lock(File::open(directory)?, how).map_err(|(_, error)| error.into())
}

/// A fresh, empty cgroup below the caller's own, removed on drop if it is empty.
#[derive(Debug)]
pub struct Fresh {
    scope: Scope,
    /// The caller's own cgroup.
    outside: PathBuf,
    /// It is empty until the command starts, and yet not left.
    _held: Flock<File>,
}

/// This process is in a [`Fresh`] cgroup.
#[derive(Debug)]
pub struct Inside {
    before: PathBuf,
}

impl Drop for Inside {
    fn drop(&mut self) {
        // Fails only when the cgroup we came from is gone: then we stay.
        let _ = fs::write(&self.before, "0");
    }
}

impl Fresh {
    /// Makes the one of `id`.
    ///
    /// # Errors
    /// When there is no cgroup v2, or it cannot be written.
    pub fn create(id: &str) -> Result<Fresh, CgroupError> {
        let parent = cgroup_of("self")?;
        let path: PathBuf = parent.join(format!("{FRESH}{id}"));
        let below = path.strip_prefix("/").unwrap_or(&path);
        let directory = host::cgroup2_mount()?.join(below);
        let held = loop {
            fs::create_dir(&directory).map_err(CgroupError::io(&directory))?;
            let held = hold(&directory, FlockArg::LockExclusive);
            // Gone when `remove_left` was faster.
            if directory.exists() {
                break held.map_err(CgroupError::io(&directory))?;
            }
        };
        Ok(Fresh { scope: Scope::at(path)?, outside: parent, _held: held })
    }

    /// Moves this process into the cgroup, until the result is dropped.
    ///
    /// # Errors
    /// When the cgroup cannot be written.
    pub fn enter(&self) -> Result<Inside, CgroupError> {
        let before = host::cgroup2_mount()?
            .join(self.outside.strip_prefix("/").unwrap_or(&self.outside))
            .join("cgroup.procs");
        let procs = self.scope.directory.join("cgroup.procs");
        fs::write(&procs, "0").map_err(CgroupError::io(&procs))?;
        Ok(Inside { before })
    }

    /// The cgroup as a scope.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // What the command left running keeps it alive; it goes with the host then.
        let _ = fs::remove_dir(&self.scope.directory);
    }
}
