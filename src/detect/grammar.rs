//! How a tool reads its arguments, as data: `config/grammars/*.toml` as written,
//! then compiled into tables that [`super::options`] interprets. Those borrow the text, which
//! is part of the program: each collector has a copy of what is on its heap.

use super::address::{Accepts, Spelling};
use serde::Deserialize;
use std::{collections::HashMap, sync::Arc};
use thiserror::Error;

/// What a value is, and so how it is read. `docs/recipe-format.md` describes each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// An option without a value.
    Flag,
    /// No host can stand here.
    #[default]
    Text,
    /// Who may connect, or for whom no proxy is used: no contact.
    AccessList,
    /// A host.
    Host,
    /// `host:port`, `[v6]:port` or a host.
    HostPort,
    /// `host/port` or a host.
    HostSlash,
    /// Hosts with or without ports, between commas.
    Hosts,
    /// What is looked up: an address, perhaps with a prefix length.
    Object,
    /// As `object`, but only in the strict spelling.
    StrictObject,
    /// `@server`, `+option` or what is looked up.
    Dig,
    /// A URL as curl reads it.
    Url,
    /// A URL as wget reads it, or `host:path`.
    Download,
    /// A URL with a scheme, a magnet link, or a local file.
    Uri,
    /// Those, between commas.
    Uris,
    /// A proxy: scheme, user and port may be absent.
    Proxy,
    /// A URL that is only mentioned.
    Mention,
    /// `[user@]host` or `ssh://`.
    Destination,
    /// Destinations with ports, between commas.
    Jump,
    /// `[bind:]port:host:port` and its kin.
    Forward,
    /// A scp operand: remote when a colon stands before any slash.
    ScpPath,
    /// A sftp destination: `[user@]host[:path]`.
    SftpPath,
    /// An rsync operand: `host:path`, `host::module`, `rsync://`.
    RsyncPath,
    /// ftp's `[user@]host[:path]` or a URL.
    FtpTarget,
    /// As `ftp-target`, but a bare word is a port or a file.
    FtpMore,
    /// A word of a tftp command.
    TftpWord,
    /// `name=value`, read as the keyword's own kind.
    Setting,
    /// curl `--resolve`.
    Resolve,
    /// curl `--connect-to`.
    ConnectTo,
    /// A network interface or an address.
    Interface,
    /// A mail address, perhaps with a domain literal.
    Mailbox,
    /// A HTTP header.
    Header,
    /// A request body: a form, JSON or text; `@file` is a file.
    Data,
    /// As `data`, but `@` means nothing.
    RawData,
    /// curl `--data-urlencode` and `--url-query`.
    EncodedField,
    /// curl `--form`.
    FormField,
    /// A socat address.
    Socat,
    /// lftp commands.
    LftpCommands,
    /// A command line for a shell.
    Shell,
    /// A program and its arguments between blanks.
    Program,
    /// The rest of the operands is a command line for a shell.
    ShellRest,
    /// The rest is a program and its arguments.
    Argv,
    /// The same after `NAME=value` words.
    EnvArgv,
    /// `argv[0]` of the program that follows.
    ProgramName,
    /// A text in which a URL may stand.
    Embedded,
    /// lftp's site: a URL, or a host with or without a user.
    Site,
    /// A host, or a port when it is all digits.
    HostOrPort,
    /// A multicast group and an interface, between colons.
    Members,
    /// Anything: a host, a URL, `option=value`.
    Anything,
}

/// What a program is to the detector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Standing {
    /// A tool that recipes can list.
    #[default]
    Tool,
    /// Runs the tool in its own process, without another exec: dynamic loaders, emulators.
    Carrier,
    /// Executes the tool again; looked into only where no exec will show it (nested commands).
    Wrapper,
    /// A shell.
    Shell,
}

/// How long options are matched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Long {
    /// There are none: `--` ends the options, `--x` is a cluster.
    None,
    /// By the whole name.
    Exact,
    /// By any unambiguous beginning: `getopt_long(3)`.
    #[default]
    Abbreviated,
    /// The same in any case: curl before 8.
    AnyCase,
}

