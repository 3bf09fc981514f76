//! Command lines as a shell would be given them, with marks.
//!
//! An argument that holds nothing special stands as it is. Others stand in `'…'`,
//! and in `$'…'` when something in them has to be written out (`\x1b`, `\u{202e}`,
//! `\n`). What was left out, `…[12 bytes]…`, stands outside of the quotes, so no
//! argument can imitate it.

use super::{
    page::{Ink, Page, Piece, piece},
    words,
};
use crate::escape;
use std::ops::Range;
use unicode_width::UnicodeWidthStr;

/// What stands where something was left out, when there is no room to say how much.
const CUT: &str = "…";

/// A part of an argument to point at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::report) struct Mark {
    pub(in crate::report) argument: usize,
    pub(in crate::report) range: Range<usize>,
}

/// How much of a command line is shown.
struct Limits {
    /// Arguments at the beginning and at the end, and on each side of a marked one.
    first: usize,
    last: usize,
    beside: usize,
    /// The longest argument that is shown whole; of a longer one, the bytes at its
    /// beginning and its end, and on each side of a mark.
    whole: usize,
    head: usize,
    tail: usize,
    around: usize,
    /// Marks that are shown.
    marks: usize,
}

/// A command line up to this size is shown whole.
const SHORT: usize = 1200;

const ALL: Limits = Limits {
    first: usize::MAX,
    last: 0,
    beside: 0,
    whole: usize::MAX,
    head: 0,
    tail: 0,
    around: 0,
    marks: usize::MAX,
};

const CUT_DOWN: Limits =
    Limits { first: 8, last: 2, beside: 1, whole: 120, head: 48, tail: 24, around: 32, marks: 6 };

/// A character of the command line as it is shown: itself, or what it is written
/// out as.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cell {
    text: String,
    width: usize,
    ink: Ink,
}

/// Writes a command line over as many rows as it takes; marks are styled, or
/// underlined with carets when the page has no colour.
pub(super) fn write<A: AsRef<[u8]>>(page: &mut Page, indent: usize, argv: &[A], marks: &[Mark]) {
    let argv: Vec<&[u8]> = argv.iter().map(AsRef::as_ref).collect();
    let words = words_of(&argv, marks);
    for row in rows(words, page.width().saturating_sub(indent).max(20)) {
        let mut pieces: Vec<Piece> = Vec::new();
        for cell in &row {
            match pieces.last_mut() {
                Some(last) if last.ink == cell.ink => last.text.push_str(&cell.text),
                _ => pieces.push(piece(cell.ink, cell.text.as_str())),
            }
        }
        page.line(indent, &pieces);
        if !page.has_colour() && row.iter().any(|cell| cell.ink == Ink::Mark) {
            let carets = row.iter().fold(String::new(), |mut carets, cell| {
                let under = if cell.ink == Ink::Mark { '^' } else { ' ' };
                carets.extend(std::iter::repeat_n(under, cell.width));
                carets
            });
            page.line(indent, &[piece(Ink::Plain, carets)]);
        }
    }
}

/// A command line as one row of any length. What is long is cut down, with marks that
/// say how much is left out.
pub(in crate::report) fn pieces(argv: &[&[u8]], marks: &[Mark]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (i, word) in words_of(argv, marks).into_iter().enumerate() {
        let space = (i > 0).then(|| text_cell(" ", Ink::Plain));
        for cell in space.into_iter().chain(word) {
            match pieces.last_mut() {
                Some(last) if last.ink == cell.ink => last.text.push_str(&cell.text),
                _ => pieces.push(piece(cell.ink, cell.text)),
            }
        }
    }
    pieces
}

/// The same as text alone.
pub(in crate::report) fn line(argv: &[&[u8]], marks: &[Mark]) -> String {
    pieces(argv, marks).into_iter().map(|piece| piece.text).collect()
}

/// A command line on one row, its end cut off where there is no room for it.
pub(in crate::report) fn one_line<'a>(
    argv: impl IntoIterator<Item = &'a [u8]>,
    width: usize,
) -> String {
    let mut out = String::new();
    let mut used = 0;
    for (i, argument) in argv.into_iter().enumerate() {
        // No byte takes less than a quarter of a column.
        let most = argument.len().min(4 * width + 4);
        let looked_at = &argument[..whole_characters(argument, 0..most).end];
        let mut cells = Vec::new();
        quote(looked_at, 0..looked_at.len(), Quoting::of(looked_at), &[], &mut cells);
        if looked_at.len() < argument.len() {
            cells.push(text_cell(CUT, Ink::Faint));
        }
        if i > 0 {
            cells.insert(0, text_cell(" ", Ink::Plain));
        }
        let total: usize = cells.iter().map(|cell| cell.width).sum();
        let fits = used + total < width;
        for cell in cells {
            if !fits && used + cell.width + 1 > width {
                out.push_str(CUT);
                return out;
            }
            used += cell.width;
            out.push_str(&cell.text);
        }
    }
    out
}

