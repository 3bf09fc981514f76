//! The shim: a runtime that is not one. An engine calls it instead of runc, crun or
//! youki; it adds our hooks to the container's config.json and becomes the runtime.
//!
//! Its arguments, environment, standard streams and descriptors reach the runtime as
//! they came, and nothing stays behind. What it cannot do must not cost a container:
//! the runtime then starts it untraced, unless the configuration says otherwise.

mod error;
mod invocation;
mod log;
mod real;
mod rewrite;

pub use error::RuntimeError;
pub use real::Name;

use crate::{
    config::{OnError, Settings, When},
    oci::{Configuration, Hooks, annotation},
};
use invocation::{Invocation, Start};
use log::Level;
use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt as _,
    panic,
    path::{Path, PathBuf},
    process::Command,
};

/// Does what the shim does for `args`, which follow the runtime's name, and executes
/// the runtime in the place of this process: returns only when it could not or must
/// not start. The engine has been told so then, in its log as on standard error.
///
/// `config` is the configuration file that was named, if one was.
pub fn enter(name: Name, args: &[OsString], config: Option<&Path>) -> RuntimeError {
    let invocation = Invocation::read(args);
    let error = match prepare(name, &invocation, config) {
        Ok(real) => {
            // `exec` gives SIGPIPE back its default, which Rust's start-up had changed.
            let source = Command::new(&real).args(args).exec();
            RuntimeError::NotExecuted { path: real, source }
        }
        Err(error) => error,
    };
    log::say(invocation.log.as_ref(), Level::Error, &error);
    error
}

/// Everything that is to be done before the runtime: its path, or why it must not start.
fn prepare(
    name: Name,
    invocation: &Invocation,
    config: Option<&Path>,
) -> Result<PathBuf, RuntimeError> {
    let (settings, mistake) = match Settings::load(config) {
        Ok(settings) => (settings, None),
        // Each hook warns of it; here only the runtime's path may be missing.
        Err(error) => (error.fallback(), Some(error)),
    };
    let real = real::find(name, &settings.runtimes, mistake)?;
    let Some(start) = invocation.start.as_ref().filter(|_| settings.when != When::Never) else {
        return Ok(real);
    };
    // A mistake of ours must not become a container that does not start.
    let added = panic::catch_unwind(|| add_hooks(start, config))
        .unwrap_or_else(|_| Err(Failure::from(RuntimeError::Panic)));
    match added {
        Ok(()) => Ok(real),
        Err(Failure { error, on_error }) => {
            match on_error.filter(|_| settings.honour.on_error).unwrap_or(settings.on_error) {
                OnError::Deny => Err(RuntimeError::Denied(Box::new(error))),
                OnError::Allow => {
                    let text = format!("{error}; the container starts untraced");
                    log::say(invocation.log.as_ref(), Level::Warning, &text);
                    log::warn(&text);
                    Ok(real)
                }
            }
        }
    }
}

/// Why hooks could not be added, and what the container's annotation says to that.
struct Failure {
    error: RuntimeError,
    on_error: Option<OnError>,
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Failure {
        Failure { error, on_error: None }
    }
}

/// Adds our hooks to the configuration of a container that is to start.
fn add_hooks(start: &Start, config: Option<&Path>) -> Result<(), Failure> {
    let path = start.config_json();
    let fail = |source| RuntimeError::Configuration { path: path.clone(), source };
    let Some(file) = rewrite::Original::open(&path).map_err(fail)? else {
        // Nothing can start from there, and the runtime says so itself.
        return Ok(());
    };
    let malformed = |error| RuntimeError::Malformed { path: path.clone(), source: error };
    let mut content = Configuration::read(file.content()).map_err(malformed)?;
    let on_error = match content.annotation(annotation::ON_ERROR) {
        Some("deny") => Some(OnError::Deny),
        Some("allow") => Some(OnError::Allow),
        _ => None,
    };
    let mut add = || {
        let program = text(program()?)?;
        let config = config.map(absolute).transpose()?.map(text).transpose()?;
        let hooks = Hooks { program: &program, config: config.as_deref() };
        match content.add(&hooks).map_err(malformed)? {
            true => file.replace(&content.to_bytes()).map_err(fail),
            false => Ok(()),
        }
    };
    add().map_err(|error| Failure { error, on_error })
}

/// This program, by the path that the hooks will have.
fn program() -> Result<PathBuf, RuntimeError> {
    let found = std::env::current_exe();
    // A hook that is not there would fail the container.
    found.and_then(|path| path.metadata().map(|_| path)).map_err(RuntimeError::Program)
}

fn absolute(path: &Path) -> Result<PathBuf, RuntimeError> {
    std::path::absolute(path)
        .map_err(|source| RuntimeError::Configuration { path: path.to_owned(), source })
}

fn text(path: PathBuf) -> Result<String, RuntimeError> {
    path.into_os_string().into_string().map_err(|path| RuntimeError::Configuration {
        path: path.into(),
        source: io::Error::other("not UTF-8, which is all that a config.json can hold"),
    })
}
