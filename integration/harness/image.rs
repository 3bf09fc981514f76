//! An image with a busybox.

use super::{command::run, dir::Dir, programs::busybox};
use std::{fs, io, os::unix::fs::symlink, path::PathBuf, process::Command};

/// The image's root file system, unpacked.
pub(crate) fn rootfs(dir: &Dir) -> PathBuf {
    let root = dir.path("image");
    for name in ["bin", "tmp"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::copy(busybox(), root.join("bin/busybox")).unwrap();
    for applet in ["sh", "cat", "ls", "nc", "sleep", "true", "wget"] {
        // Two engines of one test have the same image.
        match symlink("busybox", root.join("bin").join(applet)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.unwrap(),
        }
    }
    root
}

/// A tar archive of an image's root file system, to import.
pub(super) fn tar(dir: &Dir) -> PathBuf {
    let root = rootfs(dir);
    let tar = dir.path("image.tar");
    run(Command::new("tar").arg("-C").arg(root).arg("-cf").arg(&tar).arg(".")).expect_code(0);
    tar
}
