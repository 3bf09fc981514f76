//! One run's directory.

use super::StoreError;
use crate::{
    annotation::{Attached, Entry, Line, Tail},
    collect::file::{ANNOTATIONS, EXECS, REPORT},
    execlog,
    report::Time,
};
use nix::{
    fcntl::{AT_FDCWD, OFlag, openat},
    sys::stat::Mode,
};
use std::{
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::FileExt as _,
    },
    path::{Path, PathBuf},
};

/// Opens a file to read that stands in a directory; none when there is none. No link is
/// followed: what is read is what lies there.
///
/// # Errors
/// When it is there and cannot be opened, or is something else than a file.
pub fn open_regular(directory: impl AsFd, path: &Path) -> io::Result<Option<File>> {
    // A pipe in the file's place must not hang us.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = match openat(directory, path, flags, Mode::empty()).map_err(io::Error::from) {
        Ok(fd) => File::from(fd),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("expected a regular file"));
    }
    Ok(Some(file))
}

/// One run of a container, by its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    name: String,
    path: PathBuf,
}

impl Run {
    pub(super) fn new(containers: &Path, name: String) -> Run {
        Run { path: containers.join(&name), name }
    }

    /// The directory's name: the container's id, with `.<n>` from the second run on.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the directory is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the directory.
    ///
    /// # Errors
    /// When it is gone, or not a directory.
    pub fn directory(&self) -> Result<OwnedFd, StoreError> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(AT_FDCWD, &self.path, flags, Mode::empty())
            .map_err(|error| self.error(None, error.into()))
    }

    /// Opens one of its files to read; none when there is no such file.
    ///
    /// # Errors
    /// When it is there and cannot be opened, or is something else than a file.
    pub fn open(&self, name: &str) -> Result<Option<File>, StoreError> {
        let directory = self.directory()?;
        open_regular(directory, Path::new(name)).map_err(|error| self.error(Some(name), error))
    }

    /// The exit report as it was written; none while there is none.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn report(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(mut file) = self.open(REPORT)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| self.error(Some(REPORT), error))?;
        Ok(Some(bytes))
    }

    /// The sequence number of the last exec that is written down: how many there were so
    /// far, read from the end of the event file however long that is. None while there is
    /// none, or where the end is all one long line.
    pub fn last_exec(&self) -> Option<u64> {
        const END: u64 = 64 << 10;
        let events = self.open(EXECS).ok()??;
        let length = events.metadata().ok()?.len();
        let mut end = vec![0; usize::try_from(length.min(END)).ok()?];
        events.read_exact_at(&mut end, length.saturating_sub(END)).ok()?;
        execlog::last_sequence(&end)
    }

    /// The line that the annotation log begins with; none when there is no log or
    /// it begins with something else.
    pub fn attached(&self) -> Option<(Line, Attached)> {
        let mut tail = Tail::new(self.open(ANNOTATIONS).ok()??);
        let line = Line::parse(tail.next_line().ok()??).ok()?;
        match line.entry().ok()? {
            Entry::Attached(attached) => Some((line, *attached)),
            _ => None,
        }
    }

    /// When the directory was made or last added to.
    pub(super) fn made(&self) -> Option<Time> {
        let modified = std::fs::metadata(&self.path).ok()?.modified().ok()?;
        jiff::Timestamp::try_from(modified).ok().map(Time)
    }

    /// The container's id and the number of the run: as recorded, else by the name.
    pub fn identity(&self) -> (String, u32) {
        if let Some((_, attached)) = self.attached() {
            return (attached.container.id, attached.container.run);
        }
        // `a.2` without a log may as well be the first run of a container called so.
        (self.name.clone(), 1)
    }

    fn error(&self, file: Option<&str>, source: io::Error) -> StoreError {
        let path = file.map_or_else(|| self.path.clone(), |file| self.path.join(file));
        StoreError::Io { path, source }
    }
}
