//! What each fault came to in this run, and the table of that.

use buildwarden::report::model::Report;
use comfy_table::{Table, presets};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// What a fault came to. There is no other: a build that is harmed, a report that says more
/// than was seen, or something left behind fails the test.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// The build is not harmed, and its report holds every exec.
    Complete,
    /// The build is not harmed, and its report says what it lacks.
    Incomplete(String),
    /// The build is not harmed, there is nothing to write a report to or from, and this said so.
    Untraced(String),
    /// The runtime does not start a container whose hook or shim was killed. The next start is
    /// as any other.
    NotStarted,
}

impl Outcome {
    /// What a report comes to.
    pub(crate) fn of(report: &Report) -> Outcome {
        // The causes first, where they are known.
        let causes = report.completeness.reasons.iter().cloned();
        match causes.chain(report.completeness.shortcomings()).next() {
            None => Outcome::Complete,
            Some(reason) => {
                assert_ne!(report.verdict.as_str(), "clean", "{report:?}");
                Outcome::Incomplete(reason)
            }
        }
    }

    fn in_words(&self) -> [String; 2] {
        let words = |build: &str, report: &str| [build.to_owned(), report.to_owned()];
        match self {
            Outcome::Complete => words("not harmed", "complete"),
            Outcome::Incomplete(reason) => words("not harmed", &format!("incomplete: {reason}")),
            Outcome::Untraced(said) => words("not harmed", &format!("none: {said}")),
            Outcome::NotStarted => words("not started", "none; the next start is as any other"),
        }
    }
}

/// The faults in the order in which they were done, with how often each came to what.
static SEEN: Mutex<Vec<(String, BTreeMap<Outcome, u64>)>> = Mutex::new(Vec::new());

/// Notes what a fault came to, for the table of `make faults`.
pub(crate) fn came_to(fault: &str, outcome: Outcome) {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.iter().all(|(known, _)| known != fault) {
        seen.push((fault.to_owned(), BTreeMap::new()));
    }
    let outcomes = seen.iter_mut().find(|(known, _)| known == fault);
    *outcomes.unwrap().1.entry(without_names(outcome)).or_default() += 1;
}

/// Outcomes that only differ in where and whose are one.
fn without_names(outcome: Outcome) -> Outcome {
    let reason = |text: String| {
        let word = |word: &str| match word {
            // Of paths, what lies in the test's directory is the same in all.
            path if path.contains("/bw-") => {
                let name = path.rsplit('/').next().unwrap_or_default();
                format!("…/{name}")
            }
            other => other.to_owned(),
        };
        text.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
    };
    match outcome {
        Outcome::Incomplete(text) => Outcome::Incomplete(reason(text)),
        Outcome::Untraced(text) => Outcome::Untraced(reason(text)),
        outcome => outcome,
    }
}

/// Prints what was seen.
pub(super) fn print() {
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_width(150);
    table.set_header(["FAULT", "TIMES", "BUILD", "REPORT"]);
    for (fault, outcomes) in seen.iter() {
        let mut fault = fault.as_str();
        for (outcome, times) in outcomes {
            let [build, report] = outcome.in_words();
            table.add_row([fault, &times.to_string(), &build, &report]);
            fault = "";
        }
    }
    println!("\n{table}\n");
}
