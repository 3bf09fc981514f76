//! `buildwarden verify`: whether a report and what lies beside it hold.

use super::{Exit, terminal, which_report::WhichReport};
use crate::{
    collect::{
        Rules,
        file::{ANNOTATIONS, EXECS, REPORT, SIGNED},
    },
    config::Settings,
    escape,
    report::{json, signed::PublicKey},
    store::{Store, open_regular},
    verify::{self, Files, Problem, Verification},
};
use anyhow::{Context, bail};
use nix::fcntl::AT_FDCWD;
use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

/// Check a report against the event file and the annotation log beside it
///
/// Digests, chains and numbers show what was changed, removed, added or cut off; the verdict is
/// made from the report's facts again, and what the event file has whole is judged again, with
/// the recipes and the policy at hand. A signature shows that nobody made all of it anew.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  buildwarden verify 7f3a
  buildwarden verify ./report.json --json
  buildwarden verify 7f3a --public-key /etc/buildwarden/report.pub

Exit codes:
   0  everything holds
   1  there is no such report, or a file cannot be read
  13  something does not hold: a line each says what, and where")]
pub(super) struct Args {
    /// A container's id or the beginning of one (its last run; ID.2 is its second), or a
    /// report.json with its other files beside it
    #[arg(value_name = "ID|FILE")]
    what: String,
    /// Check that the report is signed with this key, a public one in PEM
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// Write an object in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<Exit> {
    let key = args.public_key.as_deref().map(read_public_key).transpose()?;
    let settings = Settings::load(config);
    let store = || match &settings {
        Ok(settings) => Ok(Store::of(settings)),
        Err(error) => bail!("{error}"),
    };
    let report = match WhichReport::find(&args.what, store)? {
        WhichReport::File(path) => path,
        WhichReport::Run(_, run) => run.path().join(REPORT),
    };
    let files = open(&report)?;
    let rules = match &settings {
        Ok(settings) => Rules::of(settings),
        Err(error) => Err(error.to_string()),
    };
    let mut found = verify::verify(&files, rules.as_ref().ok(), key.as_ref())
        .with_context(|| shown(&report))?;
    if let Err(error) = rules {
        found.notes.push(format!("nothing was judged again: {error}"));
    }
    let text =
        if args.json { json::pretty(&found).context("result as JSON")? } else { text(&found) };
    terminal::print(&text)?;
    Ok(if found.verified { Exit::Success } else { Exit::DoesNotHold })
}

/// The files of the run: the report may be called otherwise, those beside it may not.
fn open(report: &Path) -> anyhow::Result<Files> {
    let beside = |name| report.with_file_name(name);
    let files = Files {
        report: content(report)?,
        events: open_file(&beside(EXECS))?,
        log: open_file(&beside(ANNOTATIONS))?,
        signed: content(&beside(SIGNED))?,
    };
    if files.report.is_none() && files.log.is_none() {
        bail!("{}: there is no such report, and no annotation log beside it", shown(report));
    }
    Ok(files)
}

fn content(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(mut file) = open_file(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).with_context(|| format!("{}: cannot read it", shown(path)))?;
    Ok(Some(bytes))
}

fn open_file(path: &Path) -> anyhow::Result<Option<File>> {
    open_regular(AT_FDCWD, path).with_context(|| format!("{}: cannot open it", shown(path)))
}

fn read_public_key(path: &Path) -> anyhow::Result<PublicKey> {
    let text =
        fs::read_to_string(path).with_context(|| format!("{}: cannot read it", shown(path)))?;
    PublicKey::from_pem(&text).with_context(|| shown(path))
}

fn shown(path: &Path) -> String {
    escape::visible(path.as_os_str().as_encoded_bytes()).into_owned()
}

/// The result in words: a line for each problem, then what was looked at.
fn text(found: &Verification) -> String {
    let mut out = String::new();
    let head = if found.verified { "HOLDS" } else { "DOES NOT HOLD" };
    let container = found.container.as_deref().unwrap_or("(no container)");
    let run = found.run.map(|run| format!(", run {run}")).unwrap_or_default();
    let verdict =
        found.verdict.map(|verdict| format!(": {}", verdict.as_str())).unwrap_or_default();
    let container = escape::visible(container.as_bytes());
    let _ = writeln!(out, "{head}  {container}{run}{verdict}");
    for problem in &found.problems {
        let text = escape::prose(&problem.problem);
        let _ = writeln!(out, "  {}: {text}", place(problem));
    }
    if found.problems_omitted > 0 {
        let _ = writeln!(out, "  and {} more", found.problems_omitted);
    }
    let judged = found.judged;
    if let Some(read) = found.events {
        let (lines, values) = (read.lines, read.chain_values);
        let _ = writeln!(
            out,
            "  {EXECS:<18} {} execs in {lines} lines, {values} chain values",
            judged.execs
        );
    }
    if let Some(read) = found.log {
        let _ = writeln!(
            out,
            "  {ANNOTATIONS:<18} {} lines, {} chain values",
            read.lines, read.chain_values
        );
    }
    if found.events.is_some() {
        let _ = writeln!(
            out,
            "  {:<18} {} of {} execs; not {} with something redacted, and {} cut",
            "judged again", judged.again, judged.execs, judged.redacted, judged.cut
        );
    }
    match found.signature {
        Some(true) => out.push_str("  signature          of the given key\n"),
        Some(false) => out.push_str("  signature          none that holds\n"),
        None => {}
    }
    for note in &found.notes {
        let _ = writeln!(out, "  note: {}", escape::prose(note));
    }
    if found.notes_omitted > 0 {
        let _ = writeln!(out, "  note: and {} more", found.notes_omitted);
    }
    out
}

fn place(problem: &Problem) -> String {
    match (problem.first_line, problem.line) {
        (Some(first), Some(last)) => format!("{} lines {first} to {last}", problem.file),
        (_, Some(line)) => format!("{} line {line}", problem.file),
        (_, None) => problem.file.to_owned(),
    }
}
