//! The checks for a person, one line each where the terminal is wide enough.

use super::{Check, Examination, Section, Status};
use crate::escape;
use anstyle::{AnsiColor, Style};
use std::fmt::Write;
use textwrap::{Options, wrap};
use unicode_width::UnicodeWidthStr;

/// Columns: nothing is readable in less, and no line in more.
const WIDTHS: (usize, usize) = (60, 120);

/// The checks as lines of at most `width` columns, with colours: whoever writes
/// to something that is no terminal strips them.
pub fn terminal(examination: &Examination, width: usize) -> String {
    let checks = &examination.checks;
    let column = checks.iter().map(|check| escape::prose(&check.name).width()).max().unwrap_or(0);
    let mut out = String::new();
    let mut section = None;
    for check in checks {
        if section.replace(check.section) != Some(check.section) {
            let blank = if out.is_empty() { "" } else { "\n" };
            let bold = Style::new().bold();
            push(&mut out, format_args!("{blank}{bold}{}{bold:#}\n", title(check.section)));
        }
        push_check(&mut out, check, column, width.clamp(WIDTHS.0, WIDTHS.1));
    }
    push(&mut out, format_args!("\n{}\n", summary(checks)));
    out
}

/// `  warning  BPF file system  not mounted on /sys/fs/bpf`, and below it the advice.
fn push_check(out: &mut String, check: &Check, column: usize, width: usize) {
    let style = style(check.status);
    let name = escape::prose(&check.name);
    let padding = " ".repeat(column.saturating_sub(name.width()));
    push(out, format_args!("  {style}{:<7}{style:#}  {name}{padding}  ", word(check.status)));
    let indent = " ".repeat(2 + 7 + 2 + column + 2);
    let text = width.saturating_sub(indent.len());
    for (index, line) in wrap(&escape::prose(&check.found), text).iter().enumerate() {
        let indent = if index == 0 { "" } else { &indent };
        push(out, format_args!("{indent}{line}\n"));
    }
    let Some(advice) = &check.advice else { return };
    let options = Options::new(text).initial_indent("→ ").subsequent_indent("  ");
    let dim = Style::new().dimmed();
    for line in wrap(&escape::prose(advice), options) {
        push(out, format_args!("{indent}{dim}{line}{dim:#}\n"));
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}

fn title(section: Section) -> &'static str {
    match section {
        Section::Kernel => "Kernel",
        Section::Privileges => "Privileges",
        Section::Settings => "Settings",
        Section::Engines => "Engines and runtimes",
        Section::Hooks => "Hooks",
        Section::Probe => "Probe",
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Warning => "warning",
        Status::Problem => "problem",
    }
}

fn style(status: Status) -> Style {
    match status {
        Status::Ok => AnsiColor::Green.on_default(),
        Status::Warning => AnsiColor::Yellow.on_default(),
        Status::Problem => AnsiColor::Red.on_default().bold(),
    }
}

fn summary(checks: &[Check]) -> String {
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    let some = |count: usize, word: &str| match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    };
    match (count(Status::Problem), count(Status::Warning)) {
        (0, 0) => format!("{}: everything is as it should be", some(checks.len(), "check")),
        (problems, warnings) => format!(
            "{}: {}, {}",
            some(checks.len(), "check"),
            some(problems, "problem"),
            some(warnings, "warning")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_aligned_wrapped_and_escaped() {
        let long = "not mounted on /sys/fs/bpf, which is where the configuration says it is";
        let examination = Examination {
            schema_version: 1,
            version: "0",
            status: Status::Problem,
            checks: vec![
                Check::ok(Section::Kernel, "kernel", "Linux 6.12\u{1b}[2J"),
                Check::warning(Section::Kernel, "file system", long, format!("mount it, {long}")),
                Check::problem(Section::Probe, "probe", "none", "do"),
            ],
            verifier: Vec::new(),
        };
        let plain = anstream::adapter::strip_str(&terminal(&examination, 70)).to_string();
        let want = "\
Kernel
  ok       kernel       Linux 6.12\\x1b[2J
  warning  file system  not mounted on /sys/fs/bpf, which is where the
                        configuration says it is
                        → mount it, not mounted on /sys/fs/bpf, which
                          is where the configuration says it is

Probe
  problem  probe        none
                        → do

3 checks: 1 problem, 1 warning
";
        assert_eq!(plain, want);
    }
}
