//! Standard output and standard error as the verbs use them.

use crate::escape;
use anstream::ColorChoice;
use clap::ValueEnum;
use std::io::{self, Write};

/// Where the width of the output is not told, as in a pipe or a file.
pub(super) const WIDTH: usize = 80;

/// Whether the output has colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    /// On a terminal, unless the environment says otherwise (NO_COLOR, TERM)
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Colour {
    /// The decision for standard output.
    pub(super) fn on_stdout(self) -> bool {
        match self {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => anstream::AutoStream::choice(&io::stdout()) != ColorChoice::Never,
        }
    }
}

/// The terminal's width; none when standard output is none.
pub(super) fn width_if_terminal() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.into())
}

/// The terminal's width, or one that suits most readers.
pub(super) fn width() -> usize {
    width_if_terminal().unwrap_or(WIDTH)
}

/// Writes at once. `false` when nobody reads any more, as after `| head`: then there
/// is nothing left to do, and nothing to complain about.
pub(super) fn print(text: &str) -> anyhow::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(anyhow::Error::new(error).context("standard output")),
    }
}

/// Whether a verb failed only because nobody reads its output any more.
pub(super) fn is_unread(error: &anyhow::Error) -> bool {
    let broken = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(broken))
}

/// Says something on standard error. Where nobody listens, nothing is lost but the
/// words: `eprintln!` would panic, and a hook that panics keeps a container from
/// starting.
pub(super) fn say(text: &str) {
    // An error may quote what a container controls.
    let _ = writeln!(anstream::stderr(), "buildwarden: {}", escape::prose(text));
}