/// Where options may stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Order {
    /// Anywhere.
    #[default]
    Permute,
    /// Nowhere: every argument is an operand.
    Never,
    /// Before the first operand.
    FirstOperand,
    /// Before the second operand: ssh.
    SecondOperand,
}

/// A grammar as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct GrammarFile {
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    prefixes: Vec<String>,
    #[serde(default)]
    applets: Vec<String>,
    #[serde(default)]
    standing: Standing,
    #[serde(default)]
    order: Order,
    #[serde(default)]
    long: Long,
    #[serde(default)]
    accepts: Option<Vec<Spelling>>,
    #[serde(default)]
    flags: &'static str,
    #[serde(default)]
    text: &'static str,
    #[serde(default)]
    optional: &'static str,
    #[serde(default)]
    option: Vec<OptionFile>,
    #[serde(default)]
    operands: Vec<OperandsFile>,
    #[serde(default)]
    keyword: Vec<KeywordFile>,
    #[serde(default)]
    pub(super) keywords_of: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OptionFile {
    names: &'static str,
    kind: Kind,
    #[serde(default)]
    role: &'static str,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    joined: bool,
    #[serde(default)]
    sets: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'static"))]
struct OperandsFile {
    #[serde(default)]
    when: Option<String>,
    #[serde(default)]
    count: Option<usize>,
    places: Vec<PlaceFile>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeywordFile {
    names: &'static str,
    places: Vec<PlaceFile>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceFile {
    kind: Kind,
    #[serde(default)]
    role: &'static str,
    #[serde(default)]
    joined: bool,
}

/// What stands somewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: Kind,
    pub(super) role: &'static str,
    /// The command that stands here talks to the connection: a shell here serves the other side.
    pub(super) joined: bool,
}

impl Place {
    /// A place without a role.
    pub(super) const fn simple(kind: Kind) -> Place {
        Place { kind, role: "", joined: false }
    }
}

impl From<PlaceFile> for Place {
    fn from(file: PlaceFile) -> Place {
        Place { kind: file.kind, role: file.role, joined: file.joined }
    }
}

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    /// Attached, or the next argument.
    Value,
    /// Only attached.
    Attached,
    /// Everything that follows.
    Rest,
}

/// One option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) place: Place,
    pub(super) takes: Takes,
    /// The states that it sets, a bit each.
    pub(super) sets: u32,
}

/// What the operands are, in one form of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operands {
    when: u32,
    count: Option<usize>,
    /// In order; the last also stands for all that follow.
    places: Vec<Place>,
}

/// A grammar ready for use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grammar {
    pub(super) names: Vec<String>,
    pub(super) prefixes: Vec<String>,
    pub(super) applets: Vec<String>,
    pub(super) standing: Standing,
    pub(super) order: Order,
    pub(super) long: Long,
    pub(super) accepts: Accepts,
    rules: Vec<Rule>,
    /// Index into `rules` plus one, by letter.
    short: [u16; 128],
    /// Names with one dash and more than one letter, longest first.
    dashed: Vec<(&'static [u8], u16)>,
    /// Names with two dashes, sorted.
    words: Vec<(&'static [u8], u16)>,
    operands: Vec<Operands>,
    pub(super) keywords: HashMap<Box<[u8]>, Arc<[Place]>>,
    states: Vec<String>,
}

/// Why a grammar cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum GrammarError {
    /// Two options of one name.
    #[error("grammar of {grammar:?}: option {name:?} stands in it twice; keep one")]
    Twice {
        /// The grammar's first name.
        grammar: String,
        /// The option.
        name: String,
    },
    /// Not an option's name.
    #[error("grammar of {grammar:?}: {name:?} is no option; write it like -x or --name")]
    Name {
        /// The grammar's first name.
        grammar: String,
        /// The option.
        name: String,
    },
    /// A condition that no option sets.
    #[error("grammar of {grammar:?}: no option sets {state:?}; name it in some option's `sets`")]
    State {
        /// The grammar's first name.
        grammar: String,
        /// The state.
        state: String,
    },
    /// More states than there are bits.
    #[error("grammar of {grammar:?}: more than 32 states")]
    States {
        /// The grammar's first name.
        grammar: String,
    },
    /// No name.
    #[error("a grammar has no names and no applets; say which program it is for")]
    Nameless,
}

