//! An image with a busybox.

use super::{command::run, dir::Dir, programs::busybox};
use std::{
    fs,
    os::unix::fs::symlink,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

/// The image's root file system, unpacked.
pub(crate) fn rootfs(dir: &Dir) -> PathBuf {
    let root = dir.path("image");
    for name in ["bin", "tmp"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::copy(busybox(), root.join("bin/busybox")).unwrap();
    for applet in ["sh", "cat", "ls", "nc", "sleep", "true", "wget"] {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
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

/// A directory with what is built, a new one each time.
pub(super) fn context(dir: &Dir, name: &str, text: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let context = dir.path(format!("context-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir(&context).unwrap();
    fs::write(context.join(name), text).unwrap();
    context
}
