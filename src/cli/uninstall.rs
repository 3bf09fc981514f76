//! `buildwarden uninstall`: the engines as they were.

use super::{Exit, install};
use crate::install::{Others, Verb};

/// Let container engines no longer run Buildwarden
///
/// Takes out of the engines' configuration what `install` has put there, also where somebody has changed it
/// since. The program stays, and its links: containers that run are stopped by way of them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  buildwarden uninstall --dry-run            what it would take out, of all engines
  buildwarden uninstall --engine docker
  buildwarden uninstall && buildwarden gc --unload    before the program is removed

Exit codes:
  0  done, or nothing to do
  1  nothing was changed, or not everything: standard error says what and why")]
pub(super) struct Args {
    #[command(flatten)]
    target: install::Target,
}

pub(super) fn run(args: Args) -> anyhow::Result<Exit> {
    install::change(args.target, Verb::Uninstall, Others::Refuse)
}
