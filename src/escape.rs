//! Showing text that a build controls: every character that would not show as
//! itself is written out, so that it can neither command the terminal nor hide,
//! move or imitate other text.

use std::borrow::Cow;
use unicode_width::UnicodeWidthChar;

/// Whether a character does something else than fill cells of the line with a
/// shape of its own: controls, bidirectional and zero-width characters, blanks
/// that are not the space, private use.
pub fn is_hidden(c: char) -> bool {
    match c {
        ' '..='~' => false,
        // Blanks of other widths look like the space between two arguments.
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
            true
        }
        // Soft hyphen, braille blank and Hangul fillers: nothing to see, though some are given a width.
        '\u{ad}' | '\u{2800}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' => true,
        // Line and paragraph separators, bidirectional controls, invisible operators.
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{61c}' => {
            true
        }
        // Interlinear annotation, object replacement; noncharacters.
        '\u{fff9}'..='\u{fffc}' | '\u{fdd0}'..='\u{fdef}' => true,
        // Private use shows as whatever the font likes. Tags and more selectors lie between.
        '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}' => true,
        _ => c as u32 & 0xfffe == 0xfffe || c.is_control() || c.width().is_none_or(|w| w == 0),
    }
}

/// Appends `c` as an escape: `\n`, `\x1b`, `\u{202e}`.
pub fn push_escaped(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if c.is_ascii() => push_byte(out, c as u8),
        c => out.extend(c.escape_unicode()),
    }
}

/// Appends a byte that is no character as `\xff`.
pub fn push_byte(out: &mut String, byte: u8) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    out.push_str("\\x");
    out.push(DIGITS[usize::from(byte >> 4)]);
    out.push(DIGITS[usize::from(byte & 15)]);
}

/// The text with everything hidden written out, and `\` as `\\` so that what is
/// written out cannot be mistaken for what was there.
pub fn visible(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(|c| c == '\\' || is_hidden(c)) => Cow::Borrowed(text),
        _ => {
            let mut out = String::with_capacity(bytes.len() + 16);
            for chunk in bytes.utf8_chunks() {
                for c in chunk.valid().chars() {
                    match c {
                        '\\' => out.push_str("\\\\"),
                        c if is_hidden(c) => push_escaped(&mut out, c),
                        c => out.push(c),
                    }
                }
                chunk.invalid().iter().for_each(|byte| push_byte(&mut out, *byte));
            }
            Cow::Owned(out)
        }
    }
}

/// How many bytes the first character of [`visible`] text takes; what is written out for one
/// is as one. 0 when there is none.
pub fn unit(text: &str) -> usize {
    let first = text.chars().next().map_or(0, char::len_utf8);
    let Some(escape) = text.strip_prefix('\\') else { return first };
    let length = match escape.bytes().next() {
        Some(b'\\' | b'n' | b'r' | b't') => 1,
        Some(b'x') => 3,
        Some(b'u') => escape.bytes().take(10).position(|byte| byte == b'}').map_or(0, |at| at + 1),
        _ => 0,
    };
    // A `\` that stands for itself may be before anything.
    if escape.is_char_boundary(length) { first + length } else { first }
}

/// Prose of our own that may quote a build's text: as [`visible`], but `\` stays,
/// because whoever wrote the prose has written out what it quotes.
pub fn prose(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) { push_escaped(&mut out, c) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// Where a line would be a command to the runner of a CI system in whose log it is
/// printed: the places of a character each that, written out, leaves none. It is
/// `::name::…` at the line's beginning (GitHub), and `##[name]` or `##name[…]` anywhere in
/// it (GitHub, Azure, TeamCity).
pub fn commands(line: &str) -> Vec<usize> {
    let mut places = Vec::new();
    let begin = line.len() - line.trim_start_matches(' ').len();
    if let Some(rest) = line[begin..].strip_prefix("::")
        && rest.contains("::")
    {
        places.push(begin);
    }
    let mut rest = line;
    while let Some(at) = rest.find("##") {
        let name = rest[at..].trim_start_matches('#');
        rest = name.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        if rest.starts_with('[') {
            places.push(line.len() - rest.len());
        }
    }
    places
}

/// The lines without [`commands`]: a character of each is written out.
pub fn defused(text: &str) -> Cow<'_, str> {
    rewritten(text, push_escaped)
}

