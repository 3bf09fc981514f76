//! What an engine asks the runtime to do, as far as it matters here.
//!
//! runc reads its options as Go does (`-bundle` is `--bundle`, and a command's options
//! may follow its operands), crun and youki as GNU does (`-bDIR`). None of them has an
//! option that the others read otherwise, so one table does for all.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
};

/// Options before the command that take a value.
const GLOBAL: [&str; 9] =
    ["cgroup-manager", "criu", "l", "log", "log-format", "log-level", "r", "root", "rootless"];

/// Options of the commands that start a container which take a value.
const COMMAND: [&str; 18] = [
    "b",
    "bundle",
    "c",
    "config",
    "console-socket",
    "empty-ns",
    "f",
    "image-path",
    "lsm-mount-context",
    "lsm-profile",
    "manage-cgroups-mode",
    "p",
    "parent-path",
    "pid-file",
    "pidfd-socket",
    "preserve-fds",
    "status-fd",
    "work-path",
];

/// The commands that start a container.
const STARTS: [&str; 3] = ["create", "run", "restore"];

/// A runtime's command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Invocation {
    /// Where the engine looks for messages, when it does.
    pub(super) log: Option<LogFile>,
    /// The container that is to start, when one is.
    pub(super) start: Option<Start>,
}

/// The runtime's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogFile {
    pub(super) path: PathBuf,
    pub(super) json: bool,
}

/// A container that is to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Start {
    bundle: PathBuf,
    /// Its configuration in the bundle, where crun was told of another.
    config: Option<PathBuf>,
}

impl Start {
    /// Its configuration.
    pub(super) fn config_json(&self) -> PathBuf {
        let name = self.config.as_deref().unwrap_or("config.json".as_ref());
        self.bundle.join(name)
    }
}

impl Invocation {
    /// Reads the arguments that follow a runtime's name.
    pub(super) fn read(args: &[OsString]) -> Invocation {
        let mut invocation = Invocation::default();
        let mut words = Words::new(args, &GLOBAL);
        let (mut log, mut json, mut command) = (None, false, None);
        for word in words.by_ref() {
            match word {
                Word::Option { name: "log" | "l", value } => log = value,
                Word::Option { name: "log-format", value } => {
                    json = value.is_some_and(|value| value == "json");
                }
                Word::Option { .. } => {}
                Word::Operand(operand) => {
                    command = Some(operand);
                    break;
                }
            }
        }
        invocation.log = log.and_then(log_path).map(|path| LogFile { path, json });
        let starts = |command: &OsStr| STARTS.iter().any(|start| command == *start);
        if command.is_some_and(starts) {
            let words = Words::new(words.rest(), &COMMAND);
            let mut start = Start { bundle: PathBuf::from("."), config: None };
            for word in words {
                match word {
                    Word::Option { name: "bundle" | "b", value: Some(value) } => {
                        start.bundle = value.into();
                    }
                    Word::Option { name: "config" | "f", value: Some(value) } => {
                        start.config = Some(value.into());
                    }
                    _ => {}
                }
            }
            invocation.start = Some(start);
        }
        invocation
    }
}

/// The file that `--log` names; crun takes others than files too.
fn log_path(value: &OsStr) -> Option<PathBuf> {
    let bytes = value.as_bytes();
    let elsewhere =
        bytes.is_empty() || [&b"syslog:"[..], b"journald:"].iter().any(|p| bytes.starts_with(p));
    let path = bytes.strip_prefix(b"file:").unwrap_or(bytes);
    (!elsewhere).then(|| OsStr::from_bytes(path).into())
}

enum Word<'a> {
    /// An option, without its dashes; not UTF-8 is none that we know.
    Option {
        name: &'a str,
        value: Option<&'a OsStr>,
    },
    Operand(&'a OsStr),
}

/// Options and operands, in whatever order.
struct Words<'a> {
    args: &'a [OsString],
    /// The options that take a value.
    valued: &'static [&'static str],
    /// `--` was there.
    only_operands: bool,
}

impl<'a> Words<'a> {
    fn new(args: &'a [OsString], valued: &'static [&'static str]) -> Words<'a> {
        Words { args, valued, only_operands: false }
    }

    fn rest(&self) -> &'a [OsString] {
        self.args
    }

    fn take(&mut self) -> Option<&'a OsStr> {
        let (first, rest) = self.args.split_first()?;
        self.args = rest;
        Some(first)
    }

