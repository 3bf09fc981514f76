//! The difference for a merge request's comment or a job's summary.

use super::{Changes, Difference, Side};
use crate::escape;

/// How many items of a list are shown: all of them together stay under the 65,536
/// characters that a comment may have.
const SHOWN: usize = 30;

/// How much of a name is shown.
const LONGEST: usize = 120;

/// The difference in Markdown. What the build controls stands in code spans.
pub fn render(difference: &Difference) -> String {
    let Difference { old, new, executables, alike, tools, addresses, caveats, .. } = difference;
    let mut out = format!("### New since {}\n\n", side(old));
    out += &format!("Compared: {}\n\n", side(new));
    for caveat in caveats {
        out += &format!("> **Beware**: {}\n\n", code(caveat));
    }
    list(&mut out, "Addresses", addresses, |contact| {
        let tools: Vec<String> = contact.tools.iter().take(SHOWN).map(|tool| code(tool)).collect();
        let scope = code(&contact.scope);
        format!("{} ({scope}) by {} {}", code(&contact.address), tools.join(", "), contact.times())
    });
    list(&mut out, "Tools with findings", tools, |used| {
        format!("{} ({}) {}", code(&used.tool), code(&used.recipe), used.times())
    });
    list(&mut out, "Executables", executables, |program| {
        format!("{} {}", bytes(&program.path), program.times())
    });
    if let count @ 1.. = alike.len() {
        out += &format!(
            "{count} more differ from one before only in a version or a generated name.\n"
        );
    }
    out
}

fn side(side: &Side) -> String {
    let mut out = code(side.name.as_ref().unwrap_or(&side.container));
    if side.run > 1 {
        out += &format!(", run {}", side.run);
    }
    if let Some(job) = &side.job {
        out += &format!(", job {}", code(&job.id));
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

fn code(text: &str) -> String {
    bytes(text.as_bytes())
}

/// A code span: nothing in it is markup, a link or a mention.
fn bytes(bytes: &[u8]) -> String {
    let cut = bytes.len() > LONGEST;
    let shown = escape::visible(&bytes[..bytes.len().min(LONGEST)]);
    let shown = escape::defused(&shown);
    // One more backtick than the longest run of them inside.
    let longest = shown.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if shown.is_empty() || shown.contains('`') { " " } else { "" };
    format!("{fence}{space}{shown}{}{space}{fence}", if cut { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_span_is_not_left() {
        let cases: [(&[u8], &str); 7] = [
            (b"curl", "`curl`"),
            (b"", "`  `"),
            (b"a`b", "`` a`b ``"),
            (b"`` @all", "``` `` @all ```"),
            (b"<img>\n# x", "`<img>\\n# x`"),
            (b"\xff", "`\\xff`"),
            (b"##[x]", "`##\\x5bx]`"),
        ];
        for (text, want) in cases {
            assert_eq!(bytes(text), want);
        }
        assert!(bytes(&[b'x'; 200]).len() < 130);
    }
}
