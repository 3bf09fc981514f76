//! What is sent: query fields, forms, JSON, XML, headers. Here a dotted number is
//! an address only as the whole value of a field, or as the host of a URL.

use super::Reader;
use crate::detect::address::{self, Accepts};
use crate::detect::options::Piece;
use percent_encoding::percent_decode;

/// What the name of a field says about a dotted number in its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    /// It says address, whatever else it says.
    Address,
    /// It says version: four numbers between dots are no address.
    Version,
    /// It says nothing: an address is an address.
    Other,
}

/// What is known of the field that a value belongs to. Most values need no name.
#[derive(Clone, Copy)]
enum Field<'a> {
    Named(&'a [u8]),
    Known(Key),
}

impl Field<'_> {
    fn key(self) -> Key {
        match self {
            Field::Named(name) => key(name),
            Field::Known(key) => key,
        }
    }
}

const ADDRESS_WORDS: [&[u8]; 24] = [
    b"ip",
    b"ips",
    b"ipv4",
    b"ipv6",
    b"ip4",
    b"ip6",
    b"addr",
    b"address",
    b"addresses",
    b"host",
    b"hostname",
    b"hosts",
    b"server",
    b"servers",
    b"endpoint",
    b"target",
    b"callback",
    b"peer",
    b"dns",
    b"gateway",
    b"proxy",
    b"remote",
    b"upstream",
    b"backend",
];

const VERSION_WORDS: [&[u8]; 32] = [
    b"v",
    b"ver",
    b"vers",
    b"version",
    b"versions",
    b"release",
    b"releases",
    b"rel",
    b"tag",
    b"tags",
    b"build",
    b"rev",
    b"revision",
    b"oid",
    b"semver",
    b"sdk",
    b"firmware",
    b"fw",
    b"kernel",
    b"package",
    b"packages",
    b"pkg",
    b"dep",
    b"deps",
    b"dependency",
    b"dependencies",
    b"image",
    b"chart",
    b"artifact",
    b"schema",
    b"driver",
    b"milestone",
];

const HEADER_WORDS: [&[u8]; 14] = [
    b"host",
    b"ip",
    b"ipv4",
    b"ipv6",
    b"addr",
    b"address",
    b"forwarded",
    b"via",
    b"peer",
    b"endpoint",
    b"target",
    b"upstream",
    b"backend",
    b"server",
];

/// Headers whose values are free text.
const TEXT_HEADERS: [&[u8]; 6] = [
    b"user-agent",
    b"cookie",
    b"set-cookie",
    b"authorization",
    b"proxy-authorization",
    b"www-authenticate",
];

/// The words of a name: between other characters than letters and digits, and before capitals.
fn words(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let name = name.get(name.len().saturating_sub(128)..).unwrap_or_default();
    name.split(|byte| !byte.is_ascii_alphanumeric()).flat_map(|word| {
        let mut rest = word;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let end = rest
                .windows(2)
                .position(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
                .map_or(rest.len(), |at| at + 1);
            let (word, after) = rest.split_at(end);
            rest = after;
            Some(word)
        })
    })
}

fn says(word: &[u8], list: &[&[u8]]) -> bool {
    list.iter().any(|known| word.eq_ignore_ascii_case(known))
}

fn key(name: &[u8]) -> Key {
    if words(name).any(|word| says(word, &ADDRESS_WORDS)) {
        return Key::Address;
    }
    let version = |word: &[u8]| {
        says(word, &VERSION_WORDS)
            || word.len() > 7 && word[word.len() - 7..].eq_ignore_ascii_case(b"version")
    };
    if words(name).any(version) { Key::Version } else { Key::Other }
}

/// Where `://` stands.
pub(super) fn separator(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b':', bytes).find(|at| bytes.get(at + 1..at + 3) == Some(b"//"))
}

/// Whether an address or a URL can stand in a text: every address in a value has a
/// dot or a colon, unless that is encoded, by percent or (in JSON) by a backslash.
pub(super) fn may_hold(bytes: &[u8]) -> bool {
    memchr::memchr3(b'.', b':', b'%', bytes).is_some() || memchr::memchr(b'\\', bytes).is_some()
}

