//! The root file system that is changed: this machine's, or an image's that is being
//! built. What a path in it leads to is found as a process in it would find it, so that
//! an image's link to `/etc` is not a way to this machine's. What was found is held open
//! and used by way of that, so that nobody who changes the tree meanwhile leads us out of
//! it; and nothing is opened to be read that is no regular file: a FIFO would wait, a
//! device do whatever it does.

use super::InstallError;
use rustix::{
    fs::{Access, AtFlags, Mode, OFlags, ResolveFlags, accessat, fchmod, mkdirat, openat, openat2},
    io::Errno,
};
use std::{
    ffi::OsString,
    fs::{self, File, Metadata},
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsFd, AsRawFd as _, OwnedFd},
        unix::fs::{MetadataExt as _, PermissionsExt as _, fchown, symlink},
    },
    path::{Path, PathBuf},
};

/// No configuration file is this long.
const MAX_BYTES: u64 = 4 << 20;

/// As many links in one path as the kernel follows.
const LINKS: u32 = 40;

/// How often a path is looked up again that the kernel could not be sure of.
const TRIES: u32 = 64;

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
pub(super) struct Found {
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
    pub(super) fn is_live(&self) -> bool {
        let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
        matches!(
            (fs::metadata(by_way_of(&self.directory)).map(identity), fs::metadata("/").map(identity)),
            (Ok(this), Ok(live)) if this == live
        )
    }

