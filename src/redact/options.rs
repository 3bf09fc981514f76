//! Options whose value is a secret, or has one in it.

use super::{
    random::{self, Where},
    spelling::{is_reference, is_secret_name, password_before_host},
};
use crate::event::base_name;
use std::ops::Range;

/// What of an option's value is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Secret {
    /// All of it.
    All,
    /// What follows the first `:` or `,`; all of it when nothing does.
    Password,
    /// What follows the last `:`, if there is one.
    AfterLastColon,
    /// All of it if it has a `=` in it; else it names a file.
    Cookies,
    /// What looks random of it.
    Random(Where),
}

/// What is special in one tool's options.
struct Tool {
    names: &'static [&'static [u8]],
    /// Short options with a secret.
    short: &'static [(u8, Secret)],
    /// Short options with a value that is none.
    other_short: &'static [u8],
    /// Long options with a secret, besides those whose name says so.
    long: &'static [(&'static [u8], Secret)],
    /// Whether an operand may be `user:password@host` without a scheme.
    urls: bool,
}

const TOOLS: [Tool; 8] = [
    Tool {
        names: &[b"curl"],
        short: &[
            (b'u', Secret::Password),
            (b'U', Secret::Password),
            (b'b', Secret::Cookies),
            (b'E', Secret::AfterLastColon),
            (b'H', Secret::Random(Where::Assigned)),
        ],
        other_short: b"AcCdDeFKmoPQrtTwxXyYz",
        long: &[
            (b"user", Secret::Password),
            (b"proxy-user", Secret::Password),
            (b"cookie", Secret::Cookies),
            (b"cert", Secret::AfterLastColon),
            (b"proxy-cert", Secret::AfterLastColon),
            (b"oauth2-bearer", Secret::All),
        ],
        urls: true,
    },
    Tool {
        names: &[b"wget", b"wget2", b"aria2c"],
        short: &[],
        other_short: b"aBDeAiIlLoOPQRStTUwX",
        long: &[],
        urls: true,
    },
    Tool {
        names: &[b"lftp", b"ncftp", b"ncftpget", b"ncftpput"],
        short: &[(b'u', Secret::Password)],
        other_short: b"cefps",
        long: &[(b"user", Secret::Password)],
        urls: true,
    },
    Tool {
        names: &[b"sshpass", b"redis-cli", b"ldapsearch"],
        short: &[(b'p', Secret::All), (b'a', Secret::All), (b'w', Secret::All)],
        other_short: b"Pfdehnbs",
        long: &[],
        urls: false,
    },
    Tool {
        names: &[b"mysql", b"mysqldump", b"mysqladmin", b"mariadb", b"mariadb-dump"],
        // Its value is attached, or asked for; see `attached_only`.
        short: &[(b'p', Secret::All)],
        other_short: b"DehPSu",
        long: &[],
        urls: false,
    },
    Tool {
        names: &[b"docker", b"podman", b"helm", b"nerdctl", b"buildah", b"skopeo", b"crane"],
        short: &[(b'e', Secret::Random(Where::Assigned))],
        other_short: b"",
        long: &[
            (b"creds", Secret::Password),
            (b"src-creds", Secret::Password),
            (b"dest-creds", Secret::Password),
        ],
        urls: false,
    },
    Tool {
        names: &[b"ncat"],
        short: &[],
        other_short: b"ceigGmdopswxX",
        long: &[(b"proxy-auth", Secret::Password)],
        urls: false,
    },
    Tool {
        names: &[b"smbclient"],
        short: &[(b'U', Secret::AfterLastColon)],
        other_short: b"IpnWcDt",
        long: &[],
        urls: false,
    },
];

/// Reads the arguments of one command line in order.
pub(super) struct Options {
    tool: Option<&'static Tool>,
    /// `-p` is a login's password.
    login: bool,
    /// What the argument before says of the next.
    next: Option<Secret>,
}

impl Options {
    /// The options of the tool in this file; `argv[0]` or a later word may name
    /// another one.
    pub(super) fn of(path: &[u8]) -> Options {
        Options { tool: tool(path), login: false, next: None }
    }

