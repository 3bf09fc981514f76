//! Destinations, remote paths and forwardings of the ssh family, rsync and ftp.

use super::{Reader, url};
use crate::detect::options::Piece;

/// What follows `scheme://`, when it is one of these. OpenSSH knows its schemes in
/// lower case only (`parse_uri` in misc.c).
fn after_scheme<'a>(piece: Piece<'a>, schemes: &[&[u8]]) -> Option<Piece<'a>> {
    let end = piece
        .bytes
        .get(..12.min(piece.bytes.len()))
        .and_then(|head| memchr::memmem::find(head, b"://"))?;
    let name = &piece.bytes[..end];
    schemes.contains(&name).then(|| piece.from(end + 3))
}

/// What follows the last `@`.
fn after_user(piece: Piece<'_>) -> Piece<'_> {
    piece.rsplit_once(b'@').map_or(piece, |(_, host)| host)
}

/// `[user@]host` or `ssh://[user@]host[:port]`. A bare IPv6 address needs no brackets.
pub(super) fn destination(reader: &mut Reader<'_>, piece: Piece<'_>) {
    match after_scheme(piece, &[b"ssh", b"sftp", b"scp"]) {
        Some(_) => url::proxy(reader, piece),
        None => {
            reader.host(after_user(piece));
        }
    }
}

/// `[user@]host[:port]` or `ssh://` URLs, between commas.
pub(super) fn jump(reader: &mut Reader<'_>, piece: Piece<'_>) {
    for hop in piece.split(|byte| byte == b',') {
        match after_scheme(hop, &[b"ssh"]) {
            Some(_) => url::proxy(reader, hop),
            None => reader.host_port(after_user(hop)),
        }
    }
}

/// `[bind:]port`, `[bind:]port:host:port`, `[bind:]port:socket`, `socket:host:port`,
/// with slashes for colons too, and with a blank between the two halves (in options).
pub(super) fn forward(reader: &mut Reader<'_>, piece: Piece<'_>) {
    let piece = piece.trim();
    let mut fields: Vec<Piece<'_>> = Vec::with_capacity(4);
    let slashes = !piece.bytes.starts_with(b"/") && memchr::memchr(b':', piece.bytes).is_none();
    let mut rest = Some(piece);
    while let Some(text) = rest.take() {
        let skip = Reader::bracketed(text).map_or(0, |(inside, _)| inside.bytes.len() + 2);
        let separator =
            |byte: &u8| *byte == b':' || byte.is_ascii_whitespace() || (slashes && *byte == b'/');
        match text.bytes[skip..].iter().position(separator) {
            Some(at) => {
                fields.push(text.to(skip + at));
                rest = Some(text.from(skip + at + 1));
            }
            None => fields.push(text),
        }
        if fields.len() > 4 {
            return;
        }
    }
    let path = |field: &Piece<'_>| field.bytes.first() == Some(&b'/');
    let digits =
        |field: &Piece<'_>| !field.bytes.is_empty() && field.bytes.iter().all(u8::is_ascii_digit);
    let hosts: &[usize] = match fields.as_slice() {
        [bind, port] if !digits(bind) && !path(port) => &[0],
        [port, _] if digits(port) => &[],
        [_, _] => &[],
        [_, _, socket] if path(socket) => &[0],
        [_, _, _] => &[1],
        [_, _, _, _] => &[0, 2],
        _ => &[],
    };
    for index in hosts {
        if let Some(field) = fields.get(*index).filter(|field| !path(field)) {
            bracketed_or_plain(reader, *field);
        }
    }
}

fn bracketed_or_plain(reader: &mut Reader<'_>, piece: Piece<'_>) {
    match Reader::bracketed(piece) {
        Some((inside, _)) => reader.ipv6(inside),
        None => {
            reader.host(piece);
        }
    }
}

/// Where the colon stands that makes a path remote: `colon` in OpenSSH's misc.c.
/// It stands before any slash, not at the start, and not inside brackets.
fn colon(bytes: &[u8]) -> Option<usize> {
    if bytes.first() == Some(&b':') {
        return None;
    }
    let mut inside = bytes.first() == Some(&b'[');
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'@' if bytes.get(at + 1) == Some(&b'[') => inside = true,
            b']' if inside && bytes.get(at + 1) == Some(&b':') => return Some(at + 1),
            b':' if !inside => return Some(at),
            b'/' => return None,
            _ => {}
        }
    }
    None
}

/// The host of `[user@]host`, in brackets or not.
fn host_of(reader: &mut Reader<'_>, piece: Piece<'_>) {
    bracketed_or_plain(reader, after_user(piece));
}

/// scp: `[user@]host:[path]`, `scp://[user@]host[:port][/path]`, or a local path.
pub(super) fn scp(reader: &mut Reader<'_>, piece: Piece<'_>) {
    if after_scheme(piece, &[b"scp", b"sftp"]).is_some() {
        return url::proxy(reader, piece);
    }
    if let Some(at) = colon(piece.bytes) {
        host_of(reader, piece.to(at));
    }
}

/// sftp: `[user@]host[:path]` or `sftp://`.
pub(super) fn sftp(reader: &mut Reader<'_>, piece: Piece<'_>) {
    if after_scheme(piece, &[b"sftp", b"scp", b"ssh"]).is_some() {
        return url::proxy(reader, piece);
    }
    let host = colon(piece.bytes).map_or(piece, |at| piece.to(at));
    host_of(reader, host);
}

/// rsync: `[user@]host:path`, `[user@]host::module`, `rsync://` in any case, or a local path
/// (`parse_hostspec` in rsync's options.c).
pub(super) fn rsync(reader: &mut Reader<'_>, piece: Piece<'_>) {
    if piece.bytes.get(..8).is_some_and(|head| head.eq_ignore_ascii_case(b"rsync://")) {
        return url::proxy(reader, piece);
    }
    if let Some(at) = colon(piece.bytes) {
        host_of(reader, piece.to(at));
    }
}

/// ftp: a URL, or `[user@]host[:path]`.
pub(super) fn ftp(reader: &mut Reader<'_>, piece: Piece<'_>) {
    if memchr::memmem::find(
        piece.bytes.get(..12.min(piece.bytes.len())).unwrap_or_default(),
        b"://",
    )
    .is_some()
    {
        return url::download(reader, piece);
    }
    let host = after_user(piece);
    match Reader::bracketed(host) {
        Some((inside, _)) => reader.ipv6(inside),
        None => {
            if !reader.host(host)
                && let Some((host, _)) = host.split_once(b':')
            {
                reader.host(host);
            }
        }
    }
}

/// A later operand of ftp: a bare word is a port or a file.
pub(super) fn ftp_more(reader: &mut Reader<'_>, piece: Piece<'_>) {
    if memchr::memchr(b':', piece.bytes).is_some() {
        ftp(reader, piece);
    }
}

/// A word of a tftp command: `host:file` is remote; otherwise only an address that is
/// nothing else (`connect 10.0.0.1`).
pub(super) fn tftp_word(reader: &mut Reader<'_>, piece: Piece<'_>) {
    match colon(piece.bytes) {
        Some(at) => host_of(reader, piece.to(at)),
        None => reader.strictly(|reader| {
            reader.host(piece);
        }),
    }
}
