//! What can be wrong with what a runtime gives us.

use std::path::PathBuf;

/// What can be wrong with what a runtime gives us.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// Standard input could not be read.
    #[error("cannot read the container's state from standard input: {0}")]
    Read(std::io::Error),
    /// Standard input holds too much.
    #[error(
        "state on standard input is longer than {0} bytes: expected the OCI state, see runtime-spec `runtime.md`"
    )]
    Huge(u64),
    /// Standard input is empty.
    #[error(
        "standard input is empty: expected the OCI state; hooks are run by a container runtime"
    )]
    Empty,
    /// Standard input is not the state.
    #[error("standard input is not an OCI state: {0}")]
    State(serde_json::Error),
    /// The id cannot name a directory.
    #[error(
        "container id {0:?} is not one: expected 1 to 200 of A-Z a-z 0-9 _ . + -, beginning with a \
         letter, a digit or _"
    )]
    Id(String),
    /// A container that is to be traced has no process.
    #[error("state of {id} has no pid: prestart and createRuntime hooks get one")]
    NoPid {
        /// The container.
        id: String,
    },
    /// The content of a config.json is not what it should be.
    #[error("not an OCI configuration: {0}")]
    Configuration(String),
    /// config.json could not be read.
    #[error("{path}: {reason}")]
    Bundle {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}
