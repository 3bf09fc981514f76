//! `buildwarden gc`: sweeps.

use super::{Exit, terminal};
use crate::{
    collect::{self, CollectError, Surplus},
    config::{KeepAge, KeepSize, Settings},
    escape,
};
use std::path::Path;

/// Finish reports that nobody finished, remove old ones, and release what nobody uses
///
/// Finished runs are removed as `[keep]` in the configuration says, oldest first; a run whose directory holds a file of somebody else's is kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  buildwarden gc                        after a crash: reports are written, scopes released
  buildwarden gc --dry-run --keep-age 7d   which runs are older than a week?
  buildwarden gc --unload               before an uninstall: the kernel programs go too")]
pub(super) struct Args {
    /// Unload the kernel programs too, where no container is traced
    #[arg(long, conflicts_with = "dry_run")]
    unload: bool,
    /// Only show which finished runs would be removed, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove finished runs that are older (90m, 12h, 30d, 8w), or none (forever) [default: as configured]
    #[arg(long, value_name = "AGE")]
    keep_age: Option<KeepAge>,
    /// Remove the oldest finished runs until all fit into this (500MiB, 10GiB), or none (unlimited) [default: as configured]
    #[arg(long, value_name = "SIZE")]
    keep_size: Option<KeepSize>,
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<Exit> {
    // Not with the defaults: their directories may be others, and sweeping those
    // would look like having swept.
    let mut settings = Settings::load(config)?;
    if let Some(KeepAge(age)) = args.keep_age {
        settings.keep.age = age;
    }
    if let Some(KeepSize(size)) = args.keep_size {
        settings.keep.size = size;
    }
    if args.dry_run {
        let mut errors = Vec::new();
        let found = collect::surplus(&settings, &mut errors)?;
        return told(&errors, &surplus(&found, "would be removed"));
    }
    let swept = collect::sweep(&settings, config, args.unload);
    let mut text = String::new();
    for id in &swept.finished {
        text += &format!("{id}: had ended; its report is written\n");
    }
    for id in &swept.resumed {
        text += &format!("{id}: runs and had lost its collector; it has a new one\n");
    }
    for name in &swept.orphans {
        text += &format!("{name}: its end was not recorded; its report is written, incomplete\n");
    }
    for name in &swept.closed {
        text += &format!("{name}: its log did not say that its report is written; it does now\n");
    }
    text += &surplus(&swept.surplus, "removed");
    if swept.released > 0 {
        text += &format!("{} stale scopes released\n", swept.released);
    }
    if swept.unloaded > 0 {
        text += &format!("{} probe sets unloaded\n", swept.unloaded);
    }
    told(&swept.errors, &text)
}

fn told(errors: &[CollectError], text: &str) -> anyhow::Result<Exit> {
    for error in errors {
        terminal::say(&error.to_string());
    }
    terminal::print(text)?;
    Ok(if errors.is_empty() { Exit::Success } else { Exit::Failure })
}

/// A line for each run, and their sum.
fn surplus(surplus: &Surplus, done: &str) -> String {
    let mut text = String::new();
    for run in &surplus.expired {
        let (finished, size) = (run.finished.0.strftime("%F %T UTC"), size(run.bytes));
        text += &format!("{}: {done}: finished {finished}, {size}\n", run.name);
    }
    for (name, foreign) in &surplus.held {
        let foreign = escape::prose(foreign);
        text += &format!("{name}: kept: its directory holds {foreign}, which is not ours\n");
    }
    if !surplus.expired.is_empty() {
        let total = surplus.expired.iter().map(|run| run.bytes).sum();
        let runs = match surplus.expired.len() {
            1 => "1 run".to_owned(),
            many => format!("{many} runs"),
        };
        text += &format!("{runs} {done}, {}\n", size(total));
    }
    text
}

/// `12.0 KiB`, `3.4 MiB`.
fn size(bytes: u64) -> String {
    match bytes as f64 / 1024.0 {
        kib if kib < 1024.0 => format!("{kib:.1} KiB"),
        kib if kib < 1024.0 * 1024.0 => format!("{:.1} MiB", kib / 1024.0),
        kib => format!("{:.1} GiB", kib / 1024.0 / 1024.0),
    }
}
