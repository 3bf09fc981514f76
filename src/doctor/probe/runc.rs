//! A container through runc alone, with the hooks that an engine would add.

use super::bundle::Bundle;
use super::records::Records;
use super::{Failure, Probe, RUN_LIMIT, judge};
use crate::host::{find_program, output};
use std::fs;
use std::path::Path;
use std::process::Command;

impl Probe<'_> {
    pub(super) fn runc(&self) -> Result<String, Failure> {
        let runc = find_program("runc").ok_or_else(|| {
            Failure::NotRun(
                "runc not found".to_owned(),
                "install runc to let Buildwarden prove that it works",
            )
        })?;
        let program = fs::read_link("/proc/self/exe").map_err(Failure::Bundle)?;
        let bundle = Bundle::make(&program, self.config).map_err(Failure::Bundle)?;
        let records = Records::new(self.settings);
        let judged = run(&runc, &bundle).and_then(|()| judge(&records.wait(bundle.id())?, true));
        // `run` has removed it, unless it failed on the way; then there is nothing to tell.
        let _ = output(runtime(&runc, &bundle).args(["delete", "--force", bundle.id()]), RUN_LIMIT);
        let removed = records.remove(bundle.id());
        let found = judged?;
        removed.map(|()| found)
    }
}

fn runtime(runc: &Path, bundle: &Bundle) -> Command {
    let mut command = Command::new(runc);
    command.args(["--log-format", "json", "--root"]).arg(bundle.runtime_root());
    command
}

fn run(runc: &Path, bundle: &Bundle) -> Result<(), Failure> {
    let failed = |reason| Failure::Engine { engine: runc.to_owned(), reason };
    let mut command = runtime(runc, bundle);
    command.arg("run").arg("--bundle").arg(bundle.path()).arg(bundle.id());
    let output = output(&mut command, RUN_LIMIT).map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(format!("{}: {}", output.status, last_message(&output.stderr))))
}

/// What runc said last: it repeats there what it said before. Its lines are JSON,
/// but what the container's process says comes the same way.
fn last_message(stderr: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Line {
        msg: String,
    }
    let message = stderr
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Line>(line).ok())
        .map(|line| line.msg)
        .next_back()
        .unwrap_or_else(|| String::from_utf8_lossy(stderr).into_owned());
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_message_is_told_on_one_line() {
        let cases: [(&[u8], &str); 4] = [
            (
                b"{\"level\":\"error\",\"msg\":\"a\"}\nnoise\n{\"level\":\"error\",\"msg\":\"b\\n c\",\"time\":\"\"}\n",
                "b c",
            ),
            (b"runc: no such\n  flag\n", "runc: no such flag"),
            (b"\xff", "\u{fffd}"),
            (b"", ""),
        ];
        for (stderr, want) in cases {
            assert_eq!(last_message(stderr), want);
        }
    }
}
