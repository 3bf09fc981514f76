//! Secrets that are spelled alike whatever the tool: `NAME_TOKEN=…`, a header, a
//! JSON member, the password in a URL.

use std::ops::Range;

/// The ends of names whose value is a secret, in any case. A name in [`WHOLE`]
/// must not be part of a longer word.
const ENDS: [&[u8]; 22] = [
    b"token",
    b"password",
    b"passwd",
    b"passphrase",
    b"secret",
    b"secretkey",
    b"secret_key",
    b"secret-key",
    b"apikey",
    b"api_key",
    b"api-key",
    b"accesskey",
    b"access_key",
    b"access-key",
    b"privatekey",
    b"private_key",
    b"private-key",
    b"account_key",
    b"accountkey",
    b"signature",
    b"credential",
    b"credentials",
];
const WHOLE: [&[u8]; 4] = [b"pass", b"auth", b"pwd", b"pat"];

/// Headers whose value is a secret, besides those that end in one of [`ENDS`].
const HEADERS: [&[u8]; 3] = [b"authorization", b"cookie", b"x-registry-auth"];

/// Whether the value of something with this name is a secret.
pub(super) fn is_secret_name(name: &[u8]) -> bool {
    ENDS.iter().any(|end| ends_with(name, end))
        || WHOLE.iter().any(|end| {
            ends_with(name, end)
                && !name[..name.len() - end.len()]
                    .last()
                    .is_some_and(|before| before.is_ascii_alphanumeric())
                // The shell's own variable, not a password.
                && !name.eq_ignore_ascii_case(b"pwd")
        })
}

fn ends_with(name: &[u8], end: &[u8]) -> bool {
    name.len() >= end.len() && name[name.len() - end.len()..].eq_ignore_ascii_case(end)
}

/// Finds the secrets in an argument.
pub(super) fn read(bytes: &[u8], hide: &mut impl FnMut(Range<usize>)) {
    let mut done = 0;
    for at in memchr::memchr2_iter(b'=', b':', bytes) {
        if at < done {
            continue;
        }
        let secret = match bytes[at] {
            b'=' => assignment(bytes, at, done),
            _ if bytes[at..].starts_with(b"://") => userinfo(bytes, at),
            _ => member(bytes, at).or_else(|| header(bytes, at, done)),
        };
        if let Some(secret) = secret {
            done = secret.end;
            hide(secret);
        }
    }
}

/// The value after `NAME=`.
fn assignment(bytes: &[u8], at: usize, done: usize) -> Option<Range<usize>> {
    let name = name_before(bytes, at, done);
    if !is_secret_name(&bytes[name.clone()]) {
        return None;
    }
    // `env API_TOKEN=…`: nothing follows the value, whatever is in it. In a query
    // or a shell's command line something may.
    let variable = name.start == 0 && !bytes[name].iter().any(u8::is_ascii_lowercase);
    let whole = variable && !bytes[at..].iter().any(|byte| matches!(byte, b';' | b'|' | b' '));
    value(bytes, at + 1, whole)
}

/// The value after `"name":`, in JSON or what looks like it.
fn member(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let quote = *bytes[..at].last().filter(|byte| matches!(byte, b'"' | b'\''))?;
    let name = name_before(bytes, at - 1, 0);
    if !is_secret_name(&bytes[name]) {
        return None;
    }
    let start = at + 1 + blanks(&bytes[at + 1..]);
    let rest = bytes.get(start..)?.strip_prefix(&[quote])?;
    let start = start + 1;
    Some(start..start + closing(quote, rest))
}

/// Where a quoted text ends: at its quote, unless a backslash stands before that.
fn closing(quote: u8, text: &[u8]) -> usize {
    let mut escaped = false;
    let ends = |byte: &u8| {
        let end = *byte == quote && !escaped;
        escaped = *byte == b'\\' && !escaped;
        end
    };
    text.iter().position(ends).unwrap_or(text.len())
}