/// The hosts of all URLs in a text.
pub(super) fn urls(reader: &mut Reader<'_>, piece: Piece<'_>) {
    let mut rest = piece;
    while let Some(at) = separator(rest.bytes) {
        let named = rest.bytes[..at].last().is_some_and(u8::is_ascii_alphanumeric);
        rest = rest.from(at + 3);
        if !named {
            continue;
        }
        let ends = |byte: &u8| {
            matches!(
                byte,
                b'/' | b'?'
                    | b'#'
                    | b'"'
                    | b'\''
                    | b'<'
                    | b'>'
                    | b'\\'
                    | b','
                    | b';'
                    | b')'
                    | b'}'
                    | b'&'
                    | b'|'
            ) || byte.is_ascii_whitespace()
        };
        let end = rest.bytes.iter().position(ends).unwrap_or(rest.bytes.len());
        let outer = std::mem::replace(&mut reader.accepts, Accepts::URL);
        super::url::embedded(reader, rest.to(end));
        reader.accepts = outer;
        rest = rest.from(end);
    }
}

/// `name=value&name=value`, percent-encoded.
pub(super) fn form(reader: &mut Reader<'_>, piece: Piece<'_>) {
    for field in piece.split(|byte| matches!(byte, b'&' | b'\n')) {
        match field.split_once(b'=') {
            Some((name, content)) => encoded(reader, Field::Named(name.bytes), content),
            None => encoded(reader, Field::Known(Key::Version), field),
        }
    }
}

/// A percent-encoded value.
fn encoded(reader: &mut Reader<'_>, field: Field<'_>, piece: Piece<'_>) {
    if memchr::memchr(b'%', piece.bytes).is_none() {
        return value(reader, field, piece);
    }
    if reader.afford(piece.bytes.len()) {
        let plain: Vec<u8> = percent_decode(piece.bytes).collect();
        value(reader, field, piece.decoded(&plain));
    }
}

/// A value: URLs in it, or addresses as the whole of it.
fn value(reader: &mut Reader<'_>, field: Field<'_>, piece: Piece<'_>) {
    let piece = piece.trim();
    if matches!(piece.bytes.first(), Some(b'{' | b'['))
        && memchr::memchr2(b'"', b'\'', piece.bytes).is_some()
    {
        return json(reader, field.key(), piece);
    }
    if separator(piece.bytes).is_some() {
        return urls(reader, piece);
    }
    let begins = piece
        .bytes
        .first()
        .is_some_and(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'['));
    // The longest list of addresses that is meant as one; more is a text.
    if !begins || piece.bytes.len() > 4096 || field.key() == Key::Version {
        return;
    }
    let mut items = piece.split(|byte| matches!(byte, b',' | b';')).map(Piece::trim);
    if items.all(|item| address_of(item).is_some()) {
        for item in piece.split(|byte| matches!(byte, b',' | b';')) {
            if let Some(item) = address_of(item.trim()) {
                reader.host_as(item, Accepts::STRICT);
            }
        }
    }
}

/// The address in `address`, `address:port`, `[v6]`, `[v6]:port`, and with a
/// path after the port.
fn address_of(piece: Piece<'_>) -> Option<Piece<'_>> {
    if address::strict(piece.bytes).is_some() {
        return Some(piece);
    }
    let is_port = |port: Piece<'_>| {
        let port = port.split_once(b'/').map_or(port, |(port, _)| port);
        !port.bytes.is_empty() && port.bytes.iter().all(u8::is_ascii_digit)
    };
    if let Some((inside, after)) = Reader::bracketed(piece) {
        let fits = match after.bytes {
            [] => true,
            [b':', ..] => is_port(after.from(1)),
            _ => false,
        };
        return (fits && address::ipv6(inside.bytes).is_some()).then_some(inside);
    }
    let (host, port) = piece.split_once(b':')?;
    (is_port(port) && address::quad(host.bytes).is_some()).then_some(host)
}

