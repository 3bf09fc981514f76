//! The words of a shell command line, roughly: enough to see which option a value
//! belongs to.

use std::ops::Range;

/// Whether an argument may be a command line of its own.
pub(super) fn has_several(bytes: &[u8]) -> bool {
    memchr::memchr3(b' ', b'\t', b'\n', bytes).is_some()
}

/// The words, without quotes around them.
pub(super) fn of(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += bytes.get(at..)?.iter().position(|byte| !ends_word(*byte))?;
        let word = match bytes[at] {
            quote @ (b'"' | b'\'') => {
                let start = at + 1;
                let rest = &bytes[start..];
                start..start + memchr::memchr(quote, rest).unwrap_or(rest.len())
            }
            _ => {
                let rest = &bytes[at..];
                at..at + rest.iter().position(|byte| ends_word(*byte)).unwrap_or(rest.len())
            }
        };
        // Past the closing quote, where there is one.
        at = word.end + usize::from(word.start > at);
        Some(word)
    })
}

fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b';' | b'|' | b'&' | b'(' | b')' | b'`')
}
