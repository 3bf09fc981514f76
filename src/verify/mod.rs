//! Checking a report again: what lies beside it says the same, each of it is as it was
//! written, and what can be judged again is judged the same.
//!
//! It starts from the files alone. What their chains and digests cannot show, because who
//! could write all of them made them anew, the report's signature does.

mod events;
mod judge;
mod log;
mod signed;

use crate::{
    chain,
    collect::{
        Rules,
        file::{ANNOTATIONS, EXECS, REPORT},
    },
    escape,
    report::{
        json,
        model::{Report, Verdict},
        signed::PublicKey,
    },
};
use serde::Serialize;
use std::{fs::File, io};

/// Problems that are named, and notes; the rest of each is counted.
const NAMED_MAX: usize = 100;

/// What is checked: the files of one run, those that there are.
#[derive(Debug, Default)]
pub struct Files {
    /// The exit report.
    pub report: Option<Vec<u8>>,
    /// The event file.
    pub events: Option<File>,
    /// The annotation log.
    pub log: Option<File>,
    /// The signed Statement about the report.
    pub signed: Option<Vec<u8>>,
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file that it shows in.
    pub file: &'static str,
    /// The line, where it is one, counted from 1.
    pub line: Option<u64>,
    /// The first of several, where it is one of these up to `line`.
    pub first_line: Option<u64>,
    /// What it is.
    pub problem: String,
}

/// What of a file of lines was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Read {
    /// Its lines.
    pub lines: u64,
    /// Chain values in it.
    pub chain_values: u64,
}

/// What was judged again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// Execs of the event file.
    pub execs: u64,
    /// Those that were judged again.
    pub again: u64,
    /// Those that were not, because something in them is redacted.
    pub redacted: u64,
    /// Those that were not, because arguments were cut or could not be read.
    pub cut: u64,
    /// Whether recipes and policy are those that judged at the time; else a difference is
    /// a note and no problem.
    pub same_rules: bool,
}

/// The result.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verification {
    /// Whether everything holds.
    pub verified: bool,
    /// The container, as the report or else the log names it.
    pub container: Option<String>,
    /// Which run of it.
    pub run: Option<u32>,
    /// What the facts of the report make of it; null without a report.
    pub verdict: Option<Verdict>,
    /// What does not hold.
    pub problems: Vec<Problem>,
    /// Problems beyond those that are named.
    pub problems_omitted: u64,
    /// What could not be checked, and what else is to be known.
    pub notes: Vec<String>,
    /// Notes beyond those that are named.
    pub notes_omitted: u64,
    /// The event file; null when it is not there.
    pub events: Option<Read>,
    /// The annotation log; null when it is not there.
    pub log: Option<Read>,
    /// What was judged again.
    pub judged: Judged,
    /// Whether the report's signature is of the given key; null when none was given.
    pub signature: Option<bool>,
}

impl Verification {
    fn problem(&mut self, file: &'static str, line: Option<u64>, problem: impl Into<String>) {
        self.problems_of_lines(file, None, line, problem);
    }

    fn problems_of_lines(
        &mut self,
        file: &'static str,
        first_line: Option<u64>,
        line: Option<u64>,
        problem: impl Into<String>,
    ) {
        if self.problems.len() >= NAMED_MAX {
            self.problems_omitted += 1;
            return;
        }
        self.problems.push(Problem { file, line, first_line, problem: problem.into() });
    }

    fn note(&mut self, note: impl Into<String>) {
        if self.notes.len() >= NAMED_MAX {
            self.notes_omitted += 1;
            return;
        }
        self.notes.push(note.into());
    }

    /// A problem, unless the report itself says that something went wrong: then a note.
    fn problem_unless(&mut self, excused: bool, file: &'static str, line: u64, problem: String) {
        if excused {
            self.note(format!(
                "{file} line {line}: {problem}; the run has not ended, or its report says why it lacks something"
            ));
        } else {
            self.problem(file, Some(line), problem);
        }
    }
}

