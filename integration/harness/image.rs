//! An image with a busybox, and the script of a build in `/build.sh`.

use super::{
    command::run,
    dir::Dir,
    programs::{busybox, package},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

/// The busybox applets that containers use.
const APPLETS: [&str; 29] = [
    "cat", "chmod", "chown", "cp", "cut", "echo", "env", "false", "grep", "head", "id", "kill",
    "ln", "ls", "mkdir", "mkfifo", "mv", "nc", "rm", "sed", "seq", "sh", "sleep", "sort", "test",
    "tr", "true", "usleep", "wget",
];

/// Fills a root file system.
pub(super) fn populate(root: &Path) {
    for name in ["bin", "usr/bin", "etc", "tmp", "proc", "dev"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::copy(busybox(), root.join("bin/busybox")).unwrap();
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::copy(package().join("integration/programs/build.sh"), root.join("build.sh")).unwrap();
}

/// The image's root file system, unpacked.
pub(crate) fn rootfs(dir: &Dir) -> PathBuf {
    let root = dir.path("image");
    if !root.exists() {
        populate(&root);
    }
    root
}

/// A tar archive of an image's root file system, to import.
pub(crate) fn tar(dir: &Dir) -> PathBuf {
    let root = rootfs(dir);
    let tar = dir.path("image.tar");
    run(Command::new("tar").arg("-C").arg(root).arg("-cf").arg(&tar).arg(".")).expect_code(0);
    tar
}

/// An archive to load, of an image whose configuration says that it was made of a container.
pub(super) fn claiming(dir: &Dir, name: &str, container: &str) -> PathBuf {
    let image = dir.path("claiming");
    fs::create_dir(&image).unwrap();
    fs::rename(tar(dir), image.join("layer.tar")).unwrap();
    let digest = Sha256::digest(fs::read(image.join("layer.tar")).unwrap());
    let digest = digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "container": container,
        "config": { "Cmd": ["sh"] },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
        "history": [{ "created_by": "elsewhere" }],
    });
    let manifest =
        json!([{ "Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"] }]);
    fs::write(image.join("config.json"), config.to_string()).unwrap();
    fs::write(image.join("manifest.json"), manifest.to_string()).unwrap();
    let archive = dir.path("claiming.tar");
    let files = ["manifest.json", "config.json", "layer.tar"];
    let mut command = Command::new("tar");
    run(command.arg("-C").arg(image).arg("-cf").arg(&archive).args(files)).expect_code(0);
    archive
}

/// A directory with what is built, a new one each time.
pub(super) fn context(dir: &Dir, name: &str, text: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let context = dir.path(format!("context-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir(&context).unwrap();
    fs::write(context.join(name), text).unwrap();
    context
}
