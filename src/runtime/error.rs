//! Why a container starts untraced, or not at all.

use super::Name;
use crate::{config::ConfigError, oci::OciError};
use std::{io, path::PathBuf};

/// Why a container starts untraced, or not at all.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// A file could not be read or replaced.
    #[error("{}: {source}", path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A config.json is not one.
    #[error("{}: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: OciError,
    },
    /// The path of this program is not known, or leads nowhere.
    #[error("the path of this program, which the hooks need: {0}")]
    Program(#[source] io::Error),
    /// A bug.
    #[error("the shim failed (this is a bug: please report it)")]
    Panic,
    /// A container that cannot be traced, where that is not allowed.
    #[error("{0}; on_error = \"deny\": the container must not start")]
    Denied(#[source] Box<RuntimeError>),
    /// There is no runtime to be found.
    #[error(
        "no {name} in PATH but Buildwarden itself: name its path in the configuration, as in \
         `runtime.{name} = \"/usr/sbin/{name}\"`{}",
        mistake.as_ref().map(|error| format!(" ({error})")).unwrap_or_default()
    )]
    NotFound {
        /// The runtime.
        name: Name,
        /// What kept the configuration from naming it.
        mistake: Option<ConfigError>,
    },
    /// The configuration names Buildwarden as the runtime.
    #[error("runtime.{name} = {path:?} is Buildwarden itself: name the {name} that it wraps")]
    Itself {
        /// The runtime.
        name: Name,
        /// What the configuration says.
        path: PathBuf,
    },
    /// The runtime could not be executed.
    #[error("cannot execute {}: {source}", path.display())]
    NotExecuted {
        /// The runtime.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
