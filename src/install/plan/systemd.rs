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
            Some(install(found.map(|found| found.content.as_str()), facts, wish))
        }
        (Verb::Uninstall, None) => return Ok(()),
        (Verb::Uninstall, Some(found)) => {
            undo(found, |text, _| Ok(install(text, facts, wish)), |_| Ok(found.backup.clone()))?
        }
    };
    let command = found.and_then(|found| value(&found.content, COMMAND));
    plan.edit(path, found, command.is_some_and(|command| is_ours(&command)), after);
    Ok(())
}

/// dockerd does not start when its command line and daemon.json both say something.
pub(super) fn check_command_line(facts: &Facts) -> Result<(), InstallError> {
    for (path, content) in units(facts) {
        let commands = content.lines().filter(|line| line.trim_start().starts_with("ExecStart="));
        let options = ["--default-runtime", "--add-runtime", "--config-file"];
        let named = |line: &str| options.into_iter().find(|option| line.contains(option));
        let Some(option) = commands.filter_map(named).next_back() else { continue };
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

fn directory(wish: &Wish) -> PathBuf {
    let link = in_path(&wish.program).path;
    link.parent().map(Path::to_owned).unwrap_or_default()
}

fn install(content: Option<&str>, facts: &Facts, wish: &Wish) -> String {
    let command = text(&shim(&wish.program, "runc").path);
    let directory = text(&directory(wish));
    let first = |path: &str| path.split(':').next() == Some(&directory);
    match content {
        // Whatever else is in it.
        Some(content)
            if value(content, COMMAND).as_ref() == Some(&command)
                && value(content, "PATH").is_some_and(|path| first(&path)) =>
        {
            content.to_owned()
        }
        _ => {
            let before = units(facts).filter_map(|(_, content)| value(content, "PATH")).last();
            let before = before.unwrap_or_else(|| USUAL_PATH.to_owned());
            let path = if first(&before) { before } else { format!("{directory}:{before}") };
            format!(
                "# Written by `buildwarden install`; `buildwarden uninstall` removes it.\n\
                 # BuildKit inside of dockerd does not know the default runtime.\n\
                 [Service]\n\
                 # Docker 23 and newer:\n\
                 Environment={}\n\
                 # Docker 20.10 runs the first `runc` in PATH, and this directory has a link of that name:\n\
                 Environment={}\n",
                quoted(COMMAND, &command),
                quoted("PATH", &path),
            )
        }
    }
}

/// The unit and its drop-ins but ours, in the order in which systemd reads them: the unit
/// first, then the drop-ins by name, wherever they are. Of one name the last directory's
/// alone is read.
fn units(facts: &Facts) -> impl Iterator<Item = (&Path, &str)> {
    let own = Path::new(DROP_IN).file_name();
    let mut units = BTreeMap::new();
    for directory in UNIT_DIRECTORIES {
        for (path, found) in facts.files.iter().filter(|(path, _)| path.starts_with(directory)) {
            if path.file_name() != own {
                let unit = (path.as_path(), found.content.as_str());
                units.insert((is_drop_in(path), path.file_name()), unit);
            }
        }
    }
    units.into_values()
}

fn is_drop_in(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "conf")
}

/// Who else sets a variable, and whether after us.
fn others<'a>(facts: &'a Facts, name: &'a str) -> impl Iterator<Item = (&'a Path, bool)> {
    let own = Path::new(DROP_IN).file_name();
    units(facts)
        .filter(move |(_, content)| value(content, name).is_some())
        .map(move |(path, _)| (path, is_drop_in(path) && path.file_name() > own))
}

/// The last value that `Environment=` lines give a variable: systemd.exec(5), without
/// continued lines, which nobody has written there.
fn value(content: &str, name: &str) -> Option<String> {
    let mut found = None;
    for line in content.lines().map(str::trim) {
        let Some(assignments) = line.strip_prefix("Environment=") else { continue };
        if assignments.trim().is_empty() {
            found = None;
        }
        for word in words(assignments) {
            if let Some((key, value)) = word.split_once('=')
                && key == name
            {
                found = Some(value.replace("%%", "%"));
            }
        }
    }
    found
}

/// Splits at blanks that are not quoted.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c.is_whitespace() => words.push(std::mem::take(&mut word)),
            _ => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
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
    fn environment_lines_are_read_as_systemd_does() {
        for (content, want) in [
            ("[Service]\nEnvironment=PATH=/a:/b\n", Some("/a:/b")),
            ("Environment=A=b \"PATH=/with blank\" C=d", Some("/with blank")),
            ("Environment=PATH=/a\nEnvironment='PATH=/b'", Some("/b")),
            ("Environment=PATH=/a\nEnvironment=\n", None),
            ("Environment=PATH=/100%%", Some("/100%")),
            ("# Environment=PATH=/a\nEnvironmentFile=/x", None),
            ("Environment=MYPATH=/a", None),
        ] {
            assert_eq!(value(content, "PATH").as_deref(), want, "{content}");
        }
        assert_eq!(quoted("A", "/50% off"), "\"A=/50%% off\"");
    }
}
