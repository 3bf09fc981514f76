//! `buildwarden recipe`: the detections as data.

use super::Exit;
use crate::detect::{Detector, Policy, Recipe};
use crate::escape::visible;
use anyhow::{Context, bail};
use clap::Subcommand;
use std::io::Write;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// The longest recipe file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// Lists, shows and validates recipes: detections as data
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  buildwarden recipe list
  buildwarden recipe show net_suspicious_tool_exec > mine.toml
  buildwarden recipe validate mine.toml

Exit codes:
  0  the recipes are good
  1  a recipe is not, or could not be read; standard error says where and why")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Name the recipes that ship with the program
    List,
    /// Print the file of a recipe that ships with the program
    Show {
        /// Its name
        name: String,
    },
    /// Check recipe files
    Validate {
        /// Recipe files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

pub(super) fn run(args: Args) -> anyhow::Result<Exit> {
    match args.what {
        What::List => {
            let detector = Detector::builtin();
            let lines: String = detector
                .recipes()
                .iter()
                .map(|recipe| format!("{}  {}\n", recipe.name, recipe.description))
                .collect();
            print(&lines)
        }
        What::Show { name } => match Recipe::builtin_text(&name) {
            Some(text) => print(text),
            None => bail!(
                "no recipe {name:?} ships with this program; `buildwarden recipe list` names them"
            ),
        },
        What::Validate { files } => {
            let mut exit = Exit::Success;
            for file in &files {
                let name = visible(file.as_os_str().as_bytes()).into_owned();
                match validate(file) {
                    Ok(recipe) => print(&format!("{name}: {} is good\n", recipe.name)).map(drop)?,
                    Err(error) => {
                        anstream::eprintln!("{name}: {error:#}");
                        exit = Exit::Failure;
                    }
                }
            }
            Ok(exit)
        }
    }
}

fn validate(file: &PathBuf) -> anyhow::Result<Recipe> {
    use std::io::Read as _;
    let mut text = String::new();
    let length = std::fs::File::open(file)
        .context("open")?
        .take(LONGEST + 1)
        .read_to_string(&mut text)
        .context("read")?;
    if length as u64 > LONGEST {
        bail!("longer than {LONGEST} bytes; a recipe is a short file");
    }
    let checked = Recipe::read(&text)
        .and_then(|recipe| Detector::new(vec![recipe.clone()], Policy::default()).map(|_| recipe));
    checked.map_err(|error| match error.line(&text) {
        Some(line) => anyhow::anyhow!("line {line}: {error}"),
        None => anyhow::anyhow!("{error}"),
    })
}

fn print(text: &str) -> anyhow::Result<Exit> {
    std::io::stdout().write_all(text.as_bytes()).context("standard output")?;
    Ok(Exit::Success)
}
