//! What dig, drill, host, nslookup and whois look up, and whom they ask.

use super::Reader;
use crate::detect::address;
use crate::detect::options::Piece;
use std::net::IpAddr;

/// A number below this is taken for an autonomous system, a port or a year.
const SMALLEST_NUMBER: u32 = 1 << 24;

/// What is looked up: an address, perhaps with a prefix length or a port. whois
/// joins its operands with blanks and lets a server's own options stand among them.
pub(super) fn object(reader: &mut Reader<'_>, piece: Piece<'_>) {
    for word in piece.split(|byte| byte.is_ascii_whitespace()) {
        let digits = |text: Piece<'_>| text.bytes.iter().all(u8::is_ascii_digit);
        let text = match memchr::memchr2(b'/', b'#', word.bytes) {
            Some(at) if digits(word.from(at + 1)) => word.to(at),
            _ => word,
        };
        let small = matches!(address::host(text.bytes, reader.accepts), Some(IpAddr::V4(address)) if address.to_bits() < SMALLEST_NUMBER);
        if !(small && digits(text)) {
            reader.host(text);
        }
    }
}

/// An argument of dig or drill that is no option.
pub(super) fn dig(reader: &mut Reader<'_>, piece: Piece<'_>) {
    let role = reader.role;
    match piece.bytes {
        [b'@', ..] => {
            reader.role = "DNS server";
            let server = piece.from(1);
            reader.host(server.split_once(b'#').map_or(server, |(server, _)| server));
        }
        [b'+', ..] => reader.sink.note("a query option"),
        _ => {
            reader.role = "name looked up";
            reader.strictly(|reader| object(reader, piece));
        }
    }
    reader.role = role;
}