    /// Where a path of an engine's lies for this process, for people to read.
    pub fn shown(&self, path: &Path) -> PathBuf {
        self.path.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// What is at `path`, links followed, without opening it to be read.
    fn resolve(&self, path: &Path, flags: OFlags) -> io::Result<File> {
        let path = if path.as_os_str().is_empty() { Path::new("/") } else { path };
        let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let mut tries = 0..TRIES;
        loop {
            match openat2(&self.directory, path, flags, Mode::empty(), resolve) {
                // Anything was renamed or mounted anywhere while a `..` was followed.
                Err(Errno::AGAIN) if tries.next().is_some() => {}
                found => return Ok(found?.into()),
            }
        }
    }

    fn directory(&self, path: &Path) -> io::Result<File> {
        self.resolve(path, OFlags::DIRECTORY)
    }

    /// The directory entry itself, be it a link; its directory must be there.
    fn entry(&self, path: &Path) -> io::Result<Place> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::other("not the path of a file"));
        };
        Ok(Place { directory: self.directory(parent)?, name: name.to_owned() })
    }

    /// Where the file is that is meant by `path`, or would be, links followed; its
    /// directory must be there.
    fn place(&self, path: &Path) -> io::Result<Place> {
        let mut path = path.to_owned();
        let mut is_link = false;
        for _ in 0..LINKS {
            let place = match self.entry(&path) {
                Err(error) if is_link && error.kind() == io::ErrorKind::NotFound => {
                    return Err(dangling("file"));
                }
                place => place?,
            };
            match fs::read_link(place.path()) {
                // As the kernel does it: from the link's own directory.
                Ok(target) => path = path.parent().unwrap_or(&path).join(target),
                Err(_) if is_link && !place.exists() => return Err(dangling("file")),
                Err(_) => return Ok(place),
            }
            is_link = true;
        }
        Err(Errno::LOOP.into())
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
        let directory = self.directory(path);
        let entries = directory.and_then(|directory| fs::read_dir(by_way_of(&directory)));
        let mut names: Vec<String> = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Whether a program is there, for this process to ask.
    pub(super) fn has_program(&self, path: &Path) -> bool {
        self.resolve(path, OFlags::empty())
            .and_then(|file| file.metadata())
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    }

    /// What a symbolic link says; `None` when none is there.
    pub(super) fn link(&self, path: &Path) -> Option<PathBuf> {
        fs::read_link(self.entry(path).ok()?.path()).ok()
    }

    /// Whether anything is at `path`, be it a link to nothing.
    pub(super) fn exists(&self, path: &Path) -> bool {
        path.file_name().is_none() || self.entry(path).is_ok_and(|place| place.exists())
    }

    /// Makes what is missing of a directory.
    fn make_directories(&self, path: &Path) -> io::Result<File> {
        match self.directory(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::other("`..` in a path"));
        };
        let parent = self.make_directories(parent)?;
        match mkdirat(&parent, name, Mode::from_raw_mode(0o700)) {
            Err(Errno::EXIST) => return Err(dangling("directory")),
            made => made?,
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let directory = openat(&parent, name, flags, Mode::empty())?;
        // Engines and people read it, whatever our umask is.
        fchmod(&directory, Mode::from_raw_mode(0o755))?;
        Ok(directory.into())
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
                None if place.exists() => return Err(changed()),
                None => None,
                Some(before) => {
                    let file = open(&place)?;
                    let metadata = file.metadata()?;
                    if text(file)? != before {
                        return Err(changed());
                    }
                    Some(metadata)
                }
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
            fs::remove_file(place.path())
        };
        remove().map_err(|error| InstallError::file(self.shown(path), error))
    }

    /// Removes what a file was before; it may be gone already.
    pub(super) fn remove_backup(&self, path: &Path) -> Result<(), InstallError> {
        let path = backup(path);
        match self.place(&path).and_then(|place| fs::remove_file(place.path())) {
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
            symlink(target, self.entry(path)?.path())
        };
        make().map_err(|error| InstallError::file(self.shown(path), error))
    }

    /// Removes a symbolic link that says `target`.
    pub(super) fn remove_link(&self, path: &Path, target: &Path) -> Result<(), InstallError> {
        let remove = || {
            let place = self.entry(path)?;
            if fs::read_link(place.path())? != target {
                return Err(changed());
            }
            fs::remove_file(place.path())
        };
        remove().map_err(|error| InstallError::file(self.shown(path), error))
    }

    /// Whether a file can be made, replaced or removed there, as far as that can be told
    /// without trying.
    pub(super) fn check_writable(&self, path: &Path) -> Result<(), InstallError> {
        let can_change = |directory: &File| {
            let may = Access::WRITE_OK | Access::EXEC_OK;
            Ok(accessat(directory, ".", may, AtFlags::empty())?)
        };
        let check = || {
            for above in path.ancestors().skip(1) {
                match self.directory(above) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        if self.link(above).is_some() {
                            return Err(dangling("directory"));
                        }
                    }
                    // What is kept is kept there, whatever a link leads to.
                    directory => {
                        can_change(&directory?)?;
                        break;
                    }
                }
            }
            match self.place(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                place => can_change(&place?.directory),
            }
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
            if self.entry(directory).and_then(|place| fs::remove_dir(place.path())).is_err() {
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

/// A name in a directory that is held open; something may be there or not.
#[derive(Debug)]
struct Place {
    directory: File,
    name: OsString,
}

impl Place {
    /// For calls that do not follow a link there.
    fn path(&self) -> PathBuf {
        by_way_of(&self.directory).join(&self.name)
    }

    /// Whether anything is there, be it a link to nothing.
    fn exists(&self) -> bool {
        self.path().symlink_metadata().is_ok()
    }
}

/// A path to what is open, wherever it lies and whatever lies there by now.
fn by_way_of(file: &impl AsFd) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()).into()
}

/// Keeps what a file was before the first change. Another that is kept already is of an
/// installation that has gone without `uninstall`, and steps aside.
fn keep_backup(backup: &Place, before: &str, original: &Metadata) -> io::Result<()> {
    if backup.exists() {
        if read(backup).is_ok_and(|old| old == before) {
            return Ok(());
        }
        let aside = |number: u32| {
            let mut path = backup.path().into_os_string();
            path.push(format!(".{number}"));
            PathBuf::from(path)
        };
        let free = (1..).map(aside).find(|path| path.symlink_metadata().is_err());
        fs::rename(backup.path(), free.ok_or(io::ErrorKind::AlreadyExists)?)?;
    }
    put(backup, before, Some(original))
}

fn changed() -> io::Error {
    io::Error::other("changed by somebody else meanwhile; run this again")
}

