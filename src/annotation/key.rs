//! The keys of the annotation log.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{borrow::Cow, fmt};

/// What every key begins with.
const PREFIX: &str = "dev.buildwarden.";

/// What a line of the log is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// `dev.buildwarden.attached`: recording began.
    Attached,
    /// `dev.buildwarden.job.<n>`: an exec's environment named a job, from 1.
    Job(u64),
    /// `dev.buildwarden.finding.<n>`: the finding with that number, from 1.
    Finding(u64),
    /// `dev.buildwarden.allowed.<n>`: a match that the policy allows, from 1.
    Allowed(u64),
    /// `dev.buildwarden.gap.<n>`: something was lost, for the nth time, from 1.
    Gap(u64),
    /// `dev.buildwarden.finished`: the container ended; nothing follows.
    Finished,
    /// A key that this version does not know.
    Other(String),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Attached => write!(f, "{PREFIX}attached"),
            Key::Job(n) => write!(f, "{PREFIX}job.{n}"),
            Key::Finding(n) => write!(f, "{PREFIX}finding.{n}"),
            Key::Allowed(n) => write!(f, "{PREFIX}allowed.{n}"),
            Key::Gap(n) => write!(f, "{PREFIX}gap.{n}"),
            Key::Finished => write!(f, "{PREFIX}finished"),
            Key::Other(key) => f.write_str(key),
        }
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        let other = || Key::Other(text.to_owned());
        match text.strip_prefix(PREFIX) {
            Some("attached") => Key::Attached,
            Some("finished") => Key::Finished,
            Some(rest) => match rest.split_once('.') {
                Some(("job", n)) => number(n).map_or_else(other, Key::Job),
                Some(("finding", n)) => number(n).map_or_else(other, Key::Finding),
                Some(("allowed", n)) => number(n).map_or_else(other, Key::Allowed),
                Some(("gap", n)) => number(n).map_or_else(other, Key::Gap),
                _ => other(),
            },
            None => other(),
        }
    }
}

/// A number in the one spelling that is written (`str::parse` takes `+1` and `01` too).
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|n: &u64| n.to_string() == text)
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer).map(|text| Key::from(text.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let cases = [
            ("dev.buildwarden.attached", Key::Attached),
            ("dev.buildwarden.job.1", Key::Job(1)),
            ("dev.buildwarden.finding.1", Key::Finding(1)),
            ("dev.buildwarden.allowed.2", Key::Allowed(2)),
            ("dev.buildwarden.gap.18446744073709551615", Key::Gap(u64::MAX)),
            ("dev.buildwarden.finished", Key::Finished),
        ];
        for (text, key) in cases {
            assert_eq!(Key::from(text), key);
            assert_eq!(key.to_string(), text);
        }
        for text in ["", "finished", "dev.buildwarden.finding.+1", "dev.buildwarden.gap.01"] {
            assert_eq!(Key::from(text), Key::Other(text.to_owned()));
        }
    }
}
