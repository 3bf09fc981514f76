//! Findings and ends of containers at receivers: a journal, a syslog daemon's socket, an
//! OpenTelemetry collector; and receivers that do not receive.

use crate::harness::{Container, Dir, run, until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest, common::v1::any_value::Value as Any,
    logs::v1::LogRecord,
};
use prost::Message as _;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixDatagram,
    path::PathBuf,
    process::{Child, Command},
    sync::mpsc,
    thread,
};

/// An entrypoint with one finding, whose arguments are not nice.
const BUILD: &str = r#"wget "$(printf 'http://198.51.100.31/"]\\\033[2J\n')"
    echo >/sync/ready; read _ </sync/go"#;

/// The run's account of what was sent, once it is written.
#[track_caller]
fn exports(dir: &Dir, run: &str) -> Value {
    let path = dir.state().join("containers").join(run).join("exports.json");
    until("exports.json", || serde_json::from_slice(&fs::read(&path).ok()?).ok())
}

#[test]
fn root_findings_and_ends_reach_every_output_as_they_happen() {
    let dir = Dir::new();
    let journal = Journal::start(&dir);
    let syslog = UnixDatagram::bind(dir.path("log")).unwrap();
    syslog.set_nonblocking(true).unwrap();
    let (url, requests) = collector();
    dir.configure(&format!(
        "[output]\njournald = {:?}\nsyslog = {:?}\notlp = {url:?}\n",
        journal.socket(),
        dir.path("log"),
    ));
    let container = Container::new(&dir, "sent")
        .annotation("dev.buildwarden.job", "acme \"web\"] #7")
        .script(BUILD);
    let mut running = container.start();
    running.ready();

    // While the container waits.
    let message = until("a datagram", || receive(&syslog));
    let command = r#"wget $'http://198.51.100.31/"]\\\x1b[2J'"#;
    assert!(message.starts_with("<84>1 20"), "{message}");
    assert!(
        message
            .contains(r#" finding [buildwarden@32473 container="sent" run="1" key="finding.1" "#)
    );
    assert!(message.contains(r#" job="acme \"web\"\] #7" "#), "{message}");
    assert!(message.contains(r#" addresses="198.51.100.31" "#), "{message}");
    assert!(message.ends_with(command), "{message}");
    assert!(!message.contains(['\x1b', '\n']), "{message:?}");

    let entry = journal.entry("finding");
    assert_eq!(entry["PRIORITY"], "4");
    assert_eq!(entry["SYSLOG_IDENTIFIER"], "buildwarden");
    assert_eq!(entry["BUILDWARDEN_CONTAINER"], "sent");
    assert_eq!(entry["BUILDWARDEN_JOB"], "acme \"web\"] #7");
    assert_eq!(entry["BUILDWARDEN_COMMAND"], command);
    // The kernel's word on who has sent it.
    assert_eq!(entry["_CAP_EFFECTIVE"], "0");

    // The first answer was that it is busy.
    let records = requests.recv().unwrap();
    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!(record.event_name, "buildwarden.finding");
    let attributes = attributes(record);
    assert_eq!(attributes["container.id"], "sent");
    assert_eq!(attributes["buildwarden.addresses"], "198.51.100.31");
    assert_eq!(attributes["process.command_line"], command);

    running.go();
    running.finish().expect_code(0);
    let message = until("the end's datagram", || receive(&syslog));
    assert!(message.contains(r#" finished [buildwarden@32473 container="sent" "#), "{message}");
    assert!(
        message.contains(r#" verdict="findings" critical="0" medium="1" job="acme"#),
        "{message}"
    );
    assert_eq!(journal.entry("finished")["BUILDWARDEN_VERDICT"], "findings");
    assert_eq!(requests.recv().unwrap()[0].event_name, "buildwarden.finished");
    let exports = exports(&dir, "sent");
    for output in ["journald", "syslog", "otlp"] {
        assert_eq!(exports[output]["sent"], 2, "{exports}");
        assert_eq!(exports[output]["failed"], 0, "{exports}");
    }
    until("no exporter", || dir.exporters().is_empty().then_some(()));
}

#[test]
fn root_a_receiver_that_does_not_receive_changes_nothing() {
    let dir = Dir::new();
    // Bound, and never read: it fills up. Listening, and never accepting.
    let _full = UnixDatagram::bind(dir.path("full")).unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    dir.configure(&format!(
        "[output]\njournald = {:?}\nsyslog = {:?}\notlp = \"http://{}/\"\n",
        dir.path("full"),
        dir.path("nothing-here"),
        silent.local_addr().unwrap(),
    ));
    let script = "i=0; while [ $i -lt 300 ]; do wget http://198.51.100.32/$i; i=$((i+1)); done; :";
    Container::new(&dir, "unsent").script(script).run().expect_code(0);
    // The report does not wait for anybody.
    let report = dir.report("unsent");
    assert!(!dir.exporters().is_empty(), "they are still trying");
    assert_eq!(report.findings.len(), 300);
    assert_eq!(report.completeness.shortcomings(), [""; 0]);
    let log = dir.state().join("containers/unsent/annotations.jsonl");
    assert_eq!(fs::read_to_string(log).unwrap().lines().count(), 302);
    dir.expect_nothing_live();
}

#[test]
fn root_a_killed_exporter_costs_no_finding_and_by_hand_all_are_sent_again() {
    let dir = Dir::new();
    let syslog = UnixDatagram::bind(dir.path("log")).unwrap();
    syslog.set_nonblocking(true).unwrap();
    dir.configure(&format!("[output]\nsyslog = {:?}\n", dir.path("log")));
    let container = Container::new(&dir, "killed").script(BUILD);
    let mut running = container.start();
    running.ready();
    until("a datagram", || receive(&syslog));
    let [exporter] = dir.exporters()[..] else { panic!("{:?}", dir.exporters()) };
    // One is enough.
    run(&mut dir.buildwarden(["export", "killed"])).expect_code(1);
    kill(exporter, Signal::SIGKILL).unwrap();
    running.go();
    running.finish().expect_code(0);
    assert_eq!(dir.report("killed").findings.len(), 1);
    // One that is killed holds its lock until it was scheduled once more.
    let done = until("nobody else is sending", || {
        let done = run(&mut dir.buildwarden(["export", "killed"]));
        (done.code == 0).then_some(done)
    });
    assert_eq!(done.stdout(), "syslog: 2 sent, 0 not\n");
    let sent: Vec<_> = std::iter::from_fn(|| receive(&syslog)).collect();
    assert!(sent.len() == 2 && sent[0].contains(" finding ") && sent[1].contains(" finished "));
    assert_eq!(exports(&dir, "killed")["syslog"]["sent"], 2);
    fs::remove_file(dir.path("log")).unwrap();
}

/// A datagram that has arrived.
fn receive(socket: &UnixDatagram) -> Option<String> {
    let mut buffer = [0; 64 << 10];
    let length = socket.recv(&mut buffer).ok()?;
    Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
}

fn attributes(record: &LogRecord) -> BTreeMap<&str, String> {
    let text = |value: Option<&Any>| match value {
        Some(Any::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    };
    record
        .attributes
        .iter()
        .map(|attribute| {
            (&*attribute.key, text(attribute.value.as_ref().and_then(|any| any.value.as_ref())))
        })
        .collect()
}

/// An OpenTelemetry collector: its URL, and the records of each request that it took. It
/// is busy at first.
pub(crate) fn collector() -> (String, mpsc::Receiver<Vec<LogRecord>>) {
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let url = format!("http://{}/v1/logs", listener.local_addr().unwrap());
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        for (at, stream) in listener.incoming().enumerate() {
            let body = answer(stream.unwrap(), if at == 0 { "503 Busy" } else { "200 OK" });
            let request = ExportLogsServiceRequest::decode(&*body).unwrap();
            let logs = request.resource_logs.into_iter().flat_map(|logs| logs.scope_logs);
            let records: Vec<_> = logs.flat_map(|logs| logs.log_records).collect();
            if at > 0 && send.send(records).is_err() {
                return;
            }
        }
    });
    (url, receive)
}

/// Answers a request; its body.
fn answer(mut stream: TcpStream, status: &str) -> Vec<u8> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut length = 0;
    let mut lines = reader.by_ref().lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "POST /v1/logs HTTP/1.1");
    for line in lines.take_while(|line| !line.is_empty()) {
        let line = line.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        if let Some(value) = line.strip_prefix("content-type: ") {
            assert_eq!(value, "application/x-protobuf");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).unwrap();
    body
}

/// systemd's journal with a /run and a /var/log of its own.
struct Journal {
    daemon: Child,
    run: PathBuf,
}

impl Journal {
    fn start(dir: &Dir) -> Journal {
        let (run, log) = (dir.path("journal"), dir.path("journal-log"));
        fs::create_dir_all(run.join("log/journal")).unwrap();
        fs::create_dir(&log).unwrap();
        let daemon = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg(
                "mount --bind \"$1\" /run && mount --bind \"$2\" /var/log && \
                 exec /lib/systemd/systemd-journald",
            )
            .args(["sh".as_ref(), run.as_os_str(), log.as_os_str()])
            .spawn()
            .unwrap();
        let journal = Journal { daemon, run };
        until("journald's socket", || journal.socket().exists().then_some(()));
        journal
    }

    fn socket(&self) -> PathBuf {
        self.run.join("systemd/journal/socket")
    }

    /// The entry about such an event, once it is in the journal.
    fn entry(&self, event: &str) -> Value {
        let mut journalctl = Command::new("journalctl");
        journalctl.arg("--directory").arg(self.run.join("log/journal"));
        journalctl.args(["--output=json", &format!("BUILDWARDEN_EVENT={event}")]);
        until(event, || {
            let done = run(&mut journalctl);
            let line = done.stdout().lines().next()?.to_owned();
            Some(serde_json::from_str(&line).unwrap())
        })
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.daemon.id() as i32), Signal::SIGTERM);
        let _ = self.daemon.wait();
    }
}