    /// Splits an option with its value in the same argument.
    fn option(&mut self, body: &'a [u8], short: bool) -> Word<'a> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        if let Some(at) = memchr::memchr(b'=', body) {
            let value = OsStr::from_bytes(&body[at + 1..]);
            return Word::Option { name: text(&body[..at]), value: Some(value) };
        }
        let name = text(body);
        if self.valued.contains(&name) {
            return Word::Option { name, value: self.take() };
        }
        match body.strip_prefix(b"b") {
            // No option of one letter but this is ever written so by an engine, and no
            // long one that begins with it takes none.
            Some(value) if short && !value.is_empty() && self.valued.contains(&"b") => {
                Word::Option { name: "b", value: Some(OsStr::from_bytes(value)) }
            }
            _ => Word::Option { name, value: None },
        }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let word = self.take()?;
        let bytes = word.as_bytes();
        if self.only_operands {
            return Some(Word::Operand(word));
        }
        match (bytes.strip_prefix(b"--"), bytes.strip_prefix(b"-")) {
            (Some(b""), _) => {
                self.only_operands = true;
                self.next()
            }
            (Some(body), _) => Some(self.option(body, false)),
            (None, Some(body)) if !body.is_empty() => Some(self.option(body, true)),
            _ => Some(Word::Operand(word)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt as _;

    /// A command line, and the configuration of the container that it starts.
    #[track_caller]
    fn check(line: &str, want: Option<&str>) {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let found = Invocation::read(&args).start.map(|start| start.config_json());
        assert_eq!(found, want.map(PathBuf::from), "{line}");
    }

    #[test]
    fn containers_that_start_are_found() {
        for (line, want) in [
            // Docker and containerd.
            (
                "--root /r --log /b/log.json --log-format json create --bundle /b --pid-file /b/p c1",
                "/b/config.json",
            ),
            (
                "--root /r --log /b/log.json --log-format json --systemd-cgroup create --bundle /b --pid-file /b/p --no-pivot c1",
                "/b/config.json",
            ),
            // BuildKit.
            ("--log /l --log-format json run --bundle /b --keep c1", "/b/config.json"),
            ("--log /l --log-format json run --bundle /b --preserve-fds 2 c1", "/b/config.json"),
            // conmon: podman, CRI-O.
            (
                "--systemd-cgroup --root=/r --log-format=json --log=/l create --bundle /b --pid-file /p c1",
                "/b/config.json",
            ),
            // buildah.
            ("create --bundle /b --pid-file /p c1", "/b/config.json"),
            // Other spellings.
            ("create c1", "./config.json"),
            ("run -b /b c1", "/b/config.json"),
            ("run -b=/b c1", "/b/config.json"),
            ("run -b/b c1", "/b/config.json"),
            ("run -bundle /b c1", "/b/config.json"),
            ("-root /r -debug create --bundle=/b c1", "/b/config.json"),
            ("create c1 --bundle /b", "/b/config.json"),
            ("create -- c1 --bundle", "./config.json"),
            ("create --bundle /a --bundle /b c1", "/b/config.json"),
            ("-- create -b /b c1", "/b/config.json"),
            (
                "--debug --criu /c --rootless auto restore --image-path /i -b /b c1",
                "/b/config.json",
            ),
            ("--cgroup-manager=cgroupfs run -f other.json --bundle /b c1", "/b/other.json"),
            ("run --config=/x/other.json --bundle /b c1", "/x/other.json"),
            ("-l /l -s -r /r create -p /p -c /s -b /b c1", "/b/config.json"),
            // A value that looks like something else.
            ("--root create run --pid-file --bundle c1", "./config.json"),
            ("--log run create --console-socket -b -b /b c1", "/b/config.json"),
        ] {
            check(line, Some(want));
        }
        for line in [
            "",
            "--version",
            "-v",
            "--root /r",
            "--root create",
            "--root /r --log /l start c1",
            "start create",
            "exec --process /p --detach c1",
            "exec c1 create --bundle /b",
            "kill --all c1 9",
            "delete --force run",
            "state create",
            "features",
            "spec --bundle /b",
            "checkpoint --image-path /i c1",
            "-",
            "creat c1",
        ] {
            check(line, None);
        }
    }

    #[test]
    fn the_log_is_found() {
        let log = |line: &str| {
            let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            Invocation::read(&args).log.map(|log| (log.path.display().to_string(), log.json))
        };
        for (line, want) in [
            ("--log /l --log-format json create c1", Some(("/l", true))),
            ("--log-format=json --log=/l run c1", Some(("/l", true))),
            ("--log-format=json --log=/l --log-format text run c1", Some(("/l", false))),
            ("-l /l kill c1", Some(("/l", false))),
            ("--log file:/l run c1", Some(("/l", false))),
            ("--log journald:x run c1", None),
            ("--log= run c1", None),
            ("--log-format json run --log /l c1", None),
            ("--log", None),
        ] {
            let want = want.map(|(path, json)| (path.to_owned(), json));
            assert_eq!(log(line), want, "{line}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_values_all_the_same() {
        let args = [&b"run"[..], b"--bundle=/\xff", b"-\xff", b"--\xff=x", b"c\xff"];
        let args: Vec<OsString> = args.map(|arg| OsString::from_vec(arg.to_vec())).into();
        let path = Invocation::read(&args).start.map(|start| start.config_json());
        assert_eq!(path.unwrap().as_os_str().as_bytes(), b"/\xff/config.json");
    }
}
