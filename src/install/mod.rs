//! Telling the engines to run Buildwarden, and no longer to: facts about their
//! configuration, what is to be changed (`plan`, which is pure), and the change.

mod apply;
mod engine;
mod error;
mod gather;
mod plan;
mod root;

pub use apply::{Done, apply};
pub use engine::Engine;
pub use error::InstallError;
pub use gather::{check, found, gather};
pub use plan::{Edit, Facts, Hint, Link, LinkState, Others, Plan, Verb, Wish, plan};
pub use root::{Found, Root};

use std::path::Path;

/// The hooks directory that podman reads without being told to.
pub fn usual_hooks_dir() -> &'static Path {
    Path::new(plan::HOOKS_DIR)
}
