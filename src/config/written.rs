//! The file as it is written: one type a table, every key optional.

use super::error::{ParseError, Problem};
use super::settings::{Honour, OnError, Settings, When};
use super::value::{AbsolutePath, GroupName, Pool, RingSize};
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
    annotations: Annotations,
    keep: Keep,
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
    group: Option<GroupName>,
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
            annotations: Annotations::default(),
            keep: Keep::default(),
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
        Keep { execs: true, group: None }
    }
}

impl Written {
    pub(super) fn parse(text: &str) -> Result<Written, ParseError> {
        // Recoverable, so that `on_error` is known even when another line is wrong.
        let (table, errors) = DeTable::parse_recoverable(text);
        let on_error = on_error_of(table.get_ref());
        let result = match errors.into_iter().next() {
            Some(error) => Err(error),
            None => Written::deserialize(Deserializer::from(table)),
        };
        result.map_err(|error| ParseError {
            problem: Problem::from_toml(text, &error).into(),
            on_error,
        })
    }
}

fn on_error_of(table: &DeTable<'_>) -> OnError {
    match table.get("on_error").map(|value| value.get_ref()) {
        Some(DeValue::String(text)) if text == "deny" => OnError::Deny,
        _ => OnError::Allow,
    }
}

impl From<Written> for Settings {
    fn from(written: Written) -> Self {
        let honours = |heed: Heed| heed == Heed::Honour;
        Settings {
            when: written.trace.when,
            sandboxes: written.trace.sandboxes,
            on_error: written.on_error,
            ring_bytes: written.ring.size.0,
            pool: written.ring.pool.0,
            run_dir: written.directories.run.0,
            state_dir: written.directories.state.0,
            bpffs: written.directories.bpffs.0,
            honour: Honour {
                trace: honours(written.annotations.trace),
                job: honours(written.annotations.job),
                on_error: honours(written.annotations.on_error),
            },
            redaction: written.redaction,
            keep_execs: written.keep.execs,
            group: written.keep.group.map(|group| group.0),
            recipes: written.recipes.into_iter().map(|path| path.0).collect(),
        }
    }
}
