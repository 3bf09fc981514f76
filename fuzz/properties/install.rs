//! What holds for engines' configuration files: what is installed into them comes out again
//! to the byte, and once more is as once.

use buildwarden::install::{Change, Engine, Others, Request, Root, Verb};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

const PROGRAM: &str = "usr/bin/buildwarden";

/// Whose file the input is.
const FILES: [(Engine, &str); 5] = [
    (Engine::Docker, "etc/docker/daemon.json"),
    (Engine::Docker, "etc/systemd/system/docker.service.d/override.conf"),
    (Engine::Docker, "lib/systemd/system/docker.service"),
    (Engine::Containerd, "etc/containerd/config.toml"),
    (Engine::Buildkit, "etc/buildkit/buildkitd.toml"),
];

pub(crate) fn check(data: &[u8]) {
    let Some((&how, content)) = data.split_first() else { return };
    // Said differently by each format: what is no text is another's business.
    let (engine, path) = FILES[usize::from(how) % FILES.len()];
    let others = [Others::Refuse, Others::Keep, Others::Replace][usize::from(how) / 8 % 3];
    let directory = super::directory();
    let root = directory.path();
    put(root, PROGRAM, b"");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(root.join(PROGRAM), executable).expect("a mode");
    put(root, path, content);

    if !change(root, engine, Verb::Install, others) {
        assert_eq!(fs::read(root.join(path)).expect("the file"), content, "refused and changed");
        return;
    }
    let installed = files(root);
    assert!(change(root, engine, Verb::Install, others), "once, and not again");
    assert!(installed == files(root), "twice is not once");
    assert!(change(root, engine, Verb::Uninstall, others), "it does not come out");
    let after = fs::read(root.join(path)).expect("the file");
    assert_eq!(after, content, "not as it was: {}", after.escape_ascii());
}

/// Whether it could be done.
fn change(root: &Path, engine: Engine, verb: Verb, others: Others) -> bool {
    let root = Root::open(root).expect("a root");
    let request = Request {
        verb,
        engines: vec![engine],
        program: Some(Path::new("/").join(PROGRAM)),
        hooks_dir: None,
        others,
    };
    let change = match Change::plan(&root, request) {
        Ok(change) if change.failed.is_empty() => change,
        Ok(change) => {
            for (_, error) in &change.failed {
                assert!(!error.to_string().is_empty());
            }
            return false;
        }
        Err(_) => return false,
    };
    change.carry_out(|plan, done| {
        let done = done.expect("what was planned");
        assert!(done.len() >= plan.edits.len());
    });
    true
}

fn put(root: &Path, path: &str, content: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap_or(root)).expect("a directory in memory");
    fs::write(path, content).expect("a file in memory");
}

/// All files and links below a directory, with what is in them.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_symlink() {
            let target = fs::read_link(&path).expect("a link");
            found.insert(path, target.into_os_string().into_encoded_bytes());
        } else if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = fs::read(&path).expect("a file");
            found.insert(path, content);
        }
    }
    found
}
