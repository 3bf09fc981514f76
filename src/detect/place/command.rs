//! Commands inside arguments: split as a shell does, the tool found behind
//! wrappers, and read with its own grammar.

use super::{DEEPEST, Reader};
use crate::detect::grammar::Standing;
use crate::detect::options::Piece;
use crate::detect::tool::Found;
use crate::event::base_name;

/// Whether a word sets a variable: `NAME=value`.
pub(super) fn is_assignment(word: &[u8]) -> bool {
    match memchr::memchr(b'=', word) {
        Some(at) if at > 0 => {
            word[..at].iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
                && !word[0].is_ascii_digit()
        }
        _ => false,
    }
}

/// A program and its arguments. An address in it is in the nested command.
pub(super) fn argv<'r>(reader: &mut Reader<'r>, words: &[Piece<'_>]) {
    let Some((program, arguments)) = words.split_first() else { return };
    if reader.depth >= DEEPEST {
        return;
    }
    let programs = reader.programs;
    let mut rest = arguments;
    let found = match programs.find(program.bytes) {
        Some(Found::MultiCall) => {
            let applet = loop {
                let Some((applet, after)) = rest.split_first() else { return };
                rest = after;
                if !matches!(programs.find(applet.bytes), Some(Found::MultiCall)) {
                    break applet;
                }
            };
            programs.applet(applet.bytes).or_else(|| match programs.find(applet.bytes) {
                Some(Found::Program(program)) => Some(program),
                _ => None,
            })
        }
        Some(Found::Program(program)) => Some(program),
        None => None,
    };
    let Some(found) = found else { return };
    let grammar = &*found.grammar;
    if grammar.standing == Standing::Shell && reader.joined {
        reader.sink.shell(*program, reader.role);
    }
    let outer = (reader.within.len(), reader.role, reader.joined, reader.wrapper);
    reader.wrapper = grammar.standing != Standing::Tool;
    if !reader.wrapper {
        let nested = if reader.within.is_empty() { "" } else { ", " };
        let role = if reader.role.is_empty() { "command" } else { reader.role };
        for part in [nested, &found.name, " in ", role] {
            reader.within.push_str(part);
        }
        reader.joined = false;
    }
    reader.depth += 1;
    reader.arguments(grammar, rest.iter().copied());
    reader.depth -= 1;
    reader.within.truncate(outer.0);
    (reader.role, reader.joined, reader.wrapper) = (outer.1, outer.2, outer.3);
}

/// A program and its arguments between blanks, quotes kept together.
pub(super) fn program(reader: &mut Reader<'_>, piece: Piece<'_>) {
    lines(reader, piece);
}

/// A command line for a shell.
pub(super) fn shell(reader: &mut Reader<'_>, piece: Piece<'_>) {
    lines(reader, piece);
}

/// Words that are joined with blanks and given to a shell: ssh's remote command.
pub(super) fn shell_words(reader: &mut Reader<'_>, words: &[Piece<'_>]) {
    match words {
        [] => {}
        [one] => shell(reader, *one),
        [first, ..] => {
            let length = words.iter().map(|word| word.bytes.len() + 1).sum();
            if reader.afford(length) {
                let mut line = Vec::with_capacity(length);
                for word in words {
                    line.extend_from_slice(word.bytes);
                    line.push(b' ');
                }
                shell(reader, first.decoded(&line));
            }
        }
    }
}

/// Reads every simple command of a shell text.
fn lines(reader: &mut Reader<'_>, piece: Piece<'_>) {
    if reader.depth >= DEEPEST || !reader.afford(piece.bytes.len()) {
        return;
    }
    let mut substitutions: Vec<Piece<'_>> = Vec::new();
    let commands = split(piece, &mut substitutions);
    for (index, command) in commands.iter().enumerate() {
        let words: Vec<Piece<'_>> = command.words.iter().map(|word| word.piece(piece)).collect();
        network_files(reader, &words);
        let start = words
            .iter()
            .position(|word| !is_assignment(word.bytes) && !is_keyword(word.bytes))
            .unwrap_or(words.len());
        let words = words.get(start..).unwrap_or_default();
        argv(reader, words);
        if command.piped
            && let Some(next) = commands.get(index + 1)
        {
            piped(reader, words, next, piece);
        }
    }
    for text in substitutions {
        reader.depth += 1;
        lines(reader, text);
        reader.depth -= 1;
    }
}

/// A network tool whose output a shell reads.
fn piped(reader: &mut Reader<'_>, from: &[Piece<'_>], into: &Command, whole: Piece<'_>) {
    const TALKERS: [&[u8]; 8] = [
        b"nc",
        b"netcat",
        b"ncat",
        b"nc.openbsd",
        b"nc.traditional",
        b"telnet",
        b"socat",
        b"busybox",
    ];
    let talks = |word: &Piece<'_>| TALKERS.contains(&base_name(word.bytes));
    let listens = into
        .words
        .first()
        .map(|word| word.piece(whole))
        .filter(|word| is_shell(reader, word.bytes))
        .is_some();
    if let Some(tool) = from.iter().find(|word| talks(word))
        && listens
    {
        reader.sink.shell(*tool, "output piped into a shell");
    }
}

