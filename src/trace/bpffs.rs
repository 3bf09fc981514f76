//! The BPF file system: mounted where it is missing, locked by who changes what
//! lies in it.

use super::TraceError;
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg, OFlag},
    mount::{MsFlags, mount},
    sys::statfs,
};
use std::{
    fs::File,
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
    path::Path,
};

/// Takes the lock that loading, unloading and filling the pool are serialised by.
///
/// It lies on the file system's own root, which is never removed: all who share
/// the pins share the lock, whatever configuration they go by.
///
/// # Errors
/// When the directory is missing, or none of the BPF file system.
pub(super) fn lock(path: &Path) -> Result<Flock<File>, TraceError> {
    let locked = lock_directory(path)?;
    if is_bpffs(path, &locked)? {
        return Ok(locked);
    }
    Err(TraceError::Directory { path: path.to_owned(), what: "lock", source: Errno::ENOENT })
}

/// Like [`lock`]; mounts the file system first where it is missing.
///
/// # Errors
/// When that is not allowed.
pub(super) fn mount_and_lock(path: &Path) -> Result<Flock<File>, TraceError> {
    let locked = lock_directory(path)?;
    if is_bpffs(path, &locked)? {
        return Ok(locked);
    }
    // The lock is on the directory below, and whoever waits for it mounts nothing
    // when this is done.
    if !is_bpffs(path, &open(path)?)? {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("bpf"), path, Some("bpf"), flags, Some("mode=0700"))
            .map_err(|source| failed(path, "mount the BPF file system", source))?;
    }
    drop(locked);
    lock(path)
}

fn lock_directory(path: &Path) -> Result<Flock<File>, TraceError> {
    Flock::lock(open(path)?, FlockArg::LockExclusive)
        .map_err(|(_, source)| failed(path, "lock", source))
}

fn open(path: &Path) -> Result<File, TraceError> {
    let directory = OFlag::O_DIRECTORY.bits();
    File::options().read(true).custom_flags(directory).open(path).map_err(|error| {
        let source = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        failed(path, "open the directory for the BPF file system", source)
    })
}

fn is_bpffs(path: &Path, directory: &File) -> Result<bool, TraceError> {
    statfs::fstatfs(directory.as_fd())
        .map(|kind| kind.filesystem_type() == statfs::BPF_FS_MAGIC)
        .map_err(|source| failed(path, "look at the directory for the BPF file system", source))
}

fn failed(path: &Path, what: &'static str, source: Errno) -> TraceError {
    TraceError::Directory { path: path.to_owned(), what, source }
}
