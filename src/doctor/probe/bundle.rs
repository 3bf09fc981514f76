//! The OCI bundle of the probe: this program alone, saying its version, with the
//! hooks that an engine would add.

use super::PROGRAM;
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A bundle in a directory of its own, removed when dropped.
pub(super) struct Bundle {
    dir: TempDir,
    id: String,
}

impl Bundle {
    /// Makes the bundle of a container that runs `program`, a static binary.
    pub(super) fn make(program: &Path, config: Option<&Path>) -> io::Result<Bundle> {
        // Its name, with the random part, is the container's id too.
        let dir = tempfile::Builder::new().prefix("buildwarden-doctor-").tempdir()?;
        let id = dir
            .path()
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or(io::ErrorKind::InvalidData)?
            .to_owned();
        let program = utf8(program)?;
        let mut hook = vec!["buildwarden".to_owned()];
        if let Some(config) = config {
            // The hook's working directory is the bundle.
            hook.extend(["--config".to_owned(), utf8(&std::path::absolute(config)?)?.to_owned()]);
        }
        hook.push("hook".to_owned());
        fs::create_dir(dir.path().join("rootfs"))?;
        fs::write(dir.path().join("config.json"), config_json(program, &hook, &id).to_string())?;
        Ok(Bundle { dir, id })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where the runtime keeps its state, so that nothing of the probe shows in
    /// the host's list of containers.
    pub(super) fn runtime_root(&self) -> PathBuf {
        self.dir.path().join("runtime")
    }
}

pub(super) fn utf8(path: &Path) -> io::Result<&str> {
    path.to_str().ok_or_else(|| {
        io::Error::other(format!(
            "{}: a path in config.json must be UTF-8, expected another place",
            path.display()
        ))
    })
}

/// No rlimits, which need CAP_SYS_RESOURCE; and a cgroup at the top, because a
/// runtime removes that one only and none above it.
fn config_json(program: &str, hook: &[String], id: &str) -> Value {
    let hook = |stage: &str| {
        let args: Vec<_> = hook.iter().map(String::as_str).chain([stage]).collect();
        json!({
            "path": program,
            "args": args,
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            "timeout": 30,
        })
    };
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": [PROGRAM, "--version"],
            "env": ["PATH=/"],
            "cwd": "/",
            "capabilities": {},
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "buildwarden-doctor",
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            {
                "destination": "/dev",
                "type": "tmpfs",
                "source": "tmpfs",
                "options": ["nosuid", "mode=755", "size=64k"],
            },
            {
                "destination": PROGRAM,
                "type": "bind",
                "source": program,
                "options": ["bind", "ro", "nosuid", "nodev"],
            },
        ],
        "hooks": { "createRuntime": [hook("createRuntime")], "poststop": [hook("poststop")] },
        "annotations": {
            "dev.buildwarden.trace": "true",
            // So that the runtime tells why the hook failed.
            "dev.buildwarden.on-error": "deny",
        },
        "linux": {
            "cgroupsPath": format!("/{id}"),
            "namespaces": [
                { "type": "pid" },
                { "type": "mount" },
                { "type": "ipc" },
                { "type": "uts" },
                { "type": "network" },
            ],
        },
    })
}
