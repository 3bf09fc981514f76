//! `buildwarden gc`: sweeps.

use super::{Exit, terminal};
use crate::{collect, config::Settings};
use std::path::Path;

/// Finish reports that nobody finished, and release what nobody uses
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  buildwarden gc            after a crash: reports are written, scopes released
  buildwarden gc --unload   before an uninstall: the kernel programs go too")]
pub(super) struct Args {
    /// Unload the kernel programs too, where no container is traced
    #[arg(long)]
    unload: bool,
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<Exit> {
    // Not with the defaults: their directories may be others, and sweeping those
    // would look like having swept.
    let settings = Settings::load(config)?;
    let swept = collect::sweep(&settings, config, args.unload);
    let mut text = String::new();
    for id in &swept.finished {
        text += &format!("{id}: had ended; its report is written\n");
    }
    for id in &swept.resumed {
        text += &format!("{id}: runs and had lost its collector; it has a new one\n");
    }
    if swept.released > 0 {
        text += &format!("{} stale scopes released\n", swept.released);
    }
    if swept.unloaded > 0 {
        text += &format!("{} probe sets unloaded\n", swept.unloaded);
    }
    for error in &swept.errors {
        terminal::say(&error.to_string());
    }
    terminal::print(&text)?;
    Ok(if swept.errors.is_empty() { Exit::Success } else { Exit::Failure })
}
