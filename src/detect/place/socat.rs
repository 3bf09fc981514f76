//! socat's addresses: `TYPE:parameter:parameter,option=value`.

use super::Reader;
use crate::detect::grammar::Grammar;
use crate::detect::options::Piece;

/// Reads an address, or two joined by `!!`.
pub(super) fn socat<'r>(reader: &mut Reader<'r>, grammar: &'r Grammar, piece: Piece<'_>) {
    match memchr::memmem::find(piece.bytes, b"!!") {
        Some(at) => {
            one(reader, grammar, piece.to(at));
            one(reader, grammar, piece.from(at + 2));
        }
        None => one(reader, grammar, piece),
    }
}

fn one<'r>(reader: &mut Reader<'r>, grammar: &'r Grammar, piece: Piece<'_>) {
    let mut parts = split(piece, b',');
    let Some(address) = parts.next() else { return };
    let mut fields = split(address, b':');
    if let Some(keyword) = fields.next()
        && let Some(places) = grammar.keyword(keyword.bytes)
    {
        let mut places = places.iter();
        while let Some(place) = places.next() {
            // A command is everything up to the options, colons and all.
            let field = match (places.len(), fields.rest) {
                (0, Some(_)) if place.joined => fields.rest.take(),
                _ => fields.next(),
            };
            let Some(field) = field else { break };
            reader.value(grammar, plain(field), place, Some(keyword));
        }
    }
    for option in parts {
        if let Some((name, value)) = option.split_once(b'=')
            && let Some(place) = grammar.keyword(name.bytes).and_then(|places| places.first())
        {
            reader.value(grammar, plain(value), place, Some(name));
        }
    }
}

/// Without quotes around the whole value. Brackets stay: they belong to IPv6.
fn plain(piece: Piece<'_>) -> Piece<'_> {
    match piece.bytes {
        [b'"', inside @ .., b'"'] | [b'\'', inside @ .., b'\''] => piece.part(1..1 + inside.len()),
        _ => piece,
    }
}

/// Splits at a separator outside quotes and brackets (`nestlex` in socat's nestlex.c).
fn split(piece: Piece<'_>, separator: u8) -> Split<'_> {
    Split { rest: Some(piece), separator }
}

struct Split<'a> {
    rest: Option<Piece<'a>>,
    separator: u8,
}

impl<'a> Iterator for Split<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let piece = self.rest.take()?;
        let mut open = 0usize;
        let mut quote = 0u8;
        let mut escaped = false;
        for (at, byte) in piece.bytes.iter().copied().enumerate() {
            if std::mem::take(&mut escaped) {
                continue;
            }
            match byte {
                b'\\' => escaped = true,
                _ if quote != 0 && byte != quote => {}
                _ if quote != 0 => quote = 0,
                b'"' | b'\'' => quote = byte,
                b'[' | b'(' | b'{' => open += 1,
                b']' | b')' | b'}' => open = open.saturating_sub(1),
                _ if byte == self.separator && open == 0 => {
                    self.rest = Some(piece.from(at + 1));
                    return Some(piece.to(at));
                }
                _ => {}
            }
        }
        Some(piece)
    }
}
