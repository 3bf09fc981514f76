//! URLs, as each tool reads them.

use super::{Reader, body, glob};
use crate::detect::options::Piece;

/// The longest scheme that is looked for, in bytes (curl's `MAX_SCHEME_LEN`).
const LONGEST_SCHEME: usize = 40;

/// The scheme's length when the text begins with `scheme:/`.
fn scheme(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..bytes.len().min(LONGEST_SCHEME + 1))?;
    let end = head
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'+' | b'-' | b'.'))?;
    let named = head.first()?.is_ascii_alphabetic() && head.get(end) == Some(&b':');
    (named && bytes.get(end + 1) == Some(&b'/')).then_some(end)
}

/// curl's URL operand: globs first, then the URL.
pub(super) fn url(reader: &mut Reader<'_>, piece: Piece<'_>) {
    if reader.literal || memchr::memchr2(b'[', b'{', piece.bytes).is_none() {
        return one(reader, piece);
    }
    glob::each(piece.bytes, |variant| {
        let affordable = reader.afford(variant.len());
        if affordable {
            match variant == piece.bytes {
                true => one(reader, piece),
                false => one(reader, piece.decoded(variant)),
            }
        }
        affordable
    });
}

/// One URL whose scheme may be absent: 1 to 3 slashes (`parseurl` in curl's
/// lib/urlapi.c), the authority up to `/`, `?` or `#`.
fn one(reader: &mut Reader<'_>, piece: Piece<'_>) {
    let rest = match scheme(piece.bytes) {
        Some(end) => {
            if piece.bytes[..end].eq_ignore_ascii_case(b"file") {
                return reader.sink.note("a local file");
            }
            let after = piece.from(end + 1);
            let slashes = after.bytes.iter().take_while(|byte| **byte == b'/').count();
            if slashes > 3 {
                return;
            }
            after.from(slashes)
        }
        None => piece,
    };
    let end = authority(reader, rest);
    inside(reader, rest.from(end));
}

/// Reads the host of an authority; the authority's length.
///
/// The last `@` splits the user info off.
fn authority(reader: &mut Reader<'_>, rest: Piece<'_>) -> usize {
    let end = memchr::memchr3(b'/', b'?', b'#', rest.bytes).unwrap_or(rest.bytes.len());
    let whole = rest.to(end);
    let host = match whole.rsplit_once(b'@') {
        Some((_, host)) => {
            reader.sink.note("what stands before the last @ is user info");
            host
        }
        None => whole,
    };
    host_port(reader, host);
    end
}

/// `host[:digits]` or `[v6][:digits]`.
fn host_port(reader: &mut Reader<'_>, piece: Piece<'_>) {
    let digits = |port: Piece<'_>| port.bytes.iter().all(u8::is_ascii_digit);
    if let Some((inside, after)) = Reader::bracketed(piece) {
        let port = match after.bytes {
            [] => true,
            [b':', ..] => digits(after.from(1)),
            _ => false,
        };
        if port {
            reader.ipv6(inside);
        }
        return;
    }
    match piece.split_once(b':') {
        Some((host, port)) if digits(port) => {
            reader.host(host);
        }
        Some(_) => {}
        None => {
            reader.host(piece);
        }
    }
}

/// What follows the authority: query fields whose value is an address, and URLs in the path.
fn inside(reader: &mut Reader<'_>, rest: Piece<'_>) {
    let end = memchr::memchr(b'#', rest.bytes).unwrap_or(rest.bytes.len());
    let rest = rest.to(end);
    if !body::may_hold(rest.bytes) {
        return;
    }
    let (path, query) = match rest.split_once(b'?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    let role = reader.role;
    reader.role = "URL in the path";
    body::urls(reader, path);
    if let Some(query) = query {
        reader.role = "query field";
        body::form(reader, query);
    }
    reader.role = role;
}

/// wget's operand: a URL with `://`, or `host[:port][/path]`, or `host:path` by
/// FTP (`rewrite_shorthand_url` in wget's src/url.c).
pub(super) fn download(reader: &mut Reader<'_>, piece: Piece<'_>) {
    let named =
        scheme(piece.bytes).is_some_and(|end| piece.bytes.get(end + 1..end + 3) == Some(b"//"));
    if named || piece.bytes.first() == Some(&b'[') {
        return one(reader, piece);
    }
    match memchr::memchr2(b':', b'/', piece.bytes) {
        Some(at) if piece.bytes.get(at) == Some(&b':') => {
            let digits =
                piece.bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let after = piece.bytes.get(at + 1 + digits);
            match (digits, after) {
                (1.., None | Some(b'/')) => one(reader, piece),
                _ => {
                    let host = piece.to(at);
                    let host = host.rsplit_once(b'@').map_or(host, |(_, host)| host);
                    reader.host(host);
                }
            }
        }
        _ => one(reader, piece),
    }
}

/// A URL with `://`, or a magnet link, whose fields name trackers and peers.
pub(super) fn uri(reader: &mut Reader<'_>, piece: Piece<'_>) {
    let piece = piece.trim();
    match scheme(piece.bytes) {
        Some(_) if !reader.literal && memchr::memchr(b'{', piece.bytes).is_some() => {
            url(reader, piece)
        }
        Some(_) => one(reader, piece),
        None if piece.bytes.get(..8).is_some_and(|head| head.eq_ignore_ascii_case(b"magnet:?")) => {
            let role = std::mem::replace(&mut reader.role, "magnet link");
            body::form(reader, piece.from(8));
            reader.role = role;
        }
        None => {}
    }
}

/// lftp's site: a URL whose scheme may be absent; no globs.
pub(super) fn site(reader: &mut Reader<'_>, piece: Piece<'_>) {
    one(reader, piece);
}

/// `[scheme://][user@]host[:port]`.
pub(super) fn proxy(reader: &mut Reader<'_>, piece: Piece<'_>) {
    let rest = match scheme(piece.bytes) {
        Some(end) => {
            let after = piece.from(end + 1);
            after.from(after.bytes.iter().take_while(|byte| **byte == b'/').count())
        }
        None => piece,
    };
    authority(reader, rest);
}

/// A URL that is sent, not fetched: a referrer.
pub(super) fn mention(reader: &mut Reader<'_>, piece: Piece<'_>) {
    if scheme(piece.bytes).is_some() { body::urls(reader, piece) } else { one(reader, piece) }
}

/// The host of a URL that stands in a text; `after` begins behind `://`.
pub(super) fn embedded(reader: &mut Reader<'_>, after: Piece<'_>) {
    authority(reader, after);
}
