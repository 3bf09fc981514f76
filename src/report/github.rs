//! Commands to GitHub's runner, which makes annotations of them.

use super::{
    model::{Importance, Verdict},
    phrase,
    place::Place,
    text::{
        finding::{self, Group},
        words,
    },
    view::{OfJob, Part, View},
};
use crate::escape;

/// A step may make so many annotations of each kind; the runner drops what is beyond.
const MOST: usize = 10;
/// Bytes of a message.
const MESSAGE: usize = 8_000;

/// The report. Every line is a command, in which nothing that a build controls can end
/// the line or a property.
pub(super) fn render(view: &View<'_>) -> String {
    let mut out = String::new();
    let groups: Vec<(&Part<'_>, Group<'_>)> = view
        .parts
        .iter()
        .flat_map(|part| finding::groups(part.findings).into_iter().map(move |group| (part, group)))
        .collect();
    for (kind, importance) in [("error", Importance::Critical), ("warning", Importance::Medium)] {
        let of_it = groups.iter().filter(|(_, group)| group.finding.importance == importance);
        // One is left for what the verdict adds.
        for (part, group) in of_it.take(MOST - 1) {
            let title = format!("Buildwarden: {}", phrase::headline(group.finding));
            command(&mut out, kind, &title, part.place, &message(group, part));
        }
    }
    let title = format!("Buildwarden: {}", view.verdict.as_str());
    let mut text = view.summary.clone();
    if let Some(OfJob { kinds, .. }) = &view.of_job {
        text.push_str(&format!("\nContainers of the job: {kinds}"));
    }
    if !view.missing.is_empty() {
        text.push_str(&format!("\nNot everything was seen:\n{}", view.missing.join("\n")));
    }
    let kind = match view.verdict {
        Verdict::Incomplete => "warning",
        Verdict::Clean | Verdict::Findings => "notice",
    };
    command(&mut out, kind, &title, None, &text);
    out
}

/// What an annotation says.
fn message(group: &Group<'_>, part: &Part<'_>) -> String {
    let found = group.finding;
    let mut lines = vec![phrase::command(found)];
    lines.extend(part.name.as_ref().map(|name| format!("In {name}")));
    lines.push(part.happened(group));
    lines.push(format!("Started by {}", phrase::lineage(found).join(" → ")));
    lines.extend(finding::advice(found).into_iter().take(2));
    lines.join("\n")
}

/// `::error title=…,file=…,line=…::…`
fn command(out: &mut String, kind: &str, title: &str, place: Option<&Place>, text: &str) {
    let mut properties = format!("title={}", property(&escape::defused(&words::clip(title, 200))));
    if let Some(Place { path, line, last_line }) = place {
        let path = property(&escape::defused(path.trim_start_matches("./")));
        properties.push_str(&format!(",file={path},line={line},endLine={last_line}"));
    }
    let text = data(&escape::defused(&words::clip(text, MESSAGE)));
    out.push_str(&format!("::{kind} {properties}::{text}\n"));
}

/// A message as the runner undoes it again.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property as the runner undoes it again.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_line_or_a_property() {
        let place = Place { path: "./a,b:c%".to_owned(), line: 3, last_line: 5 };
        let mut out = String::new();
        command(&mut out, "error", "x::y,z", Some(&place), "100%\r\n::stop-commands::x\n");
        assert_eq!(
            out,
            "::error title=x%3A%3Ay%2Cz,file=a%2Cb%3Ac%25,line=3,endLine=5::\
             100%25%0D%0A\\x3a:stop-commands::x%0A\n"
        );
    }
}
