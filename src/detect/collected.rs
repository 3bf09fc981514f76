//! What a reading of a command line collects: addresses and shells for the
//! judgement, and how each argument was read for the explanation.

use super::explain::{Argument, Reading, name, reason};
use super::finding::{Address, Finding, Importance, Shell};
use super::grammar::{Kind, Place};
use super::options::Piece;
use super::policy::{Context, Policy};
use super::scope::{Scope, scope};
use std::net::IpAddr;
use std::ops::Range;

/// How many of the last addresses are compared with, so that one that is read
/// twice is told once.
const RECENT: usize = 16;

/// The longest text of an address or a shell that a finding carries, in bytes.
const LONGEST: usize = 4096;

/// How many arguments are explained whatever stands in them; the rest of
/// [`Reading::MOST`] is kept for those with an address.
const FIRST: usize = 48;

/// What was found in one command line.
pub(super) struct Collected<'r> {
    policy: &'r Policy,
    context: &'r Context<'r>,
    tool: &'r str,
    pub(super) addresses: Vec<Address>,
    /// How many more addresses there were.
    pub(super) more: usize,
    /// The highest over all addresses that are not allowed.
    pub(super) importance: Option<Importance>,
    /// With the reasons.
    pub(super) allowed: Vec<(Address, String)>,
    pub(super) shells: Vec<Shell>,
    first: Vec<Noted<'r>>,
    marked: Vec<Noted<'r>>,
    /// The last argument, when there was no room for it: it is kept if an address is found in it.
    pending: Option<Noted<'r>>,
    /// Whether the last argument is the last of `first`.
    in_first: bool,
    left_out: usize,
}

/// An argument as it was read, before it is put into words: most are never asked for.
struct Noted<'r> {
    argument: usize,
    span: Option<Range<usize>>,
    text: Text,
    place: Option<&'r Place>,
    option: Option<Text>,
    depth: usize,
    addresses: Vec<IpAddr>,
    role: &'r str,
    note: Option<&'static str>,
}

/// Bytes of argv, or decoded from them.
enum Text {
    At(Range<usize>),
    Decoded(Box<[u8]>),
}

impl Text {
    fn of(piece: Piece<'_>) -> Text {
        let length = piece.bytes.len().min(Argument::LONGEST);
        match piece.start {
            Some(start) => Text::At(piece.origin + start..piece.origin + start + length),
            None => Text::Decoded(piece.bytes[..length].into()),
        }
    }

    fn bytes(self, argv: &[u8]) -> Vec<u8> {
        match self {
            Text::At(range) => argv.get(range).unwrap_or_default().to_vec(),
            Text::Decoded(bytes) => bytes.into_vec(),
        }
    }
}

fn span(piece: Piece<'_>) -> Option<Range<usize>> {
    piece.start.map(|start| start..start + piece.bytes.len())
}

fn text(piece: Piece<'_>) -> Vec<u8> {
    piece.bytes[..piece.bytes.len().min(LONGEST)].to_vec()
}

