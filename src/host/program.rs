//! Container engines and runtimes, and which versions of them are here.

use super::command::output;
use super::executable::{Executable, executable};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The programs that are looked for.
const NAMES: [&str; 14] = [
    "podman",
    "buildah",
    "crio",
    "docker",
    "dockerd",
    "containerd",
    "ctr",
    "buildkitd",
    "kubelet",
    "runc",
    "crun",
    "youki",
    "kata-runtime",
    "runsc",
];

/// Where root's programs lie when PATH does not say so, as under cron or sudo.
const USUAL: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

const LIMIT: Duration = Duration::from_secs(5);

/// A program that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// Where it was found first.
    pub path: PathBuf,
    /// What it answered to `--version`, the number only, or why it did not.
    pub version: Result<String, String>,
}

/// The engines and runtimes found in PATH or where they usually lie.
pub fn programs() -> Vec<Program> {
    NAMES
        .into_iter()
        .filter_map(|name| {
            let path = find_program(name)?;
            let version = version(&path);
            Some(Program { name, path, version })
        })
        .collect()
}

/// The first executable file called `name` in PATH or where programs usually lie.
pub fn find_program(name: &str) -> Option<PathBuf> {
    find_program_where(name, |_| true)
}

/// The same, of those that `wanted` holds for.
pub fn find_program_where(name: &str, wanted: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(USUAL.iter().map(PathBuf::from))
        // A relative entry of PATH would make root run what lies around.
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|file| matches!(executable(file), Executable::Yes { .. }) && wanted(file))
}

fn version(path: &Path) -> Result<String, String> {
    let output =
        output(Command::new(path).arg("--version"), LIMIT).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    number(&text).map(str::to_owned).ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or_default();
        format!("`--version` tells no version ({}) {said}", output.status).trim_end().to_owned()
    })
}

/// The first word that looks like a version: `1.1.5+ds1`, `v2.0.0,`.
fn number(text: &str) -> Option<&str> {
    text.split_whitespace().map(|word| word.trim_end_matches(',')).find_map(|word| {
        let digits = word.strip_prefix('v').unwrap_or(word);
        let versionlike = |c: char| c.is_ascii_alphanumeric() || ".+~-_:".contains(c);
        let looks = digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.contains('.')
            && digits.len() <= 64
            && digits.chars().all(versionlike);
        looks.then_some(digits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_what_each_program_prints() {
        let cases = [
            ("podman version 4.3.1", Some("4.3.1")),
            ("buildah version 1.28.2 (image-spec 1.0.2)", Some("1.28.2")),
            ("Docker version 20.10.24+dfsg1, build 297e128", Some("20.10.24+dfsg1")),
            ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20", Some("1.6.20~ds1")),
            ("containerd github.com/containerd/containerd/v2 v2.1.9 abc", Some("2.1.9")),
            ("runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1", Some("1.1.5+ds1")),
            ("kata-runtime  : 3.2.0\n", Some("3.2.0")),
            ("runsc version release-20240101.0\nspec: 1.1.0", Some("1.1.0")),
            ("youki 0.7.0", Some("0.7.0")),
            ("1.\u{1b}[31m", None),
            ("nothing", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(number(text), want, "{text}");
        }
    }
}
