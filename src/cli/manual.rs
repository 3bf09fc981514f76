//! `buildwarden man` and `buildwarden completions`: from the same definitions as the
//! help texts.

use super::{Cli, Exit, terminal};
use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;
use std::{fs, path::PathBuf};

/// Write the man pages into a directory
///
/// One page for the program and one for each verb, all of section 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  buildwarden man /usr/local/share/man/man1")]
pub(super) struct ManArgs {
    /// The directory; made if it is missing
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Print the completions of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  buildwarden completions bash > /usr/share/bash-completion/completions/buildwarden
  buildwarden completions zsh > /usr/share/zsh/site-functions/_buildwarden
  buildwarden completions fish > /usr/share/fish/vendor_completions.d/buildwarden.fish")]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn man(args: ManArgs) -> anyhow::Result<Exit> {
    let shown = args.directory.display();
    fs::create_dir_all(&args.directory).with_context(|| format!("{shown}: cannot make it"))?;
    clap_mangen::generate_to(Cli::command(), &args.directory)
        .with_context(|| format!("{shown}: cannot write man pages"))?;
    Ok(Exit::Success)
}

pub(super) fn completions(args: CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "buildwarden", &mut script);
    terminal::print(&String::from_utf8(script).context("completions")?)?;
    Ok(Exit::Success)
}
