//! One line of the annotation log.

use super::{Entry, Key};
use crate::report::Time;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One line: when, of which container, what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When it was observed.
    pub time: Time,
    /// The container's id.
    pub container: String,
    /// What was observed.
    pub key: Key,
    /// The facts, in the form that the key prescribes.
    pub value: serde_json::Value,
}

/// A line that this program does not write: torn by a crash, or changed.
#[derive(Debug, Error)]
#[error("expected a line of an annotation log: {0}")]
pub struct Malformed(#[from] serde_json::Error);

impl Line {
    /// Reads a line.
    pub fn parse(bytes: &[u8]) -> Result<Line, Malformed> {
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The facts, typed.
    pub fn entry(&self) -> Result<Entry, Malformed> {
        let value = &self.value;
        Ok(match self.key {
            Key::Attached => Entry::Attached(Deserialize::deserialize(value)?),
            Key::Job(_) => Entry::Job(Deserialize::deserialize(value)?),
            Key::Finding(_) => Entry::Finding(Deserialize::deserialize(value)?),
            Key::Allowed(_) => Entry::Allowed(Deserialize::deserialize(value)?),
            Key::Gap(_) => Entry::Gap(Deserialize::deserialize(value)?),
            Key::Finished => Entry::Finished(Deserialize::deserialize(value)?),
            Key::Other(_) => Entry::Other,
        })
    }
}