/// An argument of which nothing is known: URLs, or an address as the whole of it
/// or of what follows `=` or the last `@`.
pub(super) fn anything(reader: &mut Reader<'_>, piece: Piece<'_>) {
    let content = match (piece.bytes.first(), piece.split_once(b'=')) {
        (_, Some((name, content))) => return value(reader, Field::Named(name.bytes), content),
        (Some(_), None) => piece.rsplit_once(b'@').map_or(piece, |(_, host)| host),
        (None, None) => return,
    };
    value(reader, Field::Known(Key::Address), content);
}

/// A request body. With `files`, `@name` means a file.
pub(super) fn data(reader: &mut Reader<'_>, piece: Piece<'_>, files: bool) {
    if files && piece.bytes.first() == Some(&b'@') {
        return reader.sink.note("the content of a file");
    }
    let text = piece.trim();
    match text.bytes.first() {
        None => {}
        Some(b'{' | b'[' | b'"') => json(reader, Key::Other, text),
        Some(b'<') => xml(reader, text),
        Some(_) if memchr::memchr(b'=', text.bytes).is_some() => form(reader, text),
        Some(_) => encoded(reader, Field::Known(Key::Other), text),
    }
}

/// curl's `name=content`, `=content`, `content`, `name@file`, `@file`, and `+query`.
pub(super) fn encoded_field(reader: &mut Reader<'_>, piece: Piece<'_>) {
    if piece.bytes.first() == Some(&b'+') {
        return form(reader, piece.from(1));
    }
    match (piece.split_once(b'='), memchr::memchr(b'@', piece.bytes)) {
        (Some((name, content)), _) => value(reader, Field::Named(name.bytes), content),
        (None, Some(_)) => reader.sink.note("the content of a file"),
        (None, None) => value(reader, Field::Known(Key::Other), piece),
    }
}

/// curl's `name=content[;type=…]`, `name=@file`, `name=<file`.
pub(super) fn form_field(reader: &mut Reader<'_>, piece: Piece<'_>) {
    let Some((name, content)) = piece.split_once(b'=') else { return };
    if matches!(content.bytes.first(), Some(b'@' | b'<')) {
        return reader.sink.note("the content of a file");
    }
    let content = match content.bytes {
        [b'"', ..] => {
            let inside = content.from(1);
            inside.to(memchr::memchr(b'"', inside.bytes).unwrap_or(inside.bytes.len()))
        }
        [b'{' | b'[', ..] => content,
        _ => content.split_once(b';').map_or(content, |(content, _)| content),
    };
    value(reader, Field::Named(name.bytes), content);
}

/// `Name: value`.
pub(super) fn header(reader: &mut Reader<'_>, piece: Piece<'_>) {
    if piece.bytes.first() == Some(&b'@') {
        return reader.sink.note("the content of a file");
    }
    let Some((name, content)) = piece.split_once(b':') else { return };
    let (name, content) = (name.trim(), content.trim());
    if TEXT_HEADERS.iter().any(|text| name.bytes.eq_ignore_ascii_case(text)) {
        return;
    }
    let role = reader.role;
    if name.bytes.eq_ignore_ascii_case(b"host") {
        reader.role = "Host header";
    }
    if separator(content.bytes).is_some() {
        urls(reader, content);
    } else if words(name.bytes).any(|word| says(word, &HEADER_WORDS))
        && !words(name.bytes).any(|word| says(word, &VERSION_WORDS))
    {
        for item in content.split(|byte| matches!(byte, b',' | b';') || byte.is_ascii_whitespace())
        {
            let item = item.split_once(b'=').map_or(item, |(_, item)| item);
            let item = match item.bytes {
                [b'"', inside @ .., b'"'] => item.part(1..1 + inside.len()),
                _ => item,
            };
            if let Some(address) = address_of(item) {
                reader.host_as(address, Accepts::STRICT);
            }
        }
    }
    reader.role = role;
}

/// How deep JSON is followed; keys deeper than this say nothing.
const DEEPEST_JSON: usize = 64;

