//! What can be wrong with a configuration file, told with its line.

use super::settings::{Honour, OnError, Settings};
use crate::detect::PolicyError;
use crate::escape;
use std::io;
use std::path::{Path, PathBuf};

/// Why a configuration file was not taken.
#[derive(Debug, thiserror::Error)]
#[error("configuration {}: {problem}", path.display())]
pub struct ConfigError {
    path: PathBuf,
    problem: Box<Problem>,
    on_error: OnError,
}

impl ConfigError {
    pub(super) fn new(path: &Path, problem: Problem) -> Self {
        ConfigError { path: path.to_owned(), problem: problem.into(), on_error: OnError::default() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// What to go on with, because a mistake in the file must not stop every build:
    /// the defaults, with [`ConfigError::on_error`], and no annotation that could
    /// weaken what the file may have locked.
    pub fn fallback(&self) -> Settings {
        Settings {
            on_error: self.on_error,
            honour: Honour { trace: false, job: true, on_error: false },
            ..Settings::default()
        }
    }

    /// What the file says about errors, as far as it could be understood, so
    /// that a typing mistake elsewhere in it does not turn `deny` into `allow`.
    pub fn on_error(&self) -> OnError {
        self.on_error
    }
}

/// What is wrong with a configuration file. Lines count from 1.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It could not be opened or read.
    #[error("{0}; expected a file that can be read")]
    Unreadable(#[source] io::Error),
    /// It is longer than any configuration.
    #[error("longer than {limit} bytes; this is not a configuration file")]
    TooLong {
        /// The longest file that is read, in bytes.
        limit: u64,
    },
    /// It is not text.
    #[error("line {line}: not UTF-8; save the file as UTF-8")]
    NotUtf8 {
        /// The line with the first wrong byte.
        line: usize,
    },
    /// A key, or a value out of a list, that does not exist.
    #[error(
        "line {line}: unknown {what} `{}`{}, expected {}",
        escape::prose(found),
        near.as_ref().map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default(),
        Choice(expected)
    )]
    Unknown {
        /// Where.
        line: usize,
        /// `key` or `value`.
        what: &'static str,
        /// As written.
        found: String,
        /// The nearest that exists, if one is near.
        near: Option<String>,
        /// All that exist there.
        expected: Vec<String>,
    },
    /// A rule of the policy that cannot be meant.
    #[error("{0}")]
    Policy(#[from] PolicyError),
    /// Anything else: not TOML, a wrong type, a value out of range.
    #[error("line {line} (`{}`): {message}", escape::prose(text))]
    Invalid {
        /// Where.
        line: usize,
        /// That line, shortened.
        text: String,
        /// What is wrong, and what was expected.
        message: String,
    },
}

/// A parse error before the file's name is known.
#[derive(Debug)]
pub(super) struct ParseError {
    pub(super) problem: Box<Problem>,
    pub(super) on_error: OnError,
}

impl ParseError {
    pub(super) fn at(self, path: &Path) -> ConfigError {
        ConfigError { path: path.to_owned(), problem: self.problem, on_error: self.on_error }
    }
}

impl Problem {
    /// Tells what `toml` found in `text`, in our words where it found a name
    /// that does not exist.
    pub(super) fn from_toml(text: &str, error: &toml::de::Error) -> Problem {
        let span = error.span().unwrap_or(0..0);
        let before = text.get(..span.start).unwrap_or_default();
        let line = 1 + memchr::memchr_iter(b'\n', before.as_bytes()).count();
        if let Some((what, found, expected)) = unknown_name(error.message()) {
            let near = nearest(&found, &expected);
            return Problem::Unknown { line, what, found, near, expected };
        }
        let text = text.lines().nth(line - 1).unwrap_or_default().trim();
        let text = match text.char_indices().nth(80) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        };
        Problem::Invalid { line, text, message: one_line(error.message()) }
    }
}

/// Takes serde's message about an unknown field or variant apart. It is the one
/// place where the names that exist are known for every table at any depth; a
/// test holds the wording in place.
fn unknown_name(message: &str) -> Option<(&'static str, String, Vec<String>)> {
    let (what, rest) = match message.strip_prefix("unknown field `") {
        Some(rest) => ("key", rest),
        None => ("value", message.strip_prefix("unknown variant `")?),
    };
    let (found, expected) =
        rest.rsplit_once("`, expected ").or_else(|| rest.rsplit_once("`, there are no "))?;
    let expected = expected.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some((what, found.to_owned(), expected))
}

/// The name that was probably meant. Comparing costs time in the product of the
/// lengths, so only names of a sensible length are compared.
fn nearest(found: &str, expected: &[String]) -> Option<String> {
    if found.len() > 64 {
        return None;
    }
    let found = found.to_lowercase().replace('-', "_");
    expected
        .iter()
        .map(|name| (strsim::jaro_winkler(&found, &name.replace('-', "_")), name))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name.clone())
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `a`, `b` or `c`.
struct Choice<'a>(&'a [String]);

impl std::fmt::Display for Choice<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            let separator = match index {
                0 => "",
                _ if index + 1 == self.0.len() => " or ",
                _ => ", ",
            };
            write!(f, "{separator}`{name}`")?;
        }
        if self.0.is_empty() { f.write_str("nothing here") } else { Ok(()) }
    }
}
