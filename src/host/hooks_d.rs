//! The hooks directories of podman, buildah and CRI-O: oci-hooks(5), schema 1.0.0.

use super::error::{HostError, read_bounded};
use super::executable::{Executable, executable};
use serde::Deserialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The directories that engines read without being told to.
pub const HOOKS_DIRS: [&str; 2] =
    ["/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d"];

/// No hook's file is this long.
const MAX_BYTES: u64 = 1 << 20;

/// A hooks directory.
#[derive(Debug)]
pub struct HooksDir {
    /// Where it is.
    pub path: PathBuf,
    /// Its files, by name; `None` when there is no such directory.
    pub files: Result<Option<Vec<HookFile>>, HostError>,
}

/// A file of a hooks directory that an engine would read.
#[derive(Debug)]
pub enum HookFile {
    /// A hook that runs Buildwarden.
    Ours(Hook),
    /// A hook that runs something else.
    Other,
    /// Not a hook: the engine refuses to start any container.
    Malformed(HostError),
}

/// A hook that runs Buildwarden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The file that says so.
    pub file: PathBuf,
    /// The program it names.
    pub program: PathBuf,
    /// What that path leads to.
    pub executable: Executable,
    /// The stages it runs at.
    pub stages: Vec<String>,
    /// Whether it sets PATH.
    pub sets_path: bool,
}

#[derive(Deserialize)]
struct Written {
    hook: WrittenHook,
    #[serde(default)]
    stages: Vec<String>,
}

#[derive(Deserialize)]
struct WrittenHook {
    path: PathBuf,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: Vec<String>,
}

/// Reads a hooks directory as an engine would.
pub fn hooks_dir(path: &Path) -> HooksDir {
    let files = match fs::read_dir(path) {
        Ok(entries) => hook_files(entries).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    HooksDir {
        path: path.to_owned(),
        files: files.map_err(|error| HostError::unreadable(path, error)),
    }
}

fn hook_files(entries: fs::ReadDir) -> io::Result<Vec<HookFile>> {
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    Ok(paths.iter().map(|path| hook_file(path)).collect())
}

fn hook_file(path: &Path) -> HookFile {
    let written = read_bounded(path, MAX_BYTES).and_then(|bytes| {
        serde_json::from_slice::<Written>(&bytes)
            .map_err(|error| HostError::malformed(path, error.to_string()))
    });
    match written {
        Err(error) => HookFile::Malformed(error),
        Ok(written) if !is_ours(&written.hook) => HookFile::Other,
        Ok(written) => HookFile::Ours(Hook {
            file: path.to_owned(),
            executable: executable(&written.hook.path),
            sets_path: written.hook.env.iter().any(|variable| variable.starts_with("PATH=")),
            program: written.hook.path,
            stages: written.stages,
        }),
    }
}

/// By the program's name, or by `argv[0]` where it was installed under another.
fn is_ours(hook: &WrittenHook) -> bool {
    let named = |path: &Path| path.file_name().is_some_and(|name| name == "buildwarden");
    named(&hook.path) || hook.args.first().is_some_and(|name| named(Path::new(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_read_as_an_engine_does() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let write = |name: &str, text: &str| {
            fs::write(dir.path().join(name), text).expect("written");
        };
        write(
            "1-ours.json",
            r#"{"version":"1.0.0","hook":{"path":"/nonexistent/buildwarden","args":["buildwarden","hook","createRuntime"],"env":["PATH=/bin"]},"when":{"always":true},"stages":["createRuntime"]}"#,
        );
        write("2-other.json", r#"{"version":"1.0.0","hook":{"path":"/bin/true"},"when":{}}"#);
        write("3-broken.json", "{");
        write("4-renamed.json", r#"{"hook":{"path":"/bin/sh","args":["buildwarden"]}}"#);
        write("5-not-read.json.off", "{");
        let files = hooks_dir(dir.path()).files.expect("readable").expect("there");
        let [first, second, third, fourth] = &files[..] else { panic!("{files:?}") };
        let HookFile::Ours(hook) = first else { panic!("{first:?}") };
        assert_eq!(hook.program, Path::new("/nonexistent/buildwarden"));
        assert_eq!(hook.executable, Executable::Missing);
        assert_eq!(hook.stages, ["createRuntime"]);
        assert!(hook.sets_path);
        assert!(matches!(second, HookFile::Other));
        assert!(matches!(third, HookFile::Malformed(_)));
        let HookFile::Ours(hook) = fourth else { panic!("{fourth:?}") };
        assert_eq!(hook.executable, Executable::Yes { this_one: false });
        assert!(!hook.sets_path);
    }

    #[test]
    fn a_directory_that_is_not_there_is_a_fact() {
        let dir = hooks_dir(Path::new("/nonexistent/hooks.d"));
        assert!(matches!(dir.files, Ok(None)), "{dir:?}");
    }
}
