//! `buildwarden watch`: what containers do, as it happens.

mod many;
mod one;
mod status;

use super::{Exit, terminal::Colour, which_job::WhichJob};
use crate::{config::Settings, store::Store};
use std::path::Path;

/// Show findings as they happen: of a container, of a job, or of the whole host
///
/// Begins with what was found so far. A container is watched to its end; a job or the host until
/// ctrl-c, with containers that start meanwhile. Nothing that is watched is touched by either. On a
/// terminal the last line says how many containers live, what they execute, and what was lost.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  buildwarden watch
  buildwarden watch 7f3a
  buildwarden watch web --all
  buildwarden watch --job \"$CI_PROJECT_PATH/$CI_PIPELINE_ID/*\" --until-idle
  buildwarden watch --json | jq -r 'select(.key | contains(\".finding.\")) | .value.tool.name'

With --json, each line of the annotation logs comes as it is; with --all too, the lines of the event
file come among them.")]
pub(super) struct Args {
    /// A container's id or the beginning of one (its last run; ID.2 is its second)
    #[arg(conflicts_with_all = ["jobs", "host", "until_idle"])]
    id: Option<String>,
    #[command(flatten)]
    which: WhichJob,
    /// Watch every container that lives; what is done without ID and --job
    #[arg(long, conflicts_with = "jobs")]
    host: bool,
    /// End when no container that is watched lives any more
    #[arg(long)]
    until_idle: bool,
    /// Show every exec of a container, not only findings
    #[arg(long, requires = "id")]
    all: bool,
    /// Write a line of JSON for each
    #[arg(long)]
    json: bool,
    /// Whether the text has colours
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    color: Colour,
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<Exit> {
    let store = Store::of(&Settings::load(config)?);
    match &args.id {
        Some(id) => one::watch(&store, id, &args),
        None => many::watch(&store, &args),
    }
}
