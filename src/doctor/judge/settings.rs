//! The configuration and the directories it names.

use super::Own;
use crate::config::{ConfigError, OnError, Settings, When};
use crate::doctor::{Check, Section};
use crate::host::Place;
use std::path::Path;

const SECTION: Section = Section::Settings;

pub(super) fn judge(
    settings: &Result<Settings, ConfigError>,
    resolved: &Settings,
    own: &Own,
) -> Vec<Check> {
    let mut checks = vec![configuration(settings, own)];
    if settings.is_ok() {
        checks.push(tracing(resolved));
        checks.push(on_error(resolved));
    }
    checks.push(directory("run directory", &resolved.run_dir, &own.run));
    checks.push(directory("state directory", &resolved.state_dir, &own.state));
    checks
}

fn configuration(settings: &Result<Settings, ConfigError>, own: &Own) -> Check {
    let name = "configuration";
    let path = own.config_path.display();
    match (settings, &own.config) {
        (Err(error), _) => Check::problem(
            SECTION,
            name,
            error.to_string(),
            "mend it; until then the defaults apply, but for on_error as far as it can be read",
        ),
        (Ok(_), Place::Open { uid, mode }) => Check::problem(
            SECTION,
            name,
            format!(
                "{path} belongs to uid {uid}, mode {mode:04o}: others than root can turn tracing off"
            ),
            format!("chown root:root {path} && chmod 0644 {path}"),
        ),
        (Ok(_), Place::Missing) => {
            Check::ok(SECTION, name, format!("no {path}, the defaults apply"))
        }
        (Ok(_), _) => Check::ok(SECTION, name, path.to_string()),
    }
}

fn tracing(settings: &Settings) -> Check {
    let name = "what is traced";
    match settings.when {
        When::Always => Check::ok(SECTION, name, "every container"),
        When::Annotated if settings.honour.trace => {
            Check::ok(SECTION, name, "containers annotated dev.buildwarden.trace=true")
        }
        When::Annotated => Check::problem(
            SECTION,
            name,
            "nothing: trace.when is \"annotated\", and annotations.trace is \"ignore\"",
            "set annotations.trace = \"honour\", or trace.when = \"always\"",
        ),
        When::Never if settings.honour.trace => Check::warning(
            SECTION,
            name,
            "only containers annotated dev.buildwarden.trace=true: trace.when is \"never\"",
            "set trace.when = \"annotated\" to say that, or \"always\" to trace every container",
        ),
        When::Never => Check::warning(
            SECTION,
            name,
            "nothing: trace.when is \"never\"",
            "set trace.when = \"always\" to trace every container",
        ),
    }
}

fn on_error(settings: &Settings) -> Check {
    let found = match settings.on_error {
        OnError::Allow => "a container that cannot be traced starts all the same",
        OnError::Deny => "a container that cannot be traced does not start",
    };
    Check::ok(SECTION, "on error", found)
}

fn directory(name: &str, path: &Path, place: &Place) -> Check {
    let path = path.display();
    match place {
        Place::Ours => Check::ok(SECTION, name, path.to_string()),
        Place::Missing => Check::ok(SECTION, name, format!("{path}, made when it is needed")),
        Place::Open { uid, mode } => Check::problem(
            SECTION,
            name,
            format!(
                "{path} belongs to uid {uid}, mode {mode:04o}: others than root can change evidence"
            ),
            format!("chown root {path} && chmod go-w {path}"),
        ),
        Place::Unusable(why) => Check::problem(
            SECTION,
            name,
            format!("{path}: {why}"),
            "make it a directory, or name another one in [directories]",
        ),
    }
}