/// Checks the files of a run against one another. `rules` are to judge again, `key` is
/// whose the signature has to be.
///
/// # Errors
/// When a file cannot be read.
pub fn verify(
    files: &Files,
    rules: Option<&Rules>,
    key: Option<&PublicKey>,
) -> io::Result<Verification> {
    let mut found = Verification::default();
    let report = files.report.as_deref().and_then(|bytes| match json::parse(bytes) {
        Ok(report) => Some(report),
        Err(error) => {
            found.problem(REPORT, None, error.to_string());
            None
        }
    });
    if let Some(report) = &report {
        facts(report, &mut found);
    }
    let report = report.map(without_outcomes);
    let recorded = log::check(files, report.as_ref(), &mut found)?;
    events::check(files, report.as_ref(), &recorded, rules, &mut found)?;
    ends(files, report.as_ref(), &recorded, &mut found);
    if let Some(key) = key {
        found.signature = Some(signed::check(files, key, &mut found));
    } else if files.signed.is_some() {
        found.note("the report is signed: --public-key FILE checks by whom");
    }
    found.verified = found.problems.is_empty();
    Ok(found)
}

/// The report as its log has it: what is found is written down when an exec begins, and
/// not how it ended.
fn without_outcomes(mut report: Report) -> Report {
    report.findings.iter_mut().for_each(|finding| finding.outcome = None);
    report.allowed.iter_mut().for_each(|allowed| allowed.outcome = None);
    report
}

/// What the report says of itself.
fn facts(report: &Report, found: &mut Verification) {
    found.container = Some(report.container.id.clone());
    found.run = Some(report.container.run);
    let verdict = report.verdict_of_facts();
    found.verdict = Some(verdict);
    if verdict != report.verdict {
        found.problem(
            REPORT,
            None,
            format!(
                "the verdict is {}, and its facts make it {}",
                report.verdict.as_str(),
                verdict.as_str()
            ),
        );
    }
}

/// Whether the log's last line is about this report.
fn ends(
    files: &Files,
    report: Option<&Report>,
    recorded: &log::Recorded,
    found: &mut Verification,
) {
    let Some((line, finished)) = &recorded.finished else {
        match (report, files.log.is_some()) {
            (Some(_), true) => found.problem(
                ANNOTATIONS,
                None,
                "the last line is missing: there is a report, and the log does not say so",
            ),
            (None, _) => found.note(
                "no end is written down, so nothing says how far the files must go: what is cut \
                 off at the end of a batch does not show",
            ),
            (Some(_), false) => {}
        }
        return;
    };
    let Some(bytes) = &files.report else {
        if finished.report.is_some() {
            found.problem(REPORT, None, "it is missing: the log says that it was written");
        }
        return;
    };
    match finished.sha256.get(REPORT) {
        Some(noted) if *noted != chain::sha256(bytes) => found.problem(
            REPORT,
            None,
            format!("changed: its SHA-256 is not the one that {ANNOTATIONS} line {line} notes"),
        ),
        Some(_) => {}
        None if report.is_some_and(|report| report.log.is_some()) => found.problem(
            ANNOTATIONS,
            Some(*line),
            "changed: it does not note the report's SHA-256",
        ),
        None => {
            found.note("the log does not note the report's SHA-256: an earlier version wrote it")
        }
    }
    let Some(report) = report else { return };
    let digest = report.events.as_ref().map(|events| &events.sha256);
    if let Some(noted) = finished.sha256.get(EXECS)
        && digest != Some(noted)
    {
        found.problem(
            REPORT,
            None,
            format!("events.sha256 is not the one that {ANNOTATIONS} line {line} notes"),
        );
    }
    if finished.verdict != report.verdict {
        found.problem(
            ANNOTATIONS,
            Some(*line),
            format!(
                "the verdict is {}, in the report it is {}",
                finished.verdict.as_str(),
                report.verdict.as_str()
            ),
        );
    }
}

/// Text of a file, to be shown.
fn shown(text: &str) -> String {
    escape::visible(text.as_bytes()).into_owned()
}
