//! A syslog daemon: RFC 5424 in a datagram each, to a socket or by UDP (RFC 5426).

use super::{
    Output, Record, Severity,
    patience::{Failure, Patience},
    record::cut,
};
use crate::config;
use std::{
    fmt::Display,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::unix::net::UnixDatagram,
    path::PathBuf,
};
use syslog_fmt::{
    Facility,
    v5424::{Config, Formatter, Timestamp},
};

/// The name of our structured data. 32473 is the enterprise number for those that have
/// none (RFC 5612).
const ELEMENT: &str = "buildwarden@32473";

/// Bytes of a datagram: rsyslog takes 8 KiB unless told otherwise and cuts off the rest.
/// Structured data that does not end is none.
const DATAGRAM: usize = 8191;

/// Bytes of the text, without the mark that it was cut.
const TEXT: usize = 2048;

/// Bytes of a field's value, escaped and without that mark: one cannot drive out the others.
const VALUE: usize = 1024;

/// The mark.
const MARK: usize = '…'.len_utf8();

/// The daemon.
pub(super) struct Syslog {
    /// Where it is, in words.
    to: String,
    socket: io::Result<Socket>,
    formatter: Formatter,
}

enum Socket {
    Unix(UnixDatagram, PathBuf),
    Udp(UdpSocket),
}

impl Syslog {
    pub(super) fn new(to: config::Syslog) -> Syslog {
        let (to, socket) = match to {
            config::Syslog::Socket(path) => {
                let to = path.display().to_string();
                (to, unix_socket().map(|socket| Socket::Unix(socket, path)))
            }
            config::Syslog::Udp(address) => {
                (format!("udp://{address}"), udp_socket(address).map(Socket::Udp))
            }
        };
        let pid = std::process::id().to_string();
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        // Only visible ASCII may stand there.
        let host =
            host.filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()));
        let formatter = Config {
            facility: Facility::Authpriv,
            hostname: host.as_deref(),
            app_name: Some("buildwarden"),
            proc_id: Some(&pid),
        }
        .into_formatter();
        Syslog { to, socket, formatter }
    }
}

impl Output for Syslog {
    fn send(&mut self, records: &[Record], patience: &mut Patience) -> (usize, Option<String>) {
        let Syslog { to, socket, formatter } = self;
        each(records, patience, |record| {
            let message = message(formatter, record);
            let sent = match socket {
                Ok(Socket::Unix(socket, path)) => socket.send_to(&message, path),
                Ok(Socket::Udp(socket)) => socket.send(&message),
                Err(error) => return Err(Failure::of(&to, error)),
            };
            sent.map(drop).map_err(|error| Failure::of(&to, &error))
        })
    }
}

/// Sends records one by one; the number of those that were taken, and why the last of the
/// others was not.
pub(super) fn each(
    records: &[Record],
    patience: &mut Patience,
    mut send: impl FnMut(&Record) -> Result<(), Failure>,
) -> (usize, Option<String>) {
    let (mut sent, mut failure) = (0, None);
    for record in records {
        match patience.attempt(|| send(record)) {
            Ok(()) => sent += 1,
            Err(reason) => failure = Some(reason),
        }
    }
    (sent, failure)
}

/// A socket that never blocks.
pub(super) fn unix_socket() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn udp_socket(to: SocketAddr) -> io::Result<UdpSocket> {
    // Not as a text: that would link all that looks up names, a twentieth of the program.
    let any: IpAddr =
        if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(to)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl Failure {
    /// A datagram could not be sent there.
    pub(super) fn of(to: impl Display, error: &io::Error) -> Failure {
        let hopeless = [
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::InvalidInput,
            io::ErrorKind::QuotaExceeded,
        ];
        let too_long = error.raw_os_error() == Some(libc::EMSGSIZE);
        let again = !too_long && !hopeless.contains(&error.kind());
        Failure { reason: format!("{to}: {error}"), again }
    }
}

/// The datagram.
fn message(formatter: &Formatter, record: &Record) -> Vec<u8> {
    let severity = match record.severity {
        Severity::Critical => syslog_fmt::Severity::Crit,
        Severity::Warning => syslog_fmt::Severity::Warning,
        Severity::Info => syslog_fmt::Severity::Info,
    };
    // Six digits of a second are what the RFC allows.
    let time = record.time.0.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    let text = cut(&record.text, TEXT, char::len_utf8);
    let write = |fields: &[(&str, String)]| {
        let mut message = Vec::new();
        // Writing to memory does not fail.
        let _ = formatter.write_with_data(
            &mut message,
            severity,
            Timestamp::PreformattedStr(&time),
            &*text,
            Some(record.kind.as_str()),
            [(ELEMENT, fields.iter().map(|(name, value)| (*name, &**value)))],
        );
        message
    };
    write(&fitting(record, DATAGRAM.saturating_sub(write(&[]).len())))
}

/// The fields for which there is room, the first ones first.
fn fitting(record: &Record, mut room: usize) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    for field in &record.fields {
        let frame = field.name.len() + r#" ="""#.len();
        let Some(left) = room.checked_sub(frame + MARK) else { continue };
        let value = cut(&field.value, VALUE.min(left), bytes_of);
        room -= frame + value.chars().map(bytes_of).sum::<usize>();
        fields.push((field.name, value));
    }
    fields
}

