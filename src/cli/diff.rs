//! `buildwarden diff`: what this build executed that the last one did not.

use super::{
    Exit, output, report,
    terminal::{self, Colour},
};
use crate::report::{
    baseline::{self, Difference, Paths},
    json,
    text::{self, Layout},
};
use anyhow::{Context, bail};
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// Show what a build executed that an earlier one did not
///
/// Compares two reports: addresses and tools with findings (those that the policy allows among
/// them), and executables. Paths that differ only in a version or a generated name count as the
/// same, and how many these are is said. Where a report lacks something, that is said too.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  buildwarden diff web.1 web.2
  buildwarden diff main.json 7f3a --format markdown --output comment.md
  buildwarden diff main.json 7f3a --fail-on-new findings

Exit codes:
   0  the difference was shown; with --fail-on-new: nothing of the kind is new
   1  there is no such report, or it cannot be read or written
  10  --fail-on-new: something of the kind is new
  11  --fail-on-new: nothing of the kind is new, but the new report lacks something")]
pub(super) struct Args {
    /// The earlier build: a container's id (its last run; ID.2 is its second), a report.json, or -
    /// for standard input
    #[arg(value_name = "OLD")]
    old: String,
    /// The build in question, named in the same way
    #[arg(value_name = "NEW")]
    new: String,
    /// How it is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write to this file, not to standard output; a link there is replaced, not followed
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Let no two different paths count as the same
    #[arg(long)]
    exact: bool,
    /// Exit with a code of its own when something of this kind is new
    #[arg(long, value_name = "KIND")]
    fail_on_new: Option<FailOnNew>,
    /// Whether the text has colours
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    color: Colour,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person at a terminal
    #[default]
    Text,
    /// For a merge request's comment or a job's summary
    Markdown,
    /// Everything, for programs
    Json,
}

/// What must not be new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOnNew {
    /// A tool with findings, or an address
    Findings,
    /// Those, or an executable
    Executables,
}

impl FailOnNew {
    /// What the gate says; `None` lets it pass.
    fn strikes(self, difference: &Difference) -> Option<Exit> {
        let executables = self == FailOnNew::Executables && !difference.executables.new.is_empty();
        if difference.has_new_contacts() || executables {
            Some(Exit::Findings)
        } else {
            // What the old report lacks makes too much new, not too little.
            (!difference.new.whole).then_some(Exit::Incomplete)
        }
    }
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<Exit> {
    if args.old == "-" && args.new == "-" {
        bail!("standard input can be one of the two reports, not both");
    }
    let paths = if args.exact { Paths::Exact } else { Paths::Alike };
    let (old, new) = (report::read(&args.old, config)?, report::read(&args.new, config)?);
    let difference = baseline::compare(&old, &new, paths);
    let text = match (args.format, &args.output) {
        (Format::Json, _) => json::pretty(&difference).context("difference as JSON")?,
        (Format::Markdown, _) => baseline::markdown(&difference),
        (Format::Text, output) => {
            let terminal = output.is_none();
            let width = if terminal { terminal::width() } else { terminal::WIDTH };
            let colour = (terminal || args.color == Colour::Always) && args.color.on_stdout();
            text::difference(&difference, Layout { width, colour })
        }
    };
    output::write(&text, args.output.as_deref())?;
    Ok(args.fail_on_new.and_then(|gate| gate.strikes(&difference)).unwrap_or(Exit::Success))
}
