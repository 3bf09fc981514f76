//! The root file system that is changed: this machine's, or an image's that is being
//! built. What a path in it leads to is found as a process in it would find it, so that
//! an image's link to `/etc` is not a way to this machine's.

use super::InstallError;
use rustix::fs::{Access, Mode, OFlags, ResolveFlags, access, openat2};
use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::{MetadataExt as _, PermissionsExt as _, fchown, symlink},
    },
    path::{Component, Path, PathBuf},
};

/// No configuration file is this long.
const MAX_BYTES: u64 = 4 << 20;

/// The suffix of a file as it was before the first change.
const BACKUP: &str = ".buildwarden-backup";

/// A root file system.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    directory: OwnedFd,
}

/// A file in a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it holds.
    pub content: String,
    /// What it held before the first change, where that is kept.
    pub backup: Option<String>,
}

impl Root {
    /// Opens the root directory.
    pub fn open(path: &Path) -> Result<Root, InstallError> {
        let open = || {
            let path = path.canonicalize()?;
            let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
            let directory = rustix::fs::open(&path, flags, Mode::empty())?;
            Ok(Root { path, directory })
        };
        open().map_err(|error| InstallError::file(path, error))
    }

    /// Whether it is the one that this process runs in.
    pub fn is_live(&self) -> bool {
        let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
        matches!(
            (fs::metadata(&self.path).map(identity), fs::metadata("/").map(identity)),
            (Ok(this), Ok(live)) if this == live
        )
    }

    /// Where a path of an engine's lies for this process, for people to read.
    pub fn shown(&self, path: &Path) -> PathBuf {
        self.path.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// What is at `path`, links followed; an error where nothing is.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = openat2(&self.directory, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)?;
        fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
    }

    /// The same where nothing needs to be there yet: what is missing is appended.
    fn place(&self, path: &Path) -> io::Result<PathBuf> {
        match self.resolve(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(io::Error::other("`..` in a path"));
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let place = self.place(parent)?.join(name);
        if place.is_symlink() {
            return Err(io::Error::other("a symbolic link to nothing, expected a file"));
        }
        Ok(place)
    }

    /// Reads a file; `None` where there is none.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Found>, InstallError> {
        let read = |path: &Path| match self.place(path).and_then(|place| read(&place)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(InstallError::file(self.shown(path), error)),
            Ok(content) => Ok(Some(content)),
        };
        let Some(content) = read(path)? else { return Ok(None) };
        Ok(Some(Found { content, backup: read(&backup(path))? }))
    }

