//! Every spelling of an address, and which of them a tool accepts.

pub(super) use super::terms::Spelling;
use percent_encoding::percent_decode;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a tool accepts where a host stands, besides four decimal parts and IPv6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Accepts(u8);

impl Accepts {
    /// Everything that `getaddrinfo(3)` of glibc and musl accepts.
    pub(super) const RESOLVER: Accepts = Accepts::of(&[Spelling::Parts, Spelling::Number]);
    /// Four decimal parts and IPv6 only: `inet_pton(3)`.
    pub(super) const STRICT: Accepts = Accepts::of(&[]);
    /// What some URL parser accepts: for URLs in texts that other programs will read.
    pub(super) const URL: Accepts =
        Accepts::of(&[Spelling::Parts, Spelling::Number, Spelling::Percent, Spelling::TrailingDot]);

    /// These spellings.
    pub(super) const fn of(mut list: &[Spelling]) -> Accepts {
        let mut bits = 0;
        while let [spelling, rest @ ..] = list {
            bits |= 1 << *spelling as u8;
            list = rest;
        }
        Accepts(bits)
    }

    const fn has(self, spelling: Spelling) -> bool {
        self.0 & (1 << spelling as u8) != 0
    }
}

/// A host name that is not ASCII or percent-encoded is looked at up to this
/// length: the longest name is 253 bytes, twelve times that percent-encoded UTF-8.
const LONGEST_ENCODED: usize = 4096;

/// The bytes of which addresses consist. Only a percent sign (an escape, or a zone
/// follows) and bytes beyond ASCII can become or precede others.
const SPELLS: [bool; 256] = {
    let mut spells = [false; 256];
    let list = b"0123456789abcdefABCDEFxX.:";
    let mut at = 0;
    while at < list.len() {
        spells[list[at] as usize] = true;
        at += 1;
    }
    spells
};

/// The address that a host's text (without brackets) stands for.
pub(super) fn host(text: &[u8], accepts: Accepts) -> Option<IpAddr> {
    // Most names are no address for one of their first letters.
    match text.iter().find(|byte| !SPELLS[usize::from(**byte)]) {
        None => return ascii_host(text, accepts),
        Some(b'%' | 0x80..) => {}
        Some(_) => return None,
    }
    if let Some(address) = ascii_host(text, accepts) {
        return Some(address);
    }
    let encoded = accepts.has(Spelling::Percent) && text.contains(&b'%');
    let unicode = accepts.has(Spelling::Unicode) && (encoded || !text.is_ascii());
    if (!encoded && !unicode) || text.len() > LONGEST_ENCODED {
        return None;
    }
    let plain: Cow<'_, [u8]> =
        if encoded { percent_decode(text).into() } else { Cow::Borrowed(text) };
    if plain.is_ascii() {
        return ascii_host(&plain, accepts);
    }
    if !unicode {
        return None;
    }
    use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
    let mapped = Uts46::new()
        .to_ascii(&plain, AsciiDenyList::EMPTY, Hyphens::Allow, DnsLength::Ignore)
        .ok()?;
    ascii_host(mapped.as_bytes(), accepts)
}

fn ascii_host(text: &[u8], accepts: Accepts) -> Option<IpAddr> {
    let first = *text.first()?;
    // Every address begins with a digit, a colon or a hexadecimal letter.
    if !first.is_ascii_hexdigit() && first != b':' {
        return None;
    }
    if memchr::memchr(b':', text).is_some() {
        return ipv6(text).map(canonical);
    }
    if !first.is_ascii_digit() {
        return None;
    }
    let text = match text {
        [head @ .., b'.'] if accepts.has(Spelling::TrailingDot) => head,
        whole => whole,
    };
    if !accepts.has(Spelling::Parts) {
        return quad(text).map(IpAddr::V4);
    }
    if !accepts.has(Spelling::Number) && text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    inet_aton(text).map(IpAddr::V4)
}

/// IPv4-mapped addresses are IPv4 addresses.
fn canonical(address: Ipv6Addr) -> IpAddr {
    IpAddr::V6(address).to_canonical()
}

/// Four decimal parts without leading zeros: `inet_pton(AF_INET)`.
pub(super) fn quad(text: &[u8]) -> Option<Ipv4Addr> {
    if text.len() > "255.255.255.255".len() {
        return None;
    }
    str::from_utf8(text).ok()?.parse().ok()
}

/// An IPv6 address in any spelling, its zone dropped.
pub(super) fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    let address = match memchr::memchr(b'%', text) {
        Some(at) if at + 1 < text.len() => &text[..at],
        Some(_) => return None,
        None => text,
    };
    // The longest: eight groups of four digits, the last two as a dotted quad.
    if address.len() > 45 {
        return None;
    }
    str::from_utf8(address).ok()?.parse().ok()
}

/// An address in the strict spelling, for texts in which a host is only one of
/// many things: data fields, headers.
pub(super) fn strict(text: &[u8]) -> Option<IpAddr> {
    match quad(text) {
        Some(address) => Some(IpAddr::V4(address)),
        None => ipv6(text).filter(|address| plausible(*address, text)).map(canonical),
    }
}

/// Whether a text that parses as IPv6 is meant as an address: a WWN of eight
/// pairs and hexadecimal words (`dead::beef`) parse as well.
fn plausible(address: Ipv6Addr, text: &[u8]) -> bool {
    let pairs = text.split(|byte| *byte == b':').all(|group| group.len() == 2);
    let first = address.segments()[0];
    let assigned = first >> 13 == 1
        || first >> 9 == 0x7e
        || first >> 8 == 0xfe
        || first >> 8 == 0xff
        || first == 0
        || first == 0x64
        || first == 0x100;
    // `::` alone is a name of C++, Perl or rsync.
    !pairs && assigned && text != b"::"
}

