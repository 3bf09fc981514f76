//! Temporary shape until the detector lands.
#![allow(missing_docs)]
use crate::event::Exec;
use std::ops::Range;
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Importance {
    Medium,
    Critical,
}
#[derive(Debug)]
pub struct Attack {
    pub id: String,
    pub name: String,
}
#[derive(Debug, Clone, Copy)]
pub enum Signal {
    ResolvedFile,
}
impl Signal {
    pub fn name(self) -> &'static str {
        "resolved file"
    }
}
#[derive(Debug)]
pub struct Tool {
    pub name: String,
    pub matched_by: Signal,
}
#[derive(Debug)]
pub struct Address {
    pub address: String,
    pub text: Vec<u8>,
    pub argument: usize,
    pub span: Option<Range<usize>>,
    pub role: String,
    pub scope: String,
}
#[derive(Debug)]
pub struct Reading(String);
impl Reading {
    pub fn lines(&self) -> Vec<String> {
        vec![self.0.clone()]
    }
}
#[derive(Debug)]
pub struct Finding {
    pub recipe: String,
    pub importance: Importance,
    pub category: Attack,
    pub method: Attack,
    pub tool: Tool,
    pub addresses: Vec<Address>,
    pub explanation: Reading,
}
#[derive(Debug, Default)]
pub struct Judgement {
    pub findings: Vec<Finding>,
    pub allowed: Vec<()>,
}
pub struct Context<'a> {
    pub now: jiff::Timestamp,
    pub job: Option<&'a str>,
}
pub struct Evidence<'a> {
    pub step: Option<&'a [u8]>,
    pub script: Option<&'a [u8]>,
    pub parents: &'a [&'a [u8]],
    pub job: Option<&'a [u8]>,
}
pub struct Detector;
impl Detector {
    pub fn builtin() -> Detector {
        Detector
    }
    pub fn tool_names(&self) -> impl Iterator<Item = &str> {
        ["curl", "wget", "busybox", "ping"].into_iter()
    }
    pub fn advice(&self, _: &Finding, _: &Evidence<'_>) -> Vec<String> {
        vec!["look".into()]
    }
    pub fn judge(&self, exec: &Exec<'_>, _: &Context<'_>) -> Judgement {
        let mut j = Judgement::default();
        for (i, a) in exec.argv.iter().enumerate() {
            if a.windows(7).any(|w| w == b"198.51.") || a.windows(7).any(|w| w == b"198.51.") {
                j.findings.push(Finding {
                    recipe: "net_suspicious_tool_exec".into(),
                    importance: Importance::Medium,
                    category: Attack { id: "TA0011".into(), name: "Command and Control".into() },
                    method: Attack { id: "T1071.001".into(), name: "Web Protocols".into() },
                    tool: Tool { name: "x".into(), matched_by: Signal::ResolvedFile },
                    addresses: vec![Address {
                        address: "198.51.100.7".into(),
                        text: b"198.51.100.7".to_vec(),
                        argument: i,
                        span: None,
                        role: "URL host".into(),
                        scope: "doc".into(),
                    }],
                    explanation: Reading("stub".into()),
                });
            }
        }
        j
    }
}