/// The command line as words of cells.
fn words_of(argv: &[&[u8]], marks: &[Mark]) -> Vec<Vec<Cell>> {
    let size: usize = argv.iter().map(|argument| argument.len() + 1).sum();
    let limits = if size <= SHORT { &ALL } else { &CUT_DOWN };
    let mut marks: Vec<&Mark> = marks.iter().filter(|mark| mark.argument < argv.len()).collect();
    marks.sort_by_key(|mark| (mark.argument, mark.range.start));
    marks.truncate(limits.marks);

    let mut shown = vec![false; argv.len()];
    let mut show = |range: Range<usize>| {
        let end = range.end.min(argv.len());
        shown[range.start.min(end)..end].fill(true);
    };
    show(0..limits.first);
    show(argv.len().saturating_sub(limits.last)..argv.len());
    for mark in &marks {
        let at = mark.argument;
        show(at.saturating_sub(limits.beside)..at.saturating_add(limits.beside).saturating_add(1));
    }

    let mut words = Vec::new();
    let mut index = 0;
    for run in shown.chunk_by(|a, b| a == b) {
        let arguments = index..index + run.len();
        index = arguments.end;
        if run[0] {
            for argument in arguments {
                let ranges: Vec<_> = marks
                    .iter()
                    .filter(|mark| mark.argument == argument)
                    .map(|mark| mark.range.clone())
                    .collect();
                words.push(word(argv[argument], &ranges, limits));
            }
        } else {
            let bytes: usize = argv[arguments.clone()].iter().map(|argument| argument.len()).sum();
            let count = words::count(arguments.len() as u64, "argument", "arguments");
            words.push(vec![cut_cell(&format!("{count}, {}", bytes_left_out(bytes)))]);
        }
    }
    words
}

/// One argument, cut down to the limits.
fn word(argument: &[u8], marks: &[Range<usize>], limits: &Limits) -> Vec<Cell> {
    let parts = parts(argument, marks, limits);
    let quoting =
        parts.iter().map(|part| Quoting::of(&argument[part.clone()])).max().unwrap_or_default();
    let mut cells = Vec::new();
    let mut at = 0;
    for part in parts {
        if part.start > at {
            cells.push(cut_cell(&bytes_left_out(part.start - at)));
        }
        at = part.end;
        quote(argument, part, quoting, marks, &mut cells);
    }
    if at < argument.len() {
        cells.push(cut_cell(&bytes_left_out(argument.len() - at)));
    }
    cells
}

/// The parts of an argument that are shown, in order.
fn parts(argument: &[u8], marks: &[Range<usize>], limits: &Limits) -> Vec<Range<usize>> {
    let len = argument.len();
    if len <= limits.whole {
        return std::iter::once(0..len).collect();
    }
    /// Less than this is not worth leaving out.
    const WORTH: usize = 24;
    let around = marks.iter().map(|mark| {
        // The beginning of a mark is shown; what may come of a hostile one is long.
        let end = mark.end.min(mark.start.saturating_add(limits.whole));
        mark.start.saturating_sub(limits.around)..end.saturating_add(limits.around)
    });
    let ends = [0..limits.head, len - limits.tail..len];
    let mut parts: Vec<Range<usize>> = ends.into_iter().chain(around).collect();
    parts.sort_by_key(|part| part.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for part in parts {
        let part = whole_characters(argument, part.start.min(len)..part.end.min(len));
        match merged.last_mut() {
            Some(last) if part.start <= last.end + WORTH => last.end = last.end.max(part.end),
            _ => merged.push(part),
        }
    }
    merged
}

/// The range, moved so that it cuts no UTF-8 character.
fn whole_characters(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let inside = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let steps = |at: usize| (0..3).take_while(|step| inside(at + step)).count();
    range.start + steps(range.start)..range.end + steps(range.end)
}

/// How an argument has to be quoted; the greater one can say more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Quoting {
    #[default]
    None,
    Single,
    Escaped,
}

impl Quoting {
    fn of(bytes: &[u8]) -> Quoting {
        let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
        match std::str::from_utf8(bytes) {
            Ok("") => Quoting::Single,
            Ok(text) if text.chars().all(plain) => Quoting::None,
            Ok(text) if !text.chars().any(|c| c == '\'' || escape::is_hidden(c)) => Quoting::Single,
            _ => Quoting::Escaped,
        }
    }
}