/// One to four parts, each decimal, octal (leading 0) or hexadecimal (leading
/// 0x); the last part fills the bytes that are left.
///
/// As glibc's `__inet_aton_exact` (resolv/inet_addr.c) and curl's
/// `ipv4_normalize` (lib/urlapi.c) read it; any number of leading zeros is fine.
pub(super) fn inet_aton(text: &[u8]) -> Option<Ipv4Addr> {
    let mut value: u32 = 0;
    let mut parts = text.split(|byte| *byte == b'.').peekable();
    let mut index = 0;
    while let Some(part) = parts.next() {
        let number = number(part)?;
        match (parts.peek().is_some(), index) {
            (true, 0..=2) if number <= 0xff => value |= number << (24 - 8 * index),
            (false, 0) => value = number,
            (false, 1..=3) if number >> (32 - 8 * index) == 0 => value |= number,
            _ => return None,
        }
        index += 1;
    }
    Some(Ipv4Addr::from_bits(value))
}

/// A number as `strtoul(3)` with base 0 reads it, without sign and blanks.
fn number(text: &[u8]) -> Option<u32> {
    let (digits, radix) = match text {
        [b'0', b'x' | b'X', digits @ ..] => (digits, 16),
        [b'0', digits @ ..] if !digits.is_empty() => (digits, 8),
        digits => (digits, 10),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: u32 = 0;
    for digit in digits {
        let digit = char::from(*digit).to_digit(radix)?;
        value = value.checked_mul(radix)?.checked_add(digit)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inet_aton_reads_parts_in_any_radix() {
        let cases: &[(&str, Option<&str>)] = &[
            ("8.8.8.8", Some("8.8.8.8")),
            ("127.1", Some("127.0.0.1")),
            ("127.0x1", Some("127.0.0.1")),
            ("0", Some("0.0.0.0")),
            ("4294967295", Some("255.255.255.255")),
            ("4294967296", None),
            ("0x7f.1", Some("127.0.0.1")),
            ("010.8.8.8", Some("8.8.8.8")),
            ("0000000010.0x8.8.8", Some("8.8.8.8")),
            ("08.8.8.8", None),
            ("256.1.1.1", None),
            ("1.2.3.256", None),
            ("1.2.65536", None),
            ("1.2.65535", Some("1.2.255.255")),
            ("1.16777216", None),
            ("1.2.3.4.5", None),
            ("1.2.3.", None),
            ("", None),
            (".", None),
            ("0x", None),
            ("1.2.3.4 ", None),
            ("-1", None),
            ("+1", None),
        ];
        for (text, want) in cases {
            assert_eq!(
                inet_aton(text.as_bytes()),
                want.map(|want| want.parse().expect(want)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_host_is_read_as_the_tool_accepts_it() {
        let all = Accepts::of(&[
            Spelling::Parts,
            Spelling::Number,
            Spelling::Percent,
            Spelling::Unicode,
            Spelling::TrailingDot,
        ]);
        let no_number = Accepts::of(&[Spelling::Parts]);
        let cases: &[(&str, Accepts, Option<&str>)] = &[
            ("8.8.8.8.", all, Some("8.8.8.8")),
            ("8.8.8.8.", Accepts::RESOLVER, None),
            ("8.8.8.8..", all, None),
            ("%38.8.8.8", all, Some("8.8.8.8")),
            ("%38.8.8.8", Accepts::RESOLVER, None),
            ("８.８.８.８", all, Some("8.8.8.8")),
            ("8。8｡8．8", all, Some("8.8.8.8")),
            ("①.①.①.①", all, Some("1.1.1.1")),
            ("%EF%BC%98.8.8.8", all, Some("8.8.8.8")),
            ("８.8.8.8", Accepts::RESOLVER, None),
            ("134744072", Accepts::RESOLVER, Some("8.8.8.8")),
            ("134744072", no_number, None),
            ("0x08080808", no_number, Some("8.8.8.8")),
            ("10.1", Accepts::STRICT, None),
            ("::ffff:8.8.8.8", Accepts::STRICT, Some("8.8.8.8")),
            ("FE80::1%eth0", Accepts::STRICT, Some("fe80::1")),
            ("::8.8.8.8", Accepts::STRICT, Some("::808:808")),
            ("fe80::1%", Accepts::STRICT, None),
            ("1:2:3:4:5:6:7", Accepts::STRICT, None),
            ("cafe", all, None),
        ];
        for (text, accepts, want) in cases {
            let got = host(text.as_bytes(), *accepts).map(|address| address.to_string());
            assert_eq!(got.as_deref(), *want, "{text}");
        }
    }

    #[test]
    fn words_and_hardware_addresses_are_not_meant_as_addresses() {
        for text in [
            "dead::beef",
            "50:06:01:60:3b:20:19:0b",
            "cafe::",
            "1.2.3",
            "01.2.3.4",
            "1.2.3.4.5",
            "12:30:45",
        ] {
            assert_eq!(strict(text.as_bytes()), None, "{text}");
        }
        for text in ["2001:db8::1", "::1", "fd00::1", "10.0.0.1", "fe80::1%eth0"] {
            assert!(strict(text.as_bytes()).is_some(), "{text}");
        }
    }
}
