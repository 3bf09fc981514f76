//! `buildwarden export`: what a collector starts where outputs are configured.

use super::{Exit, terminal};
use crate::{
    config::Settings,
    export::{self, Export, Tally},
    store::Store,
};
use anyhow::bail;
use std::path::Path;

/// Send a container's findings and its end to the outputs in the configuration
///
/// Collectors start this; it ends with the container, and leaves in exports.json what became of
/// it. By hand it sends those of a run again, as a test of the outputs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  buildwarden export web.2")]
pub(super) struct Args {
    /// A container's id or the beginning of one (its last run; ID.2 is its second)
    id: String,
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<Exit> {
    let settings = Settings::load(config)?;
    if settings.outputs.is_empty() {
        bail!("no output is configured: name one in [output] of the configuration");
    }
    let run = Store::of(&settings).find(&args.id)?;
    export::detach();
    let Some(export) = Export::open(&settings, &run)? else {
        bail!("{}: another process is sending it", run.name());
    };
    // The journal is told who we are by the kernel; for nothing else are privileges needed.
    export.confine();
    let tallies = export.send()?;
    let mut text = String::new();
    for (output, Tally { sent, failed, error }) in &tallies {
        text += &format!("{output}: {sent} sent, {failed} not");
        text += &error.as_ref().map_or_else(String::new, |error| format!(" ({error})"));
        text.push('\n');
    }
    terminal::print(&text)?;
    let failed = tallies.values().any(|tally| tally.error.is_some());
    Ok(if failed { Exit::Failure } else { Exit::Success })
}
