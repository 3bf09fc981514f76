//! What the program and `build/grammars.rs`, which compiles the grammars for it, both go by:
//! the terms that they are written in, and how a name is looked up.

use serde::Deserialize;

/// What a value is, and so how it is read. `docs/recipe-format.md` describes each.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// An option without a value.
    Flag,
    /// No host can stand here.
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
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
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

/// One thing that a tool may accept, as grammars name it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Spelling {
    /// One to four parts in decimal, octal or hexadecimal: `inet_aton(3)`.
    Parts,
    /// A single decimal number (part of `Parts`; ncat takes it for a port).
    Number,
    /// Percent-encoded bytes.
    Percent,
    /// Unicode digits and dots, as IDNA maps them.
    Unicode,
    /// A dot after the last part.
    TrailingDot,
}

/// Keywords are compared without case, dashes and underscores: so wget reads its
/// rc commands, and no other tool has keywords that differ in only that.
pub(super) fn keyword_form(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().filter(|byte| !matches!(byte, b'-' | b'_')).take(64).map(u8::to_ascii_lowercase)
}

/// Programs are looked up in so many buckets.
pub(super) const BUCKETS: usize = 256;

/// The bucket of a program's name: few share one, and it takes no time to say which.
pub(super) const fn bucket(name: &[u8]) -> usize {
    match (name.first(), name.last()) {
        (Some(first), Some(last)) => {
            (*first as usize + 27 * *last as usize + 31 * name.len()) % BUCKETS
        }
        _ => 0,
    }
}
