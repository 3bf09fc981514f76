//! A file that is read and replaced by another, whole or not at all.

use crate::oci::Bundle;
use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
};

/// A config.json as it was.
pub(super) struct Original {
    path: PathBuf,
    metadata: Metadata,
    content: Vec<u8>,
}

impl Original {
    /// Reads the file; `None` where there is none.
    pub(super) fn open(path: &Path) -> io::Result<Option<Original>> {
        // In the place of a link the new file would not be where others look for it.
        let path = match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_symlink() => fs::canonicalize(path),
            Ok(_) => Ok(path.to_owned()),
            Err(error) => Err(error),
        };
        let path = match path {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            path => path?,
        };
        let mut file = File::open(&path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a file"));
        }
        if metadata.len() > Bundle::MAX {
            return Err(io::Error::other(format!("longer than {} bytes", Bundle::MAX)));
        }
        let mut content = Vec::with_capacity(metadata.len() as usize);
        (&mut file).take(Bundle::MAX).read_to_end(&mut content)?;
        Ok(Some(Original { path, metadata, content }))
    }

    /// What it holds.
    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }

    /// Puts a file with this content, and its owner and mode, in its place.
    pub(super) fn replace(&self, content: &[u8]) -> io::Result<()> {
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(".".as_ref());
        // Of a mode of its own until it has the right owner.
        let mut new = tempfile::Builder::new().prefix(".config.json.").tempfile_in(directory)?;
        new.write_all(content)?;
        let own = new.as_file().metadata()?;
        let (uid, gid) = (self.metadata.uid(), self.metadata.gid());
        if (own.uid(), own.gid()) != (uid, gid) {
            fchown(new.as_file(), Some(uid), Some(gid))?;
        }
        let mode = self.metadata.permissions().mode() & 0o7777;
        new.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        new.persist(&self.path).map(drop).map_err(|error| error.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_file_has_the_old_ones_mode_and_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        assert!(Original::open(&path).unwrap().is_none());
        for mode in [0o600, 0o644, 0o444] {
            fs::write(&path, b"old").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let original = Original::open(&path).unwrap().unwrap();
            assert_eq!(original.content(), b"old");
            original.replace(b"new").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"new");
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, mode);
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_link_stays_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("target"), b"old").unwrap();
        std::os::unix::fs::symlink("target", path("config.json")).unwrap();
        Original::open(&path("config.json")).unwrap().unwrap().replace(b"new").unwrap();
        assert_eq!(fs::read(path("target")).unwrap(), b"new");
        assert!(path("config.json").symlink_metadata().unwrap().is_symlink());
    }

    #[test]
    fn what_is_no_file_or_too_long_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        fs::create_dir(&path).unwrap();
        assert!(Original::open(&path).is_err());
        fs::remove_dir(&path).unwrap();
        File::create(&path).unwrap().set_len(Bundle::MAX + 1).unwrap();
        assert!(Original::open(&path).is_err());
    }
}
