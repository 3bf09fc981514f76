//! Why a fact about this machine could not be had.

use rustix::fs::OFlags;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A fact that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds something else than it should.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no cgroup v2 hierarchy.
    #[error("no cgroup2 file system, expected one on /sys/fs/cgroup or /sys/fs/cgroup/unified")]
    NoCgroup2,
    /// The kernel did not tell this process's capabilities.
    #[error("capabilities of this process: {0}")]
    Capabilities(String),
}

impl HostError {
    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        HostError::Unreadable { path: path.to_owned(), source }
    }

    pub(super) fn malformed(path: &Path, reason: impl Into<String>) -> Self {
        HostError::Malformed { path: path.to_owned(), reason: reason.into() }
    }
}

/// Reads a file of at most `limit` bytes. What is no regular file is not opened: opening
/// a FIFO waits, and opening a device does something.
pub(super) fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, HostError> {
    let unreadable = |source| HostError::unreadable(path, source);
    let require_regular = |metadata: fs::Metadata| match metadata.is_file() {
        true => Ok(()),
        false => Err(HostError::malformed(path, "not a regular file, expected one")),
    };
    require_regular(fs::metadata(path).map_err(unreadable)?)?;
    let file = open(path).map_err(unreadable)?;
    // Another one may have taken its name since.
    require_regular(file.metadata().map_err(unreadable)?)?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(HostError::malformed(path, format!("longer than {limit} bytes")));
    }
    Ok(bytes)
}

/// Opens a file that may have become something else: without waiting, and without taking
/// a terminal as one's own.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::{sys::stat::Mode, unistd::mkfifo};
    use std::{os::unix::fs::symlink, sync::mpsc, thread, time::Duration};

    #[test]
    fn only_regular_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), "12345").unwrap();
        symlink("file", path("link")).unwrap();
        mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
        symlink("/dev/zero", path("device")).unwrap();
        let irregular = Some("not a regular file, expected one");
        for (name, limit, want) in [
            ("file", 5, None),
            ("link", 5, None),
            ("file", 4, Some("longer than 4 bytes")),
            ("fifo", 5, irregular),
            ("device", 5, irregular),
            (".", 5, irregular),
            ("none", 5, Some("No such file or directory (os error 2)")),
        ] {
            let path = path(name);
            let want = want.map(|reason| format!("{}: {reason}", path.display()));
            let (done, read) = mpsc::channel();
            thread::spawn(move || {
                let error = read_bounded(&path, limit).err().map(|error| error.to_string());
                done.send(error)
            });
            assert_eq!(read.recv_timeout(Duration::from_secs(10)), Ok(want), "{name}");
        }
        // Where the file becomes a FIFO in between.
        let (done, opened) = mpsc::channel();
        let fifo = path("fifo");
        thread::spawn(move || done.send(open(&fifo).is_ok()));
        assert_eq!(opened.recv_timeout(Duration::from_secs(10)), Ok(true));
    }
}
