//! `buildwarden collect`: what a hook starts.

use super::Exit;
use crate::{collect, config::Settings, oci::ContainerId};
use std::path::Path;

/// Drain a container's events until it ends, and write its report
///
/// Hooks start this; it does nothing where a collector is at work or the container
/// has a report.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  buildwarden collect 0f3e8c")]
pub(super) struct Args {
    /// The container's id
    id: String,
}

impl Args {
    /// As clap reads them.
    pub(super) fn read(id: &str) -> Option<Args> {
        (!id.starts_with('-')).then(|| Args { id: id.to_owned() })
    }
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<Exit> {
    // The hook that started this went on with the same and said so.
    let settings = Settings::load(config).unwrap_or_else(|error| error.fallback());
    collect::collect(&settings, &ContainerId::new(&args.id)?)?;
    Ok(Exit::Success)
}
