//! `--output`: the files that a verb writes.

use super::terminal;
use crate::escape;
use anyhow::Context as _;
use std::{
    fs::{self, Permissions},
    io::{self, Write as _},
    os::unix::fs::{
        FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
    },
    path::Path,
};

/// Writes to a file, or to standard output.
pub(super) fn write(text: &str, to: Option<&Path>) -> anyhow::Result<()> {
    let Some(path) = to else { return terminal::print(text).map(drop) };
    write_file(path, text.as_bytes()).with_context(|| {
        format!("{}: cannot write it", escape::visible(path.as_os_str().as_encoded_bytes()))
    })
}

/// Writes a file anew. It may lie where a build could write, so a link or a device that
/// stands in its place is replaced, neither followed nor written to.
pub(super) fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new(".")).canonicalize()?;
    if is_of_the_system(&parent) {
        return fs::write(path, content);
    }
    let there = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        there => Some(there?),
    };
    if there.as_ref().is_some_and(|there| there.file_type().is_fifo()) {
        return write_in_place(path, content);
    }
    let old = there.filter(fs::Metadata::is_file);
    match replace(&parent, path, old.as_ref(), content) {
        Err(error) if old.is_some() && is_held(&error) => write_in_place(path, content),
        replaced => replaced,
    }
}

/// Where devices stand, and links such as /dev/stdout and what a shell makes of `>(…)`.
fn is_of_the_system(directory: &Path) -> bool {
    // Not all below /dev: everybody may write to /dev/shm.
    [Path::new("/dev"), Path::new("/dev/pts")].contains(&directory)
        || directory.starts_with("/proc")
}

/// Whether a file can only be written to as it stands: in a directory of somebody else, or
/// mounted by itself.
fn is_held(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::ResourceBusy
    )
}

/// Puts a new file in its place, which belongs to whom the old one did.
fn replace(
    parent: &Path,
    path: &Path,
    old: Option<&fs::Metadata>,
    content: &[u8],
) -> io::Result<()> {
    let mut new = tempfile::Builder::new()
        .prefix(".buildwarden-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(parent)?;
    if let Some(old) = old {
        // Only root may.
        let _ = fchown(new.as_file(), Some(old.uid()), Some(old.gid()));
        let mode = old.permissions().mode() & 0o666;
        new.as_file().set_permissions(Permissions::from_mode(mode))?;
    }
    new.write_all(content)?;
    // In the directory that was looked at, wherever links lead now.
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    new.persist(parent.join(name)).map(drop).map_err(|error| error.error)
}

fn write_in_place(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).truncate(true).custom_flags(libc::O_NOFOLLOW);
    options.open(path)?.write_all(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::{sys::stat::Mode, unistd::mkfifo};
    use std::{
        os::unix::{fs::symlink, net::UnixListener},
        thread,
    };

    #[test]
    fn a_link_is_replaced_and_what_it_leads_to_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("profile"), "precious").unwrap();
        symlink(path("profile"), path("link")).unwrap();
        symlink(path("nowhere"), path("dangling")).unwrap();
        symlink("/dev/null", path("to-device")).unwrap();
        fs::hard_link(path("profile"), path("second")).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        fs::write(path("old"), "a longer old text").unwrap();
        fs::set_permissions(path("old"), Permissions::from_mode(0o662)).unwrap();
        for name in ["link", "dangling", "to-device", "second", "socket", "old", "new"] {
            write_file(&path(name), b"report").unwrap();
            assert!(path(name).symlink_metadata().unwrap().is_file(), "{name}");
            assert_eq!(fs::read(path(name)).unwrap(), b"report", "{name}");
        }
        assert_eq!(fs::read(path("profile")).unwrap(), b"precious");
        assert!(!path("nowhere").exists());
        let mode = |name| path(name).metadata().unwrap().permissions().mode() & 0o777;
        fs::write(path("plain"), "").unwrap();
        assert_eq!((mode("old"), mode("new")), (0o662, mode("plain")));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 9);

        fs::create_dir(path("directory")).unwrap();
        for wrong in [path("directory"), path("missing/report")] {
            assert!(write_file(&wrong, b"report").is_err(), "{}", wrong.display());
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 10);
    }

    #[test]
    fn a_device_and_a_pipe_are_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let reader = {
            let pipe = pipe.clone();
            thread::spawn(move || fs::read(pipe).unwrap())
        };
        write_file(&pipe, b"report").unwrap();
        assert_eq!(reader.join().unwrap(), b"report");
        assert!(pipe.symlink_metadata().unwrap().file_type().is_fifo());
        write_file(Path::new("/dev/null"), b"report").unwrap();
    }
}
