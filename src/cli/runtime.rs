//! `buildwarden runtime`: the shim, in the place of a runtime.

use super::Exit;
use crate::runtime::{self, Name};
use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

/// Trace the containers of an engine that has no hooks: wrap its runtime
///
/// Adds the hooks to the configuration of each container that is created, and becomes
/// the runtime, with the same arguments, environment and descriptors.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Also entered under another name, which engines want: buildwarden-runc, -crun, -youki,
or a link that is called as the runtime itself.

Examples:
  ln -s buildwarden /usr/bin/buildwarden-runc
  buildwarden-runc run --bundle /b c1
  buildwarden runtime crun --root /run/crun create --bundle /b c1

Exit status: the runtime's own; 1 when it cannot be executed, or when the container
cannot be traced and the configuration says on_error = \"deny\".")]
pub(super) struct Args {
    /// The runtime that is wrapped
    #[arg(value_name = "RUNTIME", value_parser = ["runc", "crun", "youki"])]
    name: String,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARG")]
    args: Vec<OsString>,
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<Exit> {
    let name = Name::of_argv0(args.name.as_ref());
    let name = name.ok_or_else(|| anyhow::anyhow!("unknown runtime {}", args.name))?;
    Err(enter(name, &args.args, config))
}

/// The shim, when this program was called by a runtime's name.
pub(super) fn by_name(argv: &mut impl Iterator<Item = OsString>) -> Option<anyhow::Result<Exit>> {
    let name = Name::of_argv0(&argv.next()?)?;
    let args: Vec<OsString> = argv.collect();
    let config = std::env::var_os("BUILDWARDEN_CONFIG").filter(|path| path != OsStr::new(""));
    Some(Err(enter(name, &args, config.map(PathBuf::from).as_deref())))
}

/// Its error names its causes itself.
fn enter(name: Name, args: &[OsString], config: Option<&Path>) -> anyhow::Error {
    anyhow::anyhow!("{}", runtime::enter(name, args, config))
}
