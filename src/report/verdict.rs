//! From what was seen to one word.

use super::model::{Completeness, Finding, Verdict};

/// The verdict of a run: never [`Verdict::Clean`] when anything could have been missed.
///
/// A finding outweighs a gap, because the gap can only hide more of the same;
/// whoever shows the verdict must say [`Completeness::is_complete`] beside it.
pub fn verdict(completeness: &Completeness, findings: &[Finding]) -> Verdict {
    if !findings.is_empty() {
        Verdict::Findings
    } else if completeness.is_complete() {
        Verdict::Clean
    } else {
        Verdict::Incomplete
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

    fn complete() -> Completeness {
        Completeness {
            attached_before_first_exec: true,
            execs: 12,
            last_sequence: 12,
            programs_attached: true,
            ..Completeness::default()
        }
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
            let mut completeness = complete();
            change(&mut completeness);
            assert_eq!(verdict(&completeness, &[]), want, "{completeness:?}");
        }
    }
}
