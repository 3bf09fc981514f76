//! An exec as the event file has it.

use buildwarden::report::Bytes;
use serde::Deserialize;
use serde_json::Value;

/// A line of `execs.jsonl`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Exec {
    #[serde(rename = "exec")]
    pub(crate) sequence: u64,
    #[serde(default)]
    pub(crate) argv: Vec<Bytes>,
    #[serde(default)]
    pub(crate) flags: Vec<String>,
}

impl Exec {
    /// The exec on a line, when it is about one.
    pub(super) fn from_line(line: &str) -> Option<Exec> {
        let value: Value = serde_json::from_str(line).unwrap();
        value.get("exec")?;
        let mut exec: Exec = serde_json::from_value(value.clone()).unwrap();
        if value.get("argv").is_none() {
            let name = value.get("name").or(value.get("path")).unwrap();
            exec.argv = vec![serde_json::from_value(name.clone()).unwrap()];
        }
        Some(exec)
    }

    /// Whether an argument is `text`.
    pub(crate) fn has(&self, text: &str) -> bool {
        self.argv.iter().any(|argument| argument.as_bytes() == text.as_bytes())
    }
}
