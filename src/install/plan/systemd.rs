//! A drop-in for the environment of docker.service: the BuildKit inside of dockerd does
//! not ask for the default runtime.

use super::{Facts, Plan, Verb, Wish, in_path, is_ours, shim, text, undo};
use crate::install::InstallError;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Where systemd looks for docker.service and its drop-ins; the later outweighs.
pub(in crate::install) const UNIT_DIRECTORIES: [&str; 4] = [
    "/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/run/systemd/system",
    "/etc/systemd/system",
];

const DROP_IN: &str = "/etc/systemd/system/docker.service.d/buildwarden.conf";

/// As systemd has it by itself.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const COMMAND: &str = "DOCKER_BUILDKIT_RUNC_COMMAND";

const SECTION: &str = "[Service]";

/// What is said of the file, of the command and of PATH.
const COMMENTS: [&str; 4] = [
    "# Written by `buildwarden install`; `buildwarden uninstall` removes it.",
    "# BuildKit inside of dockerd does not know the default runtime.",
    "# Docker 23 and newer:",
    "# Docker 20.10 runs the first `runc` in PATH, and this directory has a link of that name:",
];

pub(super) fn plan(plan: &mut Plan, facts: &Facts, wish: &Wish) -> Result<(), InstallError> {
    let path = Path::new(DROP_IN);
    let found = facts.files.get(path);
    if facts.masked.contains(path) {
        return match wish.verb {
            Verb::Install => {
                let reason = "masked, a link to /dev/null: remove it, it is in the way of ours";
                Err(InstallError::refused(path, reason))
            }
            Verb::Uninstall => Ok(()),
        };
    }
    let after = match (wish.verb, found) {
        (Verb::Install, found) => {
            for (file, later) in others(facts, COMMAND) {
                let reason = format!(
                    "sets {COMMAND}, {} {DROP_IN}: remove one of them",
                    if later { "after" } else { "which is overridden by" }
                );
                plan.notes.push(format!("{}: {reason}", file.display()));
            }
            for (file, later) in others(facts, "PATH") {
                if later {
                    plan.notes.push(format!(
                        "{}: sets PATH after {DROP_IN}: put {} in front there",
                        file.display(),
                        directory(wish).display()
                    ));
                }
            }
            for (file, content) in units(facts).filter(|(path, _)| is_later(path)) {
                if lines(content).iter().any(|(_, line)| is_reset(line)) {
                    plan.notes.push(format!(
                        "{}: its empty Environment= drops what {DROP_IN} sets before: remove it",
                        file.display()
                    ));
                }
            }
            Some(install(found.map(|found| found.content.as_str()), facts, wish))
        }
        (Verb::Uninstall, None) => return Ok(()),
        (Verb::Uninstall, Some(found)) => {
            undo(found, |text, _| Ok(install(text, facts, wish)), |text| Ok(take_out(text)))?
        }
    };
    let ours = found.is_some_and(|found| take_out(&found.content).as_ref() != Some(&found.content));
    plan.edit(path, found, ours, after);
    Ok(())
}

/// dockerd does not start when its command line and daemon.json both say something.
pub(super) fn check_command_line(facts: &Facts) -> Result<(), InstallError> {
    for (path, command) in commands(facts) {
        let options = ["--default-runtime", "--add-runtime", "--config-file"];
        let Some(option) = options.into_iter().find(|option| command.contains(option)) else {
            continue;
        };
        let reason = match option {
            "--config-file" => {
                "ExecStart names another configuration file than /etc/docker/daemon.json: \
                                merge hooks/docker/daemon.json into that one by hand"
                    .to_owned()
            }
            _ => format!(
                "ExecStart has {option}, and dockerd does not start when daemon.json says it too: move \
                 it there"
            ),
        };
        return Err(InstallError::refused(path, reason));
    }
    Ok(())
}

/// What systemd runs, and where that is said: an empty `ExecStart=` drops those before it.
fn commands(facts: &Facts) -> Vec<(&Path, String)> {
    let mut commands = Vec::new();
    for (path, content) in all_units(facts) {
        for (_, line) in lines(content) {
            match setting(&line) {
                Some(("ExecStart", "")) => commands.clear(),
                Some(("ExecStart", command)) => commands.push((path, command.to_owned())),
                _ => {}
            }
        }
    }
    commands
}

fn directory(wish: &Wish) -> PathBuf {
    let link = in_path(&wish.program).path;
    link.parent().map(Path::to_owned).unwrap_or_default()
}

