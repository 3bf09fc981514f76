//! The door: see `buildwarden::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    buildwarden::cli::main()
}
