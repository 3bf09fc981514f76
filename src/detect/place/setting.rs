//! `name=value` and `name value`: ssh's `-o`, wget's `-e`.

use super::Reader;
use crate::detect::grammar::{Grammar, Kind};
use crate::detect::options::Piece;

/// Reads a setting by the keywords of the grammar.
///
/// Blanks around the name, the sign and the value are ignored and the sign may
/// be a blank, as in OpenSSH's `process_config_line` (readconf.c).
pub(super) fn setting<'r>(reader: &mut Reader<'r>, grammar: &'r Grammar, piece: Piece<'_>) {
    let piece = piece.trim();
    let quoted = piece.bytes.first() == Some(&b'"');
    let end = piece
        .bytes
        .iter()
        .position(|byte| byte.is_ascii_whitespace() || *byte == b'=' || (quoted && *byte == b'"'))
        .unwrap_or(piece.bytes.len());
    let (name, rest) = (piece.to(end), piece.from(end).trim());
    let value = match rest.bytes.first() {
        Some(b'=') => rest.from(1).trim(),
        _ => rest,
    };
    let Some(places) = grammar.keyword(name.bytes) else { return };
    let Some(place) = places.first() else { return };
    let value = match (place.kind, value.bytes) {
        // A command is taken as it stands, quotes and all.
        (Kind::Shell | Kind::Program, _) => value,
        (_, [b'"', inside @ .., b'"']) => value.part(1..1 + inside.len()),
        _ => value,
    };
    reader.value(grammar, value, place, Some(name));
}
