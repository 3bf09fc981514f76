//! What can be seen of a scenario from outside.

use crate::harness::Done;
use serde_json::Value;
use std::{
    fmt::Write as _,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileTypeExt as _, MetadataExt as _},
    },
    path::Path,
    time::{Duration, Instant},
};

/// What an engine's commands said, and what is there after them.
#[derive(Default)]
pub(crate) struct Observed {
    /// Each with what it is of.
    left: Vec<(String, Vec<u8>)>,
    /// How long the engine's commands took.
    took: Duration,
}

impl Observed {
    /// Runs a command of the engine: it is timed, and how it ended is kept.
    #[track_caller]
    pub(crate) fn step(&mut self, what: &str, command: impl FnOnce() -> Done) {
        self.step_of(what, command, |done| (done.stdout, done.stderr));
    }

    /// The same for a command whose own lines name ids and times: `line` gives what of a
    /// line is to be equal.
    #[track_caller]
    pub(crate) fn lines(
        &mut self,
        what: &str,
        line: fn(&str) -> Option<String>,
        command: impl FnOnce() -> Done,
    ) {
        self.step_of(what, command, |done| {
            let kept = |text: String| {
                let lines: Vec<_> = text.lines().filter_map(line).collect();
                lines.join("\n").into_bytes()
            };
            (kept(done.stdout()), kept(done.stderr()))
        });
    }

    fn step_of(
        &mut self,
        what: &str,
        command: impl FnOnce() -> Done,
        streams: impl FnOnce(Done) -> (Vec<u8>, Vec<u8>),
    ) {
        let start = Instant::now();
        let done = command();
        self.took += start.elapsed();
        self.keep(&format!("{what}: exit code"), done.code.to_string());
        let (stdout, stderr) = streams(done);
        self.keep(&format!("{what}: stdout"), stdout);
        self.keep(&format!("{what}: stderr"), stderr);
    }

    /// Keeps what must be equal to the byte.
    pub(crate) fn keep(&mut self, what: &str, content: impl Into<Vec<u8>>) {
        self.left.push((what.to_owned(), content.into()));
    }

    /// Keeps what an engine says in JSON of a container or an image, but for ids and
    /// times.
    #[track_caller]
    pub(crate) fn state(&mut self, what: &str, said: &Done) {
        assert_eq!(said.code, 0, "{what}: {said}");
        let mut value: Value = serde_json::from_slice(&said.stdout).expect(what);
        without_chance(&mut value);
        self.keep(what, format!("{value:#}"));
    }

    /// Keeps every file below `root`: type, mode, owner, content. Not its times.
    #[track_caller]
    pub(crate) fn files(&mut self, root: &Path) {
        let before = self.left.len();
        self.files_below(root, root);
        assert!(self.left.len() > before + 10, "{}: hardly a file", root.display());
    }

    fn files_below(&mut self, root: &Path, directory: &Path) {
        let mut entries: Vec<_> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            let metadata = path.symlink_metadata().unwrap();
            let kind = metadata.file_type();
            let name = path.strip_prefix(root).unwrap();
            let mut text = format!(
                "mode {:o} owner {}:{} links {} device {:x}\n",
                metadata.mode(),
                metadata.uid(),
                metadata.gid(),
                if kind.is_dir() { 0 } else { metadata.nlink() },
                if kind.is_char_device() || kind.is_block_device() { metadata.rdev() } else { 0 },
            )
            .into_bytes();
            if kind.is_symlink() {
                text.extend(fs::read_link(&path).unwrap().as_os_str().as_bytes());
            } else if kind.is_file() {
                text.extend(fs::read(&path).unwrap());
            }
            self.keep(&format!("file {name:?}"), text);
            if kind.is_dir() {
                self.files_below(root, &path);
            }
        }
    }

    /// How long the engine's commands took.
    pub(crate) fn took(&self) -> Duration {
        self.took
    }

    /// Fails with the first thing that is not as it is without us.
    #[track_caller]
    pub(crate) fn expect_same(&self, without: &Observed) {
        let names = |observed: &Observed| -> Vec<_> {
            observed.left.iter().map(|(what, _)| what.clone()).collect()
        };
        assert_eq!(names(self), names(without), "with us, and without");
        for ((what, with), (_, without)) in self.left.iter().zip(&without.left) {
            assert!(with == without, "{what} {}", difference(with, without));
        }
    }

    /// Whether something that was kept contains a text.
    pub(crate) fn contains(&self, text: &str) -> bool {
        self.left.iter().any(|(_, kept)| memchr::memmem::find(kept, text.as_bytes()).is_some())
    }
}

/// The lines in which two texts differ.
fn difference(with: &[u8], without: &[u8]) -> String {
    let lines = |bytes: &[u8]| -> Vec<String> {
        bytes.split(|byte| *byte == b'\n').map(|line| line.escape_ascii().to_string()).collect()
    };
    let (with, without) = (lines(with), lines(without));
    let at = with.iter().zip(&without).take_while(|(with, without)| with == without).count();
    let mut text = format!("differs from line {} on", at + 1);
    for (whose, lines) in [("with us", &with), ("without us", &without)] {
        let _ = write!(text, "\n{whose}, of {} lines:", lines.len());
        for line in lines.iter().skip(at).take(12) {
            let _ = write!(text, "\n  {line:.300}");
        }
    }
    text
}

/// Replaces what two runs do not share anyhow: ids, times, the order of a map.
fn without_chance(value: &mut Value) {
    match value {
        Value::String(text) => *text = without_ids(text),
        Value::Array(values) => values.iter_mut().for_each(without_chance),
        Value::Object(values) => {
            let old = std::mem::take(values);
            for (key, mut value) in old {
                without_chance(&mut value);
                // All podmans of a machine share their locks.
                if key == "lockNumber" {
                    value = Value::Null;
                }
                // podman keeps it in a map.
                if let (true, Value::Array(variables)) = (key == "Env", &mut value) {
                    variables.sort_by_key(Value::to_string);
                }
                values.insert(without_ids(&key), value);
            }
        }
        _ => {}
    }
}

/// A text without ids (11 hexadecimal digits and more), or which is a time or of a process.
pub(crate) fn without_ids(text: &str) -> String {
    // The zero time says that something has not happened.
    if !text.starts_with("0001-") && text.parse::<jiff::Timestamp>().is_ok() {
        return "TIME".to_owned();
    }
    if let Some((pid, rest)) = text.strip_prefix("/proc/").and_then(|text| text.split_once('/'))
        && pid.bytes().all(|byte| byte.is_ascii_digit())
    {
        return format!("/proc/PID/{rest}");
    }
    let mut result = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digits = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
        if digits >= 11 {
            result += "ID";
            rest = &rest[digits..];
        } else {
            let next = digits.max(first.len_utf8());
            result += &rest[..next];
            rest = &rest[next..];
        }
    }
    result
}