fn dangling(expected: &str) -> io::Error {
    io::Error::other(format!("a symbolic link to nothing, expected a {expected}"))
}

fn read(place: &Place) -> io::Result<String> {
    text(open(place)?)
}

/// Opens a regular file to be read. What it is is looked at before.
fn open(place: &Place) -> io::Result<File> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file: File = openat(&place.directory, &place.name, flags, Mode::empty())?.into();
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    File::open(by_way_of(&file))
}

fn text(file: File) -> io::Result<String> {
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
fn put(place: &Place, content: &str, like: Option<&Metadata>) -> io::Result<()> {
    let directory = by_way_of(&place.directory);
    let mut new = tempfile::Builder::new()
        .prefix(".buildwarden-")
        .tempfile_in(directory)
        .map_err(without_path)?;
    new.write_all(content.as_bytes()).map_err(without_path)?;
    if let Some(like) = like {
        let own = new.as_file().metadata()?;
        if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
            fchown(new.as_file(), Some(like.uid()), Some(like.gid()))?;
        }
    }
    let mode = like.map_or(0o644, |like| like.permissions().mode() & 0o7777);
    new.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    new.as_file().sync_all()?;
    new.persist(place.path()).map(drop).map_err(|error| without_path(error.error))
}

/// tempfile names a path that tells nobody anything.
fn without_path(error: io::Error) -> io::Error {
    let cause = error.get_ref().and_then(|error| error.source()?.downcast_ref::<io::Error>());
    cause.and_then(io::Error::raw_os_error).map_or(error, io::Error::from_raw_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, RenameFlags, mknodat, renameat_with};
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
            mpsc,
        },
        thread,
        time::Duration,
    };

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

    #[test]
    fn a_fifo_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let root = root(&dir);
        let path = Path::new("/etc/daemon.json");
        let fifo = |name: &str| {
            let path = dir.path().join("etc").join(name);
            mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        };
        fifo("daemon.json");
        fs::write(dir.path().join("etc/kept.json"), "old").unwrap();
        fifo("kept.json.buildwarden-backup");
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            for path in [path, Path::new("/etc/kept.json")] {
                tell.send(root.read(path).unwrap_err().to_string()).unwrap();
            }
            tell.send(root.write(path, Some("x"), "y", true).unwrap_err().to_string()).unwrap();
            tell.send(root.remove(path, "x").unwrap_err().to_string()).unwrap();
        });
        for name in ["daemon.json", "kept.json.buildwarden-backup", "daemon.json", "daemon.json"] {
            let said = told.recv_timeout(Duration::from_secs(20)).expect("an answer");
            assert!(said.ends_with(&format!("etc/{name}: not a regular file")), "{said}");
        }
    }

    #[test]
    fn who_changes_the_tree_meanwhile_leads_nobody_out_of_it() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = root(&dir);
        let (inner, link) = (dir.path().join("etc/docker"), dir.path().join("etc/link"));
        let path = Path::new("/etc/docker/daemon.json");
        root.write(path, None, "0", true).unwrap();
        fs::write(outside.path().join("daemon.json"), "outside").unwrap();
        symlink(outside.path(), &link).unwrap();
        let is_done = Arc::new(AtomicBool::new(false));
        let exchange = {
            let is_done = is_done.clone();
            thread::spawn(move || {
                while !is_done.load(Ordering::Relaxed) {
                    renameat_with(CWD, &inner, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                }
            })
        };
        let mut count = 0;
        for _ in 0..10_000 {
            let before = match root.read(path) {
                Ok(Some(found)) => found.content,
                Ok(None) | Err(_) => continue,
            };
            assert_eq!(before, count.to_string());
            if root.write(path, Some(&before), &(count + 1).to_string(), false).is_ok() {
                count += 1;
            }
        }
        is_done.store(true, Ordering::Relaxed);
        exchange.join().unwrap();
        assert!(count > 0);
        let left: Vec<_> = fs::read_dir(outside.path()).unwrap().collect();
        assert_eq!(left.len(), 1);
        let text = fs::read_to_string(outside.path().join("daemon.json")).unwrap();
        assert_eq!(text, "outside");
    }
}