    /// The names in a directory, sorted; none where there is no directory.
    pub(super) fn names(&self, path: &Path) -> Vec<String> {
        let entries = self.resolve(path).and_then(fs::read_dir);
        let mut names: Vec<String> = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Whether a program is there, for this process to ask.
    pub fn has_program(&self, path: &Path) -> bool {
        self.resolve(path)
            .and_then(fs::metadata)
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    }

    /// What a symbolic link says; `None` when none is there.
    pub(super) fn link(&self, path: &Path) -> Option<PathBuf> {
        let place = self.resolve(path.parent()?).ok()?.join(path.file_name()?);
        fs::read_link(place).ok()
    }

    /// Whether anything is at `path`, be it a link to nothing.
    pub(super) fn exists(&self, path: &Path) -> bool {
        let Some((parent, name)) = path.parent().zip(path.file_name()) else { return true };
        self.resolve(parent).is_ok_and(|parent| parent.join(name).symlink_metadata().is_ok())
    }

    /// Makes what is missing of a directory; the new ones, the topmost first.
    fn make_directories(&self, path: &Path) -> io::Result<()> {
        let place = self.place(path)?;
        let mut missing: Vec<&Path> =
            place.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
        missing.reverse();
        for directory in missing {
            fs::create_dir(directory)?;
            // Engines and people read it, whatever our umask is.
            fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    }

    /// Puts `content` in the place of `before`; `keep` says to keep that beside it, as what
    /// to go back to.
    pub(super) fn write(
        &self,
        path: &Path,
        before: Option<&str>,
        content: &str,
        keep: bool,
    ) -> Result<(), InstallError> {
        let write = || {
            self.make_directories(path.parent().unwrap_or(path))?;
            let place = self.place(path)?;
            let original = match before {
                None if place.symlink_metadata().is_ok() => return Err(changed()),
                None => None,
                Some(before) if read(&place)? != before => return Err(changed()),
                Some(_) => Some(fs::metadata(&place)?),
            };
            if let (Some(original), Some(before), true) = (&original, before, keep) {
                // Beside the name, not beside what a link leads to.
                keep_backup(&self.place(&backup(path))?, before, original)?;
            }
            put(&place, content, original.as_ref())
        };
        write().map_err(|error| InstallError::file(self.shown(path), error))
    }

    /// Removes a file that holds `before`.
    pub(super) fn remove(&self, path: &Path, before: &str) -> Result<(), InstallError> {
        let remove = || {
            let place = self.place(path)?;
            if read(&place)? != before {
                return Err(changed());
            }
            fs::remove_file(place)
        };
        remove().map_err(|error| InstallError::file(self.shown(path), error))
    }

    /// Removes what a file was before; it may be gone already.
    pub(super) fn remove_backup(&self, path: &Path) -> Result<(), InstallError> {
        let path = backup(path);
        match self.resolve(&path).and_then(fs::remove_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(InstallError::file(self.shown(&path), error))
            }
            _ => Ok(()),
        }
    }

    /// Makes a symbolic link, and the directories above it.
    pub(super) fn make_link(&self, path: &Path, target: &Path) -> Result<(), InstallError> {
        let make = || {
            self.make_directories(path.parent().unwrap_or(path))?;
            symlink(target, self.place(path)?)
        };
        make().map_err(|error| InstallError::file(self.shown(path), error))
    }

    /// Removes a symbolic link that says `target`.
    pub(super) fn remove_link(&self, path: &Path, target: &Path) -> Result<(), InstallError> {
        let remove = || {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(io::ErrorKind::NotFound.into());
            };
            let place = self.resolve(parent)?.join(name);
            if fs::read_link(&place)? != target {
                return Err(changed());
            }
            fs::remove_file(place)
        };
        remove().map_err(|error| InstallError::file(self.shown(path), error))
    }

    /// Whether a file can be made, replaced or removed there, as far as that can be told
    /// without trying.
    pub(super) fn check_writable(&self, path: &Path) -> Result<(), InstallError> {
        let check = || {
            let place = self.place(path)?;
            let mut above = place.ancestors().skip(1);
            let directory = above.find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
            Ok(access(directory, Access::WRITE_OK | Access::EXEC_OK)?)
        };
        check().map_err(|error| InstallError::file(self.shown(path), error))
    }

    /// Removes directories as long as they are empty, from `path` upwards, but none that
    /// every system has.
    pub(super) fn remove_empty(&self, path: &Path) {
        let kept = |directory: &Path| {
            let depth = directory.components().count();
            depth <= 2 || (depth == 3 && directory.starts_with("/usr"))
        };
        for directory in path.ancestors().take_while(|directory| !kept(directory)) {
            // One that holds something stays, and so do those above it and links.
            if self.link(directory).is_some()
                || self.resolve(directory).and_then(fs::remove_dir).is_err()
            {
                break;
            }
        }
    }
}

/// Where a file is kept as it was before the first change.
pub(super) fn backup(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(BACKUP);
    name.into()
}

/// Keeps what a file was before the first change. Another that is kept already is of an
/// installation that has gone without `uninstall`, and steps aside.
fn keep_backup(backup: &Path, before: &str, original: &Metadata) -> io::Result<()> {
    if backup.exists() {
        if read(backup).is_ok_and(|old| old == before) {
            return Ok(());
        }
        let aside = |number: u32| PathBuf::from(format!("{}.{number}", backup.display()));
        let free = (1..).map(aside).find(|path| path.symlink_metadata().is_err());
        fs::rename(backup, free.ok_or(io::ErrorKind::AlreadyExists)?)?;
    }
    put(backup, before, Some(original))
}

fn changed() -> io::Error {
    io::Error::other("changed by somebody else meanwhile; run this again")
}

fn read(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("longer than {MAX_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        io::Error::other(format!("line {}: not UTF-8", line + 1))
    })
}

