//! What the OCI runtime specification tells a hook: the state on its standard
//! input, the bundle's config.json, and, read from both, who the container is.

mod build;
mod bundle;
mod classic;
mod error;
mod hooks;
mod id;
mod identity;
mod state;
mod storage;

pub use build::build_of;
pub use bundle::Bundle;
pub use classic::{Before, ClassicStep, classic_step};
pub use error::OciError;
pub use hooks::{Configuration, Hooks};
pub use id::{ContainerId, could_be_a_run, split_run};
pub use identity::{Identity, Jobs, is_last_resort, job_from_environment, job_variables};
pub use state::State;
pub use storage::{Stored, stored};

/// Annotations that a container may carry for us.
pub mod annotation {
    /// `true` or `false`: whether the container is traced.
    pub const TRACE: &str = "dev.buildwarden.trace";
    /// The id of the CI job it belongs to.
    pub const JOB: &str = "dev.buildwarden.job";
    /// `allow` or `deny`: what happens when it cannot be traced.
    pub const ON_ERROR: &str = "dev.buildwarden.on-error";
}
