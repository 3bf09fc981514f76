//! Values that look as if they had been drawn at random. Looked for only where a secret
//! is likely to stand: elsewhere they are digests, commits and names of caches.

use std::ops::Range;

/// The length of a random piece at least.
const LEAST: usize = 16;
/// A longer value is no secret that somebody typed or pasted into an option.
const LONGEST: usize = 1024;

/// Names of what is random and no secret, or their parts.
const PUBLIC: [&[u8]; 14] = [
    b"sha",
    b"digest",
    b"commit",
    b"revision",
    b"checksum",
    b"hash",
    b"version",
    b"tag",
    b"image",
    b"ref",
    b"path",
    b"file",
    b"url",
    b"date",
];

/// Options whose value is a secret where it looks random.
const OPTIONS: [&[u8]; 8] =
    [b"key", b"bearer", b"jwt", b"session", b"session-id", b"sid", b"cred", b"creds"];

/// Options whose value is `NAME=VALUE` or `Name: value`.
const ASSIGNMENTS: [&[u8]; 8] =
    [b"env", b"build-arg", b"set", b"set-string", b"from-literal", b"header", b"define", b"opt"];

/// Where in an option's value something random may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// All of it.
    Whole,
    /// What follows a name.
    Assigned,
}

/// Where a secret may be in the value of the long option called `name`.
pub(super) fn option(name: &[u8]) -> Option<Where> {
    if OPTIONS.contains(&name) {
        return Some(Where::Whole);
    }
    ASSIGNMENTS.contains(&name).then_some(Where::Assigned)
}

/// The part of a value that looks random.
pub(super) fn find(value: &[u8], place: Where) -> Option<Range<usize>> {
    let start = match place {
        Where::Whole => 0,
        Where::Assigned => {
            let at = memchr::memchr2(b'=', b':', value)?;
            let name = value[..at].to_ascii_lowercase();
            if PUBLIC.iter().any(|public| memchr::memmem::find(&name, public).is_some()) {
                return None;
            }
            let blanks = value[at + 1..].iter().take_while(|byte| **byte == b' ').count();
            at + 1 + blanks
        }
    };
    let rest = &value[start..];
    (rest.len() <= LONGEST && is_random(rest)).then_some(start..value.len())
}

/// Whether one piece of it has letters of both cases and digits, and changes between
/// them as often as chance does. A capital before a small letter does not count, which
/// is how words are put together; then chance changes 0.44 times a character on average,
/// and such words at most 0.25 times.
fn is_random(value: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=_-.".contains(byte);
    if !value.iter().all(allowed) {
        return false;
    }
    value.split(|byte| !byte.is_ascii_alphanumeric()).any(|piece| {
        let count = |class: fn(&u8) -> bool| piece.iter().filter(|byte| class(byte)).count();
        let class = |byte: u8| (byte.is_ascii_digit(), byte.is_ascii_uppercase());
        let is_word = |a: u8, b: u8| a.is_ascii_uppercase() && b.is_ascii_lowercase();
        let changes = piece
            .windows(2)
            .filter(|pair| class(pair[0]) != class(pair[1]) && !is_word(pair[0], pair[1]))
            .count();
        piece.len() >= LEAST
            && count(u8::is_ascii_digit) >= 1
            && count(u8::is_ascii_uppercase) >= 2
            && count(u8::is_ascii_lowercase) >= 2
            && 7 * changes >= 2 * piece.len()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_told_from_words() {
        let cases = [
            ("wJalrXUtnFEMIK7MDENGbPxRfiCY", true),
            ("q8Zk2LmX0vB7nR4tY1cD", true),
            ("a-q8Zk2LmX0vB7nR4tY1cD+x/Q==", true),
            ("q8Zk2LmX0vB7nR4", false),
            ("ReleaseBuild2024Version99", false),
            ("MyLongCamelCaseName12AndMore", false),
            ("0123456789abcdef0123456789abcdef01234567", false),
            ("linux-x64-Release-2024-Build", false),
            ("q8Zk2LmX0vB7nR4tY1cD with a blank", false),
            ("", false),
        ];
        for (value, want) in cases {
            assert_eq!(is_random(value.as_bytes()), want, "{value}");
        }
    }
}
