//! The runtime's log, in which engines look for what went wrong.

use super::invocation::LogFile;
use crate::escape;
use serde::Serialize;
use std::{
    fmt::Display,
    fs::OpenOptions,
    io::{self, Write as _},
};

/// How bad it is. An engine shows the last error of a runtime that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// The container starts.
    Warning,
    /// It does not.
    Error,
}

/// A line as runc writes it, with its keys in its order.
#[derive(Serialize)]
struct Line<'a> {
    level: Level,
    msg: &'a str,
    time: &'a str,
}

/// Appends a line to the log, where there is one.
pub(super) fn say(log: Option<&LogFile>, level: Level, message: &dyn Display) {
    let Some(log) = log else { return };
    let message = format!("buildwarden: {message}");
    let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    if let Err(error) = append(log, &line(log.json, level, &message, &time)) {
        warn(&format!("{}: {error}", log.path.display()));
    }
}

/// Says it on standard error, closed or not: that must not keep a container from starting.
pub(super) fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "buildwarden: warning: {}", escape::prose(text));
}

fn line(json: bool, level: Level, msg: &str, time: &str) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    if json {
        let line = Line { level, msg, time };
        return serde_json::to_string(&line).unwrap_or_default() + "\n";
    }
    let level = match level {
        Level::Warning => "warning",
        Level::Error => "error",
    };
    format!("time={} level={level} msg={}\n", quoted(time), quoted(msg))
}

fn append(log: &LogFile, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(&log.path)?;
    // One write: the runtime appends to the same file.
    file.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_look_like_the_runtimes() {
        let check = |json, level, want: &str| {
            assert_eq!(line(json, level, "a \"b\"\n", "2026-01-02T03:04:05Z"), want);
        };
        check(
            true,
            Level::Error,
            "{\"level\":\"error\",\"msg\":\"a \\\"b\\\"\\n\",\"time\":\"2026-01-02T03:04:05Z\"}\n",
        );
        check(
            false,
            Level::Warning,
            "time=\"2026-01-02T03:04:05Z\" level=warning msg=\"a \\\"b\\\"\\n\"\n",
        );
    }
}
