//! Whether Buildwarden can do its work on this machine: the facts of `host`,
//! judged, and a container that proves it.

mod judge;
mod probe;
mod terminal;

pub use judge::{Own, judge};
pub use probe::probe;
pub use terminal::terminal;

use crate::config::{ConfigError, DEFAULT_PATH, Settings};
use crate::confine;
use crate::host::{Facts, Place};
use crate::trace::{Trial, Verified};
use serde::Serialize;
use std::path::Path;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Buildwarden works; something is worth knowing.
    Warning,
    /// Buildwarden does not work, or not where it is expected to.
    Problem,
}

/// What a check is about. Sections are shown in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// The running kernel and its file systems.
    Kernel,
    /// What this process may do.
    Privileges,
    /// The configuration and the directories it names.
    Settings,
    /// Container engines and runtimes found.
    Engines,
    /// Whether these engines run Buildwarden.
    Hooks,
    /// A container, traced.
    Probe,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is about.
    pub section: Section,
    /// Its name, the same on every machine.
    pub name: String,
    /// How it came out.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What to do; absent when there is nothing to do.
    pub advice: Option<String>,
}

/// Every check of one run.
#[derive(Debug, Serialize)]
pub struct Examination {
    /// The version of this format.
    pub schema_version: u32,
    /// The version of the program that checked.
    pub version: &'static str,
    /// The worst that came out.
    pub status: Status,
    /// The checks by section.
    pub checks: Vec<Check>,
    /// What accepting each program took the kernel's verifier; empty when it refused one.
    pub verifier: Vec<Verified>,
}

impl Check {
    fn ok(section: Section, name: &str, found: impl Into<String>) -> Check {
        let (name, found) = (name.to_owned(), found.into());
        Check { section, name, status: Status::Ok, found, advice: None }
    }

    fn bad(
        section: Section,
        name: &str,
        status: Status,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Check {
        let advice = Some(advice.into());
        Check { section, name: name.to_owned(), status, found: found.into(), advice }
    }

    fn warning(
        section: Section,
        name: &str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Check {
        Check::bad(section, name, Status::Warning, found, advice)
    }

    fn problem(
        section: Section,
        name: &str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Check {
        Check::bad(section, name, Status::Problem, found, advice)
    }
}

/// Checks everything. `settings` were read from `config`; `trial` is what came of trying the kernel;
/// without `with_probe` no container is started.
pub fn examine(
    config: Option<&Path>,
    settings: &Result<Settings, ConfigError>,
    trial: &Trial,
    with_probe: bool,
) -> Examination {
    let facts = Facts::gather();
    // As the hook does.
    let resolved = &settings.as_ref().map_or_else(ConfigError::fallback, Settings::clone);
    let path = config.unwrap_or(Path::new(DEFAULT_PATH));
    let own = Own {
        config: Place::file(path),
        config_path: path.to_owned(),
        run: Place::directory(&resolved.run_dir),
        state: Place::directory(&resolved.state_dir),
    };
    let mut checks = judge(&facts, settings, &own, trial);
    checks.push(judge::confinement(&confine::available()));
    if with_probe {
        checks.extend(probe(&facts, resolved, config));
    }
    // Stable: within a section the order is the order of checking.
    checks.sort_by_key(|check| check.section);
    Examination {
        schema_version: 1,
        version: env!("CARGO_PKG_VERSION"),
        status: checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok),
        checks,
        verifier: trial.verified.clone(),
    }
}
