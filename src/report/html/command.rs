//! Command lines, with what is to be looked at marked.

use crate::report::text::{
    command::{self, Mark},
    page::{Ink, Piece},
};
use maud::{Markup, html};

/// Pieces in the style of their ink. Their text is escaped for HTML here.
pub(super) fn inked(pieces: &[Piece]) -> Markup {
    html! {
        @for piece in pieces {
            @match piece.ink {
                Ink::Plain => (piece.text),
                Ink::Strong => strong { (piece.text) },
                Ink::Faint => span.faint { (piece.text) },
                Ink::Good => span.ink-good { (piece.text) },
                Ink::Medium => span.ink-medium { (piece.text) },
                Ink::Critical => span.ink-critical { (piece.text) },
                Ink::Mark => mark { (piece.text) },
            }
        }
    }
}

/// A whole command line in a block of its own.
pub(super) fn block(argv: &[&[u8]], marks: &[Mark]) -> Markup {
    html! { pre.command { code { (inked(&command::pieces(argv, marks))) } } }
}

/// The beginning of a command line.
pub(super) fn inline<'a>(argv: impl IntoIterator<Item = &'a [u8]>) -> Markup {
    const WIDTH: usize = 160;
    html! { code { (command::one_line(argv, WIDTH)) } }
}

/// What was executed: its arguments, or its file when it had none.
pub(super) fn executed<'a>(path: &'a [u8], argv: &'a [crate::report::Bytes]) -> Markup {
    match argv {
        [] => inline([path]),
        argv => inline(argv.iter().map(|argument| argument.as_bytes())),
    }
}
