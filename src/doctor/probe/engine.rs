//! What the probes of engines have in common: a name, a directory, and commands that end.

use super::Failure;
use crate::host::{Output, output};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;

/// How long a command may take that only asks or removes.
pub(super) const SHORT: Duration = Duration::from_secs(20);

/// A directory of the probe's; its name is that of everything it makes.
pub(super) struct Workshop {
    dir: TempDir,
    name: String,
}

impl Workshop {
    pub(super) fn new() -> Result<Workshop, Failure> {
        let dir = tempfile::Builder::new()
            .prefix("buildwarden-doctor-")
            .rand_bytes(12)
            .tempdir()
            .map_err(Failure::Bundle)?;
        // Image names have no capitals.
        let name = dir.path().file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        Ok(Workshop { dir, name })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// An empty root file system.
    pub(super) fn rootfs(&self) -> Result<PathBuf, Failure> {
        let path = self.path("rootfs");
        fs::create_dir(&path).map_err(Failure::Bundle)?;
        Ok(path)
    }

    /// The id that an engine has written to a file.
    pub(super) fn id(&self, file: &str) -> Result<String, Failure> {
        let id = fs::read_to_string(self.path(file)).map_err(Failure::Bundle)?;
        let id = id.trim();
        // It becomes a path.
        if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(id.to_owned());
        }
        Err(Failure::Bundle(io::Error::other(format!("{file}: no container's id"))))
    }
}

/// This program's file.
pub(super) fn program() -> Result<PathBuf, Failure> {
    fs::read_link("/proc/self/exe").map_err(Failure::Bundle)
}

/// Runs a command that must succeed. What an engine cannot do for reasons of its own is
/// no problem of ours; what it says of Buildwarden is.
pub(super) fn run(
    engine: &Path,
    command: &mut Command,
    limit: Duration,
) -> Result<Output, Failure> {
    let why = match output(command, limit) {
        Ok(output) if output.status.success() => return Ok(output),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
            let about_us = lines.clone().find(|line| is_about_us(line));
            let last = about_us.or_else(|| lines.next_back()).unwrap_or("it says nothing");
            format!("{}: {last}", output.status)
        }
        Err(error) => error.to_string(),
    };
    if is_about_us(&why) {
        return Err(Failure::Engine { engine: engine.to_owned(), reason: why });
    }
    let why = format!("{}: {why}", engine.display());
    Err(Failure::NotRun(why, "see whether it can run a container at all, then check again"))
}

/// What this program itself says begins like this; the probe's own names do not.
fn is_about_us(line: &str) -> bool {
    line.contains("buildwarden: ") || line.contains("hook")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_says_is_ours_or_its_own() {
        let check = |script: &str, want: Result<(), &str>| {
            let mut command = Command::new("sh");
            let ran = run("/bin/x".as_ref(), command.args(["-c", script]), SHORT).map(drop);
            let got =
                ran.map_err(|error| (error.to_string(), matches!(error, Failure::NotRun(..))));
            match (got, want) {
                (Ok(()), Ok(())) => {}
                (Err((got, not_run)), Err(want)) => {
                    assert_eq!((got.as_str(), not_run), (want, want.starts_with("not run")));
                }
                (got, _) => panic!("{script}: {got:?}"),
            }
        };
        check("true", Ok(()));
        check("exit 3", Err("not run: /bin/x: exit status: 3: it says nothing"));
        check(
            "echo 'Cannot connect: is it running?' >&2; exit 1",
            Err("not run: /bin/x: exit status: 1: Cannot connect: is it running?"),
        );
        check(
            "echo 'error running hook #0' >&2; echo Sorry. >&2; exit 1",
            Err("/bin/x: exit status: 1: error running hook #0"),
        );
        check(
            "echo 'no image buildwarden-doctor-x' >&2; exit 1",
            Err("not run: /bin/x: exit status: 1: no image buildwarden-doctor-x"),
        );
    }

    #[test]
    fn an_id_is_no_path() {
        let workshop = Workshop::new().expect("a directory");
        for (text, want) in [("0ab9\n", Some("0ab9")), ("../x", None), ("", None), ("A/b", None)] {
            fs::write(workshop.path("cid"), text).expect("written");
            assert_eq!(workshop.id("cid").ok().as_deref(), want, "{text}");
        }
        assert!(workshop.id("other").is_err());
    }
}
