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

/// How long one request may take, seconds.
const TIMEOUT: u64 = 5;
/// Bytes of a response's head that are read.
const HEAD_MAX: usize = 64 << 10;

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
    url: String,
    host: Option<String>,
}

impl Otlp {
    pub(super) fn new(url: String) -> Otlp {
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        Otlp { url, host }
    }

    fn post(&self, body: &[u8]) -> Result<(), Failure> {
        let response = minreq::post(&self.url)
            .with_header("Content-Type", "application/x-protobuf")
            .with_header("User-Agent", concat!("buildwarden/", env!("CARGO_PKG_VERSION")))
            .with_body(body)
            .with_timeout(TIMEOUT)
            .with_follow_redirects(false)
            .with_max_headers_size(HEAD_MAX)
            .with_max_status_line_length(HEAD_MAX)
            // Its body says nothing that we could act upon, and may be long.
            .send_lazy();
        match response.map(|response| response.status_code) {
            Ok(200..=299) => Ok(()),
            // Those that the specification names.
            Ok(status) => Err(Failure {
                reason: format!("{}: HTTP status {status}", self.url),
                again: matches!(status, 429 | 502 | 503 | 504),
            }),
            Err(error) => Err(Failure { reason: format!("{}: {error}", self.url), again: true }),
        }
    }
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
