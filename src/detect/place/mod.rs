//! Reads values in the places where grammars say that something stands.
//!
//! One file a family of places; [`Reader`] walks a command line and hands each
//! value to the file that its [`Kind`] belongs to.

mod body;
mod command;
mod curl;
mod dns;
mod glob;
mod lftp;
mod remote;
mod setting;
mod socat;
mod url;

use super::address::{self, Accepts};
use super::collected::Collected;
use super::grammar::{Grammar, Kind, Place};
use super::options::{Item, Options, Piece};
use super::tool::Programs;

/// How deep nested commands are followed: ssh's proxy command that is a shell
/// that runs ssh, and one more.
const DEEPEST: usize = 4;

/// The first operand, and the arguments that follow it.
type Operands<'r, 'a, A> = (Piece<'a>, Options<'r, 'a, A>);

/// Reads a command line.
pub(super) struct Reader<'r> {
    pub(super) programs: &'r Programs,
    pub(super) sink: Collected<'r>,
    /// The host spellings of the tool that is being read.
    accepts: Accepts,
    /// What is being read, for the sink.
    role: &'r str,
    /// The nested commands around it, outermost first: `nc in proxy command`.
    within: String,
    depth: usize,
    /// Bytes that decoding may still produce: nested quoting and globs must not multiply.
    budget: usize,
    /// Globs are read literally.
    literal: bool,
    /// The command that is being read talks to a connection.
    joined: bool,
    /// What is being read is a wrapper or a shell: it hands its own connection on.
    wrapper: bool,
}