/// Ours beside whatever else is in the file.
fn install(content: Option<&str>, facts: &Facts, wish: &Wish) -> String {
    let command = text(&shim(&wish.program, "runc").path);
    let directory = text(&directory(wish));
    let content = content.unwrap_or_default();
    let path = value(content, "PATH");
    let is_first = |path: &String| path.split(':').next() == Some(&directory);
    if value(content, COMMAND).as_ref() == Some(&command) && path.as_ref().is_some_and(is_first) {
        return content.to_owned();
    }
    let others = || {
        let contents: Vec<&str> = units(facts).map(|(_, content)| content).collect();
        value(&contents.join("\n\n"), "PATH")
    };
    let path = path.or_else(others).unwrap_or_else(|| USUAL_PATH.to_owned());
    let mut directories: Vec<&str> = path.split(':').filter(|path| !is_directory(path)).collect();
    directories.insert(0, &directory);
    let [file, why, newer, older] = COMMENTS;
    let (command, path) = (quoted(COMMAND, &command), quoted("PATH", &directories.join(":")));
    let ours = format!("{newer}\nEnvironment={command}\n{older}\nEnvironment={path}\n");
    match take_out(content) {
        Some(rest) if !is_nothing(&rest) => {
            let (before, after) = rest.split_at(end_of_section(&rest));
            let line_end = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
            let is_there = before.lines().any(|line| line.trim() == SECTION);
            let section = if is_there { String::new() } else { format!("{SECTION}\n") };
            format!("{before}{line_end}{section}{file}\n{why}\n{ours}{after}")
        }
        _ => format!("{file}\n{why}\n{SECTION}\n{ours}"),
    }
}

/// Where the last section that is ours too ends; the end where there is none.
fn end_of_section(content: &str) -> usize {
    let (mut end, mut at, mut is_open) = (None, 0, false);
    for line in content.split_inclusive('\n') {
        at += line.len();
        let text = line.trim();
        if text.starts_with('[') {
            is_open = text == SECTION;
        }
        if is_open && !text.is_empty() {
            end = Some(at);
        }
    }
    end.unwrap_or(content.len())
}

/// The file without our assignments and comments; `None` when nothing is left of it.
fn take_out(content: &str) -> Option<String> {
    let mut rest = String::new();
    for (raw, line) in lines(content) {
        if COMMENTS.contains(&raw.trim()) {
            continue;
        }
        let words = assignments(&line);
        let (ours, others): (Vec<_>, Vec<_>) =
            words.into_iter().partition(|(name, value, _)| is_assignment(name, value));
        if ours.is_empty() {
            rest += raw;
        } else if !others.is_empty() {
            let others: Vec<_> = others.into_iter().map(|(_, _, raw)| raw).collect();
            rest += &format!("Environment={}\n", others.join(" "));
        }
    }
    (rest == content || !is_nothing(&rest)).then_some(rest)
}

/// Whether it says nothing to systemd or to people.
fn is_nothing(content: &str) -> bool {
    content.lines().map(str::trim).all(|line| line.is_empty() || line == SECTION)
}

fn is_assignment(name: &str, value: &str) -> bool {
    match name {
        COMMAND => is_ours(value),
        "PATH" => value.split(':').next().is_some_and(is_directory),
        _ => false,
    }
}

/// Whether it is the directory with our `runc`, wherever the program lies.
fn is_directory(path: &str) -> bool {
    Path::new(path).ends_with("libexec/buildwarden")
}

/// The unit and its drop-ins in the order in which systemd reads them: the unit first,
/// then the drop-ins by name, wherever they are. Of one name the last directory's alone is
/// read.
fn all_units(facts: &Facts) -> impl Iterator<Item = (&Path, &str)> {
    let mut units = BTreeMap::new();
    for directory in UNIT_DIRECTORIES {
        for (path, found) in facts.files.iter().filter(|(path, _)| path.starts_with(directory)) {
            let unit = (path.as_path(), found.content.as_str());
            units.insert((is_drop_in(path), path.file_name()), unit);
        }
    }
    units.into_values()
}

/// The same without ours.
fn units(facts: &Facts) -> impl Iterator<Item = (&Path, &str)> {
    let own = Path::new(DROP_IN).file_name();
    all_units(facts).filter(move |(path, _)| path.file_name() != own)
}

fn is_drop_in(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "conf")
}

/// Whether systemd reads it after ours.
fn is_later(path: &Path) -> bool {
    is_drop_in(path) && path.file_name() > Path::new(DROP_IN).file_name()
}

/// Who else sets a variable, and whether after us.
fn others<'a>(facts: &'a Facts, name: &'a str) -> impl Iterator<Item = (&'a Path, bool)> {
    units(facts)
        .filter(move |(_, content)| value(content, name).is_some())
        .map(|(path, _)| (path, is_later(path)))
}

/// The last value that `Environment=` lines give a variable.
fn value(content: &str, name: &str) -> Option<String> {
    let mut found = None;
    for (_, line) in lines(content) {
        if is_reset(&line) {
            found = None;
        }
        for (key, value, _) in assignments(&line) {
            if key == name {
                found = Some(value);
            }
        }
    }
    found
}

