//! `buildwarden doctor`: can Buildwarden do its work on this machine?

use super::Exit;
use crate::config::Settings;
use crate::doctor::{Status, examine, terminal};
use crate::report::json;
use crate::trace::Trial;
use anyhow::Context;
use std::io::{self, Write};
use std::path::Path;

/// Where the width of the output is not told, as in a pipe or a file.
const WIDTH: usize = 100;

/// Checks whether this machine can trace containers, and proves it with one
///
/// Looks at the kernel, the privileges, the configuration, the engines and their hooks, and runs
/// a container of its own through runc with the hooks. Every line that is not ok says what to do.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  buildwarden doctor
  buildwarden doctor --json | jq -r '.checks[] | select(.status != \"ok\") | .found'
  buildwarden doctor --no-probe && echo ready

Exit codes:
  0  no problem; there may be warnings
  1  a problem, or the output could not be written")]
pub(super) struct Args {
    /// Write the checks as JSON
    #[arg(long)]
    json: bool,
    /// Start no container
    #[arg(long)]
    no_probe: bool,
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<Exit> {
    let settings = Settings::load(config);
    let examination = examine(config, &settings, &Trial::run(), !args.no_probe);
    let text = if args.json {
        json::pretty(&examination).context("checks as JSON")?
    } else {
        let width = terminal_size::terminal_size().map_or(WIDTH, |(width, _)| width.0.into());
        terminal(&examination, width)
    };
    let written = if args.json {
        io::stdout().write_all(text.as_bytes())
    } else {
        anstream::stdout().write_all(text.as_bytes())
    };
    written.context("standard output")?;
    Ok(if examination.status == Status::Problem { Exit::Failure } else { Exit::Success })
}
