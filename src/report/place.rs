//! The line of a Dockerfile that a container's step stands in.

use super::model::Step;

/// A line of a file of the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as a path relative to the repository or absolute.
    pub path: String,
    /// The first line; 1 is the file's first.
    pub line: u32,
    /// The last line.
    pub last_line: u32,
}

impl Place {
    /// Where findings point at when no line is known: the report itself.
    pub(super) fn report() -> Place {
        Place { path: "report.json".to_owned(), line: 1, last_line: 1 }
    }
}

/// The lines of the `RUN` instruction that gave a step its command: the first and the
/// last, or `None` when there is no such instruction.
pub fn in_dockerfile(text: &str, step: &Step) -> Option<(u32, u32)> {
    // A shell is given the instruction's text as its last argument.
    let (script, shell) = step.command.split_last()?;
    let is_shell = shell.last().is_some_and(|option| option.starts_with(b"-"));
    let script = std::str::from_utf8(script).ok().filter(|_| is_shell).map(squeeze);
    let found = instructions(text).into_iter().find(|instruction| {
        let Some(command) = command(&instruction.text) else { return false };
        match serde_json::from_str::<Vec<String>>(command) {
            Ok(argv) => argv.iter().map(String::as_bytes).eq(step.command.iter().map(|a| &**a)),
            Err(_) => script.is_some() && script == instruction.script(command),
        }
    })?;
    Some((found.first, found.last))
}

/// An instruction with its lines joined, and the here-document behind it.
#[derive(Debug, Default)]
struct Instruction {
    text: String,
    /// The here-document's lines, and the word that ends it.
    here: Option<(String, String)>,
    first: u32,
    last: u32,
}

impl Instruction {
    /// What a shell is given of it, blanks squeezed.
    fn script(&self, command: &str) -> Option<String> {
        Some(match &self.here {
            None => squeeze(command),
            // Nothing but a here-document is the script itself.
            Some((body, _)) if command.split_whitespace().count() == 1 => squeeze(body),
            Some((body, end)) => squeeze(&format!("{command}\n{body}\n{end}")),
        })
    }
}

/// The instructions of a Dockerfile. What is no Dockerfile has odd ones.
fn instructions(text: &str) -> Vec<Instruction> {
    let mut found = Vec::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((first, line)) = lines.next() {
        if is_nothing(line) {
            continue;
        }
        let mut instruction = Instruction { first, last: first, ..Instruction::default() };
        let mut line = line.trim_end();
        while let Some(part) = line.strip_suffix('\\') {
            instruction.text.push_str(part);
            // Comments and empty lines do not end an instruction.
            let Some((number, next)) = lines.find(|(_, line)| !is_nothing(line)) else {
                line = "";
                break;
            };
            instruction.last = number;
            line = next.trim_end();
        }
        instruction.text.push_str(line);
        if command(&instruction.text).is_some()
            && let Some(end) = here_word(&instruction.text)
        {
            let mut body = String::new();
            for (number, line) in lines.by_ref() {
                instruction.last = number;
                if line.trim_start_matches('\t') == end {
                    break;
                }
                body.push_str(line);
                body.push('\n');
            }
            instruction.here = Some((body, end));
        }
        found.push(instruction);
    }
    found
}

fn is_nothing(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// What a `RUN` instruction runs: without the word and its flags.
fn command(instruction: &str) -> Option<&str> {
    let (word, mut rest) = instruction.trim_start().split_once(char::is_whitespace)?;
    if !word.eq_ignore_ascii_case("RUN") {
        return None;
    }
    loop {
        rest = rest.trim();
        match rest.split_once(char::is_whitespace) {
            Some((flag, after)) if flag.starts_with("--") => rest = after,
            _ => return Some(rest),
        }
    }
}

/// The word that ends the instruction's here-document.
fn here_word(instruction: &str) -> Option<String> {
    let (_, after) = instruction.split_once("<<")?;
    let after = after.strip_prefix('-').unwrap_or(after);
    let word = after.split(|c: char| c.is_whitespace() || c == ';').next()?;
    let word = word.trim_matches(['\'', '"']);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    (!word.is_empty() && word.chars().all(is_word)).then(|| word.to_owned())
}

/// Blanks do not matter: an engine joins lines in its own way.
fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Bytes;

    const DOCKERFILE: &str = "\
# syntax=docker/dockerfile:1
FROM node:20

RUN npm ci
run --mount=type=cache,target=/root --network=none apt-get update && \\
    # a comment
    apt-get install -y \\

      curl
RUN [\"/bin/app\", \"--x\"]
COPY . .
RUN <<EOF
set -e
npm run build
EOF
RUN cat <<'END' > /etc/conf
a b
END
RUN npm ci
RUN true \\";

    #[test]
    fn a_step_is_found_where_it_was_written() {
        let cases: [(&[&str], Option<(u32, u32)>); 12] = [
            (&["/bin/sh", "-c", "npm ci"], Some((4, 4))),
            (&["/bin/bash", "-eo", "pipefail", "-c", "npm ci"], Some((4, 4))),
            (
                &["/bin/sh", "-c", "apt-get update &&     apt-get install -y       curl"],
                Some((5, 9)),
            ),
            (&["/bin/app", "--x"], Some((10, 10))),
            (&["/bin/sh", "-c", "set -e\nnpm run build\n"], Some((12, 15))),
            (&["/bin/sh", "-c", "cat <<'END' > /etc/conf\na b\nEND\n"], Some((16, 18))),
            (&["/bin/sh", "-c", "true"], Some((20, 20))),
            (&["/bin/sh", "-c", "npm"], None),
            (&["npm", "ci"], None),
            (&["/bin/sh", "-c", ". ."], None),
            (&["npm ci"], None),
            (&[], None),
        ];
        for (argv, want) in cases {
            let command = argv.iter().map(Bytes::from).collect();
            let step = Step { command, command_omitted: 0, build: None };
            assert_eq!(in_dockerfile(DOCKERFILE, &step), want, "{argv:?}");
        }
    }
}
