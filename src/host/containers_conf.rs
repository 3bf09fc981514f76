//! containers.conf(5), as far as it says which hooks run.

use super::error::{HostError, read_bounded};
use serde::Deserialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The files that podman and buildah read, the later outweighing the earlier; beside
/// each, a directory `containers.conf.d`.
pub const CONTAINERS_CONF: [&str; 2] =
    ["/usr/share/containers/containers.conf", "/etc/containers/containers.conf"];

const MAX_BYTES: u64 = 1 << 20;

/// What all files together say.
#[derive(Debug, Default)]
pub struct ContainersConf {
    /// The hooks directories that podman reads, and the file that says so; `None` for its
    /// own idea.
    pub hooks_dirs: Option<(PathBuf, Vec<PathBuf>)>,
    /// Where buildah is told to run steps without a runtime.
    pub chroot_isolation: Option<String>,
    /// Files that could not be read.
    pub errors: Vec<HostError>,
}

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    engine: Engine,
}

#[derive(Default, Deserialize)]
struct Engine {
    hooks_dir: Option<Vec<toml::Value>>,
    env: Option<Vec<toml::Value>>,
}

/// Reads what podman, run from here, would read.
pub(super) fn containers_conf() -> ContainersConf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let mut conf = ContainersConf::default();
    match variable("CONTAINERS_CONF") {
        Some(path) => conf.add(Path::new(&path)),
        None => {
            for file in CONTAINERS_CONF.map(Path::new) {
                conf.add(file);
                let entries = fs::read_dir(file.with_extension("conf.d")).into_iter().flatten();
                let mut drop_ins: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
                drop_ins.retain(|path| path.extension().is_some_and(|name| name == "conf"));
                drop_ins.sort();
                drop_ins.iter().for_each(|path| conf.add(path));
            }
        }
    }
    if let Some(path) = variable("CONTAINERS_CONF_OVERRIDE") {
        conf.add(Path::new(&path));
    }
    if variable(ISOLATION).is_some_and(|value| value == "chroot") {
        conf.chroot_isolation = Some("this environment".to_owned());
    }
    conf
}

const ISOLATION: &str = "BUILDAH_ISOLATION";

impl ContainersConf {
    fn add(&mut self, path: &Path) {
        let read = read_bounded(path, MAX_BYTES).and_then(|bytes| {
            toml::from_slice::<Written>(&bytes)
                .map_err(|error| HostError::malformed(path, error.message()))
        });
        match read {
            Ok(written) => {
                if let Some(dirs) = written.engine.hooks_dirs() {
                    self.hooks_dirs = Some((path.to_owned(), dirs));
                }
                let chroot = format!("{ISOLATION}=chroot");
                let env = written.engine.env.iter().flatten();
                if env.filter_map(|value| value.as_str()).any(|variable| variable == chroot) {
                    self.chroot_isolation = Some(path.display().to_string());
                }
            }
            Err(HostError::Unreadable { source, .. })
                if source.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.errors.push(error),
        }
    }
}

impl Engine {
    fn hooks_dirs(&self) -> Option<Vec<PathBuf>> {
        self.hooks_dir.as_ref().map(|values| {
            // Besides paths there may be a table, `{append = true}`.
            values.iter().filter_map(|value| value.as_str()).map(PathBuf::from).collect()
        })
    }
}

/// The hooks directories that a file names; `None` when it leaves them as they are.
pub fn hooks_dirs(text: &str) -> Result<Option<Vec<PathBuf>>, toml::de::Error> {
    Ok(toml::from_str::<Written>(text)?.engine.hooks_dirs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_directories_are_read() {
        for (text, want) in [
            ("", None),
            ("[engine]\nruntime = \"crun\"\n", None),
            ("[engine]\nhooks_dir = [\"/a\", \"/b\"]\n", Some(vec!["/a", "/b"])),
            ("[engine]\nhooks_dir = [\"/a\", {append = true}]\n", Some(vec!["/a"])),
        ] {
            let want = want.map(|dirs| dirs.into_iter().map(PathBuf::from).collect());
            assert_eq!(hooks_dirs(text).unwrap(), want, "{text}");
        }
        assert!(hooks_dirs("[engine\n").is_err());
    }
    #[test]
    fn the_last_file_has_the_last_word() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut conf = ContainersConf::default();
        for (name, text) in [
            ("1", "[engine]\nhooks_dir = ['/a']\nenv = ['A=b', 'BUILDAH_ISOLATION=chroot']\n"),
            ("2", "[engine]\nhooks_dir = ['/b']\n"),
            ("3", "[containers]\n"),
            ("4", "["),
        ] {
            let path = dir.path().join(name);
            fs::write(&path, text).expect("written");
            conf.add(&path);
        }
        conf.add(&dir.path().join("missing"));
        let (path, dirs) = conf.hooks_dirs.expect("named");
        assert_eq!((path, dirs), (dir.path().join("2"), vec![PathBuf::from("/b")]));
        assert_eq!(conf.chroot_isolation, Some(dir.path().join("1").display().to_string()));
        assert_eq!(conf.errors.len(), 1);
    }
}