/// Strings of a JSON text with the keys above them. Also reads what is only like
/// JSON: a broken text can still be understood on the other side.
fn json(reader: &mut Reader<'_>, outer: Key, piece: Piece<'_>) {
    let bytes = piece.bytes;
    // The key that holds in each open object or array.
    let mut keys: Vec<Key> = vec![outer];
    let mut depth = 0usize;
    let mut pending: Option<Key> = None;
    let mut at = 0;
    while let Some(found) = memchr_json(&bytes[at..]) {
        at += found;
        match bytes[at] {
            b'{' | b'[' => {
                depth += 1;
                if keys.len() < DEEPEST_JSON {
                    let holds = pending.take().unwrap_or(current(&keys));
                    keys.push(holds);
                }
            }
            b'}' | b']' => {
                if depth < DEEPEST_JSON && keys.len() > 1 {
                    keys.pop();
                }
                depth = depth.saturating_sub(1);
            }
            b',' => pending = None,
            quote => {
                let start = at + 1;
                let end = string_end(bytes, start, quote);
                let text = piece.part(start..end);
                let after = bytes[(end + 1).min(bytes.len())..].trim_ascii_start();
                if after.first() == Some(&b':') {
                    let own = key(text.bytes);
                    pending = Some(if own == Key::Other { current(&keys) } else { own });
                } else {
                    string(reader, pending.unwrap_or(current(&keys)), text);
                }
                at = end;
            }
        }
        at += 1;
        if at >= bytes.len() {
            break;
        }
    }
}

fn current(keys: &[Key]) -> Key {
    keys.last().copied().unwrap_or(Key::Other)
}

/// The next byte that means something in JSON outside strings.
fn memchr_json(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| matches!(byte, b'{' | b'[' | b'}' | b']' | b',' | b'"' | b'\''))
}

fn string_end(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start;
    while let Some(found) = memchr::memchr2(quote, b'\\', bytes.get(at..).unwrap_or_default()) {
        at += found;
        if bytes[at] == quote {
            return at;
        }
        at += 2;
    }
    bytes.len()
}

fn string(reader: &mut Reader<'_>, key: Key, text: Piece<'_>) {
    if memchr::memchr(b'\\', text.bytes).is_none() {
        // A string that holds JSON again would recurse; one level is enough.
        return plain_string(reader, key, text);
    }
    if reader.afford(text.bytes.len()) {
        let plain = unescape(text.bytes);
        plain_string(reader, key, text.decoded(&plain));
    }
}

fn plain_string(reader: &mut Reader<'_>, key: Key, text: Piece<'_>) {
    match text.bytes.first() {
        Some(b'{') => urls(reader, text),
        _ => value(reader, Field::Known(key), text),
    }
}

/// JSON escapes; `\u` beyond ASCII is left out: no address needs it.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            plain.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'u') => {
                let code = (0..4).try_fold(0, |code, _| {
                    Some(code * 16 + char::from(bytes.next()?).to_digit(16)?)
                });
                plain.push(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(b'?'));
            }
            Some(b'n' | b'r' | b't' | b'b' | b'f') => plain.push(b' '),
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}

/// Texts and attributes of an XML document, each with the name before it.
fn xml(reader: &mut Reader<'_>, piece: Piece<'_>) {
    for element in piece.split(|byte| byte == b'<') {
        let Some((tag, text)) = element.split_once(b'>') else { continue };
        let name = tag.bytes.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        if !text.bytes.is_empty() {
            value(reader, Field::Named(name), text);
        }
        let mut rest = tag;
        while let Some((before, after)) = rest.split_once(b'=') {
            let Some(quote @ (b'"' | b'\'')) = after.bytes.first().copied() else { break };
            let inside = after.from(1);
            let end = memchr::memchr(quote, inside.bytes).unwrap_or(inside.bytes.len());
            let name = before.bytes.rsplit(u8::is_ascii_whitespace).next().unwrap_or_default();
            // A namespace is a name that looks like a URL.
            if !name.starts_with(b"xmlns") {
                value(reader, Field::Named(name), inside.to(end));
            }
            rest = inside.from(end + 1);
        }
    }
}
