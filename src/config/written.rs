//! The file as it is written: one type a table, every key optional.

use super::error::{ParseError, Problem};
use super::settings::{Honour, OnError, Outputs, Retention, Runtimes, Settings, Syslog, When};
use super::value::{
    AbsolutePath, Endpoint, GroupName, KeepAge, KeepSize, Pool, ReportFormat, RingSize,
};
use crate::detect::{Policy, PolicyError, PolicyFile};
use serde::Deserialize;
use std::path::PathBuf;
use toml::de::{DeTable, DeValue, Deserializer};

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    on_error: OnError,
    redaction: bool,
    recipes: Vec<AbsolutePath>,
    trace: Trace,
    ring: Ring,
    directories: Directories,
    runtime: Runtime,
    annotations: Annotations,
    keep: Keep,
    report: Report,
    output: Output,
    policy: PolicyFile,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Trace {
    when: When,
    sandboxes: bool,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Ring {
    size: RingSize,
    pool: Pool,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Directories {
    run: AbsolutePath,
    state: AbsolutePath,
    bpffs: AbsolutePath,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Runtime {
    runc: Option<AbsolutePath>,
    crun: Option<AbsolutePath>,
    youki: Option<AbsolutePath>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Annotations {
    trace: Heed,
    job: Heed,
    on_error: Heed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Heed {
    #[default]
    Honour,
    Ignore,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keep {
    execs: bool,
    age: KeepAge,
    size: KeepSize,
    group: Option<GroupName>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Report {
    formats: Vec<ReportFormat>,
    key: Option<AbsolutePath>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Output {
    journald: Option<AbsolutePath>,
    syslog: Option<Syslog>,
    otlp: Option<Endpoint>,
}

impl Default for Written {
    fn default() -> Self {
        Written {
            on_error: OnError::default(),
            redaction: true,
            recipes: Vec::new(),
            trace: Trace::default(),
            ring: Ring::default(),
            directories: Directories::default(),
            runtime: Runtime::default(),
            annotations: Annotations::default(),
            keep: Keep::default(),
            report: Report::default(),
            output: Output::default(),
            policy: PolicyFile::default(),
        }
    }
}

impl Default for Ring {
    fn default() -> Self {
        Ring { size: RingSize(1 << 20), pool: Pool(4) }
    }
}

impl Default for Directories {
    fn default() -> Self {
        Directories {
            run: AbsolutePath(PathBuf::from("/run/buildwarden")),
            state: AbsolutePath(PathBuf::from("/var/lib/buildwarden")),
            bpffs: AbsolutePath(PathBuf::from("/sys/fs/bpf")),
        }
    }
}

impl Default for Keep {
    fn default() -> Self {
        Keep { execs: true, age: KeepAge::days(30), size: KeepSize(None), group: None }
    }
}

/// The text without lines that are comments, which to parse would be half of the instructions of a
/// hook under the file that we document. `None` where such a line may be part of a string.
fn without_comments(text: &str) -> Option<String> {
    let several_lines = ["\"\"\"", "'''"].iter().any(|quotes| text.contains(quotes));
    let is_comment = |line: &&str| line.trim_ascii_start().starts_with('#');
    (!several_lines).then(|| text.split_inclusive('\n').filter(|line| !is_comment(line)).collect())
}

impl Written {
    pub(super) fn parse(text: &str) -> Result<Settings, ParseError> {
        let short = without_comments(text).map(|text| Written::parse_whole(&text));
        // A mistake is told by its line.
        short.and_then(Result::ok).map_or_else(|| Written::parse_whole(text), Ok)
    }

    fn parse_whole(text: &str) -> Result<Settings, ParseError> {
        // Recoverable, so that `on_error` is known even when another line is wrong.
        let (table, errors) = DeTable::parse_recoverable(text);
        let on_error = on_error_of(table.get_ref());
        let written = match errors.into_iter().next() {
            Some(error) => Err(error),
            None => Written::deserialize(Deserializer::from(table)),
        };
        written
            .map_err(|error| Problem::from_toml(text, &error))
            .and_then(|written| written.resolve().map_err(Problem::Policy))
            .map_err(|problem| ParseError { problem: problem.into(), on_error })
    }

    fn resolve(mut self) -> Result<Settings, PolicyError> {
        let policy = Policy::resolve(std::mem::take(&mut self.policy))?;
        Ok(self.with(policy))
    }

    /// The settings with a policy that was resolved already.
    pub(super) fn with(self, policy: Policy) -> Settings {
        let honours = |heed: Heed| heed == Heed::Honour;
        Settings {
            when: self.trace.when,
            sandboxes: self.trace.sandboxes,
            on_error: self.on_error,
            ring_bytes: self.ring.size.0,
            pool: self.ring.pool.0,
            run_dir: self.directories.run.0,
            state_dir: self.directories.state.0,
            bpffs: self.directories.bpffs.0,
            runtimes: Runtimes {
                runc: self.runtime.runc.map(|path| path.0),
                crun: self.runtime.crun.map(|path| path.0),
                youki: self.runtime.youki.map(|path| path.0),
            },
            honour: Honour {
                trace: honours(self.annotations.trace),
                job: honours(self.annotations.job),
                on_error: honours(self.annotations.on_error),
            },
            redaction: self.redaction,
            keep_execs: self.keep.execs,
            keep: Retention { age: self.keep.age.0, size: self.keep.size.0 },
            group: self.keep.group.map(|group| group.0),
            formats: self.report.formats.into_iter().map(|format| format.0).collect(),
            key: self.report.key.map(|path| path.0),
            recipes: self.recipes.into_iter().map(|path| path.0).collect(),
            outputs: Outputs {
                journald: self.output.journald.map(|path| path.0),
                syslog: self.output.syslog,
                otlp: self.output.otlp.map(|endpoint| endpoint.0),
            },
            policy,
            source: None,
        }
    }
}

fn on_error_of(table: &DeTable<'_>) -> OnError {
    match table.get("on_error").map(|value| value.get_ref()) {
        Some(DeValue::String(text)) if text == "deny" => OnError::Deny,
        _ => OnError::Allow,
    }
}
