//! How a command line was read: each argument, what it is, and why an address
//! stands in it or not.

use super::grammar::{Kind, Place};
use crate::escape::visible;
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

/// What stands in a place, in words.
pub(super) fn name(place: Option<&Place>) -> String {
    let Some(place) = place else { return "option".to_owned() };
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

/// Why no address was found in a place.
pub(super) fn reason(place: Option<&Place>) -> &'static str {
    let Some(place) = place else { return "an option that this grammar does not know" };
    match place.kind {
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
