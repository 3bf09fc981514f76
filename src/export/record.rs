//! What is sent: a line of text, and its facts one by one.

use crate::{
    annotation::{Attached, Entry, Finished, Key, Line, Malformed},
    escape,
    report::{
        Time,
        model::{Container, Finding, Importance, Job, Verdict},
        text,
    },
};

/// Bytes that a fact has at most as it is written out, before the mark that it was cut: the
/// log has the rest.
const LONGEST: usize = 1024;

/// Columns of a command line.
const COMMAND: usize = 1000;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A finding.
    Finding,
    /// The end of a container.
    Finished,
}

impl Kind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Finding => "finding",
            Kind::Finished => "finished",
        }
    }
}

/// How much somebody should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// A critical finding, or an end with one.
    Critical,
    /// A medium finding, an end with one, or an end of which not everything was seen.
    Warning,
    /// A clean end.
    Info,
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, in lower case with `_`.
    pub name: &'static str,
    /// Its value: one line, hidden characters written out.
    pub value: String,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it is about.
    pub kind: Kind,
    /// When it happened.
    pub time: Time,
    /// How much somebody should care.
    pub severity: Severity,
    /// All in one line.
    pub text: String,
    /// The facts. Those that tell what happened come first and are short; those that a
    /// build can make long come last, as receivers cut off ends.
    pub fields: Vec<Field>,
}

/// Makes records of a log's lines.
#[derive(Default)]
pub(super) struct Reader {
    container: Container,
    job: Option<Job>,
}

impl Reader {
    /// The record that a line is worth; most are not.
    pub(super) fn record(&mut self, line: &Line) -> Result<Option<Record>, Malformed> {
        Ok(match line.entry()? {
            Entry::Attached(attached) => {
                let Attached { container, job, .. } = *attached;
                (self.container, self.job) = (container, job);
                None
            }
            Entry::Job(named) => {
                self.job = named.taken.then_some(named.job).or(self.job.take());
                None
            }
            Entry::Finding(finding) => Some(self.finding(line, &finding)),
            Entry::Finished(finished) => Some(self.finished(line, &finished)),
            _ => None,
        })
    }

    fn finding(&self, line: &Line, finding: &Finding) -> Record {
        let exec = &finding.exec;
        let argv = if exec.argv.is_empty() { std::slice::from_ref(&exec.path) } else { &exec.argv };
        let command = text::command_line(argv, COMMAND);
        let headline = text::headline(finding);
        let importance = finding.importance.as_str();
        let mut fields = self.fields(line);
        let addresses: Vec<&str> =
            finding.addresses.iter().map(|address| &*address.address).collect();
        push(&mut fields, "recipe", &finding.recipe);
        push(&mut fields, "importance", importance);
        push(&mut fields, "tactic", &finding.category.id);
        push(&mut fields, "technique", &finding.method.id);
        push(&mut fields, "tool", &finding.tool.name);
        push(&mut fields, "pid", &exec.pid.to_string());
        push(&mut fields, "uid", &exec.uid.to_string());
        push(&mut fields, "exec", &exec.sequence.to_string());
        push(&mut fields, "addresses", &addresses.join(" "));
        fields.push(Field { name: "command", value: cut(&command, LONGEST, char::len_utf8) });
        self.push_whose(&mut fields);
        push_bytes(&mut fields, "path", &exec.path);
        Record {
            kind: Kind::Finding,
            time: exec.time,
            severity: match finding.importance {
                Importance::Critical => Severity::Critical,
                Importance::Medium => Severity::Warning,
            },
            text: format!("{importance}: {headline} in {}: {command}", self.whom(line)),
            fields,
        }
    }

