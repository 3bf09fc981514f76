//! The settings, resolved: every default filled in, every value checked.

use super::error::{ConfigError, Problem};
use super::written::Written;
use crate::detect::Policy;
use crate::report::format::Format;
use serde::Deserialize;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// The file that is read when no other is named.
pub const DEFAULT_PATH: &str = "/etc/buildwarden/buildwarden.toml";

/// A longer file is refused: it is not a configuration, and the hook must not
/// spend its time on it.
const MAX_BYTES: u64 = 1 << 20;
/// Room for what most write, so that the hook reads it at once.
const USUAL_BYTES: usize = 4096;

/// Which containers are traced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Every container.
    #[default]
    Always,
    /// Containers whose annotation asks for it.
    Annotated,
    /// No container.
    Never,
}

/// What happens to a container that cannot be traced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// It starts; a warning and an incomplete report say what was not traced.
    #[default]
    Allow,
    /// It does not start.
    Deny,
}

/// The annotations of a container that are listened to; the others are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Honour {
    /// `dev.buildwarden.trace`.
    pub trace: bool,
    /// `dev.buildwarden.job`.
    pub job: bool,
    /// `dev.buildwarden.on-error`.
    pub on_error: bool,
}

/// Where the runtimes are that the shim wraps; searched for where it is not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runtimes {
    /// runc.
    pub runc: Option<PathBuf>,
    /// crun.
    pub crun: Option<PathBuf>,
    /// youki.
    pub youki: Option<PathBuf>,
}

/// Where findings and ends are sent besides the annotation log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// The socket of systemd's journal.
    pub journald: Option<PathBuf>,
    /// A syslog daemon.
    pub syslog: Option<Syslog>,
    /// The URL that takes OTLP logs: of HTTP, its host an address or `localhost`.
    pub otlp: Option<Url>,
}

impl Outputs {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Outputs::default()
    }
}

/// How a syslog daemon is reached: by datagrams, so that it can never block.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Syslog {
    /// A socket.
    Socket(PathBuf),
    /// An address and port.
    Udp(SocketAddr),
}

/// Which finished runs `gc` keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Those whose report is younger; `None` for all.
    pub age: Option<Duration>,
    /// The newest that, with all that is not finished, fit into so many bytes; `None`
    /// for all.
    pub size: Option<u64>,
}

/// Everything an administrator can decide.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Which containers are traced.
    pub when: When,
    /// Whether pod sandboxes (pause and infra containers) are traced too.
    pub sandboxes: bool,
    /// What happens to a container that cannot be traced.
    pub on_error: OnError,
    /// Size of one container's ring in bytes: a power of two from 64 KiB to 64 MiB.
    pub ring_bytes: u32,
    /// How many rings are kept ready for containers to come.
    pub pool: u32,
    /// Where a container's state lies while it lives.
    pub run_dir: PathBuf,
    /// Where logs and reports are kept.
    pub state_dir: PathBuf,
    /// Where the BPF file system is mounted.
    pub bpffs: PathBuf,
    /// Where the runtimes are that the shim wraps.
    pub runtimes: Runtimes,
    /// The annotations that are listened to.
    pub honour: Honour,
    /// Whether secrets are taken out of arguments after judging.
    pub redaction: bool,
    /// Whether `execs.jsonl` stays after the report is written.
    pub keep_execs: bool,
    /// How long finished runs are kept.
    pub keep: Retention,
    /// The group that may read logs and reports; root's when there is none.
    pub group: Option<String>,
    /// The formats that are written beside `report.json`.
    pub formats: Vec<Format>,
    /// The private key that reports are signed with.
    pub key: Option<PathBuf>,
    /// What the administrator allows and denies on top of the recipes.
    pub policy: Policy,
    /// Recipe files to apply besides the built-in ones.
    pub recipes: Vec<PathBuf>,
    /// Where findings and ends are sent.
    pub outputs: Outputs,
    /// The file that these were read from, for a process that is to read it again.
    pub source: Option<PathBuf>,
}

impl Settings {
    /// Reads `path`, which must exist; or, without one, [`DEFAULT_PATH`] if it
    /// exists, else the defaults.
    pub fn load(path: Option<&Path>) -> Result<Settings, ConfigError> {
        let (path, required) = match path {
            Some(path) => (path, true),
            None => (Path::new(DEFAULT_PATH), false),
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if !required && error.kind() == io::ErrorKind::NotFound => {
                return Ok(Settings::default());
            }
            Err(source) => return Err(ConfigError::new(path, Problem::Unreadable(source))),
        };
        let text = read(file).map_err(|problem| ConfigError::new(path, problem))?;
        let settings = Written::parse(&text).map_err(|error| error.at(path))?;
        let source = std::path::absolute(path).ok();
        Ok(Settings { source, ..settings })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Written::default().with(Policy::default())
    }
}

fn read(file: File) -> Result<String, Problem> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(Problem::Unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Problem::TooLong { limit: MAX_BYTES });
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        Problem::NotUtf8 { line: 1 + memchr::memchr_iter(b'\n', valid).count() }
    })
}