    /// Reads the next argument.
    pub(super) fn read(&mut self, bytes: &[u8], index: usize, hide: &mut impl FnMut(Range<usize>)) {
        match self.next.take() {
            // Not every `--set` has a value: what does not look like a secret is read as ever.
            Some(Secret::Random(place)) if random::find(bytes, place).is_none() => {}
            // The argument after `--token` is its value, unless it is an option itself.
            Some(Secret::All) if bytes.starts_with(b"-") => {}
            Some(secret) => return hide_value(secret, bytes, 0, hide),
            None => {}
        }
        match bytes {
            [b'-', b'-', long @ ..] if !long.is_empty() => self.long(long, hide),
            [b'-', short @ ..] if !short.is_empty() => self.short(bytes, hide),
            _ => self.operand(bytes, index, hide),
        }
    }

    fn long(&mut self, option: &[u8], hide: &mut impl FnMut(Range<usize>)) {
        let equals = memchr::memchr(b'=', option);
        let name = &option[..equals.unwrap_or(option.len())];
        let special = self.tool.and_then(|tool| tool.long.iter().find(|(long, _)| *long == name));
        let secret = match special {
            Some((_, secret)) => *secret,
            None if name.len() <= 64 && is_secret_name(name) => Secret::All,
            None => match random::option(name) {
                Some(place) => Secret::Random(place),
                None => return,
            },
        };
        match equals {
            Some(equals) => hide_value(secret, &option[equals + 1..], 2 + equals + 1, hide),
            None => self.next = Some(secret),
        }
    }

    fn short(&mut self, bytes: &[u8], hide: &mut impl FnMut(Range<usize>)) {
        if self.login && bytes == b"-p" {
            self.next = Some(Secret::All);
            return;
        }
        let Some(tool) = self.tool else { return };
        for (at, letter) in bytes.iter().enumerate().skip(1) {
            if let Some((_, secret)) = tool.short.iter().find(|(short, _)| short == letter) {
                if at + 1 < bytes.len() {
                    hide_value(*secret, &bytes[at + 1..], at + 1, hide);
                } else if !attached_only(tool) {
                    self.next = Some(*secret);
                }
                return;
            }
            if tool.other_short.contains(letter) || !letter.is_ascii_alphanumeric() {
                return;
            }
        }
    }

    fn operand(&mut self, bytes: &[u8], index: usize, hide: &mut impl FnMut(Range<usize>)) {
        // Wrappers, applets and command lines in an argument: the last tool named
        // is the one whose options follow.
        if let Some(named) = tool(bytes) {
            self.tool = Some(named);
        } else if index > 0 && bytes == b"login" {
            self.login = true;
        } else if self.tool.is_some_and(|tool| tool.urls) && !bytes.contains(&b'/')
            || self.tool.is_some_and(|tool| tool.urls) && no_scheme(bytes)
        {
            password_before_host(bytes).into_iter().for_each(hide);
        }
    }
}

/// Whether an operand begins with its host, not with a scheme.
fn no_scheme(bytes: &[u8]) -> bool {
    memchr::memchr(b'/', bytes).is_none_or(|slash| !bytes[..slash].ends_with(b":"))
}

fn tool(path: &[u8]) -> Option<&'static Tool> {
    let name = base_name(path);
    TOOLS.iter().find(|tool| tool.names.contains(&name))
}

/// Whether a short option takes its value in the same argument only.
fn attached_only(tool: &Tool) -> bool {
    tool.names.contains(&b"mysql".as_slice())
}

fn hide_value(secret: Secret, value: &[u8], offset: usize, hide: &mut impl FnMut(Range<usize>)) {
    let range = match secret {
        Secret::All => 0..value.len(),
        Secret::Password => match memchr::memchr2(b':', b',', value) {
            // `-u token:` is how a token is given where a password is asked for.
            Some(at) if at + 1 == value.len() => 0..at,
            Some(at) => at + 1..value.len(),
            None => return,
        },
        Secret::AfterLastColon => match memchr::memrchr2(b':', b'%', value) {
            Some(at) => at + 1..value.len(),
            None => return,
        },
        Secret::Cookies if value.contains(&b'=') => 0..value.len(),
        Secret::Cookies => return,
        Secret::Random(place) => match random::find(value, place) {
            Some(range) => range,
            None => return,
        },
    };
    if !is_reference(&value[range.clone()]) {
        hide(offset + range.start..offset + range.end);
    }
}