    fn finished(&self, line: &Line, finished: &Finished) -> Record {
        let Finished { verdict, findings, reasons, .. } = finished;
        let mut fields = self.fields(line);
        push(&mut fields, "verdict", verdict.as_str());
        push(&mut fields, "critical", &findings.critical.to_string());
        push(&mut fields, "medium", &findings.medium.to_string());
        self.push_whose(&mut fields);
        push(&mut fields, "reasons", &reasons.join("; "));
        let counts = match verdict {
            Verdict::Findings => {
                format!(", {} critical and {} medium", findings.critical, findings.medium)
            }
            _ => String::new(),
        };
        let whole = if reasons.is_empty() { "" } else { ", not everything was seen" };
        Record {
            kind: Kind::Finished,
            time: line.time,
            severity: match verdict {
                Verdict::Findings if findings.critical > 0 => Severity::Critical,
                Verdict::Findings | Verdict::Incomplete => Severity::Warning,
                Verdict::Clean => Severity::Info,
            },
            text: format!("ended: {}{counts} in {}{whole}", verdict.as_str(), self.whom(line)),
            fields,
        }
    }

    /// The facts that every record has. Container and key together name it: it may come
    /// again after a crash.
    fn fields(&self, line: &Line) -> Vec<Field> {
        let mut fields = Vec::new();
        push(&mut fields, "container", &line.container);
        push(&mut fields, "run", &self.container.run.max(1).to_string());
        push(&mut fields, "key", &short(&line.key));
        fields
    }

    /// What container it is, and whose.
    fn push_whose(&self, fields: &mut Vec<Field>) {
        let Container { name, image, engine, .. } = &self.container;
        push(fields, "job", self.job.as_ref().map_or("", |job| &job.id));
        push(fields, "name", name.as_deref().unwrap_or_default());
        push(fields, "engine", engine.as_deref().unwrap_or_default());
        push(fields, "image", image.as_deref().unwrap_or_default());
    }

    /// The container, and its job, in words.
    fn whom(&self, line: &Line) -> String {
        let name = self.container.name.as_ref().unwrap_or(&line.container);
        let job = self.job.as_ref().map(|job| format!(", job {}", shown(job.id.as_bytes())));
        shown(name.as_bytes()) + &job.unwrap_or_default()
    }
}

/// `finding.3`, without what all keys begin with.
fn short(key: &Key) -> String {
    let key = key.to_string();
    key.strip_prefix("dev.buildwarden.").unwrap_or(&key).to_owned()
}

/// Adds a fact that is known.
fn push(fields: &mut Vec<Field>, name: &'static str, value: &str) {
    push_bytes(fields, name, value.as_bytes());
}

fn push_bytes(fields: &mut Vec<Field>, name: &'static str, value: &[u8]) {
    if !value.is_empty() {
        fields.push(Field { name, value: shown(value) });
    }
}

/// What a build controls, with hidden characters written out, and cut with a mark.
fn shown(bytes: &[u8]) -> String {
    // Every byte takes at least one: one more than fits shows that it was cut.
    cut(&escape::visible(&bytes[..bytes.len().min(LONGEST + 1)]), LONGEST, char::len_utf8)
}

