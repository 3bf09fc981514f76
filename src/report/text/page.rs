//! Lines of styled text on a page of limited width.

use super::Layout;
use crate::escape;
use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What a piece of text is, which decides how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Ink {
    Plain,
    Strong,
    Faint,
    Good,
    Medium,
    Critical,
    /// An address in a command line.
    Mark,
}

impl Ink {
    fn style(self) -> Style {
        let colour = |colour: AnsiColor| colour.on_default();
        match self {
            Ink::Plain => Style::new(),
            Ink::Strong => Style::new().bold(),
            Ink::Faint => Style::new().dimmed(),
            Ink::Good => colour(AnsiColor::Green).bold(),
            Ink::Medium => colour(AnsiColor::Yellow).bold(),
            Ink::Critical => colour(AnsiColor::Red).bold(),
            Ink::Mark => colour(AnsiColor::Red).bold().invert(),
        }
    }
}

/// A piece of text that shows as it is: escaped before it comes here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::report) struct Piece {
    pub(in crate::report) ink: Ink,
    pub(in crate::report) text: String,
}

/// Text in an ink.
pub(super) fn piece(ink: Ink, text: impl Into<String>) -> Piece {
    Piece { ink, text: text.into() }
}

/// What was written so far.
pub(super) struct Page {
    layout: Layout,
    text: String,
}

impl Page {
    pub(super) fn new(layout: Layout) -> Page {
        let width = layout.width.max(40);
        Page { layout: Layout { width, ..layout }, text: String::new() }
    }

    pub(super) fn width(&self) -> usize {
        self.layout.width
    }

    pub(super) fn has_colour(&self) -> bool {
        self.layout.colour
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// A line across the page, after an empty one.
    pub(super) fn rule(&mut self) {
        self.gap();
        self.line(0, &[piece(Ink::Faint, "─".repeat(self.width()))]);
    }

    /// A line as it is, however long; but no line is a command to the runner of a CI
    /// system whose log it is printed in.
    pub(super) fn line(&mut self, indent: usize, pieces: &[Piece]) {
        let defused = defused(pieces);
        let pieces = defused.as_deref().unwrap_or(pieces);
        self.text.extend(std::iter::repeat_n(' ', indent));
        for piece in pieces {
            let style = if self.layout.colour { piece.ink.style() } else { Style::new() };
            self.text.push_str(&format!("{style}{}{style:#}", piece.text));
        }
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.text.push('\n');
    }

    /// A title of a part of the page.
    pub(super) fn title(&mut self, indent: usize, text: &str) {
        self.paragraph(indent, &[], &[piece(Ink::Strong, text)]);
    }

    /// Text that is broken between words; the lines after the first begin below the
    /// end of `lead`.
    pub(super) fn paragraph(&mut self, indent: usize, lead: &[Piece], pieces: &[Piece]) {
        let lead_width: usize = lead.iter().map(|piece| piece.text.width()).sum();
        let room = self.width().saturating_sub(indent + lead_width).max(20);
        let mut rows = wrap(pieces, room).into_iter();
        let mut first = lead.to_vec();
        first.extend(rows.next().unwrap_or_default());
        self.line(indent, &first);
        rows.for_each(|row| self.line(indent + lead_width, &row));
    }
}

/// The line without [`escape::commands`]; `None` where it is none.
fn defused(pieces: &[Piece]) -> Option<Vec<Piece>> {
    let text: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
    let places = escape::commands(&text);
    if places.is_empty() {
        return None;
    }
    let mut places = places.into_iter().peekable();
    let mut at = 0;
    let write_out = |Piece { ink, text }: &Piece| {
        let mut out = String::with_capacity(text.len() + 8);
        for c in text.chars() {
            match places.next_if_eq(&at) {
                Some(_) => escape::push_escaped(&mut out, c),
                None => out.push(c),
            }
            at += c.len_utf8();
        }
        piece(*ink, out)
    };
    Some(pieces.iter().map(write_out).collect())
}

/// Breaks text into rows of at most `room` columns, at spaces where it can.
fn wrap(pieces: &[Piece], room: usize) -> Vec<Vec<Piece>> {
    let mut rows = vec![Vec::new()];
    let mut used = 0;
    // Spaces that stand before the next word.
    let mut spaces = 0;
    for Piece { ink, text } in pieces {
        for (i, word) in text.split(' ').enumerate() {
            spaces += usize::from(i > 0);
            if word.is_empty() {
                continue;
            }
            if spaces > 0 && used > 0 {
                if used + spaces + word.width() > room {
                    rows.push(Vec::new());
                    used = 0;
                } else {
                    push(&mut rows, *ink, &" ".repeat(spaces));
                    used += spaces;
                }
            }
            spaces = 0;
            for c in word.chars() {
                let columns = c.width().unwrap_or(0);
                if used + columns > room && used > 0 {
                    rows.push(Vec::new());
                    used = 0;
                }
                push(&mut rows, *ink, c.encode_utf8(&mut [0; 4]));
                used += columns;
            }
        }
    }
    rows
}

/// Adds to the last row.
fn push(rows: &mut [Vec<Piece>], ink: Ink, text: &str) {
    let Some(row) = rows.last_mut() else { return };
    match row.last_mut() {
        Some(last) if last.ink == ink => last.text.push_str(text),
        _ => row.push(piece(ink, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_a_command() {
        let cases = [
            ("  ::error::x", "  \\x3a:error::x"),
            ("##[error]y ##vso[z]", "##\\x5berror]y ##vso\\x5bz]"),
            ("ü# [x]", "ü# [x]"),
        ];
        for (text, want) in cases {
            let mut page = Page::new(Layout { width: 80, colour: false });
            let (first, rest) = text.split_at(3);
            page.line(0, &[piece(Ink::Plain, first), piece(Ink::Mark, rest)]);
            assert_eq!(page.into_text().trim_end(), want);
        }
    }

    #[test]
    fn text_is_broken_at_spaces_and_long_words_where_the_row_ends() {
        let cases: [(&[&str], usize, &[&str]); 6] = [
            (&[""], 5, &[""]),
            (&["ab cd ef"], 5, &["ab cd", "ef"]),
            (&["ab ", "cd", " ef"], 5, &["ab cd", "ef"]),
            (&["abcdefgh ij"], 5, &["abcde", "fgh", "ij"]),
            (&["a", "b  c"], 5, &["ab  c"]),
            (&["日本語 x"], 5, &["日本", "語 x"]),
        ];
        for (texts, room, want) in cases {
            let pieces: Vec<_> = texts.iter().map(|text| piece(Ink::Plain, *text)).collect();
            let rows: Vec<String> = wrap(&pieces, room)
                .iter()
                .map(|row| row.iter().map(|piece| piece.text.as_str()).collect())
                .collect();
            assert_eq!(rows, want, "{texts:?}");
        }
    }
}