/// Bytes that a character takes in a value.
fn bytes_of(c: char) -> usize {
    match c {
        '"' | '\\' | ']' => 2,
        c => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        export::record::tests::{records, records_with},
        report::model::Job,
    };

    fn formatter(host: &str) -> Formatter {
        Config {
            facility: Facility::Authpriv,
            hostname: Some(host),
            app_name: Some("buildwarden"),
            proc_id: Some("1"),
        }
        .into_formatter()
    }

    #[test]
    fn structured_data_is_escaped() {
        let formatter = formatter("host");
        let want = "<82>1 1970-01-01T00:00:00.000001Z host buildwarden 1 finding \
            [buildwarden@32473 container=\"c1\" run=\"2\" key=\"finding.1\" \
            recipe=\"net_suspicious_tool_exec\" importance=\"critical\" tactic=\"TA0011\" \
            technique=\"T1071\" tool=\"wget\" pid=\"7\" uid=\"0\" exec=\"9\" addresses=\"8.8.8.8\" \
            command=\"wget http://8.8.8.8/ $'\\\\x1b[2J\\\\n'\" job=\"a\\]b\" name=\"we\\\\nb\" \
            path=\"/bin/w\\\\xffget\"] \u{feff}critical: wget → 8.8.8.8 in we\\nb, job a]b: \
            wget http://8.8.8.8/ $'\\x1b[2J\\n'";
        let [finding, _] = records();
        assert_eq!(String::from_utf8(message(&formatter, &finding)).unwrap(), want);
    }

    #[test]
    fn a_record_fits_into_a_datagram_whatever_a_build_writes() {
        let identity = r#"[buildwarden@32473 container="c1" run="2" key="fin"#;
        // In this order; those behind them have what room is left.
        let [of_finding, of_finished]: [&[&str]; 2] = [
            &["recipe", "importance", "pid", "exec", "addresses", "command", "job", "name"],
            &["verdict", "critical", "medium", "job", "name", "engine", "image"],
        ];
        // The longest name that a host can have under POSIX.
        let formatter = formatter(&"h".repeat(255));
        for unit in ["a", "\"", "]", "\\", "\x1b", "é", "\u{10330}", "\u{202e}", "\u{10ffff}"] {
            let long = unit.repeat(1 << 20);
            let records = records_with(|attached, finding, finished| {
                attached.container.name = Some(long.clone());
                attached.container.image = Some(long.clone());
                attached.container.engine = Some(long.clone());
                attached.job = Some(Job { id: long.clone(), source: String::new() });
                finding.addresses[0].address = long.clone();
                finding.exec.path = long.as_bytes().into();
                finding.exec.argv = vec![long.as_bytes().into(); 3];
                finished.reasons = vec![long.clone()];
            });
            for (record, names) in records.iter().zip([of_finding, of_finished]) {
                let message = String::from_utf8(message(&formatter, record)).unwrap();
                assert!(message.len() < 8192, "{}: {message}", message.len());
                assert!(message.contains("\"] \u{feff}"), "{message}");
                let mut at = message.find(identity).unwrap();
                for name in names {
                    at = message[at..].find(&format!(r#"" {name}=""#)).expect(&message) + at;
                }
                let job = message.split(" job=\"").nth(1).unwrap();
                assert!(job.split("…\"").next().unwrap().len() >= VALUE - 20, "{message}");
            }
        }
    }
}
