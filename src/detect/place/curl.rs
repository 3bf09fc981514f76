//! Values that only curl has.

use super::Reader;
use crate::detect::options::Piece;

/// `[+]host:port:address[,address…]`; `-host:port` only forgets.
pub(super) fn resolve(reader: &mut Reader<'_>, piece: Piece<'_>) {
    let piece = match piece.bytes {
        [b'-', ..] => return,
        [b'+', ..] => piece.from(1),
        _ => piece,
    };
    let Some((host, rest)) = field(piece) else { return };
    let Some((_, addresses)) = rest.split_once(b':') else { return };
    one(reader, host);
    for address in addresses.split(|byte| byte == b',') {
        one(reader, address.trim());
    }
}

/// `host1:port1:host2:port2`, each of which may be empty.
pub(super) fn connect_to(reader: &mut Reader<'_>, piece: Piece<'_>) {
    let Some((host, rest)) = field(piece) else { return };
    let Some((_, target)) = rest.split_once(b':') else { return };
    one(reader, host);
    let target = field(target).map_or(target, |(host, _)| host);
    one(reader, target);
}

/// What stands before the first colon outside brackets, and after it.
fn field(piece: Piece<'_>) -> Option<(Piece<'_>, Piece<'_>)> {
    match Reader::bracketed(piece) {
        Some((_, after)) if after.bytes.first() == Some(&b':') => {
            let length = piece.bytes.len() - after.bytes.len();
            Some((piece.to(length), after.from(1)))
        }
        Some(_) => None,
        None => piece.split_once(b':'),
    }
}

/// A host or an address, perhaps in brackets.
fn one(reader: &mut Reader<'_>, piece: Piece<'_>) {
    match Reader::bracketed(piece) {
        Some((inside, _)) => reader.ipv6(inside),
        None => {
            reader.host(piece);
        }
    }
}

/// An interface's name, an address or a host: `if!name`, `host!name` and
/// `ifhost!interface!host` say which.
pub(super) fn interface(reader: &mut Reader<'_>, piece: Piece<'_>) {
    if piece.bytes.starts_with(b"if!") {
        return;
    }
    let name = piece.rsplit_once(b'!').map_or(piece, |(_, name)| name);
    one(reader, name);
}

/// `user@host`, `user@[1.2.3.4]`, `user@[IPv6:2001:db8::1]` (RFC 5321, 4.1.3).
pub(super) fn mailbox(reader: &mut Reader<'_>, piece: Piece<'_>) {
    let domain = piece.rsplit_once(b'@').map_or(piece, |(_, domain)| domain);
    let literal = match Reader::bracketed(domain) {
        Some((inside, _)) => inside,
        None => domain,
    };
    let literal = match literal.bytes.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case(b"ipv6:") => literal.from(5),
        _ => literal,
    };
    reader.strictly(|reader| {
        reader.host(literal);
    });
}
