//! lftp's commands: `-c 'open host; get url'`.

use super::{Reader, setting, url};
use crate::detect::grammar::{Grammar, Kind};
use crate::detect::options::Piece;

/// Reads lftp commands: words between blanks, commands between `;`, `&&`, `||`,
/// `|`, `&` and line ends.
pub(super) fn commands<'r>(reader: &mut Reader<'r>, grammar: &'r Grammar, piece: Piece<'_>) {
    let mut verb: Option<Piece<'_>> = None;
    let mut rest = Some(piece);
    let mut value_next = false;
    while let Some(text) = rest.take() {
        let text =
            text.from(text.bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count());
        let Some(first) = text.bytes.first() else { break };
        if matches!(first, b';' | b'&' | b'|' | b'\n') {
            verb = None;
            rest = Some(text.from(1));
            continue;
        }
        if *first == b'!' && verb.is_none() {
            let end = memchr::memchr(b'\n', text.bytes).unwrap_or(text.bytes.len());
            super::command::shell(reader, text.part(1..end));
            rest = Some(text.from(end));
            continue;
        }
        let (word, after) = quoted(text);
        rest = Some(after);
        let Some(name) = verb else {
            verb = Some(word);
            value_next = false;
            continue;
        };
        if name.bytes == b"set" {
            let end = memchr::memchr2(b';', b'\n', after.bytes).unwrap_or(after.bytes.len());
            let whole = text.to(text.bytes.len() - after.bytes.len() + end);
            setting::setting(reader, grammar, whole);
            rest = Some(after.from(end));
            continue;
        }
        let option = word.bytes.first() == Some(&b'-');
        if memchr::memmem::find(word.bytes, b"://").is_some() {
            url::uri(reader, word);
        } else if !option
            && !value_next
            && let Some(place) = grammar.keyword(name.bytes).and_then(|places| places.first())
            && place.kind != Kind::Setting
        {
            reader.value(grammar, word, place, Some(name));
        }
        // Of the commands that take a host only `-u`, `-p` and `-e` have values.
        value_next =
            matches!(word.bytes, b"-u" | b"-p" | b"-e" | b"--user" | b"--port" | b"--password");
    }
}

/// The first word and what follows it; quotes around the whole word are dropped.
fn quoted(text: Piece<'_>) -> (Piece<'_>, Piece<'_>) {
    if let Some(quote @ (b'"' | b'\'')) = text.bytes.first().copied()
        && let Some(end) = memchr::memchr(quote, &text.bytes[1..])
    {
        return (text.part(1..1 + end), text.from(end + 2));
    }
    let end = text
        .bytes
        .iter()
        .position(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b';' | b'&' | b'|'))
        .unwrap_or(text.bytes.len());
    // `&` and `|` belong to a URL when no blank stands before them.
    let end = if memchr::memmem::find(&text.bytes[..end], b"://").is_some() {
        text.bytes
            .iter()
            .position(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b';'))
            .unwrap_or(text.bytes.len())
    } else {
        end
    };
    // A word is never empty, or nothing would move on.
    (text.to(end.max(1)), text.from(end.max(1)))
}
