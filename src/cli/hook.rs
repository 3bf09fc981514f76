//! `buildwarden hook`: what an OCI runtime runs.

use super::{Exit, terminal::say};
use crate::{
    collect::{self, Attached, Stage},
    config::{OnError, Settings},
    confine::{Kept, Privileges},
    oci::State,
};
use clap::ValueEnum;
use std::{io, panic, path::Path, process};

/// Handle an OCI hook: the container's state comes on standard input
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Container runtimes run this; hooks/ has the files that tell them to.

Example, by hand:
  buildwarden hook poststop <<< '{\"ociVersion\":\"1.0.2\",\"id\":\"c1\",\"status\":\"stopped\",\"bundle\":\"/b\"}'

Exit status: 0, unless the container cannot be traced and the configuration says
on_error = \"deny\": then 1, and the runtime does not start the container.
poststop always exits with 0.")]
pub(super) struct Args {
    /// The stage of the container's life that the runtime is at
    #[arg(value_enum)]
    stage: HookStage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum HookStage {
    /// Before the container's first instruction (older runtimes)
    #[value(name = "prestart")]
    Prestart,
    /// Before the container's first instruction
    #[value(name = "createRuntime")]
    CreateRuntime,
    /// After the container has ended
    #[value(name = "poststop")]
    Poststop,
}

impl Args {
    /// As clap reads them.
    pub(super) fn read(stage: &str) -> Option<Args> {
        HookStage::from_str(stage, false).ok().map(|stage| Args { stage })
    }
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<Exit> {
    // A mistake of ours must not become a container that does not start.
    survive(Exit::Success);
    let kept = Kept::of(
        Privileges::Load,
        match args.stage {
            // It may take over, and release what was recorded.
            HookStage::Poststop => Privileges::Load,
            HookStage::Prestart | HookStage::CreateRuntime => Privileges::Read,
        },
    );

    let settings = Settings::load(config).unwrap_or_else(|error| {
        // Nor a mistake in the configuration.
        warn(&format!("{error}; the defaults are used"));
        error.fallback()
    });
    if args.stage != HookStage::Poststop {
        survive(exit_for(settings.on_error));
    }

    let state = match State::read(io::stdin().lock()) {
        Ok(state) => state,
        Err(error) => {
            warn(&error.to_string());
            return Ok(match args.stage {
                HookStage::Poststop => Exit::Success,
                _ => exit_for(settings.on_error),
            });
        }
    };

    let stage = match args.stage {
        HookStage::Prestart => Stage::Prestart,
        HookStage::CreateRuntime => Stage::CreateRuntime,
        HookStage::Poststop => {
            // A failing poststop hook can leave the container's state behind.
            if let Err(error) = collect::end(&settings, &state.id) {
                warn(&error.to_string());
            }
            return Ok(Exit::Success);
        }
    };
    Ok(match collect::attach(&settings, config, stage, &state, &kept) {
        Attached::Recording { .. } | Attached::Already | Attached::NotWanted => Exit::Success,
        Attached::Failed { reason, on_error } => {
            let consequence = match on_error {
                OnError::Allow => "the container starts untraced or without its collector",
                OnError::Deny => "on_error = \"deny\": the container must not start",
            };
            warn(&format!("container {}: {reason}; {consequence}", state.id));
            exit_for(on_error)
        }
    })
}

/// From here on a panic ends the hook with this exit code.
fn survive(exit: Exit) {
    panic::set_hook(Box::new(move |panic| {
        warn(&format!("the hook failed, which is a bug, please report it: {panic}"));
        process::exit(exit.code().into());
    }));
}

fn exit_for(on_error: OnError) -> Exit {
    match on_error {
        OnError::Allow => Exit::Success,
        OnError::Deny => Exit::Failure,
    }
}

fn warn(text: &str) {
    say(&format!("warning: {text}"));
}
