//! GitLab's Code Quality report, which it shows in a merge request.

use super::{
    fingerprint::fingerprints,
    json,
    model::{Importance, Report, Verdict},
    phrase,
    place::Place,
    sarif::INCOMPLETE,
    text::words,
};
use serde_json::{Value, json};

/// The report: a list of issues, in the subset of Code Climate's format that GitLab reads.
pub(super) fn render(report: &Report, place: Option<&Place>) -> serde_json::Result<String> {
    let report_itself = Place::report();
    let place = place.unwrap_or(&report_itself);
    let location = json!({
        "path": place.path.trim_start_matches("./"),
        "lines": { "begin": place.line, "end": place.last_line },
    });
    let fingerprints = fingerprints(&report.findings);
    let (listed, beyond) = phrase::listed(report);
    let mut issues: Vec<Value> = listed
        .iter()
        .map(|(at, found)| {
            let headline = phrase::headline(found);
            json!({
                "type": "issue",
                "check_name": words::name(&found.recipe),
                "description": format!("{headline}: {}", phrase::command(found)),
                "categories": ["Security"],
                "severity": match found.importance {
                    Importance::Critical => "critical",
                    Importance::Medium => "major",
                },
                "fingerprint": fingerprints[*at],
                "location": location,
            })
        })
        .collect();
    let mut say = |name: &str, description: String| {
        issues.push(json!({
            "type": "issue",
            "check_name": name,
            "description": description,
            "categories": ["Security"],
            "severity": "major",
            "fingerprint": format!("buildwarden-{name}"),
            "location": location,
        }));
    };
    if beyond > 0 {
        let more = words::count(beyond, "more finding is", "more findings are");
        say("omitted", format!("{more} not listed here"));
    }
    if phrase::verdict(report) == Verdict::Incomplete {
        let shortcomings = phrase::shortcomings(&report.completeness).join("; ");
        say(INCOMPLETE, format!("not everything was seen: {shortcomings}"));
    }
    json::pretty(&issues)
}