/// Whole or not at all; with the owner and the mode of the one before.
fn put(place: &Path, content: &str, like: Option<&Metadata>) -> io::Result<()> {
    let directory = place.parent().ok_or(io::ErrorKind::NotFound)?;
    let mut new = tempfile::Builder::new().prefix(".buildwarden-").tempfile_in(directory)?;
    new.write_all(content.as_bytes())?;
    if let Some(like) = like {
        let own = new.as_file().metadata()?;
        if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
            fchown(new.as_file(), Some(like.uid()), Some(like.gid()))?;
        }
    }
    let mode = like.map_or(0o644, |like| like.permissions().mode() & 0o7777);
    new.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    new.as_file().sync_all()?;
    new.persist(place).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(dir: &tempfile::TempDir) -> Root {
        fs::create_dir(dir.path().join("etc")).unwrap();
        Root::open(dir.path()).unwrap()
    }

    #[test]
    fn links_stay_in_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = root(&dir);
        fs::create_dir(dir.path().join("data")).unwrap();
        // Both would lead out of it for this process.
        symlink("/data", dir.path().join("etc/docker")).unwrap();
        symlink("../../../../data/real.json", dir.path().join("data/daemon.json")).unwrap();
        fs::write(dir.path().join("data/real.json"), "old").unwrap();
        let path = Path::new("/etc/docker/daemon.json");
        root.write(path, Some("old"), "new", true).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("data/real.json")).unwrap(), "new");
        assert!(dir.path().join("data/daemon.json").is_symlink());
        let found = root.read(path).unwrap().unwrap();
        assert_eq!(found, Found { content: "new".to_owned(), backup: Some("old".to_owned()) });
        // An older backup is never written over; when we had gone, it is an older one's.
        root.write(path, Some("new"), "ours", true).unwrap();
        assert_eq!(root.read(path).unwrap().unwrap().backup.as_deref(), Some("new"));
        root.write(path, Some("ours"), "ours 2", false).unwrap();
        assert_eq!(root.read(path).unwrap().unwrap().backup.as_deref(), Some("new"));
        let names = root.names(Path::new("/data"));
        let kept = [
            "daemon.json",
            "daemon.json.buildwarden-backup",
            "daemon.json.buildwarden-backup.1",
            "real.json",
        ];
        assert_eq!(names, kept);
    }

    #[test]
    fn mode_stays_and_directories_come_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let root = root(&dir);
        let path = Path::new("/etc/a/b/c.json");
        root.write(path, None, "1", true).unwrap();
        let place = dir.path().join("etc/a/b/c.json");
        assert_eq!(place.metadata().unwrap().mode() & 0o7777, 0o644);
        fs::set_permissions(&place, fs::Permissions::from_mode(0o600)).unwrap();
        root.write(path, Some("1"), "2", false).unwrap();
        assert_eq!(place.metadata().unwrap().mode() & 0o7777, 0o600);
        assert_eq!(root.names(Path::new("/etc/a/b")), ["c.json"]);
        let error = root.write(path, Some("1"), "3", false).unwrap_err().to_string();
        assert!(error.contains("changed by somebody else"), "{error}");
        root.remove(path, "2").unwrap();
        root.remove_empty(Path::new("/etc/a/b"));
        assert_eq!(root.names(Path::new("/etc")), [""; 0]);
    }

    #[test]
    fn what_cannot_be_edited_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let root = root(&dir);
        let at = |name: &str| dir.path().join("etc").join(name);
        fs::write(at("latin1"), b"{\n\"a\": \"\xe9\"}").unwrap();
        fs::create_dir(at("directory")).unwrap();
        symlink("/nowhere", at("dangling")).unwrap();
        for (name, said) in [
            ("latin1", "line 2: not UTF-8"),
            ("directory", "not a regular file"),
            ("dangling", "a symbolic link to nothing"),
        ] {
            let error = root.read(&Path::new("/etc").join(name)).unwrap_err().to_string();
            assert!(error.contains(said), "{name}: {error}");
        }
        assert!(root.read(Path::new("/etc/missing/file")).unwrap().is_none());
    }
}
