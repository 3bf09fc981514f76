//! From what was seen to one word.

use super::model::{Completeness, Finding, Report, Verdict};

/// The verdict on a run or a job: never [`Verdict::Clean`] when anything could have been
/// missed.
///
/// A finding outweighs a gap, because the gap can only hide more of the same;
/// whoever shows the verdict must say beside it whether everything was seen.
pub(super) fn verdict(has_findings: bool, is_complete: bool) -> Verdict {
    match (has_findings, is_complete) {
        (true, _) => Verdict::Findings,
        (false, true) => Verdict::Clean,
        (false, false) => Verdict::Incomplete,
    }
}

/// How many findings there are, with those that are in no list.
pub(super) fn count(findings: &[Finding], omitted: u64) -> u64 {
    (findings.len() as u64).saturating_add(omitted)
}

impl Report {
    /// The verdict that the facts give, whatever [`Report::verdict`] says: a file may have
    /// been changed.
    pub fn verdict_of_facts(&self) -> Verdict {
        verdict(self.has_findings(), self.completeness.is_complete())
    }

    /// Whether there was any finding, also one that was too many to keep, or is lost.
    pub fn has_findings(&self) -> bool {
        count(&self.findings, self.findings_omitted) > 0
    }
}

impl Completeness {
    /// Whether every exec was seen, in full, from the first to the last.
    pub fn is_complete(&self) -> bool {
        self.shortcomings().is_empty()
    }

    /// What is missing, a sentence each; empty when nothing is.
    pub fn shortcomings(&self) -> Vec<String> {
        let mut found = Vec::new();
        // Where nothing was seen at all, the reasons say why.
        let nothing = self.last_sequence == 0 && !self.reasons.is_empty();
        if !self.attached_before_first_exec && !nothing {
            found.push("recording began after the container's first exec".to_owned());
        }
        if self.lost > 0 {
            found.push(format!("{} could not be delivered by the kernel", execs(self.lost)));
        }
        // What the kernel counted as lost explains as big a hole; the rest is a hole of its own.
        if self.execs.saturating_add(self.lost) != self.last_sequence {
            found.push(format!(
                "{} arrived, but the last one has sequence number {}",
                execs(self.execs),
                self.last_sequence
            ));
        }
        if self.lost_exits > 0 {
            found.push(format!(
                "the ends of {} could not be delivered by the kernel",
                match self.lost_exits {
                    1 => "1 process".to_owned(),
                    count => format!("{count} processes"),
                }
            ));
        }
        if self.truncated > 0 {
            found.push(format!(
                "the arguments of {} were cut before judging",
                execs(self.truncated)
            ));
        }
        if self.unreadable > 0 {
            found.push(format!("the arguments of {} could not be read", execs(self.unreadable)));
        }
        if !self.programs_attached && !nothing {
            found.push("the kernel programs were not attached any more at the end".to_owned());
        }
        found.extend(self.reasons.iter().cloned());
        found
    }
}

/// A count of execs in words.
fn execs(count: u64) -> String {
    match count {
        1 => "1 exec".to_owned(),
        _ => format!("{count} execs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::json;

    /// A report without a finding, of which everything was seen.
    fn complete() -> Report {
        let text = include_bytes!("../../tests/fixtures/clean.json");
        let mut report = json::parse(text).unwrap();
        report.completeness = Completeness {
            attached_before_first_exec: true,
            execs: 12,
            last_sequence: 12,
            programs_attached: true,
            ..Completeness::default()
        };
        report
    }

    #[test]
    fn clean_only_when_everything_was_seen() {
        type Change = fn(&mut Completeness);
        let cases: [(Change, Verdict); 11] = [
            (|_| (), Verdict::Clean),
            (|c| c.lost_exits = 3, Verdict::Incomplete),
            (|c| (c.execs, c.last_sequence) = (0, 0), Verdict::Clean),
            (|c| c.attached_before_first_exec = false, Verdict::Incomplete),
            (|c| (c.lost, c.last_sequence) = (1, 13), Verdict::Incomplete),
            (|c| c.truncated = 1, Verdict::Incomplete),
            (|c| c.unreadable = 1, Verdict::Incomplete),
            (|c| c.last_sequence = 13, Verdict::Incomplete),
            (|c| c.execs = u64::MAX, Verdict::Incomplete),
            (|c| c.programs_attached = false, Verdict::Incomplete),
            (|c| c.reasons.push("the event file could not be written".into()), Verdict::Incomplete),
        ];
        for (change, want) in cases {
            let mut report = complete();
            change(&mut report.completeness);
            assert_eq!(report.verdict_of_facts(), want, "{:?}", report.completeness);
        }
    }

    #[test]
    fn a_finding_that_was_not_kept_is_one() {
        let mut report = complete();
        report.findings_omitted = 1;
        assert_eq!(report.verdict_of_facts(), Verdict::Findings);
    }
}
