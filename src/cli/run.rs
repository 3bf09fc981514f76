//! `buildwarden run`: a command traced without an engine.

use super::{Exit, fail_on::FailOn, output::write_file, terminal::say};
use crate::{
    collect::{self, RunOutcome, RunRequest},
    config::Settings,
    report::model::{Report, Verdict},
};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Run a command and report what it executed
///
/// The command runs in a fresh cgroup of its own, with this terminal and this
/// environment.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  buildwarden run -- make -j4
  buildwarden run --job build-42 --report report.json -- ./ci/install-deps.sh
  buildwarden run --fail-on medium -- npm ci

Exit status: the command's own (128 plus the number of the signal that ended it);
10 when --fail-on strikes, 11 when --fail-on is given and the report is incomplete;
125 when the configuration cannot be read, or tracing cannot be set up and
on_error = \"deny\"; 126 when the command cannot be executed, 127 when it is not
found.")]
pub(super) struct Args {
    /// The CI job that the command belongs to [default: as the CI system's variables say]
    #[arg(long)]
    job: Option<String>,
    /// Copy the report to this file; a link there is replaced, not followed
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Fail when there is a finding of this importance or above
    #[arg(long, value_name = "IMPORTANCE")]
    fail_on: Option<FailOn>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<Exit> {
    let settings = match Settings::load(config) {
        Ok(settings) => settings,
        // Not with the defaults, as a hook goes on: whoever asked for this one command
        // reads the message, and a gate without its policy gives wrong answers.
        Err(error) => {
            say(&error.to_string());
            return Ok(Exit::RunFailed);
        }
    };
    let request = RunRequest { job: args.job, command: args.command };
    let (exit, report) = match collect::run(&settings, config, &request) {
        Ok(RunOutcome::Finished { code, report }) => (Exit::Command(code), report),
        Ok(RunOutcome::NotFound(error)) => {
            say(&error.to_string());
            return Ok(Exit::NotFound);
        }
        Ok(RunOutcome::NotExecutable(error)) => {
            say(&error.to_string());
            return Ok(Exit::NotExecutable);
        }
        Err(error) => {
            say(&error.to_string());
            return Ok(Exit::RunFailed);
        }
    };
    let Some((path, report)) = report else {
        return Ok(if args.fail_on.is_some() { Exit::Incomplete } else { exit });
    };
    say(&format!("{}: {}", summary(&report), path.display()));
    if let Some(copy) = &args.report
        && let Err(error) = std::fs::read(&path).and_then(|bytes| write_file(copy, &bytes))
    {
        say(&format!("{}: cannot write the report: {error}", copy.display()));
    }
    Ok(args.fail_on.and_then(|gate| gate.strikes(&report)).unwrap_or(exit))
}

fn summary(report: &Report) -> String {
    let execs = report.completeness.execs;
    let count = report.findings.len() as u64 + report.findings_omitted;
    let s = |n: u64| if n == 1 { "" } else { "s" };
    match report.verdict {
        Verdict::Findings => format!("{count} finding{} in {execs} exec{}", s(count), s(execs)),
        Verdict::Clean => format!("clean, {execs} exec{} seen", s(execs)),
        Verdict::Incomplete => {
            format!("incomplete ({})", report.completeness.shortcomings().join("; "))
        }
    }
}
