//! The daemon behind a socket: which process it is, how it was started, and whether its
//! configuration has changed since.

use super::stat::Stat;
use nix::time::{ClockId, clock_gettime};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt,
};
use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::{ffi::OsStrExt as _, ffi::OsStringExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// A daemon that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Its process.
    pub pid: i32,
    /// Its arguments, without its name.
    pub args: Vec<OsString>,
    /// Its environment as it was started.
    pub environment: Vec<(OsString, OsString)>,
    /// When it was started, to the clock tick.
    pub started: SystemTime,
}

impl Daemon {
    /// Who listens on a socket; `name` is what it is called where systemd listens for it.
    /// Never waits: a daemon that does not answer is none.
    pub fn behind(socket: &Path, name: &str) -> Option<Daemon> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let own = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).ok()?;
        connect(&own, &SocketAddrUnix::new(socket).ok()?).ok()?;
        let pid = sockopt::socket_peercred(&own).ok()?.pid.as_raw_nonzero().get();
        match pid {
            // systemd has made the socket, for the daemon to take.
            1 => Daemon::only(name),
            _ => is_called(pid, name).then(|| Daemon::read(pid)).flatten(),
        }
    }

    /// The one process of that name that root runs outside of containers, where there
    /// is one. Those in containers are in /proc too, called as the container likes, with
    /// arguments that would choose what is read here.
    pub fn only(name: &str) -> Option<Daemon> {
        let entries = fs::read_dir("/proc").ok()?;
        let mut pids = entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| is_called(*pid, name) && is_of_the_host(*pid));
        let pid = pids.next()?;
        pids.next().is_none().then(|| Daemon::read(pid)).flatten()
    }

    fn read(pid: i32) -> Option<Daemon> {
        let file = |name: &str| fs::read(format!("/proc/{pid}/{name}")).ok();
        let args = strings(&file("cmdline")?).skip(1).collect();
        let environment = strings(&file("environ")?)
            .filter_map(|variable| {
                let (name, value) = split(variable.as_bytes(), b'=')?;
                Some((OsStr::from_bytes(name).into(), OsStr::from_bytes(value).into()))
            })
            .collect();
        let since_boot = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?);
        // `btime` of proc_stat(5) would do, but for its whole seconds.
        let booted = SystemTime::now().checked_sub(since_boot)?;
        let started = booted + Stat::of(&pid.to_string())?.since_boot()?;
        Some(Daemon { pid, args, environment, started })
    }

    /// The value of a variable, as it was started.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
    }

    /// The value of an option: `--name value` or `--name=value`.
    pub fn option(&self, names: &[&str]) -> Option<PathBuf> {
        let mut args = self.args.iter();
        while let Some(arg) = args.next() {
            if names.iter().any(|name| arg == name) {
                return args.next().map(PathBuf::from);
            }
            let value = split(arg.as_bytes(), b'=')
                .filter(|(name, _)| names.iter().any(|wanted| wanted.as_bytes() == *name));
            if let Some((_, value)) = value {
                return Some(OsStr::from_bytes(value).into());
            }
        }
        None
    }

    /// Whether a file has changed since it was started, by a second or more.
    pub fn is_older_than(&self, path: &Path) -> bool {
        let changed = fs::metadata(path).and_then(|file| file.modified());
        changed.is_ok_and(|changed| changed >= self.started + Duration::from_secs(1))
    }

    /// The first program of a name in its PATH.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(self.variable("PATH")?)
            .map(|directory| directory.join(name))
            .find(|file| super::executable(file).is_yes())
    }
}

fn is_called(pid: i32, name: &str) -> bool {
    let comm = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    comm.trim_ascii_end() == name.as_bytes()
}

/// Whether a process is root's, sees the pids that this one sees, and means by a path what
/// this one means. Its mount namespace says nothing: a unit of systemd can have its own.
/// A container that shares the host's pids is told by its root directory.
fn is_of_the_host(pid: i32) -> bool {
    let of = |process: &str| {
        let namespace = fs::read_link(format!("/proc/{process}/ns/pid")).ok()?;
        let root = fs::metadata(format!("/proc/{process}/root/")).ok()?;
        Some((namespace, root.dev(), root.ino()))
    };
    // First, so that nothing is looked up in a file system that is a user's own.
    let status = fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
    is_roots(&status) && of(&pid.to_string()).is_some_and(|its| of("self") == Some(its))
}

/// Whether every uid in a proc_pid_status(5) is root's. The owner of its directory is
/// root too for whoever may not be dumped, and the effective one alone for a program that
/// is set-user-ID.
fn is_roots(status: &[u8]) -> bool {
    let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Uid:"));
    let uids: Vec<&[u8]> = line
        .unwrap_or_default()
        .split(u8::is_ascii_whitespace)
        .filter(|uid| !uid.is_empty())
        .collect();
    uids.len() == 4 && uids.iter().all(|uid| *uid == b"0")
}

fn strings(bytes: &[u8]) -> impl Iterator<Item = OsString> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    bytes.split(|byte| *byte == 0).map(|part| OsString::from_vec(part.to_vec()))
}

fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(at, bytes)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn the_listener_is_known() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let socket = dir.path().join("socket");
        assert_eq!(Daemon::behind(&socket, "x"), None);
        let listener = UnixListener::bind(&socket).expect("bound");
        let own = i32::try_from(std::process::id()).expect("a pid");
        let comm = fs::read_to_string("/proc/self/comm").expect("a name");
        // Of the process, not of the test's thread.
        let comm = fs::read_to_string(format!("/proc/{own}/comm")).unwrap_or(comm);
        let daemon = Daemon::behind(&socket, comm.trim_end()).expect("itself");
        assert_eq!(daemon.pid, own);
        assert_eq!(daemon.variable("PATH"), std::env::var_os("PATH").as_deref());
        let age = SystemTime::now().duration_since(daemon.started).expect("in the past");
        assert!(age < Duration::from_secs(3600), "{age:?}");
        assert!(!daemon.is_older_than("/proc/nothing".as_ref()));
        fs::write(dir.path().join("file"), "").expect("written");
        let later = SystemTime::now() + Duration::from_secs(60);
        let file = fs::File::open(dir.path().join("file")).expect("opened");
        file.set_modified(later).expect("set");
        assert!(daemon.is_older_than(&dir.path().join("file")));
        drop(listener);
    }

    #[test]
    fn root_has_no_other_uid() {
        for (uids, want) in [
            ("\t0\t0\t0\t0", true),
            ("\t1000\t1000\t1000\t1000", false),
            ("\t1000\t0\t0\t0", false),
            ("\t0\t0\t0\t1000", false),
            ("\t0", false),
            ("", false),
        ] {
            let status = format!("Name:\tUid:\\n\nState:\tS\nUid:{uids}\nGid:\t0\t0\t0\t0\n");
            assert_eq!(is_roots(status.as_bytes()), want, "{uids:?}");
        }
        assert!(!is_roots(b""));
    }

    #[test]
    fn options_are_read() {
        let args = ["-c", "/a", "--config-file=/b", "--x"].map(OsString::from).to_vec();
        let environment = Vec::new();
        let daemon = Daemon { pid: 1, args, environment, started: SystemTime::UNIX_EPOCH };
        assert_eq!(daemon.option(&["--config", "-c"]), Some("/a".into()));
        assert_eq!(daemon.option(&["--config-file"]), Some("/b".into()));
        assert_eq!(daemon.option(&["--x"]), None);
        assert_eq!(daemon.option(&["--y"]), None);
    }
}
