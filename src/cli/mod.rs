//! The command line: one verb, one file. A verb reads its arguments, enters the
//! room that does the work, and maps what came back to an [`Exit`].

mod doctor;
mod exit;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

pub use exit::Exit;

/// Know what a CI build executed.
#[derive(Debug, Parser)]
#[command(name = "buildwarden", version, about, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Doctor(doctor::Args),
}

/// Runs the program: `argv` to an exit code. Never panics on a broken pipe.
pub fn main() -> ExitCode {
    let result: anyhow::Result<Exit> = match Cli::parse().verb {
        Verb::Doctor(args) => doctor::run(args),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            anstream::eprintln!("buildwarden: {error:#}");
            Exit::Failure.into()
        }
    }
}
