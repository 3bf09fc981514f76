//! Directories of ours: every file is opened relative to a descriptor, and no
//! symbolic link is followed below it.

use super::CollectError;
use crate::report::Time;
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, OFlag, RenameFlags, openat, renameat2},
    sys::stat::{Mode, fchmod, fstat, mkdirat},
    time::{ClockId, clock_gettime},
    unistd::{Gid, UnlinkatFlags, fchown, gettid, unlinkat},
};
use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, flock, statat};
use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::PermissionsExt as _,
    },
    path::{Path, PathBuf},
    time::Duration,
};

/// Mode of directories: root, and where one is configured, a group.
const DIRECTORY_MODE: Mode = Mode::from_bits_truncate(0o750);
/// Mode of those that a group may read: what is made in them is the group's too, which a
/// collector without privileges could not see to.
const GROUP_DIRECTORY_MODE: Mode = Mode::from_bits_truncate(0o2750);
/// What the name of a file ends with until it is whole.
const STAGED: &str = ".new";
/// Mode of files.
const FILE_MODE: Mode = Mode::from_bits_truncate(0o640);

/// Something in a directory, itself and not what it may link to.
pub(super) struct Entry {
    /// Its name, or the bytes of one that is no text.
    pub(super) name: Result<String, Vec<u8>>,
    pub(super) kind: FileType,
    /// Its length in bytes.
    pub(super) len: u64,
    /// When its content was changed for the last time.
    pub(super) modified: Time,
}

