//! Commands inside arguments: split as a shell does, the tool found behind
//! wrappers, and read with its own grammar.

use super::{DEEPEST, Reader};
use crate::detect::grammar::Standing;
use crate::detect::options::Piece;
use crate::detect::tool::Found;
use crate::event::base_name;

/// Whether a word sets a variable: `NAME=value`.
pub(super) fn is_assignment(word: &[u8]) -> bool {
    let name = word.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_');
    word.first().is_some_and(|first| !matches!(first, b'=' | b'0'..=b'9'))
        && word.get(name.count()) == Some(&b'=')
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
    let grammar = found.grammar;
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

/// What is known of the simple command whose words come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    /// Its program did not come yet.
    Begins,
    /// Its words are kept.
    Read,
    /// No program that has a grammar: most commands of a script. Its words are passed over.
    Unknown,
}

/// Reads every simple command of a shell text. What stands in `$(…)` and in
/// backquotes is text of its own. Linear: every byte is looked at once at a depth.
fn lines(reader: &mut Reader<'_>, piece: Piece<'_>) {
    if reader.depth >= DEEPEST || !reader.afford(piece.bytes.len()) {
        return;
    }
    let bytes = piece.bytes;
    let files = memchr::memmem::find(bytes, b"/dev/tcp/").is_some()
        || memchr::memmem::find(bytes, b"/dev/udp/").is_some();
    let mut substitutions: Vec<Piece<'_>> = Vec::new();
    let mut words: Vec<Word> = Vec::new();
    let mut command = Command::Begins;
    // The tool whose output goes to the next command.
    let mut talker: Option<Piece<'_>> = None;
    let mut at = 0;
    while at <= bytes.len() {
        match bytes.get(at).copied().unwrap_or(b'\n') {
            b' ' | b'\t' | b'\r' | b'<' | b'>' => at += 1,
            end @ (b'\n' | b';' | b'&' | b'|' | b'(' | b')') => {
                // A word between two lines of a pipe: `a | b` but not `a || b`.
                let piped = end == b'|' && bytes.get(at + 1) != Some(&b'|');
                if command == Command::Unknown {
                    talker = None;
                } else if !words.is_empty() {
                    if files {
                        words.iter().for_each(|word| network_file(reader, word.piece(piece)));
                    }
                    talker = simple_command(reader, piece, &words, talker.take()).filter(|_| piped);
                }
                words.clear();
                command = Command::Begins;
                at += 1;
            }
            b'#' => at = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |end| at + end),
            _ => {
                let (word, end) = word(piece, at, &mut substitutions);
                at = end;
                if command == Command::Begins && !stands_before_program(word.bytes(piece)) {
                    let read = files || reader.programs.find(word.bytes(piece)).is_some();
                    command = if read { Command::Read } else { Command::Unknown };
                }
                if command != Command::Unknown {
                    words.push(word);
                }
            }
        }
    }
    for text in substitutions {
        reader.depth += 1;
        lines(reader, text);
        reader.depth -= 1;
    }
}

/// Reads one simple command, into which `talker` is piped. Its own name, when what
/// it prints can come from the other side of a connection.
fn simple_command<'a>(
    reader: &mut Reader<'_>,
    whole: Piece<'a>,
    words: &[Word],
    talker: Option<Piece<'a>>,
) -> Option<Piece<'a>> {
    let start = words.iter().position(|word| !stands_before_program(word.bytes(whole)))?;
    let words = words.get(start..)?;
    let program = words.first()?;
    let found = reader.programs.find(program.bytes(whole))?;
    if let Some(talker) = talker
        && matches!(found, Found::Program(program) if program.grammar.standing == Standing::Shell)
    {
        reader.sink.shell(talker, "output piped into a shell");
    }
    let pieces: Vec<Piece<'_>> = words.iter().map(|word| word.piece(whole)).collect();
    argv(reader, &pieces);
    let talks = |word: &&Word| TALKERS.contains(&base_name(word.bytes(whole)));
    // Behind `sudo`, `timeout` and the like too.
    words.iter().find(talks).and_then(|word| word.literal(whole))
}

/// What prints what the other side of a connection says. curl and wget are not
/// among them: a download piped into a shell is how half of the world installs.
const TALKERS: [&[u8]; 7] =
    [b"nc", b"netcat", b"ncat", b"nc.openbsd", b"nc.traditional", b"telnet", b"socat"];

/// bash's `/dev/tcp/host/port` and `/dev/udp/host/port`.
fn network_file(reader: &mut Reader<'_>, word: Piece<'_>) {
    let Some(at) = memchr::memmem::find(word.bytes, b"/dev/tcp/")
        .or_else(|| memchr::memmem::find(word.bytes, b"/dev/udp/"))
    else {
        return;
    };
    if let Some((host, _)) = word.from(at + "/dev/tcp/".len()).split_once(b'/') {
        reader.host(host);
    }
}

fn stands_before_program(word: &[u8]) -> bool {
    is_assignment(word) || is_keyword(word)
}

fn is_keyword(word: &[u8]) -> bool {
    matches!(
        word,
        b"if"
            | b"then"
            | b"elif"
            | b"else"
            | b"while"
            | b"until"
            | b"do"
            | b"!"
            | b"{"
            | b"time"
            | b"coproc"
            | b"function"
    )
}

/// A word: literally in the text, or unquoted from it.
enum Word {
    At(usize, usize),
    /// With where it began.
    Unquoted(usize, Vec<u8>),
}

impl Word {
    fn piece<'a>(&'a self, whole: Piece<'a>) -> Piece<'a> {
        match self {
            Word::At(start, end) => whole.part(*start..*end),
            Word::Unquoted(_, bytes) => whole.decoded(bytes),
        }
    }

    fn bytes<'a>(&'a self, whole: Piece<'a>) -> &'a [u8] {
        self.piece(whole).bytes
    }

    /// The word as it stands in the text.
    fn literal<'a>(&self, whole: Piece<'a>) -> Option<Piece<'a>> {
        Some(match self {
            Word::At(start, end) => whole.part(*start..*end),
            Word::Unquoted(start, bytes) => whole.part(*start..*start + bytes.len()),
        })
    }
}

/// Bytes that mean something to a shell inside a word.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let list = b" \t\r\n;&|()<>$`'\"\\";
    let mut at = 0;
    while at < list.len() {
        special[list[at] as usize] = true;
        at += 1;
    }
    special
};

/// The word that begins at `start`, and where it ends.
fn word<'a>(piece: Piece<'a>, start: usize, substitutions: &mut Vec<Piece<'a>>) -> (Word, usize) {
    let bytes = piece.bytes;
    let mut plain: Option<Vec<u8>> = None;
    let mut quote = 0;
    let mut at = start;
    while at < bytes.len() {
        let run = bytes[at..]
            .iter()
            .position(|byte| SPECIAL[usize::from(*byte)])
            .unwrap_or(bytes.len() - at);
        if run > 0 {
            if let Some(plain) = &mut plain {
                plain.extend_from_slice(&bytes[at..at + run]);
            }
            at += run;
            continue;
        }
        let byte = bytes[at];
        match (quote, byte) {
            (0, b' ' | b'\t' | b'\r' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>') => {
                break;
            }
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
        Some(plain) => (Word::Unquoted(start, plain), at),
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
