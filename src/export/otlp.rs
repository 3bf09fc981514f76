//! An OpenTelemetry collector: OTLP logs, protobuf over HTTP.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>. The messages are OpenTelemetry's
//! own types; they are sent from here and not by its SDK, which queues in memory, drops
//! without telling its caller, and brings an HTTP stack of several megabytes.

use super::{
    BATCH, Output, Record, Severity,
    patience::{Failure, Patience},
};
use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber},
    resource::v1::Resource,
};
use prost::Message as _;
use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream},
    time::{Duration, Instant},
};
use url::{Host, Position, Url};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of an answer's head that are read.
const HEAD_MAX: usize = 16 << 10;

const USER_AGENT: &str = concat!("buildwarden/", env!("CARGO_PKG_VERSION"));

/// Our facts that the semantic conventions have names for.
const CONVENTIONS: [(&str, &str); 6] = [
    ("container", "container.id"),
    ("name", "container.name"),
    ("image", "container.image.name"),
    ("command", "process.command_line"),
    ("path", "process.executable.path"),
    ("pid", "process.pid"),
];

/// The service.
pub(super) struct Otlp {
    url: Url,
    host: Option<String>,
}

impl Otlp {
    pub(super) fn new(url: Url) -> Otlp {
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        Otlp { url, host }
    }

    fn post(&self, body: &[u8]) -> Result<(), Failure> {
        let failure =
            |reason: String, again| Failure { reason: format!("{}: {reason}", self.url), again };
        match self.status(body) {
            Ok(200..=299) => Ok(()),
            // Those that the specification names.
            Ok(status) => {
                let again = matches!(status, 429 | 502 | 503 | 504);
                Err(failure(format!("HTTP status {status}"), again))
            }
            Err(error) => Err(failure(error.to_string(), true)),
        }
    }

    /// Sends a request; the status of its answer, whose rest says nothing that we could act
    /// upon.
    fn status(&self, body: &[u8]) -> io::Result<u16> {
        let deadline = Instant::now() + TIMEOUT;
        let mut stream = connect(&self.url, deadline)?;
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}{port}\r\nUser-Agent: {USER_AGENT}\r\n\
             Content-Type: application/x-protobuf\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            &self.url[Position::BeforePath..Position::AfterQuery],
            self.url.host_str().unwrap_or_default(),
            body.len(),
        );
        stream.set_write_timeout(Some(left(deadline)?))?;
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        // To the end of its head, so that nobody is cut off who still writes.
        let mut head = Vec::new();
        while head.len() < HEAD_MAX && memchr::memmem::find(&head, b"\r\n\r\n").is_none() {
            let mut piece = [0; 1024];
            stream.set_read_timeout(Some(left(deadline)?))?;
            match stream.read(&mut piece)? {
                0 => break,
                read => head.extend_from_slice(&piece[..read]),
            }
        }
        // `HTTP/1.1 200`
        let digits = head.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
        digits
            .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
            .ok_or_else(|| io::Error::other("this is no answer of HTTP/1.1"))
    }
}

/// A connection to the URL's address. Names are not looked up, as that loads shared objects,
/// which a static program cannot rely on.
fn connect(url: &Url, deadline: Instant) -> io::Result<TcpStream> {
    let hosts: &[IpAddr] = match url.host() {
        Some(Host::Ipv4(address)) => &[address.into()],
        Some(Host::Ipv6(address)) => &[address.into()],
        _ => &[IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
    };
    let port = url.port_or_known_default().unwrap_or(80);
    let mut connected = Err(io::ErrorKind::AddrNotAvailable.into());
    for host in hosts {
        connected = TcpStream::connect_timeout(&(*host, port).into(), left(deadline)?);
        if connected.is_ok() {
            break;
        }
    }
    connected
}

/// What is left until a moment.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

impl Output for Otlp {
    fn send(&mut self, records: &[Record], patience: &mut Patience) -> (usize, Option<String>) {
        debug_assert!(records.len() <= BATCH);
        let body = request(self.host.as_deref(), records).encode_to_vec();
        match patience.attempt(|| self.post(&body)) {
            Ok(()) => (records.len(), None),
            Err(reason) => (0, Some(reason)),
        }
    }
}

fn request(host: Option<&str>, records: &[Record]) -> ExportLogsServiceRequest {
    let mut resource = vec![
        attribute("service.name", env!("CARGO_PKG_NAME")),
        attribute("service.version", env!("CARGO_PKG_VERSION")),
    ];
    resource.extend(host.map(|host| attribute("host.name", host)));
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let logs = ScopeLogs {
        scope: Some(scope),
        log_records: records.iter().map(log_record).collect(),
        ..ScopeLogs::default()
    };
    let logs = ResourceLogs {
        resource: Some(Resource { attributes: resource, ..Resource::default() }),
        scope_logs: vec![logs],
        ..ResourceLogs::default()
    };
    ExportLogsServiceRequest { resource_logs: vec![logs] }
}

fn log_record(record: &Record) -> LogRecord {
    let severity = match record.severity {
        Severity::Critical => SeverityNumber::Error,
        Severity::Warning => SeverityNumber::Warn,
        Severity::Info => SeverityNumber::Info,
    };
    let time = u64::try_from(record.time.unix_ns()).unwrap_or(0);
    let attributes = record.fields.iter().map(|field| {
        match CONVENTIONS.iter().find(|(name, _)| *name == field.name) {
            Some((_, name @ "process.pid")) => KeyValue {
                key: (*name).to_owned(),
                value: Some(AnyValue { value: field.value.parse().ok().map(Value::IntValue) }),
                ..KeyValue::default()
            },
            Some((_, name)) => attribute(name, &field.value),
            None => attribute(&format!("buildwarden.{}", field.name), &field.value),
        }
    });
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time,
        severity_number: severity.into(),
        severity_text: severity.as_str_name().trim_start_matches("SEVERITY_NUMBER_").to_owned(),
        body: Some(text(&record.text)),
        attributes: attributes.collect(),
        event_name: format!("buildwarden.{}", record.kind.as_str()),
        ..LogRecord::default()
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(text(value)), ..KeyValue::default() }
}

fn text(value: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(value.to_owned())) }
}
