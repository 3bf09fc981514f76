//! Markdown for a job summary, or for a comment on a merge request.
//!
//! What a container or an engine controls stands in code spans and code blocks only,
//! whose fences are longer than any run of backticks in them: there is no markup, no
//! HTML, no link and no mention in there, whatever it says.

mod job;

use super::{
    model::{Finding, Report, Verdict},
    phrase,
    text::{
        command,
        finding::{self, Group},
        tree::process_tree,
        words,
    },
    view::{Part, View},
};
use crate::escape;
pub(super) use job::render as render_job;

/// GitHub takes 65,536 characters in a comment, and 1 MiB in a job summary; so many bytes
/// are fewer than either.
const LONGEST: usize = 65_000;
/// What is kept free of it for the end.
const END: usize = 6_000;
/// Columns of a process tree.
const WIDTH: usize = 110;

/// The report.
pub(super) fn render(report: &Report) -> String {
    let mut page = head(report);
    let end = end(report);
    let view = View::of_report(report, None);
    for part in &view.parts {
        let groups = finding::groups(part.findings);
        page.push_str(&overview(&groups));
        let room = LONGEST.saturating_sub(page.len() + end.len().max(END));
        let (sections, left_out) = sections(&groups, part, "###", room);
        page.push_str(&sections);
        if left_out > 0 {
            let more = words::count(left_out, "more finding is", "more findings are");
            let where_else = "`report.json` has what was kept";
            page.push_str(&format!("**{more} left out here;** {where_else}.\n\n"));
        }
    }
    for section in [allowed(report), tree(report), executables(report)] {
        if page.len() + section.len() + end.len() <= LONGEST {
            page.push_str(&section);
        }
    }
    page + &end
}

/// The verdict with a sign, and in words.
fn verdict(verdict: Verdict, summary: &str) -> String {
    format!("## Buildwarden: {}\n\n**{}**\n\n", sign(verdict.as_str()), prose(summary))
}

/// A word for how a run or a job stands, with a sign that is seen from afar.
fn sign(word: &'static str) -> String {
    let sign = match word {
        "clean" => "✅",
        "findings" => "❌",
        "set aside" => "⏸",
        _ => "⚠",
    };
    format!("{sign} {word}")
}

/// Items of a list, as long as there is room.
fn fitting(lines: &[String], room: usize) -> impl Iterator<Item = &str> {
    lines.iter().scan(0, move |size, line| {
        *size += line.len();
        (*size <= room).then_some(line.as_str())
    })
}

/// The verdict, and of what.
fn head(report: &Report) -> String {
    let mut page = verdict(report.verdict_of_facts(), &phrase::summary(report));
    let mut fact = |name: &str, text: String| page.push_str(&format!("- {name}: {text}\n"));
    fact("container", code(&phrase::container(report)));
    if let Some(step) = &report.container.step {
        let argv: Vec<&[u8]> = step.command.iter().map(|argument| argument.as_bytes()).collect();
        fact("command", code(&command::line(&argv, &[])));
    }
    if let Some(job) = &report.job {
        fact(
            "job",
            format!("{} ({})", code(&words::name(&job.id)), code(&words::name(&job.source))),
        );
    }
    let length = words::between(report.started, report.finished);
    fact("ran", format!("{}, for {length}", words::moment(report.started)));
    let completeness = &report.completeness;
    let execs = words::count(completeness.execs, "exec", "execs");
    match completeness.is_complete() {
        true => fact("seen", format!("everything, {execs}")),
        false => {
            fact("seen", format!("**not everything**, {execs}"));
            let lines: Vec<String> = phrase::shortcomings(completeness)
                .iter()
                .map(|line| format!("  - {}\n", prose(line)))
                .collect();
            page.extend(fitting(&lines, END));
        }
    }
    page.push('\n');
    page
}