fn is_shell(reader: &Reader<'_>, word: &[u8]) -> bool {
    matches!(reader.programs.find(word), Some(Found::Program(program)) if program.grammar.standing == Standing::Shell)
}

/// bash's `/dev/tcp/host/port` and `/dev/udp/host/port`.
fn network_files(reader: &mut Reader<'_>, words: &[Piece<'_>]) {
    for word in words {
        let Some(at) = memchr::memmem::find(word.bytes, b"/dev/tcp/")
            .or_else(|| memchr::memmem::find(word.bytes, b"/dev/udp/"))
        else {
            continue;
        };
        let rest = word.from(at + "/dev/tcp/".len());
        if let Some((host, _)) = rest.split_once(b'/') {
            reader.host(host);
        }
    }
}

fn is_keyword(word: &[u8]) -> bool {
    const WORDS: [&[u8]; 12] = [
        b"if",
        b"then",
        b"elif",
        b"else",
        b"while",
        b"until",
        b"do",
        b"!",
        b"{",
        b"time",
        b"coproc",
        b"function",
    ];
    WORDS.contains(&word)
}

/// A simple command.
struct Command {
    words: Vec<Word>,
    /// Its output goes to the next one.
    piped: bool,
}

/// A word: literally in the text, or unquoted from it.
enum Word {
    At(usize, usize),
    Unquoted(Vec<u8>),
}

impl Word {
    fn piece<'a>(&'a self, whole: Piece<'a>) -> Piece<'a> {
        match self {
            Word::At(start, end) => whole.part(*start..*end),
            Word::Unquoted(bytes) => whole.decoded(bytes),
        }
    }
}

/// Splits a shell text into simple commands. What stands in `$(…)` and in
/// backquotes is text of its own. Linear: every byte is looked at once here.
fn split<'a>(piece: Piece<'a>, substitutions: &mut Vec<Piece<'a>>) -> Vec<Command> {
    let bytes = piece.bytes;
    let mut commands = Vec::new();
    let mut words = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b' ' | b'\t' | b'\r' | b'<' | b'>' => at += 1,
            b'\n' | b';' | b'&' | b'|' | b'(' | b')' => {
                let piped = bytes[at] == b'|'
                    && bytes.get(at + 1) != Some(&b'|')
                    && (at == 0 || bytes[at - 1] != b'|');
                if !words.is_empty() {
                    commands.push(Command { words: std::mem::take(&mut words), piped });
                }
                at += 1;
            }
            b'#' => at = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |end| at + end),
            _ => {
                let (word, end) = word(piece, at, substitutions);
                words.push(word);
                at = end;
            }
        }
    }
    if !words.is_empty() {
        commands.push(Command { words, piped: false });
    }
    commands
}

/// The word that begins at `start`, and where it ends.
fn word<'a>(piece: Piece<'a>, start: usize, substitutions: &mut Vec<Piece<'a>>) -> (Word, usize) {
    let bytes = piece.bytes;
    let mut plain: Option<Vec<u8>> = None;
    let mut quote = 0;
    let mut at = start;
    while let Some(byte) = bytes.get(at).copied() {
        let ends = matches!(
            byte,
            b' ' | b'\t' | b'\r' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>'
        );
        match (quote, byte) {
            (0, _) if ends => break,
            (0 | b'"', b'$') if bytes.get(at + 1) == Some(&b'(') => {
                let end = closing(&bytes[at + 2..]).map_or(bytes.len(), |end| at + 2 + end);
                substitutions.push(piece.part(at + 2..end));
                plain.get_or_insert_with(|| bytes[start..at].to_vec());
                at = end;
            }
            (0 | b'"', b'`') => {
                let end =
                    memchr::memchr(b'`', &bytes[at + 1..]).map_or(bytes.len(), |end| at + 1 + end);
                substitutions.push(piece.part(at + 1..end));
                plain.get_or_insert_with(|| bytes[start..at].to_vec());
                at = end;
            }
            (0, b'\'' | b'"') => {
                plain.get_or_insert_with(|| bytes[start..at].to_vec());
                quote = byte;
            }
            (b'\'' | b'"', _) if byte == quote => quote = 0,
            (0 | b'"', b'\\') => {
                let plain = plain.get_or_insert_with(|| bytes[start..at].to_vec());
                at += 1;
                plain.extend(bytes.get(at));
            }
            _ => {
                if let Some(plain) = &mut plain {
                    plain.push(byte);
                }
            }
        }
        at += 1;
    }
    let at = at.min(bytes.len());
    match plain {
        Some(plain) => (Word::Unquoted(plain), at),
        None => (Word::At(start, at), at),
    }
}

/// Where the `)` stands that closes a substitution.
fn closing(bytes: &[u8]) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 0 => return Some(at),
            b')' => depth -= 1,
            _ => {}
        }
    }
    None
}
