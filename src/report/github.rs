//! Commands to GitHub's runner, which makes annotations of them.

use super::{
    model::{Finding, Importance, Report, Verdict},
    phrase,
    place::Place,
    text::{
        finding::{self, Group},
        words,
    },
};

/// A step may make so many annotations of each kind; the runner drops what is beyond.
const MOST: usize = 10;
/// Bytes of a message.
const MESSAGE: usize = 8_000;

/// The report. Every line is a command, in which nothing that a build controls can end
/// the line or a property.
pub(super) fn render(report: &Report, place: Option<&Place>) -> String {
    let mut out = String::new();
    let groups = finding::groups(&report.findings);
    for (kind, importance) in [("error", Importance::Critical), ("warning", Importance::Medium)] {
        let of_it = groups.iter().filter(|group| group.finding.importance == importance);
        // One is left for what the verdict adds.
        for group in of_it.take(MOST - 1) {
            let title = format!("Buildwarden: {}", phrase::headline(group.finding));
            command(&mut out, kind, &title, place, &message(group, report));
        }
    }
    let title = format!("Buildwarden: {}", phrase::verdict(report).as_str());
    let mut text = phrase::summary(report);
    if !report.completeness.is_complete() {
        let shortcomings = phrase::shortcomings(&report.completeness).join("\n");
        text = format!("{text}\nNot everything was seen:\n{shortcomings}");
    }
    let kind = match phrase::verdict(report) {
        Verdict::Incomplete => "warning",
        Verdict::Clean | Verdict::Findings => "notice",
    };
    command(&mut out, kind, &title, None, &text);
    out
}

/// What an annotation says.
fn message(group: &Group<'_>, report: &Report) -> String {
    let found: &Finding = group.finding;
    let mut lines = vec![phrase::command(found), finding::happened(group, report.started)];
    lines.push(format!("Started by {}", phrase::lineage(found).join(" → ")));
    lines.extend(phrase::advice(found).into_iter().take(2));
    lines.join("\n")
}

/// `::error title=…,file=…,line=…::…`
fn command(out: &mut String, kind: &str, title: &str, place: Option<&Place>, text: &str) {
    let mut properties = format!("title={}", property(&words::clip(title, 200)));
    if let Some(Place { path, line, last_line }) = place {
        let path = property(path.trim_start_matches("./"));
        properties.push_str(&format!(",file={path},line={line},endLine={last_line}"));
    }
    let text = data(&words::clip(text, MESSAGE));
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
             100%25%0D%0A::stop-commands::x%0A\n"
        );
    }
}
