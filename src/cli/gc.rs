//! `buildwarden gc`: sweeps.

use super::Exit;
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
    let settings = Settings::load(config)?;
    let swept = collect::sweep(&settings, config, args.unload);
    for id in &swept.finished {
        anstream::println!("{id}: had ended; its report is written");
    }
    for id in &swept.resumed {
        anstream::println!("{id}: runs and had lost its collector; it has a new one");
    }
    if swept.released > 0 {
        anstream::println!("{} stale scopes released", swept.released);
    }
    if swept.unloaded > 0 {
        anstream::println!("{} probe sets unloaded", swept.unloaded);
    }
    for error in &swept.errors {
        anstream::eprintln!("buildwarden: {error}");
    }
    Ok(if swept.errors.is_empty() { Exit::Success } else { Exit::Failure })
}