/// Appends a part of an argument in its quotes.
fn quote(
    argument: &[u8],
    part: Range<usize>,
    quoting: Quoting,
    marks: &[Range<usize>],
    cells: &mut Vec<Cell>,
) {
    match quoting {
        Quoting::None => (),
        Quoting::Single => cells.push(text_cell("'", Ink::Plain)),
        Quoting::Escaped => cells.push(text_cell("$'", Ink::Plain)),
    }
    let mut at = part.start;
    let ink = |at: usize| match marks.iter().any(|mark| mark.contains(&at)) {
        true => Ink::Mark,
        false => Ink::Plain,
    };
    for chunk in argument[part].utf8_chunks() {
        for c in chunk.valid().chars() {
            let mut text = String::new();
            match c {
                '\\' | '\'' if quoting == Quoting::Escaped => text.extend(['\\', c]),
                c if escape::is_hidden(c) => escape::push_escaped(&mut text, c),
                c => text.push(c),
            }
            cells.push(Cell { width: text.width(), text, ink: ink(at) });
            at += c.len_utf8();
        }
        for byte in chunk.invalid() {
            let mut text = String::new();
            escape::push_byte(&mut text, *byte);
            cells.push(Cell { width: text.width(), text, ink: ink(at) });
            at += 1;
        }
    }
    if quoting != Quoting::None {
        cells.push(text_cell("'", Ink::Plain));
    }
}

/// Lays words out: between words a space or a new row; a word longer than a row is
/// broken. Rows after the first are indented.
fn rows(words: Vec<Vec<Cell>>, room: usize) -> Vec<Vec<Cell>> {
    const INDENT: &str = "    ";
    let mut rows = vec![Vec::new()];
    let mut used = 0;
    let new_row = |rows: &mut Vec<Vec<Cell>>| {
        rows.push(vec![text_cell(INDENT, Ink::Plain)]);
        INDENT.len()
    };
    for (i, word) in words.into_iter().enumerate() {
        let wants: usize = word.iter().map(|cell| cell.width).sum();
        if i > 0 {
            // A word that no row can hold begins where there is room for some of it.
            let breaks = used + 1 + wants > room && (wants <= room - INDENT.len());
            if breaks || used + 2 > room {
                used = new_row(&mut rows);
            } else if let Some(row) = rows.last_mut() {
                row.push(text_cell(" ", Ink::Plain));
                used += 1;
            }
        }
        for cell in word {
            if used + cell.width > room && used > INDENT.len() {
                used = new_row(&mut rows);
            }
            used += cell.width;
            if let Some(row) = rows.last_mut() {
                row.push(cell);
            }
        }
    }
    rows
}

fn text_cell(text: &str, ink: Ink) -> Cell {
    Cell { text: text.to_owned(), width: text.width(), ink }
}

fn cut_cell(what: &str) -> Cell {
    text_cell(&format!("…[{what}]…"), Ink::Faint)
}

fn bytes_left_out(bytes: usize) -> String {
    words::count(bytes as u64, "byte", "bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_filled_whatever_its_characters_are() {
        // Characters of one byte to four, in a column or two.
        for c in ["a", "é", "–", "語", "𐀀", "🦀"] {
            let line = one_line([c.repeat(500).as_bytes()], 40);
            // The last column is for the sign that it was cut, beside half of a wide one.
            assert!((39..=40).contains(&line.width()), "{}: {line}", line.width());
            assert!(!line.starts_with('$') && line.ends_with('…'), "{line}");
        }
        let cases: [(&[&str], &str); 4] = [
            (&["curl", "8.8.8.8"], "curl 8.8.8.8"),
            (&["𐀀𐀀", "é"], "'𐀀𐀀' 'é'"),
            (&["𐀀𐀀𐀀𐀀𐀀𐀀𐀀𐀀𐀀𐀀𐀀𐀀𐀀𐀀𐀀𐀀"], "'𐀀𐀀𐀀𐀀𐀀𐀀𐀀𐀀𐀀𐀀𐀀𐀀𐀀𐀀𐀀𐀀'"),
            (&["a", ""], "a ''"),
        ];
        for (argv, want) in cases {
            assert_eq!(one_line(argv.iter().map(|argument| argument.as_bytes()), 20), want);
        }
        assert_eq!(one_line([&b"\x80a"[..]], 20), r"$'\x80a'");
    }
}
