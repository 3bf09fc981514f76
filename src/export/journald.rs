//! systemd's journal, in its native protocol: a datagram of `NAME=value` lines.
//!
//! <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>. Records are small and of one line, so
//! neither the form for values of several lines nor memfds are needed.

use super::{
    Output, Record, Severity,
    patience::{Failure, Patience},
    syslog::{each, unix_socket},
};
use std::{io, os::unix::net::UnixDatagram, path::PathBuf};

/// The journal.
pub(super) struct Journald {
    path: PathBuf,
    socket: io::Result<UnixDatagram>,
}

impl Journald {
    pub(super) fn new(path: PathBuf) -> Journald {
        Journald { path, socket: unix_socket() }
    }
}

impl Output for Journald {
    fn send(&mut self, records: &[Record], patience: &mut Patience) -> (usize, Option<String>) {
        let Journald { path, socket } = self;
        each(records, patience, |record| {
            let socket = socket.as_ref().map_err(|error| Failure::of(path.display(), error))?;
            let sent = socket.send_to(entry(record).as_bytes(), &*path);
            sent.map(drop).map_err(|error| Failure::of(path.display(), &error))
        })
    }
}

/// The datagram.
fn entry(record: &Record) -> String {
    let priority = match record.severity {
        Severity::Critical => 2,
        Severity::Warning => 4,
        Severity::Info => 6,
    };
    let mut entry = format!(
        "MESSAGE={}\nPRIORITY={priority}\nSYSLOG_IDENTIFIER=buildwarden\nBUILDWARDEN_TIME={}\n\
         BUILDWARDEN_EVENT={}\n",
        record.text,
        record.time,
        record.kind.as_str(),
    );
    for field in &record.fields {
        let name = field.name.to_ascii_uppercase();
        entry.push_str(&format!("BUILDWARDEN_{name}={}\n", field.value));
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::record::tests::records;

    #[test]
    fn an_entry_has_a_line_for_each_field() {
        let want = "\
MESSAGE=critical: wget → 8.8.8.8 in we\\nb, job a]b: wget http://8.8.8.8/ $'\\x1b[2J\\n'
PRIORITY=2
SYSLOG_IDENTIFIER=buildwarden
BUILDWARDEN_TIME=1970-01-01T00:00:00.000001000Z
BUILDWARDEN_EVENT=finding
BUILDWARDEN_CONTAINER=c1
BUILDWARDEN_RUN=2
BUILDWARDEN_KEY=finding.1
BUILDWARDEN_RECIPE=net_suspicious_tool_exec
BUILDWARDEN_IMPORTANCE=critical
BUILDWARDEN_TACTIC=TA0011
BUILDWARDEN_TECHNIQUE=T1071
BUILDWARDEN_TOOL=wget
BUILDWARDEN_PID=7
BUILDWARDEN_UID=0
BUILDWARDEN_EXEC=9
BUILDWARDEN_ADDRESSES=8.8.8.8
BUILDWARDEN_COMMAND=wget http://8.8.8.8/ $'\\x1b[2J\\n'
BUILDWARDEN_JOB=a]b
BUILDWARDEN_NAME=we\\nb
BUILDWARDEN_PATH=/bin/w\\xffget
";
        let [finding, finished] = records();
        assert_eq!(entry(&finding), want);
        let end = entry(&finished);
        assert!(end.starts_with("MESSAGE=ended: findings, 1 critical and 0 medium in we\\nb"));
        assert!(end.contains("\nBUILDWARDEN_VERDICT=findings\n"), "{end}");
    }
}
