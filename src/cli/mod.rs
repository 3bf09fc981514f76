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
use std::{ffi::OsString, path::PathBuf};

pub use exit::Exit;

/// The variable that names the configuration file where no option does.
const CONFIG: &str = "BUILDWARDEN_CONFIG";

/// Know what a CI build executed.
#[derive(Debug, Parser)]
#[command(name = "buildwarden", version, about, propagate_version = true)]
pub struct Cli {
    /// Configuration file [default: /etc/buildwarden/buildwarden.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE", env = CONFIG)]
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

/// Runs the program: `argv` to how it is to exit. Never panics on a broken pipe.
pub fn main() -> Exit {
    // Before clap: a runtime's arguments are not ours to read.
    let result = runtime::by_name(&mut std::env::args_os())
        .or_else(|| at_once(std::env::args_os()))
        .unwrap_or_else(by_verb);
    match result {
        Ok(exit) => exit,
        Err(error) if terminal::is_unread(&error) => Exit::Unread,
        Err(error) => {
            terminal::say(&format!("{error:#}"));
            Exit::Failure
        }
    }
}

/// What runs at every container's start and end, called exactly as engines and hooks do:
/// `[--config FILE] hook STAGE` or `collect ID`. A parser of all verbs takes a fifth of a
/// hook's time to build, and what it is built of stays in a collector's memory. `None` for
/// everything else, and for what clap is to refuse.
fn at_once(arguments: impl Iterator<Item = OsString>) -> Option<anyhow::Result<Exit>> {
    let arguments: Vec<OsString> = arguments.skip(1).take(5).collect();
    let (config, verb, argument) = match &arguments[..] {
        [option, config, verb, argument] if option == "--config" && !config.is_empty() => {
            (Some(config.clone()), verb, argument)
        }
        [verb, argument] => (std::env::var_os(CONFIG), verb, argument),
        _ => return None,
    };
    let config = config.filter(|config| !config.is_empty()).map(PathBuf::from);
    let config = config.as_deref();
    match (verb.to_str()?, argument.to_str()?) {
        ("hook", stage) => Some(hook::run(hook::Args::read(stage)?, config)),
        ("collect", id) => Some(collect::run(collect::Args::read(id)?, config)),
        _ => None,
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
