//! GitLab's Code Quality report, which it shows in a merge request.

use super::{
    fingerprint::fingerprints,
    json,
    model::{Importance, Verdict},
    phrase,
    place::Place,
    sarif::INCOMPLETE,
    text::words,
    view::{Listed, View},
};
use serde_json::{Value, json};

/// The report: a list of issues, in the subset of Code Climate's format that GitLab reads.
pub(super) fn render(view: &View<'_>) -> serde_json::Result<String> {
    let report_itself = Place::report();
    let location = |place: Option<&Place>| {
        let place = place.unwrap_or(&report_itself);
        json!({
            "path": place.path.trim_start_matches("./"),
            "lines": { "begin": place.line, "end": place.last_line },
        })
    };
    let fingerprints = fingerprints(view.findings());
    let (listed, beyond) = view.listed();
    let mut issues: Vec<Value> = listed
        .iter()
        .map(|Listed { index, part, finding: found }| {
            let headline = format!("{}{}", phrase::headline(found), part.inside());
            json!({
                "type": "issue",
                "check_name": words::name(&found.recipe),
                "description": format!("{headline}: {}", phrase::command(found)),
                "categories": ["Security"],
                "severity": match found.importance {
                    Importance::Critical => "critical",
                    Importance::Medium => "major",
                },
                "fingerprint": fingerprints[*index],
                "location": location(part.place),
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
            "location": location(view.place()),
        }));
    };
    if beyond > 0 {
        let more = words::count(beyond, "more finding is", "more findings are");
        say("omitted", format!("{more} not listed here"));
    }
    if view.verdict == Verdict::Incomplete {
        let shortcomings = view.missing.join("; ");
        say(INCOMPLETE, format!("not everything was seen: {shortcomings}"));
    }
    json::pretty(&issues)
}