impl<'r> Collected<'r> {
    pub(super) fn new(
        policy: &'r Policy,
        context: &'r Context<'r>,
        tool: &'r str,
    ) -> Collected<'r> {
        Collected {
            policy,
            context,
            tool,
            addresses: Vec::new(),
            more: 0,
            importance: None,
            allowed: Vec::new(),
            shells: Vec::new(),
            first: Vec::with_capacity(FIRST),
            marked: Vec::new(),
            pending: None,
            in_first: false,
            left_out: 0,
        }
    }

    /// An address where a host can stand. `role` says what the tool does with it,
    /// `within` the nested command, if it stands in one.
    pub(super) fn address(
        &mut self,
        address: IpAddr,
        piece: Piece<'_>,
        role: &'r str,
        within: &str,
    ) {
        self.mark(|noted| {
            noted.role = role;
            if noted.addresses.len() < Reading::MOST {
                noted.addresses.push(address);
            }
        });
        if self.policy.ignores(role) {
            return;
        }
        let Scope { name, importance } = scope(address);
        let importance = self.policy.raise(importance, address, self.tool, self.context);
        let rule = self.policy.allowing(address, self.tool, self.context);
        if rule.is_none() {
            self.importance = self.importance.max(Some(importance));
            if self.addresses.len() >= Finding::MOST {
                self.more += 1;
                return;
            }
        } else if self.allowed.len() >= Finding::MOST {
            return;
        }
        let found = Address {
            address: address.to_string(),
            text: text(piece),
            argument: piece.argument,
            span: span(piece),
            role: if within.is_empty() { role.to_owned() } else { format!("{role} ({within})") },
            scope: name.to_owned(),
            importance,
        };
        match rule {
            Some(rule) => self.allowed.push((found, rule.reason.clone())),
            None if self.addresses.iter().rev().take(RECENT).any(|other| *other == found) => {}
            None => self.addresses.push(found),
        }
    }

    /// A shell that the tool is told to start.
    pub(super) fn shell(&mut self, piece: Piece<'_>, role: &str) {
        self.mark(|noted| noted.note = Some("a shell that serves the other side"));
        if self.shells.len() < Finding::MOST {
            self.shells.push(Shell {
                text: text(piece),
                argument: piece.argument,
                span: span(piece),
                role: role.to_owned(),
            });
        }
    }

    /// An argument, or a part of one, was read as this; none for an unknown option.
    #[inline]
    pub(super) fn place(
        &mut self,
        piece: Piece<'_>,
        place: Option<&'r Place>,
        option: Option<Piece<'_>>,
        depth: usize,
    ) {
        self.in_first = self.first.len() < FIRST;
        if !self.in_first {
            self.left_out += 1;
            if self.pending.is_some() {
                self.pending = None;
            }
            let never = place.is_none_or(|place| {
                matches!(place.kind, Kind::Flag | Kind::Text | Kind::AccessList)
            });
            if never || self.marked.len() >= Reading::MOST - FIRST {
                return;
            }
        }
        self.keep(piece, place, option, depth);
    }

    /// Keeps an argument, for as long as there is room or until the next comes.
    fn keep(
        &mut self,
        piece: Piece<'_>,
        place: Option<&'r Place>,
        option: Option<Piece<'_>>,
        depth: usize,
    ) {
        let noted = Noted {
            argument: piece.argument,
            span: span(piece),
            text: Text::of(piece),
            place,
            option: option.map(Text::of),
            depth,
            addresses: Vec::new(),
            role: "",
            note: None,
        };
        if self.in_first {
            self.first.push(noted);
        } else {
            self.pending = Some(noted);
        }
    }

    /// Why the last place holds no address, or which.
    pub(super) fn note(&mut self, note: &'static str) {
        let last = if self.in_first { self.first.last_mut() } else { self.pending.as_mut() };
        if let Some(last) = last {
            last.note = Some(note);
        }
    }

    /// Keeps the last argument, and changes it.
    fn mark(&mut self, change: impl FnOnce(&mut Noted<'r>)) {
        if !self.in_first
            && let Some(pending) = self.pending.take()
        {
            self.left_out -= 1;
            self.marked.push(pending);
        }
        let last = if self.in_first { self.first.last_mut() } else { self.marked.last_mut() };
        if let Some(last) = last {
            change(last);
        }
    }

    /// How the command line was read, put into words.
    pub(super) fn reading(self, argv: &[u8]) -> Reading {
        let mut arguments: Vec<Argument> =
            self.first.into_iter().chain(self.marked).map(|noted| noted.argument(argv)).collect();
        arguments.sort_by_key(|argument| argument.argument);
        Reading { arguments, more: self.left_out }
    }
}

impl Noted<'_> {
    fn argument(self, argv: &[u8]) -> Argument {
        let because = match (self.addresses.is_empty(), self.note) {
            (false, _) => format!("{}: the tool reads it as an address", self.role),
            (true, Some(note)) => note.to_owned(),
            (true, None) => reason(self.place).to_owned(),
        };
        Argument {
            argument: self.argument,
            span: self.span,
            text: self.text.bytes(argv),
            depth: self.depth,
            option: self.option.map(|option| option.bytes(argv)),
            is: name(self.place),
            addresses: self.addresses.iter().map(IpAddr::to_string).collect(),
            because,
        }
    }
}