/// Text with hidden characters written out, cut with a mark where it takes more than so
/// many bytes; what is written out stands whole or not at all.
pub(super) fn cut(text: &str, longest: usize, bytes_of: impl Fn(char) -> usize) -> String {
    let bytes_of = |text: &str| text.chars().map(&bytes_of).sum::<usize>();
    let mut left = longest;
    let mut rest = text;
    while !rest.is_empty() {
        let (unit, behind) = rest.split_at(escape::unit(rest));
        match left.checked_sub(bytes_of(unit)) {
            Some(fewer) => (left, rest) = (fewer, behind),
            None => return format!("{}…", &text[..text.len() - rest.len()]),
        }
    }
    text.to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::report::{
        Bytes,
        model::{Address, Class, Exec, Producer, Tool},
    };

    /// The log of a container with a finding, as records.
    pub(in super::super) fn records() -> [Record; 2] {
        records_with(|_, _, _| {})
    }

    /// The same with other facts.
    pub(in super::super) fn records_with(
        change: impl FnOnce(&mut Attached, &mut Finding, &mut Finished),
    ) -> [Record; 2] {
        let container = Container {
            id: "c1".into(),
            run: 2,
            name: Some("we\nb".into()),
            ..Container::default()
        };
        let mut attached = Attached {
            tool: Producer::this(),
            container,
            job: Some(Job { id: "a]b".into(), source: String::new() }),
            stage: "createRuntime".into(),
            pid: 1,
            ring_bytes: 0,
            attach_ms: 0.0,
            boot_to_unix_ns: 0,
            boot_id: None,
        };
        let class = |id: &str| Class { id: id.into(), name: String::new() };
        let mut finding = Finding {
            n: 1,
            recipe: "net_suspicious_tool_exec".into(),
            title: String::new(),
            importance: Importance::Critical,
            category: class("TA0011"),
            method: class("T1071"),
            tool: Tool { name: "wget".into(), matched_by: "file".into() },
            addresses: vec![Address {
                address: "8.8.8.8".into(),
                text: "8.8.8.8".into(),
                argument: 1,
                role: "URL host".into(),
                scope: String::new(),
                span: None,
            }],
            addresses_omitted: 0,
            shells: vec![],
            exec: Exec {
                sequence: 9,
                time: Time::from_unix_ns(1000),
                pid: 7,
                container_pid: 7,
                uid: 0,
                path: b"/bin/w\xffget".into(),
                name: "wget".into(),
                argv: ["wget", "http://8.8.8.8/", "\x1b[2J\n"].map(Bytes::from).into(),
                argv_omitted: 0,
                flags: vec![],
            },
            ancestry: vec![],
            outcome: None,
            explanation: vec![],
            advice: vec![],
        };
        let mut finished = Finished {
            verdict: Verdict::Findings,
            findings: [Importance::Critical].into_iter().collect(),
            report: None,
            formats: vec![],
            formats_failed: vec![],
            reasons: vec![],
            job: None,
            other_jobs: vec![],
            sha256: Default::default(),
        };
        change(&mut attached, &mut finding, &mut finished);
        let line = |key, value| Line {
            time: Time::from_unix_ns(2000),
            container: "c1".into(),
            key,
            value,
        };
        let mut reader = Reader::default();
        let attached = serde_json::to_value(&attached).unwrap();
        assert_eq!(reader.record(&line(Key::Attached, attached)).unwrap(), None);
        let finding = line(Key::Finding(1), serde_json::to_value(&finding).unwrap());
        let finished = line(Key::Finished, serde_json::to_value(&finished).unwrap());
        [finding, finished].map(|line| reader.record(&line).unwrap().unwrap())
    }

    #[test]
    fn no_value_is_longer_than_it_may_be() {
        let cases: [(Vec<u8>, String); 7] = [
            (vec![b'a'; LONGEST], "a".repeat(LONGEST)),
            (vec![b'a'; LONGEST + 1], "a".repeat(LONGEST) + "…"),
            (vec![b'\x1b'; 1 << 20], "\\x1b".repeat(LONGEST / 4) + "…"),
            (vec![b'\\'; LONGEST], "\\\\".repeat(LONGEST / 2) + "…"),
            // Half of what is written out would be something else.
            ([b"a", &[0xff; LONGEST][..]].concat(), {
                "a".to_owned() + &"\\xff".repeat(LONGEST / 4 - 1) + "…"
            }),
            ("\u{202e}".repeat(LONGEST).into(), "\\u{202e}".repeat(LONGEST / 8) + "…"),
            ("é".repeat(LONGEST).into(), "é".repeat(LONGEST / 2) + "…"),
        ];
        for (bytes, want) in cases {
            let mut fields = Vec::new();
            push_bytes(&mut fields, "path", &bytes);
            assert_eq!(fields[0].value, want);
        }
    }

    #[test]
    fn no_record_hides_anything() {
        for record in records() {
            let texts = record.fields.iter().map(|field| &field.value).chain([&record.text]);
            for text in texts {
                assert!(!text.contains(escape::is_hidden), "{text:?}");
            }
        }
    }
}