impl Grammar {
    /// Compiles what was written.
    pub(super) fn compile(file: GrammarFile) -> Result<Grammar, GrammarError> {
        let name = file
            .names
            .first()
            .or(file.applets.first())
            .or(file.prefixes.first())
            .cloned()
            .ok_or(GrammarError::Nameless)?;
        let mut grammar = Grammar {
            names: file.names,
            prefixes: file.prefixes,
            applets: file.applets,
            standing: file.standing,
            order: file.order,
            long: file.long,
            accepts: file.accepts.map_or(Accepts::RESOLVER, |list| list.into_iter().collect()),
            rules: Vec::new(),
            short: [0; 128],
            dashed: Vec::new(),
            words: Vec::new(),
            operands: Vec::new(),
            keywords: HashMap::new(),
            states: Vec::new(),
        };
        let plain = |kind, names, optional| OptionFile {
            names,
            kind,
            role: "",
            optional,
            joined: false,
            sets: None,
        };
        let simple = [
            plain(Kind::Flag, file.flags, false),
            plain(Kind::Text, file.text, false),
            plain(Kind::Text, file.optional, true),
        ];
        for option in simple.into_iter().chain(file.option) {
            grammar.add(&name, option)?;
        }
        grammar.words.sort();
        grammar.dashed.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.0.cmp(b.0)));
        if let Some(pair) = grammar.words.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(GrammarError::Twice {
                grammar: name,
                name: format!("--{}", String::from_utf8_lossy(pair[0].0)),
            });
        }
        for operands in file.operands {
            let when = match operands.when {
                None => 0,
                Some(state) => match grammar.state(&state) {
                    0 => return Err(GrammarError::State { grammar: name, state }),
                    bit => bit,
                },
            };
            let places = operands.places.into_iter().map(Place::from).collect();
            grammar.operands.push(Operands { when, count: operands.count, places });
        }
        for keyword in file.keyword {
            let places: Arc<[Place]> = keyword.places.into_iter().map(Place::from).collect();
            for name in keyword.names.split_whitespace() {
                grammar.keywords.insert(keyword_form(name.as_bytes()).into(), places.clone());
            }
        }
        Ok(grammar)
    }

    fn add(&mut self, grammar: &str, option: OptionFile) -> Result<(), GrammarError> {
        let takes = match option.kind {
            Kind::Flag => Takes::Nothing,
            Kind::Argv | Kind::EnvArgv | Kind::ShellRest => Takes::Rest,
            _ if option.optional => Takes::Attached,
            _ => Takes::Value,
        };
        let sets = match option.sets {
            None => 0,
            Some(state) => match self.state(&state) {
                0 if self.states.len() >= 32 => {
                    return Err(GrammarError::States { grammar: grammar.to_owned() });
                }
                0 => {
                    self.states.push(state);
                    1 << (self.states.len() - 1)
                }
                bit => bit,
            },
        };
        self.rules.push(Rule {
            place: Place { kind: option.kind, role: option.role, joined: option.joined },
            takes,
            sets,
        });
        let rule = self.rules.len() as u16;
        for name in option.names.split_whitespace() {
            let twice =
                || GrammarError::Twice { grammar: grammar.to_owned(), name: name.to_owned() };
            match name.as_bytes() {
                [b'-', b'-', word @ ..] if !word.is_empty() => self.words.push((word, rule)),
                [b'-', letter] if letter.is_ascii() => {
                    let slot = &mut self.short[usize::from(*letter)];
                    if *slot != 0 {
                        return Err(twice());
                    }
                    *slot = rule;
                }
                [b'-', word @ ..] if word.len() > 1 => self.dashed.push((word, rule)),
                _ => {
                    return Err(GrammarError::Name {
                        grammar: grammar.to_owned(),
                        name: name.to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The bit of a state; 0 when no option sets it.
    pub(super) fn state(&self, name: &str) -> u32 {
        self.states.iter().position(|state| state == name).map_or(0, |at| 1 << at)
    }

    pub(super) fn short(&self, letter: u8) -> Option<&Rule> {
        let index = *self.short.get(usize::from(letter))?;
        self.rules.get(usize::from(index).checked_sub(1)?)
    }

    /// The option with one dash and a longer name that `text` (without the dash) begins with, and what follows it.
    pub(super) fn dashed<'a>(&self, text: &'a [u8]) -> Option<(&Rule, &'a [u8])> {
        self.dashed.iter().find_map(|(name, rule)| {
            let rest = text.strip_prefix(*name)?;
            let rule = self.rules.get(usize::from(*rule) - 1)?;
            (rest.is_empty() || rule.takes != Takes::Nothing).then_some((rule, rest))
        })
    }

    /// The option with two dashes of this name (without them), or that it abbreviates.
    pub(super) fn word(&self, name: &[u8]) -> Option<&Rule> {
        // The longest name any tool has is far below; a longer text is none.
        let mut buffer = [0; 64];
        let name = match self.long {
            Long::AnyCase => {
                let lower = buffer.get_mut(..name.len())?;
                lower.copy_from_slice(name);
                lower.make_ascii_lowercase();
                lower
            }
            _ => name,
        };
        // curl's `--expand-url` is `--url` with variables in its value.
        let name = match (self.long, name.strip_prefix(b"expand-")) {
            (Long::AnyCase, Some(expanded)) => expanded,
            _ => name,
        };
        let rule = |index: u16| self.rules.get(usize::from(index).checked_sub(1)?);
        let start = self.words.partition_point(|(word, _)| *word < name);
        let candidates = &self.words[start..];
        let (word, first) = candidates.first()?;
        if *word == name {
            return rule(*first);
        }
        let whole_only = matches!(self.long, Long::Exact | Long::None) || name.is_empty();
        if whole_only || !word.starts_with(name) {
            return None;
        }
        // getopt_long accepts an ambiguous beginning when all candidates are one option.
        let same = candidates
            .iter()
            .take_while(|(word, _)| word.starts_with(name))
            .all(|(_, index)| index == first);
        same.then(|| rule(*first))?
    }

    pub(super) fn keyword(&self, name: &[u8]) -> Option<&[Place]> {
        self.keywords.get(&*keyword_form(name)).map(|places| &**places)
    }

    /// Whether the operands can only be told apart once all arguments were seen.
    pub(super) fn looks_ahead(&self) -> bool {
        self.operands.iter().any(|form| form.when != 0 || form.count.is_some())
            || !self.states.is_empty()
    }

    /// What the operands are, given the states that options set and their number.
    pub(super) fn operands(&self, states: u32, count: usize) -> &[Place] {
        self.operands
            .iter()
            .find(|form| {
                (form.when == 0 || form.when & states != 0)
                    && form.count.is_none_or(|want| want == count)
            })
            .map_or(&[], |form| &form.places)
    }
}

/// Keywords are compared without case, dashes and underscores: so wget reads its
/// rc commands, and no other tool has keywords that differ in only that.
fn keyword_form(name: &[u8]) -> Vec<u8> {
    name.iter()
        .filter(|byte| !matches!(byte, b'-' | b'_'))
        .take(64)
        .map(u8::to_ascii_lowercase)
        .collect()
}

/// The grammar of a tool of which nothing is known: any argument can be a host, a
/// URL or a value with one.
pub(super) fn any_argument(name: &str) -> Grammar {
    let place = |kind| Place { kind, role: "argument", joined: false };
    Grammar {
        names: vec![name.to_owned()],
        prefixes: Vec::new(),
        applets: Vec::new(),
        standing: Standing::Tool,
        order: Order::Never,
        long: Long::None,
        accepts: Accepts::STRICT,
        rules: Vec::new(),
        short: [0; 128],
        dashed: Vec::new(),
        words: Vec::new(),
        operands: vec![Operands { when: 0, count: None, places: vec![place(Kind::Anything)] }],
        keywords: HashMap::new(),
        states: Vec::new(),
    }
}