/// The value after `Name:`, up to where the header ends.
fn header(bytes: &[u8], at: usize, done: usize) -> Option<Range<usize>> {
    let name = name_before(bytes, at, done);
    let text = &bytes[name.clone()];
    let is_header = HEADERS.iter().any(|header| ends_with(text, header));
    // `token: …` may be prose; a header's name has a dash in it or stands first.
    if !is_header && !(is_secret_name(text) && (name.start == 0 || text.contains(&b'-'))) {
        return None;
    }
    let mut start = at + 1 + blanks(&bytes[at + 1..]);
    if ends_with(text, b"authorization") {
        start += scheme(&bytes[start..]);
    }
    let rest = bytes.get(start..)?;
    if is_reference(rest) {
        return None;
    }
    let end = match bytes[..name.start].last() {
        Some(quote @ (b'"' | b'\'')) => memchr::memchr2(*quote, b'\n', rest),
        _ => memchr::memchr2(b'\n', b'"', rest),
    };
    Some(start..start + end.unwrap_or(rest.len()))
}

/// The length of `Bearer ` and its like: what kind of authorization it is may be told.
fn scheme(value: &[u8]) -> usize {
    const LONGEST: usize = 16;
    let name = value.iter().take(LONGEST).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    match blanks(value.get(name..).unwrap_or_default()) {
        0 => 0,
        blanks => name + blanks,
    }
}

/// The password in `scheme://user:password@host`, or the user where that alone is
/// long enough to be a token. The colon of `://` is at `at`.
fn userinfo(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let start = at + 3;
    password_before_host(bytes.get(start..)?).map(|found| start + found.start..start + found.end)
}

/// The password in `user:password@host…`.
pub(super) fn password_before_host(bytes: &[u8]) -> Option<Range<usize>> {
    let ends = |byte: &u8| matches!(byte, b'/' | b'?' | b'#' | b' ' | b'"' | b'\'' | b'\n');
    let authority = &bytes[..bytes.iter().position(ends).unwrap_or(bytes.len())];
    let user = &authority[..memchr::memrchr(b'@', authority)?];
    match memchr::memchr(b':', user) {
        Some(colon) if colon + 1 == user.len() => Some(0..colon),
        Some(colon) => Some(colon + 1..user.len()),
        None => (user.len() >= 20).then_some(0..user.len()),
    }
    .filter(|found| !is_reference(&user[found.clone()]))
}

/// A value that begins at `start`: what is in quotes, or the word.
fn value(bytes: &[u8], start: usize, whole: bool) -> Option<Range<usize>> {
    let rest = bytes.get(start..)?;
    if is_reference(rest) {
        return None;
    }
    let found = match rest.first()? {
        quote @ (b'"' | b'\'') => {
            let inner = &rest[1..];
            start + 1..start + 1 + closing(*quote, inner)
        }
        _ if whole => start..bytes.len(),
        _ => {
            let ends = |byte: &u8| {
                byte.is_ascii_whitespace()
                    || matches!(byte, b'&' | b';' | b'|' | b'"' | b'\'' | b')' | b'`' | b'<' | b'>')
            };
            start..start + rest.iter().position(ends).unwrap_or(rest.len())
        }
    };
    let says_nothing = [&b"true"[..], b"false", b"none", b"null"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(&bytes[found.clone()]));
    (!says_nothing).then_some(found)
}

/// Whether a value that begins so only says where the secret is: a variable, a file,
/// an id. Looks at the beginning alone: whoever asks before looking for the value's
/// end stays linear.
pub(super) fn is_reference(value: &[u8]) -> bool {
    matches!(value.first(), None | Some(b'$' | b'@' | b'%')) || value.starts_with(b"id=")
}

/// The name that ends before `at`, of which no more than its end is looked at.
fn name_before(bytes: &[u8], at: usize, done: usize) -> Range<usize> {
    const LONGEST: usize = 64;
    let from = at.saturating_sub(LONGEST).max(done.min(at));
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let length = bytes[from..at].iter().rev().take_while(|byte| in_name(byte)).count();
    at - length..at
}

fn blanks(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}
