//! `--output`: the files that a verb writes.

use super::terminal;
use crate::escape;
use anyhow::Context as _;
use std::{
    fs::{self, Permissions},
    io::{self, Write as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

/// Writes to a file, or to standard output.
pub(super) fn write(text: &str, to: Option<&Path>) -> anyhow::Result<()> {
    let Some(path) = to else { return terminal::print(text).map(drop) };
    write_file(path, text.as_bytes()).with_context(|| {
        format!("{}: cannot write it", escape::visible(path.as_os_str().as_encoded_bytes()))
    })
}

/// Writes a file anew. It may lie where a build could write, so a link in its place is
/// replaced and not followed.
fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new(".")).canonicalize()?;
    if parent == Path::new("/dev") || parent.starts_with("/proc") {
        // A link of the system's, as /dev/stdout and what a shell makes of `>(…)` are.
        return fs::write(path, content);
    }
    let there = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        there => Some(there?),
    };
    let kind = there.as_ref().map(fs::Metadata::file_type);
    if kind.is_some_and(|kind| kind.is_fifo() || kind.is_char_device() || kind.is_block_device()) {
        return write_in_place(path, content);
    }
    let is_file = kind.is_some_and(|kind| kind.is_file());
    let mode = there.filter(|_| is_file).map_or(0o666, |there| there.permissions().mode() & 0o666);
    match replace(&parent, path, mode, content) {
        // In a directory that belongs to somebody else, or mounted by itself.
        Err(_) if is_file => write_in_place(path, content),
        replaced => replaced,
    }
}

fn replace(parent: &Path, path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut new = tempfile::Builder::new()
        .prefix(".buildwarden-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(parent)?;
    new.write_all(content)?;
    new.persist(path).map(drop).map_err(|error| error.error)
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
    use std::{os::unix::fs::symlink, thread};

    #[test]
    fn a_link_is_replaced_and_what_it_leads_to_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("profile"), "precious").unwrap();
        symlink(path("profile"), path("link")).unwrap();
        symlink(path("nowhere"), path("dangling")).unwrap();
        symlink("/dev/null", path("to-device")).unwrap();
        fs::write(path("old"), "a longer old text").unwrap();
        fs::set_permissions(path("old"), Permissions::from_mode(0o600)).unwrap();
        for name in ["link", "dangling", "to-device", "old", "new"] {
            write_file(&path(name), b"report").unwrap();
            assert!(path(name).symlink_metadata().unwrap().is_file(), "{name}");
            assert_eq!(fs::read(path(name)).unwrap(), b"report", "{name}");
        }
        assert_eq!(fs::read(path("profile")).unwrap(), b"precious");
        assert!(!path("nowhere").exists());
        let mode = |name| path(name).metadata().unwrap().permissions().mode() & 0o777;
        fs::write(path("plain"), "").unwrap();
        assert_eq!((mode("old"), mode("new")), (0o600, mode("plain")));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 7);

        fs::create_dir(path("directory")).unwrap();
        for wrong in [path("directory"), path("missing/report")] {
            assert!(write_file(&wrong, b"report").is_err(), "{}", wrong.display());
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 8);
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
