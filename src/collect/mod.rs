//! The life of one container's collection: attach, collect, end. Sequences the
//! other rooms and decides nothing about what is suspicious.
//!
//! [`attach`] runs in the hook, [`collect`] in the detached collector, [`end`] in
//! the poststop hook, [`sweep`] in `buildwarden gc`. Whoever holds the lock in the
//! container's run directory may drain its ring and write its report; the lock
//! goes with its process, so a crash hands the job to the next one.

mod account;
mod attach;
mod attachment;
mod beginning;
mod build;
mod clock;
mod collector;
mod conclusion;
mod course;
mod directory;
mod end;
mod error;
mod evidence;
mod key;
mod lock;
mod orphan;
mod processes;
mod retention;
mod run;
mod session;
mod step;
mod sweep;

pub use attach::{Attached, Stage, Target, attach};
pub use attachment::attachment_of;
pub use collector::{collect, detach, spawn_collector};
pub use end::{Ended, end};
pub use error::CollectError;
pub use evidence::{Rules, detector};
pub use key::read_key;
pub use retention::{Expired, Surplus, surplus};
pub use run::{RunOutcome, RunRequest, run};
pub use sweep::{Swept, sweep};

use crate::{config::Settings, escape};
use std::{fmt::Display, io::Write as _, path::PathBuf};

/// Findings that a log takes, and as many allowed matches; a report counts the others.
pub const FINDINGS_MAX: u64 = session::FINDINGS_MAX;

/// Names of the files in a container's report directory.
pub mod file {
    /// The annotation log.
    pub const ANNOTATIONS: &str = "annotations.jsonl";
    /// The event file.
    pub const EXECS: &str = "execs.jsonl";
    /// The exit report.
    pub const REPORT: &str = "report.json";
    /// The Statement about the report, signed.
    pub const SIGNED: &str = "report.intoto.jsonl";
    /// What was sent to the configured outputs.
    pub const EXPORTS: &str = "exports.json";
    /// What a step of a build tells the steps after it.
    pub const BUILD: &str = "build.json";
    /// Which step goes on with its build.
    pub const BUILD_NEXT: &str = "build.next";
    /// All of them.
    pub const ALL: [&str; 7] = [ANNOTATIONS, EXECS, REPORT, SIGNED, EXPORTS, BUILD, BUILD_NEXT];
}

/// Where the report directories are.
pub fn containers_directory(settings: &Settings) -> PathBuf {
    settings.state_dir.join("containers")
}

/// Says on standard error what went wrong and did not stop us. Nobody may be there to
/// hear it, which must not stop us either.
fn warn(text: &dyn Display) {
    // It may quote what a container controls.
    let text = text.to_string();
    let _ = writeln!(anstream::stderr(), "buildwarden: warning: {}", escape::prose(&text));
}

/// Who a configuration is to the probe set, which all of a host share: its containers
/// are the ones in its run directory. FNV-1a, 32 bits.
fn owner(settings: &Settings) -> u32 {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = settings.run_dir.as_os_str().as_bytes();
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
