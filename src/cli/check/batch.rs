//! `check --batch`: one exec a line in, one verdict a line out, in the same order.

use crate::cli::Exit;
use crate::detect::{Context, Detector, Importance};
use crate::event::{Argv, Exec};
use crate::report::{Bytes, json};
use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

/// The longest line that is read, in bytes: the kernel's limit for argv, every
/// byte of it written as a six-byte JSON escape, and some room.
const LONGEST_LINE: u64 = 16 << 20;

/// A line as written.
#[derive(Deserialize)]
struct Line {
    id: Value,
    exe: Bytes,
    argv: Vec<Bytes>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer<'a> {
    Verdict { id: Value, verdict: &'a str, tool: Option<String>, addresses: Vec<String> },
    Malformed { id: Option<()>, error: String },
}

/// Answers every line of `file`.
pub(super) fn run(
    detector: &Detector,
    recipe: &str,
    job: Option<&str>,
    file: &Path,
) -> anyhow::Result<Exit> {
    if !detector.recipes().iter().any(|known| known.name == recipe) {
        let known: Vec<&str> =
            detector.recipes().iter().map(|recipe| recipe.name.as_str()).collect();
        bail!("no recipe {recipe:?}; known are {}", known.join(", "));
    }
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(file).with_context(|| format!("open {}", file.display()))?)
    };
    let mut input = BufReader::with_capacity(1 << 16, input);
    let mut output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut exit = Exit::Success;
    let mut line = Vec::new();
    let mut number: u64 = 0;
    loop {
        line.clear();
        let read = (&mut input)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .with_context(|| format!("read {}", file.display()))?;
        if read == 0 {
            break;
        }
        number += 1;
        let answer = if line.last() != Some(&b'\n') && line.len() as u64 == LONGEST_LINE {
            skip_line(&mut input).with_context(|| format!("read {}", file.display()))?;
            Err(format!("longer than {LONGEST_LINE} bytes"))
        } else if line.trim_ascii().is_empty() {
            continue;
        } else {
            answer(detector, recipe, job, &line)
        };
        let answer = answer.unwrap_or_else(|error| {
            exit = Exit::BadInput;
            Answer::Malformed { id: None, error: format!("line {number}: {error}") }
        });
        writeln!(output, "{}", json::line(&answer)?).context("standard output")?;
    }
    output.flush().context("standard output")?;
    Ok(exit)
}

/// Drops what is left of a line, however long.
fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        let (end, length) = match memchr::memchr(b'\n', buffer) {
            Some(at) => (true, at + 1),
            None => (buffer.is_empty(), buffer.len()),
        };
        input.consume(length);
        if end {
            return Ok(());
        }
    }
}

fn answer(
    detector: &Detector,
    recipe: &str,
    job: Option<&str>,
    line: &[u8],
) -> Result<Answer<'static>, String> {
    let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let mut argv = Vec::with_capacity(line.argv.iter().map(|argument| argument.len() + 1).sum());
    for (index, argument) in line.argv.iter().enumerate() {
        if memchr::memchr(0, argument).is_some() {
            return Err(format!("argv[{index}] has a NUL in it, which no argument can"));
        }
        argv.extend_from_slice(argument);
        argv.push(0);
    }
    let exec = Exec {
        path: &line.exe,
        name: &line.exe,
        argv: Argv(&argv),
        argv_len: argv.len() as u64,
        ..Exec::default()
    };
    let judgement = detector.judge(&exec, &Context { now: jiff::Timestamp::now(), job });
    let finding = judgement.findings.into_iter().find(|finding| finding.recipe == recipe);
    let mut addresses: Vec<String> = Vec::new();
    for address in finding.iter().flat_map(|finding| &finding.addresses) {
        if !addresses.contains(&address.address) {
            addresses.push(address.address.clone());
        }
    }
    Ok(Answer::Verdict {
        id: line.id,
        verdict: finding.as_ref().map_or("none", |finding| Importance::name(finding.importance)),
        tool: detector.tool(&exec).map(|tool| tool.name),
        addresses,
    })
}