/// An open directory.
#[derive(Debug)]
pub(super) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens the directory at `path`; `None` when there is none.
    pub(super) fn open(path: &Path) -> Result<Option<Directory>, CollectError> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match openat(AT_FDCWD, path, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Directory { fd, path: path.to_owned() })),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(CollectError::file(path, "open", error)),
        }
    }

    /// Makes and opens the directory `name` in `parent`, which is made too where it
    /// is missing; `None` when it is there already.
    pub(super) fn create(
        parent: &Path,
        name: &str,
        group: Option<&str>,
    ) -> Result<Option<Directory>, CollectError> {
        let gid = group.map(group_id).transpose()?;
        let path = parent.join(name);
        let made = match mkdirat(AT_FDCWD, &path, DIRECTORY_MODE) {
            Err(Errno::ENOENT) => {
                make_parents(parent).map_err(|error| CollectError::io(parent, "create", error))?;
                if let Some(directory) = Directory::open(parent)? {
                    directory.give_to(gid)?;
                }
                mkdirat(AT_FDCWD, &path, DIRECTORY_MODE)
            }
            made => made,
        };
        match made {
            Ok(()) => open_parent(parent, gid)?,
            Err(Errno::EEXIST) => return Ok(None),
            Err(error) => return Err(CollectError::file(&path, "create", error)),
        }
        let directory = Directory::open(&path)?
            .ok_or_else(|| CollectError::file(&path, "open", Errno::ENOENT))?;
        directory.give_to(gid)?;
        Ok(Some(directory))
    }

    /// Whether [`Directory::create`] would find nothing there and could make it, as far as can be told.
    pub(super) fn could_create(parent: &Path, name: &str) -> bool {
        use rustix::fs::{Access, CWD, accessat};
        let there = statat(CWD, parent.join(name), AtFlags::SYMLINK_NOFOLLOW);
        let writable = || accessat(CWD, parent, Access::WRITE_OK, AtFlags::EACCESS).is_ok();
        there.is_err_and(|error| error == rustix::io::Errno::NOENT) && writable()
    }

    /// Sets who may read it, whatever the umask of who started us.
    fn give_to(&self, gid: Option<Gid>) -> Result<(), CollectError> {
        let failed = |what| move |error| CollectError::file(&self.path, what, error);
        let mode = match gid {
            Some(gid) => {
                fchown(&self.fd, None, Some(gid)).map_err(failed("change the group of"))?;
                GROUP_DIRECTORY_MODE
            }
            None => DIRECTORY_MODE,
        };
        fchmod(&self.fd, mode).map_err(failed("change the mode of"))
    }

    /// Locks it until it is closed; `false` when somebody else has it locked.
    pub(super) fn try_lock(&self) -> Result<bool, CollectError> {
        match flock(&self.fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(CollectError::io(&self.path, "lock", error.into())),
        }
    }

    /// Opens the directory `name` in it; `None` when there is none, as where a sweep has
    /// put a placeholder for it.
    pub(super) fn below(&self, name: &str) -> Result<Option<Directory>, CollectError> {
        let path = self.path.join(name);
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Directory { fd, path })),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(error) => Err(CollectError::file(&path, "open", error)),
        }
    }

    /// What it holds, in no order.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, CollectError> {
        let failed = |error: rustix::io::Errno| CollectError::io(&self.path, "read", error.into());
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let stat = match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(rustix::io::Errno::NOENT) => continue,
                Err(error) => return Err(failed(error)),
            };
            entries.push(Entry {
                // Names of ours are ASCII.
                name: name.to_str().map(str::to_owned).map_err(|_| name.to_bytes().to_owned()),
                kind: FileType::from_raw_mode(stat.st_mode),
                len: u64::try_from(stat.st_size).unwrap_or(0),
                modified: Time::from_unix_ns(
                    i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
                ),
            });
        }
        Ok(entries)
    }

    /// Lets two names in it change places.
    pub(super) fn exchange(&self, one: &str, other: &str) -> Result<(), CollectError> {
        renameat2(&self.fd, one, &self.fd, other, RenameFlags::RENAME_EXCHANGE)
            .map_err(|error| CollectError::file(&self.path.join(other), "rename", error))
    }

    /// Removes the empty directory `name`.
    pub(super) fn remove_directory(&self, name: &str) -> Result<(), CollectError> {
        unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir)
            .map_err(|error| CollectError::file(&self.path.join(name), "remove", error))
    }

    /// How long ago something in it was made or removed; nothing when that lies ahead.
    pub(super) fn age(&self) -> Result<Duration, CollectError> {
        let failed = |error| CollectError::file(&self.path, "look at", error);
        let changed = fstat(&self.fd).map_err(failed)?.st_mtime;
        let now = clock_gettime(ClockId::CLOCK_REALTIME).map_err(failed)?.tv_sec();
        Ok(Duration::from_secs(u64::try_from(now.saturating_sub(changed)).unwrap_or(0)))
    }

    /// Where it was opened.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens `name` for appending and reading, making it where it is missing.
    pub(super) fn append(&self, name: &str) -> Result<File, CollectError> {
        self.file(name, OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_CREAT)
    }

    /// Makes `name`, which is not there, and opens it for writing.
    pub(super) fn create_file(&self, name: &str) -> Result<File, CollectError> {
        self.file(name, OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL)
    }

    /// Opens `name` for reading; `None` when there is none.
    pub(super) fn read(&self, name: &str) -> Result<Option<File>, CollectError> {
        match self.file(name, OFlag::O_RDONLY) {
            Ok(file) => Ok(Some(file)),
            Err(CollectError::File { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The content of `name`; `None` when there is none.
    pub(super) fn content(&self, name: &str) -> Result<Option<Vec<u8>>, CollectError> {
        let Some(mut file) = self.read(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|e| CollectError::io(&self.path.join(name), "read", e))?;
        Ok(Some(bytes))
    }

    /// Puts `content` under `name`, whole or not at all; `false` when there is such a
    /// file already, which stays as it is. Several may do so at once.
    pub(super) fn put_new(&self, name: &str, content: &[u8]) -> Result<bool, CollectError> {
        // No two threads have the same number; what had it before was killed.
        let staging = format!(".{name}.{}{STAGED}", gettid());
        self.remove(&staging)?;
        let mut file = self.create_file(&staging)?;
        let path = self.path.join(name);
        file.write_all(content).map_err(|error| {
            let _ = self.remove(&staging);
            CollectError::io(&path, "write", error)
        })?;
        let flags = RenameFlags::RENAME_NOREPLACE;
        match renameat2(&self.fd, staging.as_str(), &self.fd, name, flags) {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) => self.remove(&staging).map(|()| false),
            Err(error) => {
                let _ = self.remove(&staging);
                Err(CollectError::file(&path, "write", error))
            }
        }
    }

    /// Removes what writers that were killed have left.
    pub(super) fn remove_staged(&self) -> Result<(), CollectError> {
        let entries = self.entries()?.into_iter();
        let mut names = entries.filter_map(|entry| entry.name.ok());
        names.try_for_each(|name| staged(&name).map_or(Ok(()), |_| self.remove(&name)))
    }

    /// Removes `name`, if it is there.
    pub(super) fn remove(&self, name: &str) -> Result<(), CollectError> {
        match unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(CollectError::file(&self.path.join(name), "remove", error)),
        }
    }

    fn file(&self, name: &str, flags: OFlag) -> Result<File, CollectError> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let failed = |what| move |error| CollectError::file(&self.path.join(name), what, error);
        let fd = openat(&self.fd, name, flags, FILE_MODE).map_err(failed("open"))?;
        if flags.contains(OFlag::O_CREAT) {
            // Whatever the umask of who started us.
            match fchmod(&fd, FILE_MODE) {
                // It was there before, and somebody has taken it over.
                Ok(()) | Err(Errno::EPERM) => {}
                Err(error) => return Err(failed("change the mode of")(error)),
            }
        }
        Ok(File::from(fd))
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The name that a file was to get whose writer was killed before, in [`Directory::put_new`] or
/// in one that has no number.
pub(super) fn staged(name: &str) -> Option<&str> {
    let name = name.strip_prefix('.')?.strip_suffix(STAGED)?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    Some(name.rsplit_once('.').filter(|(_, tid)| is_number(tid)).map_or(name, |(name, _)| name))
}

/// Makes a directory with those above it, which everybody may pass.
fn make_parents(directory: &Path) -> std::io::Result<()> {
    let missing: Vec<&Path> =
        directory.ancestors().skip(1).take_while(|above| !above.exists()).collect();
    fs::create_dir_all(directory)?;
    missing
        .into_iter()
        .try_for_each(|above| fs::set_permissions(above, fs::Permissions::from_mode(0o755)))
}

/// Lets the group into the directory of the directories, which may be older than the
/// configuration that names it.
fn open_parent(parent: &Path, gid: Option<Gid>) -> Result<(), CollectError> {
    let Some(gid) = gid else { return Ok(()) };
    match Directory::open(parent)? {
        Some(directory) if fstat(&directory.fd).is_ok_and(|stat| stat.st_gid != gid.as_raw()) => {
            directory.give_to(Some(gid))
        }
        _ => Ok(()),
    }
}

/// The number of a group. Read from the file: the C library's own look-up loads
/// shared objects, which a static program cannot rely on.
fn group_id(name: &str) -> Result<Gid, CollectError> {
    let path = Path::new("/etc/group");
    let text = fs::read(path).map_err(|error| CollectError::io(path, "read", error))?;
    text.split(|byte| *byte == b'\n')
        .map(|line| line.split(|byte| *byte == b':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&name.as_bytes()))
        .and_then(|fields| std::str::from_utf8(fields.get(2)?).ok()?.parse().ok())
        .map(Gid::from_raw)
        .ok_or_else(|| CollectError::Group(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::fs::symlink, sync::Barrier, thread};

    #[test]
    fn no_link_leads_out_of_a_directory() {
        let root = tempfile::tempdir().unwrap();
        let [ours, theirs] = ["ours", "theirs"].map(|name| root.path().join(name));
        fs::create_dir_all(theirs.join("below")).unwrap();
        fs::write(theirs.join("file"), "theirs").unwrap();
        fs::set_permissions(theirs.join("file"), fs::Permissions::from_mode(0o600)).unwrap();
        let directory = Directory::create(root.path(), "ours", None).unwrap().unwrap();
        symlink(theirs.join("file"), ours.join("link")).unwrap();
        symlink(theirs.join("missing"), ours.join("nowhere")).unwrap();
        symlink(theirs.join("below"), ours.join("below")).unwrap();
        symlink(&theirs, root.path().join("linked")).unwrap();

        for name in ["link", "nowhere"] {
            assert!(directory.append(name).is_err(), "{name}");
            assert!(directory.read(name).is_err(), "{name}");
            assert!(directory.content(name).is_err(), "{name}");
            // It is there, and stays as it is.
            assert!(!directory.put_new(name, b"ours").unwrap(), "{name}");
            assert!(ours.join(name).is_symlink(), "{name}");
        }
        assert!(!matches!(directory.below("below"), Ok(Some(_))));
        assert!(directory.remove_directory("below").is_err());
        assert!(!matches!(Directory::open(&root.path().join("linked")), Ok(Some(_))));
        assert!(Directory::create(root.path(), "linked", None).unwrap().is_none());
        let entries = directory.entries().unwrap();
        assert!(entries.iter().all(|entry| entry.kind == FileType::Symlink), "links, not files");
        // What is removed is the link.
        directory.remove("link").unwrap();
        assert_eq!(fs::read_to_string(theirs.join("file")).unwrap(), "theirs");
        assert_eq!(fs::metadata(theirs.join("file")).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!theirs.join("missing").exists() && theirs.join("below").exists());
    }

    #[test]
    fn of_several_at_once_one_is_first() {
        const WRITERS: usize = 4;
        let root = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..200).map(|n| format!("file{n}")).collect();
        let start = Barrier::new(WRITERS);
        let write = |writer: usize| {
            let directory = Directory::open(root.path()).unwrap().unwrap();
            let content = writer.to_string();
            let put = |name: &String| {
                start.wait();
                directory.put_new(name, content.as_bytes()).map_err(|error| error.to_string())
            };
            // All of them, or the others would wait.
            names.iter().map(put).collect::<Vec<_>>()
        };
        let written: Vec<_> = thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS).map(|n| scope.spawn(move || write(n))).collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        for (n, name) in names.iter().enumerate() {
            let puts: Vec<_> = written.iter().map(|written| written[n].as_ref().unwrap()).collect();
            let first: Vec<_> = (0..WRITERS).filter(|writer| *puts[*writer]).collect();
            let content = fs::read_to_string(root.path().join(name)).unwrap();
            assert_eq!(first.len(), 1, "{name}");
            assert_eq!(content, first[0].to_string(), "{name}");
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), names.len());
    }

    #[test]
    fn what_a_killed_writer_has_left_is_known() {
        for (name, want) in [
            (".report.json.17.new", Some("report.json")),
            (".exports.json.new", Some("exports.json")),
            ("..a.2.removed.17.new", Some(".a.2.removed")),
            ("report.json.17.new", None),
            (".report.json.17", None),
            ("", None),
        ] {
            assert_eq!(staged(name), want, "{name}");
        }
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(".attachment.json.17.new"), "{").unwrap();
        fs::write(root.path().join("lock"), "").unwrap();
        let directory = Directory::open(root.path()).unwrap().unwrap();
        directory.remove_staged().unwrap();
        let left: Vec<_> = directory.entries().unwrap().into_iter().map(|e| e.name).collect();
        assert_eq!(left, [Ok("lock".to_owned())]);
    }
}
