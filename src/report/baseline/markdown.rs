//! The difference for a merge request's comment or a job's summary.

use super::{Changes, Difference, Side};
use crate::report::{
    markdown::code,
    text::{command, words},
};

/// How many items of a list are shown: all of them together stay under the 65,536
/// characters that a comment may have.
const SHOWN: usize = 30;

/// How much is shown of a name, in bytes, and of a path, in columns.
const LONGEST: usize = 60;
const WIDTH: usize = 120;

/// The difference in Markdown. What the build controls stands in code spans.
pub fn render(difference: &Difference) -> String {
    let Difference { old, new, executables, alike, tools, addresses, caveats, .. } = difference;
    let mut out = format!("### New since {}\n\n", side(old));
    out += &format!("Compared: {}\n\n", side(new));
    for caveat in caveats {
        out += &format!("> **Beware**: {}\n\n", code(&words::sentence(caveat)));
    }
    list(&mut out, "Addresses", addresses, |contact| {
        let (address, scope) = (name(&contact.address), name(&contact.scope));
        format!("{address} ({scope}) by {} {}", contact.tools(name), contact.times())
    });
    list(&mut out, "Tools with findings", tools, |used| {
        format!("{} ({}) {}", name(&used.tool), name(&used.recipe), used.times())
    });
    list(&mut out, "Executables", executables, |program| {
        let path = command::one_line([program.path.as_bytes()], WIDTH);
        format!("{} {}", code(&path), program.times())
    });
    if let count @ 1.. = alike.len() {
        out += &format!(
            "{count} more differ from one before only in a version or a generated name.\n"
        );
    }
    out
}

fn side(side: &Side) -> String {
    let mut out = code(&words::name(side.name.as_ref().unwrap_or(&side.container)));
    if side.run > 1 {
        out += &format!(", run {}", side.run);
    }
    if let Some(job) = &side.job {
        out += &format!(", job {}", code(&words::name(&job.id)));
    }
    let complete = if side.whole { "" } else { ", **not everything was seen**" };
    out + &format!(
        " of {} ({}{complete})",
        side.started.0.strftime("%Y-%m-%d %H:%M UTC"),
        side.verdict.as_str()
    )
}

fn list<T>(out: &mut String, what: &str, changes: &Changes<T>, line: impl Fn(&T) -> String) {
    for (items, which) in [(&changes.new, "new"), (&changes.gone, "gone")] {
        if items.is_empty() {
            if which == "new" {
                *out += &format!("**{what}**: none new\n\n");
            }
            continue;
        }
        *out += &format!("**{what}, {which}: {}**\n\n", items.len());
        for item in items.iter().take(SHOWN) {
            *out += &format!("- {}\n", line(item));
        }
        if let beyond @ 1.. = items.len().saturating_sub(SHOWN) {
            *out += &format!("- and {beyond} more; `--format json` has all\n");
        }
        out.push('\n');
    }
}

/// What the build or its engine gave a name.
fn name(text: &str) -> String {
    code(&words::clip(&words::name(text), LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{
        baseline::{Paths, compare},
        json,
        model::Report,
    };

    #[test]
    fn tools_that_are_left_out_are_counted() {
        let text = include_bytes!("../../../tests/fixtures/one-finding.json");
        let new = json::parse(text).unwrap();
        let mut old = new.clone();
        old.findings.clear();
        let called = |i: usize| {
            let mut found = new.findings[0].clone();
            found.tool.name = format!("tool{i:02}");
            found
        };
        let new = Report { findings: (0..40).map(called).collect(), ..new.clone() };
        let text = render(&compare(&old, &new, Paths::Exact));
        let want = "by `tool00`, `tool01`, `tool02`, `tool03`, `tool04`, 35 more ×40\n";
        assert!(text.contains(want), "{text}");
    }
}
