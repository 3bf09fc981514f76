//! The command line: one verb, one file. A verb reads its arguments, enters the
//! room that does the work, and maps what came back to an [`Exit`].

mod check;
mod collect;
mod diff;
mod doctor;
mod exit;
mod export;
mod fail_on;
mod formats;
mod gc;
mod hook;
mod install;
mod list;
mod manual;
mod output;
mod recipe;
mod report;
mod run;
mod runtime;
mod terminal;
mod uninstall;
mod verify;
mod watch;
mod which_job;
mod which_report;

use clap::{Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

pub use exit::Exit;

/// Know what a CI build executed.
#[derive(Debug, Parser)]
#[command(name = "buildwarden", version, about, propagate_version = true)]
pub struct Cli {
    /// Configuration file [default: /etc/buildwarden/buildwarden.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE", env = "BUILDWARDEN_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Hook(hook::Args),
    Collect(collect::Args),
    Run(run::Args),
    Runtime(runtime::Args),
    Check(check::Args),
    Recipe(recipe::Args),
    List(list::Args),
    Watch(watch::Args),
    Report(report::Args),
    Diff(diff::Args),
    Verify(verify::Args),
    Install(install::Args),
    Uninstall(uninstall::Args),
    Doctor(doctor::Args),
    Export(export::Args),
    Gc(gc::Args),
    Man(manual::ManArgs),
    Completions(manual::CompletionsArgs),
}

/// Runs the program: `argv` to an exit code. Never panics on a broken pipe.
pub fn main() -> ExitCode {
    // Before clap: a runtime's arguments are not ours to read.
    let result = runtime::by_name(&mut std::env::args_os()).unwrap_or_else(by_verb);
    match result {
        Ok(exit) => exit.into(),
        Err(error) if terminal::is_unread(&error) => Exit::Unread.into(),
        Err(error) => {
            terminal::say(&format!("{error:#}"));
            Exit::Failure.into()
        }
    }
}

fn by_verb() -> anyhow::Result<Exit> {
    let Cli { config, verb } = Cli::parse();
    let config = config.as_deref();
    match verb {
        Verb::Hook(args) => hook::run(args, config),
        Verb::Collect(args) => collect::run(args, config),
        Verb::Run(args) => run::run(args, config),
        Verb::Runtime(args) => runtime::run(args, config),
        Verb::Check(args) => check::run(args, config),
        Verb::Recipe(args) => recipe::run(args),
        Verb::List(args) => list::run(args, config),
        Verb::Watch(args) => watch::run(args, config),
        Verb::Report(args) => report::run(args, config),
        Verb::Diff(args) => diff::run(args, config),
        Verb::Verify(args) => verify::run(args, config),
        Verb::Install(args) => install::run(args),
        Verb::Uninstall(args) => uninstall::run(args),
        Verb::Doctor(args) => doctor::run(args, config),
        Verb::Export(args) => export::run(args, config),
        Verb::Gc(args) => gc::run(args, config),
        Verb::Man(args) => manual::man(args),
        Verb::Completions(args) => manual::completions(args),
    }
}
