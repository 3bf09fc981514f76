//! `--fail-on`: a report as a gate.

use super::Exit;
use crate::report::model::{Importance, Report};
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
        let least = match self {
            FailOn::Medium => Importance::Medium,
            FailOn::Critical => Importance::Critical,
        };
        // How much those matter that were not kept is not known: enough.
        if report.importance() >= Some(least) || report.findings_omitted > 0 {
            Some(Exit::Findings)
        } else {
            // What was not seen may be anything.
            (!report.completeness.is_complete()).then_some(Exit::Incomplete)
        }
    }
}
