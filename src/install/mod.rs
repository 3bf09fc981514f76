//! Telling the engines to run Buildwarden, and no longer to: facts about their
//! configuration, what is to be changed (`plan`, which is pure), and the change.

mod apply;
mod change;
mod engine;
mod error;
mod gather;
mod plan;
mod root;

pub use apply::Done;
pub use change::{Change, Request};
pub use engine::Engine;
pub use error::InstallError;
pub use plan::{Edit, Link, Others, Plan, Verb};
pub use root::Root;

use plan::{Facts, Hint, LinkState, Wish};
use root::Found;
