//! `--fail-on`: a report as a gate.

use super::Exit;
use crate::report::model::{Importance, JobReport, Report};
use clap::ValueEnum;

/// The least importance that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// Any finding
    Medium,
    /// A Critical finding
    Critical,
}

impl FailOn {
    /// What the gate says of a report; `None` lets it pass.
    pub(super) fn strikes(self, report: &Report) -> Option<Exit> {
        let omitted = report.findings_omitted > 0;
        self.judge(report.importance(), omitted, report.completeness.is_complete())
    }

    /// The same of a job's report.
    pub(super) fn strikes_job(self, report: &JobReport) -> Option<Exit> {
        self.judge(report.importance(), report.findings.omitted > 0, report.is_complete())
    }

    fn judge(self, importance: Option<Importance>, omitted: bool, complete: bool) -> Option<Exit> {
        let least = match self {
            FailOn::Medium => Importance::Medium,
            FailOn::Critical => Importance::Critical,
        };
        // How much those matter that were not kept is not known: enough.
        if importance >= Some(least) || omitted {
            Some(Exit::Findings)
        } else {
            // What was not seen may be anything.
            (!complete).then_some(Exit::Incomplete)
        }
    }
}
