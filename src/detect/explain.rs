//! How a command line was read: each argument, what it is, and why an address
//! stands in it or not.

use super::grammar::{Kind, Place};
use super::options::Piece;
use crate::escape::visible;
use std::net::IpAddr;
use std::ops::Range;

/// How the command line of one exec was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The arguments and their parts, in order; at most [`Reading::MOST`].
    pub arguments: Vec<Argument>,
    /// How many more there were.
    pub more: usize,
}

impl Reading {
    /// How many arguments a reading carries.
    pub const MOST: usize = 64;

    /// The reading as plain text, a line for each argument. What could act on a
    /// terminal is written out.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.arguments.iter().map(Argument::line).collect();
        if self.more > 0 {
            lines.push(format!("… and {} more arguments without an address", self.more));
        }
        lines
    }
}

/// One argument, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Index into argv.
    pub argument: usize,
    /// Where in the argument it stands, when it stands there literally.
    pub span: Option<Range<usize>>,
    /// The text, cut at [`Argument::LONGEST`] bytes.
    pub text: Vec<u8>,
    /// How deep in nested commands.
    pub depth: usize,
    /// The option whose value this is.
    pub option: Option<Vec<u8>>,
    /// What it is, such as `URL` or `option`.
    pub is: String,
    /// The addresses in it.
    pub addresses: Vec<String>,
    /// Why there is an address in it, or none.
    pub because: String,
}

impl Argument {
    /// How many bytes of an argument a reading carries.
    pub const LONGEST: usize = 256;

    fn line(&self) -> String {
        let text = visible(&self.text);
        let option = self
            .option
            .as_ref()
            .map_or_else(String::new, |option| format!(" of {}", visible(option)));
        let addresses = if self.addresses.is_empty() {
            String::new()
        } else {
            format!(": {}", self.addresses.join(", "))
        };
        format!(
            "{}argv[{}] {text} — {}{option}{addresses} ({})",
            "  ".repeat(self.depth),
            self.argument,
            self.is,
            self.because
        )
    }
}

/// Collects a reading.
#[derive(Debug, Default)]
pub(super) struct Explainer {
    pub(super) reading: Reading,
    /// Whether the last argument was dropped, and what is found in it with it.
    dropped: bool,
}

impl Explainer {
    pub(super) fn place(
        &mut self,
        piece: Piece<'_>,
        place: Option<&Place>,
        option: Option<&[u8]>,
        depth: usize,
    ) {
        // Room is kept so that an argument with an address is never crowded out by others.
        self.dropped = self.reading.arguments.len() >= Reading::MOST;
        if self.dropped {
            let unremarkable =
                self.reading.arguments.iter().rposition(|argument| argument.addresses.is_empty());
            self.reading.more += 1;
            match unremarkable {
                Some(at) if place.is_some_and(|place| can_hold_a_host(place.kind)) => {
                    self.reading.arguments.remove(at);
                    self.dropped = false;
                }
                _ => return,
            }
        }
        let (is, because) = match place {
            None => ("option".to_owned(), "an option that this grammar does not know".to_owned()),
            Some(place) if place.kind == Kind::Flag => {
                ("option".to_owned(), "an option without a value".to_owned())
            }
            Some(place) => (name(place), reason(place.kind).to_owned()),
        };
        self.reading.arguments.push(Argument {
            argument: piece.argument,
            span: piece.start.map(|start| start..start + piece.bytes.len()),
            text: piece.bytes[..piece.bytes.len().min(Argument::LONGEST)].to_vec(),
            depth,
            option: option.map(<[u8]>::to_vec),
            is,
            addresses: Vec::new(),
            because,
        });
    }

    pub(super) fn address(&mut self, address: IpAddr, role: &str) {
        if let Some(last) = self.last()
            && last.addresses.len() < Reading::MOST
        {
            last.addresses.push(address.to_string());
            last.because = format!("{role}: the tool reads it as an address");
        }
    }

    pub(super) fn note(&mut self, note: &str) {
        if let Some(last) = self.last() {
            note.clone_into(&mut last.because);
        }
    }

    fn last(&mut self) -> Option<&mut Argument> {
        if self.dropped { None } else { self.reading.arguments.last_mut() }
    }
}

fn can_hold_a_host(kind: Kind) -> bool {
    !matches!(kind, Kind::Flag | Kind::Text | Kind::AccessList)
}

fn name(place: &Place) -> String {
    if !place.role.is_empty() {
        return place.role.to_string();
    }
    let name = match place.kind {
        Kind::Flag => "option",
        Kind::Text => "text",
        Kind::AccessList => "access list",
        Kind::Shell | Kind::ShellRest | Kind::Program | Kind::Argv | Kind::EnvArgv => "command",
        _ => "host",
    };
    name.to_owned()
}

/// Why no address was found in a value of this kind; replaced when one is.
fn reason(kind: Kind) -> &'static str {
    match kind {
        Kind::Flag => "an option without a value",
        Kind::Text | Kind::ProgramName => "no host can stand here",
        Kind::AccessList => "a list of who is let in or left out: no contact",
        Kind::Shell | Kind::ShellRest | Kind::Program | Kind::Argv | Kind::EnvArgv => {
            "read as a command"
        }
        Kind::ScpPath | Kind::RsyncPath | Kind::SftpPath => {
            "no address before the colon of a remote path"
        }
        Kind::Data | Kind::RawData | Kind::FormField | Kind::EncodedField => {
            "no field whose value is an address, no URL with one"
        }
        Kind::Header => "no header that names a host, no URL with an address",
        Kind::Setting => "a setting; its value is read when it can name a host",
        Kind::Socat | Kind::LftpCommands => "read word by word",
        _ => "a name, or nothing that this tool takes for an address",
    }
}
