//! What the administrator decided: `buildwarden.toml` as written, then resolved
//! into plain [`Settings`]. Nothing outside this room knows TOML.
//!
//! The hook reads this file at every container start, so loading it is one open
//! and one read.

mod error;
mod settings;
mod value;
mod written;

#[cfg(test)]
mod tests;

pub use error::{ConfigError, Problem};
pub use settings::{
    DEFAULT_PATH, Honour, OnError, Outputs, Retention, Runtimes, Settings, Syslog, When,
};
pub use value::{KeepAge, KeepSize};
