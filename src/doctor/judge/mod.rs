//! From facts to checks. Pure, so that machines other than this one can be judged
//! in tests.

mod engines;
mod hooks;
mod kernel;
mod privileges;
mod settings;

pub(super) use privileges::confinement;

#[cfg(test)]
mod tests;

use super::{Check, Section};
use crate::config::{ConfigError, Settings};
use crate::host::{Facts, Place, Program};
use crate::trace::Trial;
use std::path::PathBuf;

/// What lies at the places that are Buildwarden's own.
#[derive(Clone, Debug)]
pub struct Own {
    /// Where the configuration file is, or would be.
    pub config_path: PathBuf,
    /// The configuration file.
    pub config: Place,
    /// The directory for live containers.
    pub run: Place,
    /// The directory for logs and reports.
    pub state: Place,
}

/// Judges what was found.
pub fn judge(
    facts: &Facts,
    settings: &Result<Settings, ConfigError>,
    own: &Own,
    trial: &Trial,
) -> Vec<Check> {
    let resolved = &settings.as_ref().map_or_else(ConfigError::fallback, Settings::clone);
    let mut checks = kernel::judge(facts, resolved);
    checks.extend(trial.features.iter().map(kernel::feature));
    checks.extend(kernel::verifier(&trial.verified));
    checks.extend(privileges::judge(facts));
    checks.extend(settings::judge(settings, resolved, own));
    checks.extend(programs(&facts.programs));
    checks.extend(hooks::judge(facts));
    checks.extend(engines::judge(facts));
    checks
}

fn programs(programs: &[Program]) -> Vec<Check> {
    if programs.is_empty() {
        return vec![Check::warning(
            Section::Engines,
            "engines",
            "no container engine or runtime found",
            "install one, or put its directory into PATH; `buildwarden run` works without",
        )];
    }
    programs.iter().map(engine).collect()
}

fn engine(program: &Program) -> Check {
    let path = program.path.display();
    match (&program.version, program.name) {
        (Err(error), _) => Check::warning(
            Section::Engines,
            program.name,
            format!("{path}: {error}"),
            format!("run `{path} --version` to see why; containers may not start either"),
        ),
        (Ok(version), "kata-runtime" | "runsc") => Check::warning(
            Section::Engines,
            program.name,
            format!("{version}, {path}: runs containers on a kernel of their own"),
            "what its containers execute cannot be seen from this kernel: use runc, crun or youki for builds",
        ),
        (Ok(version), _) => Check::ok(Section::Engines, program.name, format!("{version}, {path}")),
    }
}