impl<'r> Reader<'r> {
    /// A reader for a command line of this many bytes.
    pub(super) fn new(programs: &'r Programs, sink: Collected<'r>, bytes: usize) -> Reader<'r> {
        let budget = bytes.saturating_mul(4).saturating_add(1 << 16);
        Reader {
            programs,
            sink,
            accepts: Accepts::RESOLVER,
            role: "",
            within: String::new(),
            depth: 0,
            budget,
            literal: false,
            joined: false,
            wrapper: false,
        }
    }

    /// Reads the arguments of a tool, `argv[0]` already taken.
    ///
    /// Where what the operands are depends on the options and on their number,
    /// they are read after all options.
    pub(super) fn arguments<'a, A>(&mut self, grammar: &'r Grammar, args: A)
    where
        A: Iterator<Item = Piece<'a>> + Clone,
    {
        let outer = (self.accepts, self.literal);
        self.accepts = grammar.accepts;
        self.literal = false;
        let options = Options::new(grammar, args);
        if grammar.looks_ahead() {
            let (states, count, operands) = self.options(grammar, options);
            let set = |state| states & grammar.state(state) != 0;
            self.literal = set("literal") && !set("next");
            if let Some(operands) = operands {
                self.operands(grammar, grammar.operands(states, count), operands, count);
            }
        } else {
            self.all(grammar, grammar.operands(0, 0), options);
        }
        (self.accepts, self.literal) = outer;
    }

    /// Reads options and operands as they come.
    fn all<'a, A>(
        &mut self,
        grammar: &'r Grammar,
        places: &'r [Place],
        mut options: Options<'r, 'a, A>,
    ) where
        A: Iterator<Item = Piece<'a>> + Clone,
    {
        let mut index = 0;
        while let Some(item) = options.next() {
            let goes_on = match item {
                Item::Operand(piece) => {
                    index += 1;
                    self.operand(grammar, places, index - 1, piece, &options.args)
                }
                other => self.option(grammar, other, &options.args),
            };
            if !goes_on {
                break;
            }
        }
    }

    /// Reads the options only: the states that they set, the number of operands,
    /// the first of these and what follows it.
    fn options<'a, A>(
        &mut self,
        grammar: &'r Grammar,
        mut options: Options<'r, 'a, A>,
    ) -> (u32, usize, Option<Operands<'r, 'a, A>>)
    where
        A: Iterator<Item = Piece<'a>> + Clone,
    {
        let (mut states, mut count, mut first) = (0, 0, None);
        while let Some(item) = options.next() {
            match item {
                Item::Operand(piece) => {
                    count += 1;
                    if first.is_none() {
                        first = Some((piece, options.clone()));
                    }
                    continue;
                }
                Item::Flag(_, Some(rule)) | Item::Value(_, rule, _) | Item::Rest(_, rule) => {
                    states |= rule.sets
                }
                Item::Flag(_, None) | Item::End(_) => {}
            }
            if !self.option(grammar, item, &options.args) {
                break;
            }
        }
        (states, count, first)
    }

    /// Reads the operands only, of which there are `count`.
    fn operands<'a, A>(
        &mut self,
        grammar: &'r Grammar,
        places: &'r [Place],
        (first, mut options): Operands<'r, 'a, A>,
        count: usize,
    ) where
        A: Iterator<Item = Piece<'a>> + Clone,
    {
        let mut next = Some(first);
        for index in 0..count {
            let Some(piece) = next.take().or_else(|| {
                options.by_ref().find_map(|item| {
                    if let Item::Operand(piece) = item { Some(piece) } else { None }
                })
            }) else {
                return;
            };
            if !self.operand(grammar, places, index, piece, &options.args) {
                return;
            }
        }
    }

    /// Reads an option. False when it took all that follows.
    #[inline(always)]
    fn option<'a, A>(&mut self, grammar: &'r Grammar, item: Item<'r, 'a>, rest: &A) -> bool
    where
        A: Iterator<Item = Piece<'a>> + Clone,
    {
        static END: Place = Place::simple(Kind::Flag);
        match item {
            Item::Flag(piece, rule) => {
                self.sink.place(piece, rule.map(|rule| &rule.place), None, self.depth)
            }
            Item::Value(piece, rule, name) => self.value(grammar, piece, &rule.place, Some(name)),
            Item::Rest(piece, rule) => {
                self.sink.place(piece, Some(&rule.place), None, self.depth);
                self.rest(&rule.place, rest.clone());
                return false;
            }
            Item::End(piece) | Item::Operand(piece) => {
                self.sink.place(piece, Some(&END), None, self.depth)
            }
        }
        true
    }

    /// Reads an operand. False when it took all that follows.
    fn operand<'a, A>(
        &mut self,
        grammar: &'r Grammar,
        places: &'r [Place],
        index: usize,
        piece: Piece<'a>,
        rest: &A,
    ) -> bool
    where
        A: Iterator<Item = Piece<'a>> + Clone,
    {
        static TEXT: Place = Place::simple(Kind::Text);
        match places.get(index).or(places.last()) {
            Some(place) if matches!(place.kind, Kind::ShellRest | Kind::Argv | Kind::EnvArgv) => {
                self.sink.place(piece, Some(place), None, self.depth);
                self.rest(place, std::iter::once(piece).chain(rest.clone()));
                return false;
            }
            Some(place) => self.value(grammar, piece, place, None),
            None => self.sink.place(piece, Some(&TEXT), None, self.depth),
        }
        true
    }

    /// The rest of the arguments is a command.
    fn rest<'a>(&mut self, place: &'r Place, args: impl Iterator<Item = Piece<'a>>) {
        let words: Vec<Piece<'a>> = args.collect();
        self.in_place(place, |reader| match place.kind {
            Kind::ShellRest => command::shell_words(reader, &words),
            Kind::EnvArgv => {
                let start = words
                    .iter()
                    .position(|word| !command::is_assignment(word.bytes))
                    .unwrap_or(words.len());
                command::argv(reader, words.get(start..).unwrap_or_default());
            }
            _ => command::argv(reader, &words),
        });
    }

    /// Runs `read` with the place's role.
    fn in_place(&mut self, place: &'r Place, read: impl FnOnce(&mut Self)) {
        let outer = (self.role, self.joined);
        if !place.role.is_empty() {
            self.role = place.role;
        }
        self.joined = place.joined || (self.wrapper && self.joined);
        read(self);
        (self.role, self.joined) = outer;
    }

    /// Reads a value in a place.
    fn value(
        &mut self,
        grammar: &'r Grammar,
        piece: Piece<'_>,
        place: &'r Place,
        option: Option<Piece<'_>>,
    ) {
        self.sink.place(piece, Some(place), option, self.depth);
        self.in_place(place, |reader| reader.read(grammar, piece, place.kind));
    }

    fn read(&mut self, grammar: &'r Grammar, piece: Piece<'_>, kind: Kind) {
        match kind {
            Kind::Anything => body::anything(self, piece),
            Kind::Flag | Kind::Text | Kind::AccessList | Kind::ProgramName => {}
            Kind::Embedded => body::urls(self, piece),
            Kind::Site => url::site(self, piece),
            Kind::HostOrPort => {
                if !piece.bytes.iter().all(u8::is_ascii_digit) {
                    self.host_port(piece);
                }
            }
            Kind::Members => piece.split(|byte| byte == b':').for_each(|member| {
                self.host(member);
            }),
            Kind::Host => {
                self.host(piece);
            }
            Kind::HostPort => self.host_port(piece),
            Kind::HostSlash => {
                let host = piece.split_once(b'/').map_or(piece, |(host, _)| host);
                self.host(host);
            }
            Kind::Hosts => {
                piece.split(|byte| byte == b',').for_each(|host| self.host_port(host.trim()))
            }
            Kind::Object => dns::object(self, piece),
            Kind::StrictObject => self.strictly(|reader| dns::object(reader, piece)),
            Kind::Dig => dns::dig(self, piece),
            Kind::Url => url::url(self, piece),
            Kind::Download => url::download(self, piece),
            Kind::Uri => url::uri(self, piece),
            Kind::Uris => piece.split(|byte| byte == b',').for_each(|uri| url::uri(self, uri)),
            Kind::Proxy => url::proxy(self, piece),
            Kind::Mention => url::mention(self, piece),
            Kind::Destination => remote::destination(self, piece),
            Kind::Jump => remote::jump(self, piece),
            Kind::Forward => remote::forward(self, piece),
            Kind::ScpPath => remote::scp(self, piece),
            Kind::SftpPath => remote::sftp(self, piece),
            Kind::RsyncPath => remote::rsync(self, piece),
            Kind::FtpTarget => remote::ftp(self, piece),
            Kind::FtpMore => remote::ftp_more(self, piece),
            Kind::TftpWord => remote::tftp_word(self, piece),
            Kind::Setting => setting::setting(self, grammar, piece),
            Kind::Resolve => curl::resolve(self, piece),
            Kind::ConnectTo => curl::connect_to(self, piece),
            Kind::Interface => curl::interface(self, piece),
            Kind::Mailbox => curl::mailbox(self, piece),
            Kind::Header => body::header(self, piece),
            Kind::Data => body::data(self, piece, true),
            Kind::RawData => body::data(self, piece, false),
            Kind::EncodedField => body::encoded_field(self, piece),
            Kind::FormField => body::form_field(self, piece),
            Kind::Socat => socat::socat(self, grammar, piece),
            Kind::LftpCommands => lftp::commands(self, grammar, piece),
            Kind::Shell => command::shell(self, piece),
            Kind::Program => command::program(self, piece),
            Kind::ShellRest => command::shell_words(self, &[piece]),
            Kind::Argv | Kind::EnvArgv => command::argv(self, &[piece]),
        }
    }

    /// Reads a host as the tool does. Whether it is an address.
    fn host(&mut self, piece: Piece<'_>) -> bool {
        self.host_as(piece, self.accepts)
    }

    fn host_as(&mut self, piece: Piece<'_>, accepts: Accepts) -> bool {
        match address::host(piece.bytes, accepts) {
            Some(address) => {
                self.sink.address(address, piece, self.role, &self.within);
                true
            }
            None => false,
        }
    }

    /// Reads with strict spellings only.
    fn strictly(&mut self, read: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.accepts, Accepts::STRICT);
        read(self);
        self.accepts = outer;
    }

    /// The inside of `[…]`, when the text begins with a closed bracket, and what follows it.
    fn bracketed(piece: Piece<'_>) -> Option<(Piece<'_>, Piece<'_>)> {
        if piece.bytes.first() != Some(&b'[') {
            return None;
        }
        let end = memchr::memchr(b']', piece.bytes)?;
        Some((piece.part(1..end), piece.from(end + 1)))
    }

    /// An IPv6 address from between brackets.
    fn ipv6(&mut self, piece: Piece<'_>) {
        if memchr::memchr(b':', piece.bytes).is_some() {
            self.host_as(piece, Accepts::STRICT);
        }
    }

    /// `host`, `host:port`, `[v6]`, `[v6]:port`.
    fn host_port(&mut self, piece: Piece<'_>) {
        if let Some((inside, after)) = Self::bracketed(piece) {
            if after.bytes.is_empty() || after.bytes.first() == Some(&b':') {
                self.ipv6(inside);
            }
        } else if !self.host(piece)
            && let Some((host, port)) = piece.split_once(b':')
            && memchr::memchr(b':', port.bytes).is_none()
        {
            self.host(host);
        }
    }

    /// Whether decoding may produce this many bytes more; takes them.
    fn afford(&mut self, bytes: usize) -> bool {
        match self.budget.checked_sub(bytes) {
            Some(left) => {
                self.budget = left;
                true
            }
            None => false,
        }
    }
}