/// The same of HTML or XML, in which a character can be written out and stay what it is.
pub fn defused_markup(text: &str) -> Cow<'_, str> {
    rewritten(text, |out, c| out.push_str(&format!("&#{};", u32::from(c))))
}

/// The text with a character of each command in its lines written by `write`.
fn rewritten(text: &str, write: impl Fn(&mut String, char)) -> Cow<'_, str> {
    let mut out = String::new();
    let (mut begin, mut done) = (0, 0);
    for line in text.split_inclusive('\n') {
        for at in commands(line) {
            out.push_str(&text[done..begin + at]);
            text[begin + at..].chars().take(1).for_each(|c| write(&mut out, c));
            // Both characters that are written out are ASCII.
            done = begin + at + 1;
        }
        begin += line.len();
    }
    match done {
        0 => Cow::Borrowed(text),
        _ => Cow::Owned(out + &text[done..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_a_command() {
        let cases = [
            ("  ::error::x", "  \\x3a:error::x"),
            ("a\n::error::x\n", "a\n\\x3a:error::x\n"),
            ("::1 stands as host", "::1 stands as host"),
            ("x ::error::x", "x ::error::x"),
            ("x ##[error]y ##vso[z]", "x ##\\x5berror]y ##vso\\x5bz]"),
            ("##a##b[x]#c[y]", "##a##b\\x5bx]#c[y]"),
            ("###[x]\nü##ü[##[", "###\\x5bx]\nü##ü[##\\x5b"),
            ("## [x] # [y]", "## [x] # [y]"),
        ];
        for (text, want) in cases {
            assert_eq!(defused(text), want, "{text}");
        }
        assert_eq!(defused_markup("::a::\n##b[ü"), "&#58;:a::\n##b&#91;ü");
        // As long as an argument may be, and read once.
        assert_eq!(defused(&"#".repeat(2 << 20)).len(), 2 << 20);
    }

    #[test]
    fn nothing_hidden_stays_hidden() {
        let cases: [(&[u8], &str); 14] = [
            (b"", ""),
            (b"curl -s", "curl -s"),
            ("größe 日本 🦀".as_bytes(), "größe 日本 🦀"),
            (b"\x1b[2J\x07", "\\x1b[2J\\x07"),
            (b"a\nb\tc\r", "a\\nb\\tc\\r"),
            (b"\x7f\0", "\\x7f\\x00"),
            (b"\\x1b", "\\\\x1b"),
            (b"\xff\xc3(", "\\xff\\xc3("),
            ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
            ("a\u{202e}b\u{2066}".as_bytes(), "a\\u{202e}b\\u{2066}"),
            ("\u{200b}\u{feff}\u{ad}".as_bytes(), "\\u{200b}\\u{feff}\\u{ad}"),
            ("a\u{a0}b\u{3000}".as_bytes(), "a\\u{a0}b\\u{3000}"),
            ("e\u{301}\u{fe0f}".as_bytes(), "e\\u{301}\\u{fe0f}"),
            ("\u{e0041}\u{f8ff}\u{ffff}".as_bytes(), "\\u{e0041}\\u{f8ff}\\u{ffff}"),
        ];
        for (bytes, want) in cases {
            assert_eq!(visible(bytes), want, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_written_out_is_one() {
        let cases = [
            ("", 0),
            ("ab", 1),
            ("🦀b", 4),
            ("\\nb", 2),
            ("\\\\b", 2),
            ("\\x1bb", 4),
            ("\\u{202e}b", 8),
            ("\\u{10ffff}b", 10),
            // Nothing of ours.
            ("\\", 1),
            ("\\a", 1),
            ("\\x1", 1),
            ("\\xé🦀", 4),
            ("\\xa🦀", 1),
            ("\\uabcdefghijk}", 1),
        ];
        for (text, want) in cases {
            assert_eq!(unit(text), want, "{text}");
        }
    }

    #[test]
    fn prose_keeps_its_backslashes() {
        assert_eq!(prose("the argument \\x1b\u{202e}"), "the argument \\x1b\\u{202e}");
    }
}
