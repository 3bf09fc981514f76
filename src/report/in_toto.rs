//! An in-toto Statement with the predicate runtime-trace, version 0.1: ready to be signed,
//! as by `cosign attest-blob` or in a DSSE envelope.

use super::{
    Bytes, json,
    model::{Outcome, Process, Report, is_zero},
};
use serde::Serialize;
use serde_json::json;
use std::str::FromStr;
use thiserror::Error;

pub(super) const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://in-toto.io/attestation/runtime-trace/v0.1";

/// What a Statement is about: an artifact and its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its name, such as that of an image.
    pub name: String,
    /// The digest's algorithm.
    pub algorithm: String,
    /// The digest, in lower case hexadecimal digits.
    pub digest: String,
}

/// Why a text is no subject.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum SubjectError {
    /// Not of this shape.
    #[error("expected NAME=ALGORITHM:DIGEST, as in `app=sha256:e3b0c442…`")]
    Shape,
    /// A digest of another kind.
    #[error("unknown digest algorithm, expected sha256, sha384 or sha512")]
    Algorithm,
    /// A digest of another length, or of other characters.
    #[error("the digest has to be {0} lower case hexadecimal digits")]
    Digest(usize),
}

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, digest) = text.rsplit_once('=').ok_or(SubjectError::Shape)?;
        let (algorithm, digest) = digest.split_once(':').ok_or(SubjectError::Shape)?;
        let digits = match algorithm {
            "sha256" => 64,
            "sha384" => 96,
            "sha512" => 128,
            _ => return Err(SubjectError::Algorithm),
        };
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if digest.len() != digits || !digest.bytes().all(is_digit) {
            return Err(SubjectError::Digest(digits));
        }
        if name.is_empty() {
            return Err(SubjectError::Shape);
        }
        let owned = str::to_owned;
        Ok(Subject { name: owned(name), algorithm: owned(algorithm), digest: owned(digest) })
    }
}

/// An entry of `monitorLog.process`, whose shape the predicate leaves to the monitor.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    event_type: &'static str,
    sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_sequence: Option<u64>,
    pid: u32,
    uid: u32,
    offset_ms: f64,
    process_binary: &'a Bytes,
    #[serde(skip_serializing_if = "is_zero")]
    process_binary_omitted: u64,
    arguments: &'a [Bytes],
    #[serde(skip_serializing_if = "is_zero")]
    arguments_omitted: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a Outcome>,
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    findings: &'a [u64],
}

impl<'a> From<&'a Process> for Entry<'a> {
    fn from(process: &'a Process) -> Self {
        Entry {
            event_type: "exec",
            sequence: process.sequence,
            parent_sequence: process.parent,
            pid: process.pid,
            uid: process.uid,
            offset_ms: process.offset_ms,
            process_binary: &process.path,
            process_binary_omitted: process.path_omitted,
            arguments: &process.argv,
            arguments_omitted: process.argv_omitted,
            outcome: process.outcome.as_ref(),
            findings: &process.findings,
        }
    }
}

/// The Statement. Bytes are as in the report: it is evidence, and nobody reads it raw.
pub(super) fn render(report: &Report, subjects: &[Subject]) -> serde_json::Result<String> {
    let repository = env!("CARGO_PKG_REPOSITORY");
    let container = &report.container;
    let subjects: Vec<_> = subjects
        .iter()
        .map(|subject| {
            let digest = json!({ (subject.algorithm.as_str()): subject.digest });
            json!({ "name": subject.name, "digest": digest })
        })
        .collect();
    let entries: Vec<Entry<'_>> = report.processes.iter().map(Entry::from).collect();
    let job = report.job.as_ref().map(|job| format!("job {}, ", job.id)).unwrap_or_default();
    json::pretty(&json!({
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": {
            "monitor": {
                "type": format!("{repository}/v{}", env!("CARGO_PKG_VERSION")),
                "tracePolicy": {
                    "events": ["sched_process_exec", "sched_process_exit"],
                    "cgroup": container.cgroup,
                    "cgroupId": container.cgroup_id,
                },
            },
            "monitoredProcess": {
                "hostID": format!("{repository}/host"),
                "type": format!("{repository}/container-run/v1"),
                "event": format!("{job}container {}, run {}", container.id, container.run),
            },
            "monitorLog": { "process": entries },
            "metadata": { "buildStartedOn": report.started, "buildFinishedOn": report.finished },
            "buildwarden": {
                "tool": report.tool,
                "verdict": report.verdict_of_facts(),
                "container": container,
                "job": report.job,
                "otherJobs": report.other_jobs,
                "findings": report.findings,
                "findingsOmitted": report.findings_omitted,
                "allowed": report.allowed,
                "completeness": report.completeness,
                "processesOmitted": report.processes_omitted,
                "events": report.events,
            },
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_names_with_digests() {
        let digest = "0123456789abcdef".repeat(4);
        let subject = |name: &str| Subject {
            name: name.to_owned(),
            algorithm: "sha256".to_owned(),
            digest: digest.clone(),
        };
        let cases = [
            (format!("app=sha256:{digest}"), Ok(subject("app"))),
            (format!("a=b=sha256:{digest}"), Ok(subject("a=b"))),
            (format!("=sha256:{digest}"), Err(SubjectError::Shape)),
            (format!("app@sha256:{digest}"), Err(SubjectError::Shape)),
            ("app=sha256".to_owned(), Err(SubjectError::Shape)),
            (format!("app=md5:{digest}"), Err(SubjectError::Algorithm)),
            ("app=sha256:abc".to_owned(), Err(SubjectError::Digest(64))),
            (format!("app=sha256:{}", digest.to_uppercase()), Err(SubjectError::Digest(64))),
            (format!("app=sha512:{digest}"), Err(SubjectError::Digest(128))),
        ];
        for (text, want) in cases {
            assert_eq!(text.parse::<Subject>(), want, "{text}");
        }
    }
}