/// The findings in a line each, where there are several.
fn overview(groups: &[Group<'_>]) -> String {
    const MOST: usize = 20;
    if groups.len() < 2 {
        return String::new();
    }
    let mut list: String = groups
        .iter()
        .take(MOST)
        .map(|group| {
            let Finding { n, importance, .. } = group.finding;
            let headline = code(&phrase::headline(group.finding));
            format!(
                "- {} {headline}{} (finding {n})\n",
                phrase::importance(*importance),
                times(group)
            )
        })
        .collect();
    if let beyond @ 1.. = groups.len().saturating_sub(MOST) {
        list.push_str(&format!("- and {} more\n", words::number(beyond as u64)));
    }
    list + "\n"
}

/// ` ×3` for what happened three times.
fn times(group: &Group<'_>) -> String {
    match group.count {
        1 => String::new(),
        n => format!(" ×{}", words::number(n)),
    }
}

/// The findings of a container, as long as there is room, and how many are left out.
fn sections(groups: &[Group<'_>], part: &Part<'_>, level: &str, room: usize) -> (String, u64) {
    let mut sections = String::new();
    for (i, group) in groups.iter().enumerate() {
        let alike = groups[..i].iter().find(|o| finding::is_alike(o.finding, group.finding));
        let section = one(group, part, level, alike.map(|other| other.finding));
        if sections.len() + section.len() > room {
            let beyond: u64 = groups[i..].iter().map(|group| group.count).sum();
            return (sections, beyond.saturating_add(part.findings_omitted));
        }
        sections.push_str(&section);
    }
    (sections, part.findings_omitted)
}

/// One finding with its evidence, below a title of this level.
fn one(group: &Group<'_>, part: &Part<'_>, level: &str, alike: Option<&Finding>) -> String {
    let found = group.finding;
    let title = if found.title.is_empty() { &found.recipe } else { &found.title };
    let mut section = format!(
        "{level} {}. {}: {}{}\n\n{}\n\n{}\n",
        found.n,
        phrase::importance(found.importance),
        code(&phrase::headline(found)),
        times(group),
        prose(&words::name(title)),
        block(&format!("$ {}", phrase::command(found))),
    );
    let mut item = |text: String| section.push_str(&format!("- {text}\n"));
    phrase::places(found).iter().for_each(|place| item(prose(place)));
    item(prose(&part.happened(group)));
    finding::notes(found).iter().for_each(|note| item(prose(note)));
    let lineage: Vec<String> = phrase::lineage(found).iter().map(|line| code(line)).collect();
    item(format!("Started by {}", lineage.join(" → ")));
    if let Some(other) = alike.filter(|other| other.advice == found.advice) {
        section.push_str(&format!("\nWhat to do: the same as for finding {}.\n\n", other.n));
        return section;
    }
    let advice = finding::advice(found);
    if !advice.is_empty() {
        let open = if alike.is_none() { " open" } else { "" };
        section.push_str(&format!("\n<details{open}><summary>What to do</summary>\n\n"));
        for (i, line) in advice.iter().enumerate() {
            section.push_str(&format!("{}. {}\n", i + 1, prose(line)));
        }
        section.push_str("\n</details>\n");
    }
    section.push('\n');
    section
}

/// What the policy allows.
fn allowed(report: &Report) -> String {
    const MOST: usize = 20;
    if report.allowed.is_empty() {
        return String::new();
    }
    let mut section = "### Allowed by the policy\n\n".to_owned();
    for found in report.allowed.iter().take(MOST) {
        let headline = code(&phrase::allowed_headline(found));
        section.push_str(&format!("- {headline}: {}\n", prose(&words::name(&found.reason))));
    }
    if let beyond @ 1.. = report.allowed.len().saturating_sub(MOST) {
        section.push_str(&format!("- and {} more\n", words::number(beyond as u64)));
    }
    section.push('\n');
    section
}

fn tree(report: &Report) -> String {
    if report.processes.is_empty() {
        return String::new();
    }
    let tree = block(process_tree(report, WIDTH).trim_end());
    format!("<details><summary>Process tree</summary>\n\n{tree}\n</details>\n\n")
}

/// What was executed most.
fn executables(report: &Report) -> String {
    const MOST: usize = 10;
    if report.executables.is_empty() {
        return String::new();
    }
    let mut section = "<details><summary>What was executed most</summary>\n\n".to_owned();
    for executable in report.executables.iter().take(MOST) {
        let path = code(&command::one_line([executable.path.as_bytes()], WIDTH));
        section.push_str(&format!("- {} × {path}\n", words::number(executable.count)));
    }
    let beyond = report.executables.len().saturating_sub(MOST) as u64;
    if let beyond @ 1.. = beyond.saturating_add(report.executables_omitted) {
        section.push_str(&format!("- and {} more files\n", words::number(beyond)));
    }
    section.push_str("\n</details>\n\n");
    section
}

/// What the report can be checked with.
fn end(report: &Report) -> String {
    let completeness = &report.completeness;
    let mut end = match completeness.is_complete() {
        true => format!(
            "Complete: recording began before the entrypoint was executed, and the kernel's last \
             exec is number {}.",
            words::number(completeness.last_sequence)
        ),
        false => "Not complete: there may be more than is said here.".to_owned(),
    };
    if let Some(events) = &report.events {
        end.push_str(&format!(
            " Event file: {}, {}, SHA-256 {}.",
            code(&words::name(&events.file)),
            words::count(events.count, "event", "events"),
            code(&words::name(&events.sha256)),
        ));
    }
    let tool = code(&format!("{} {}", report.tool.name, report.tool.version));
    format!("{end} Written by {tool}.\n")
}

/// Text as a code span. Hidden characters, line ends among them, are written out before.
pub(super) fn code(text: &str) -> String {
    const LONGEST: usize = 4_000;
    let text = words::clip(&escape::prose(text), LONGEST);
    let text = escape::defused(&text);
    let fence = "`".repeat(longest_run(&text) + 1);
    // A blank at each end is taken off by the reader, and keeps a backtick from the fence.
    let pad = match text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) || text.is_empty() {
        true => " ",
        false => "",
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Text as a code block.
fn block(text: &str) -> String {
    let text = escape::defused(text);
    let fence = "`".repeat((longest_run(&text) + 1).max(3));
    format!("{fence}console\n{text}\n{fence}\n")
}

/// The longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// A sentence of ours that may quote a build: what is no plain word of it becomes code.
fn prose(text: &str) -> String {
    let visible = escape::prose(text);
    let mut rest = visible.as_ref();
    let mut parts: Vec<String> = Vec::new();
    // A command of ours stands in backticks.
    while let Some((before, after)) = rest.split_once("`buildwarden ")
        && let Some((command, after)) = after.split_once("` ")
    {
        parts.extend(plain(before, parts.is_empty()));
        parts.push(code(&format!("buildwarden {command}")));
        rest = after;
    }
    parts.extend(plain(rest, parts.is_empty()));
    parts.join(" ")
}

/// The words of a text; with `first`, a line may begin with them.
fn plain(text: &str, first: bool) -> Vec<String> {
    let words = text.split(' ').filter(|word| !word.is_empty());
    words.enumerate().map(|(i, text)| word(text, first && i == 0)).collect()
}

/// A word as it is when nothing in it can mean anything to a reader of Markdown, else as
/// code. `first` is whether a line may begin with it.
fn word(word: &str, first: bool) -> String {
    let begin = usize::from(word.starts_with('('));
    let inside = &word[begin..];
    // A parenthesis that the word itself opens stays with it.
    let ends = if inside.contains('(') { ",.;:?" } else { ",.;:?)" };
    let stem = inside.trim_end_matches(|c| ends.contains(c));
    let end = &word[begin + stem.len()..];
    let plain = |c: char| c.is_alphabetic() || "'’-".contains(c);
    // Many hexadecimal digits are a commit to GitHub.
    let is_word = stem.starts_with(char::is_alphabetic)
        && stem.chars().all(plain)
        && !(stem.len() >= 7 && stem.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let is_sign = !stem.is_empty() && stem.chars().all(|c| "→—…×".contains(c));
    match is_word || is_sign || is_number(stem) && !first {
        true => word.to_owned(),
        false if stem.is_empty() => code(word),
        false => format!("{}{}{end}", &word[..begin], code(stem)),
    }
}

/// `1,204` or `31.2`; no address, and too short to be a commit.
fn is_number(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || more.contains(c))
    };
    whole.len() <= 6 && fraction.len() <= 3 && digits(whole, ",") && digits(fraction, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_are_longer_than_what_they_hold() {
        let cases = [
            ("curl", "`curl`"),
            ("a`b", "``a`b``"),
            ("`", "`` ` ``"),
            ("``` x", "```` ``` x ````"),
            (" ", "`   `"),
            ("", "`  `"),
            ("a\nb\u{202e}", "`a\\nb\\u{202e}`"),
            ("##vso[x]", "`##vso\\x5bx]`"),
        ];
        for (text, want) in cases {
            assert_eq!(code(text), want, "{text:?}");
        }
        assert_eq!(block("````\nx"), "`````console\n````\nx\n`````\n");
        assert_eq!(block("x\n::a::"), "```console\nx\n\\x3a:a::\n```\n");
        assert!(code(&"x".repeat(9_000)).ends_with("x…[5,000 bytes]…`"));
    }

    #[test]
    fn only_plain_words_stay_outside_of_code() {
        let cases = [
            (
                "above all with 8.8.8.8; is that needed?",
                "above all with `8.8.8.8`; is that needed?",
            ),
            ("ask @user about #12, !3 and GH-7", "ask `@user` about `#12`, `!3` and `GH-7`"),
            ("<img src=x> [a](b) *b* _c_", "`<img` `src=x>` `[a](b)` `*b*` `_c_`"),
            ("see http://x.example. www.x.example", "see `http://x.example`. `www.x.example`"),
            ("commit deadbeef, 1,204 execs", "commit `deadbeef`, 1,204 execs"),
            ("- + 1. # > =", "`-` `+` 1. `#` `>` `=`"),
            ("1. x 2) (exit code 4) after 31.2 s", "`1`. x 2) (exit code 4) after 31.2 s"),
            ("(npm → ./a.sh)", "(npm → `./a.sh`)"),
            ("größe → naïve ` x", "größe → naïve `` ` `` x"),
            ("a\u{202e}b :smile:", "`a\\u{202e}b` `:smile`:"),
            ("... user@example.com", "`...` `user@example.com`"),
            ("gone; `buildwarden gc` writes it", "gone; `buildwarden gc` writes it"),
            ("`buildwarden <b> x` y `buildwarden z", "`buildwarden <b> x` y `` `buildwarden `` z"),
        ];
        for (text, want) in cases {
            assert_eq!(prose(text), want, "{text:?}");
        }
    }
}