/// The lines as systemd reads them, each with how it is written: one that ends in `\`
/// goes on in the next, past comments (systemd.syntax(7)).
fn lines(content: &str) -> Vec<(&str, String)> {
    let mut lines = Vec::new();
    let (mut begin, mut at, mut text) = (0, 0, String::new());
    for line in content.split_inclusive('\n') {
        at += line.len();
        let line = line.trim_end_matches(['\n', '\r']);
        let is_comment = line.trim_start().starts_with(['#', ';']);
        if !is_comment {
            text += line;
            let escapes = text.len() - text.trim_end_matches('\\').len();
            if escapes % 2 == 1 {
                text.pop();
                text.push(' ');
                continue;
            }
        } else if !text.is_empty() {
            continue;
        }
        lines.push((&content[begin..at], std::mem::take(&mut text)));
        begin = at;
    }
    if begin < content.len() {
        lines.push((&content[begin..], text));
    }
    lines
}

/// A line's name and value.
fn setting(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    Some((name.trim(), value.trim()))
}

fn is_reset(line: &str) -> bool {
    setting(line) == Some(("Environment", ""))
}

/// What an `Environment=` line assigns: name, value and how it is written there
/// (systemd.exec(5)).
fn assignments(line: &str) -> Vec<(String, String, &str)> {
    let Some(("Environment", value)) = setting(line) else { return Vec::new() };
    let words = words(value).into_iter().filter_map(|(raw, word)| {
        let (name, value) = word.split_once('=')?;
        Some((name.to_owned(), value.replace("%%", "%"), raw))
    });
    words.collect()
}

/// Splits at blanks that are not quoted: each word as it is written, and what it says.
fn words(text: &str) -> Vec<(&str, String)> {
    let (mut words, mut word, mut quote, mut begin) = (Vec::new(), String::new(), None, 0);
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            // What is not closed ends with the line.
            _ if at == text.len() || (quote.is_none() && c.is_whitespace()) => {
                words.push((&text[begin..at], std::mem::take(&mut word)));
                begin = at + c.len_utf8();
            }
            _ => word.push(c),
        }
    }
    words.retain(|(_, word)| !word.is_empty());
    words
}

/// An assignment as `Environment=` takes it.
fn quoted(name: &str, value: &str) -> String {
    let assignment = format!("{name}={}", value.replace('%', "%%"));
    if assignment.contains(char::is_whitespace) { format!("\"{assignment}\"") } else { assignment }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ours_is_taken_out() {
        const OURS: &str = "Environment=DOCKER_BUILDKIT_RUNC_COMMAND=/x/buildwarden-runc\n";
        for (content, want) in [
            (format!("{}\n{SECTION}\n{OURS}", COMMENTS[0]), None),
            (format!("# Mine\n{SECTION}\n{OURS}\n"), Some(format!("# Mine\n{SECTION}\n\n"))),
            (
                format!("{OURS}Environment=\"A=b c\" PATH=/x/libexec/buildwarden:/bin D='e'"),
                Some("Environment=\"A=b c\" D='e'\n".to_owned()),
            ),
            (format!("{OURS}Environment=PATH=/a\n"), Some("Environment=PATH=/a\n".to_owned())),
            // Nothing of ours.
            (format!("{SECTION}\n"), Some(format!("{SECTION}\n"))),
            ("Environment=A=b \\\n  C=d".to_owned(), Some("Environment=A=b \\\n  C=d".to_owned())),
        ] {
            assert_eq!(take_out(&content), want, "{content}");
        }
    }

    #[test]
    fn environment_lines_are_read_as_systemd_does() {
        for (content, want) in [
            ("[Service]\nEnvironment=PATH=/a:/b\n", Some("/a:/b")),
            ("Environment=A=b \"PATH=/with blank\" C=d", Some("/with blank")),
            ("Environment=PATH=/a\nEnvironment='PATH=/b'", Some("/b")),
            ("Environment=PATH=/a\nEnvironment=\n", None),
            ("Environment=PATH=/100%%", Some("/100%")),
            ("# Environment=PATH=/a\nEnvironmentFile=/x", None),
            ("Environment=MYPATH=/a", None),
            ("Environment = PATH=/a", Some("/a")),
            ("Environment=A=b \\\n# more\n  PATH=/a\nX=y", Some("/a")),
            ("Environment=A=b \\", None),
            ("# a comment \\\nEnvironment=PATH=/a", Some("/a")),
        ] {
            assert_eq!(value(content, "PATH").as_deref(), want, "{content}");
        }
        for content in ["", "a", "a\n", "a\\\nb\r\n\n", "a\\\n#b\\\n", "\\"] {
            let all: String = lines(content).into_iter().map(|(raw, _)| raw).collect();
            assert_eq!(all, content);
        }
        assert_eq!(quoted("A", "/50% off"), "\"A=/50%% off\"");
    }
}
