//! `buildwarden report`: one exit report.

mod job;

use super::{
    Exit,
    fail_on::FailOn,
    formats, output,
    terminal::{self, Colour},
    which_report::WhichReport,
};
use crate::{
    collect::read_key,
    config::Settings,
    escape,
    report::{
        baseline::{self, Paths},
        format::{self, Context as About, Format},
        in_toto::Subject,
        json,
        model::Report,
        signed,
        text::Layout,
    },
    store::{State, Store},
};
use anyhow::{Context, bail};
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Show the exit report of a container, or of all containers of a job
///
/// The verdict comes first, then each finding with its command line, who started it and what to
/// do, then the proof that nothing was missed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  buildwarden report 7f3a
  buildwarden report web.2
  buildwarden report ./report.json --width 120
  buildwarden report 7f3a --format json --output report.json
  buildwarden report 7f3a --format html --output report.html
  buildwarden report 7f3a --format markdown --output r.md --format sarif --output r.sarif
  buildwarden report 7f3a --format in-toto --subject app.tar=sha256:e3b0… --key signing.pem
  buildwarden report web --baseline web.1
  buildwarden report 7f3a --fail-on critical > /dev/null
  buildwarden report --job acme/web/4711/82 --fail-on critical --timeout 5m
  buildwarden report --job \"$CI_PROJECT_PATH/$CI_PIPELINE_ID/*\" --fail-on critical
  buildwarden report --this-job --fail-on critical
  buildwarden report --job JOB --format markdown --output r.md --format sarif --output r.sarif

With --job or --this-job, and --fail-on, it waits until the containers of the job that run have
ended; a job without any fails, but with --none-ok.

Exit codes:
   0  the report was shown; with --fail-on: no such finding, and everything was seen; with
      --none-ok: also when there is no container of the job
   1  there is no such report, or it cannot be read or written
  10  --fail-on: there is a finding of that importance or above
  11  --fail-on: no such finding, but not everything was seen: also when there is no container of
      the job, or one still runs at the end of --timeout")]
pub(super) struct Args {
    /// A container's id or the beginning of one (its last run; ID.2 is its second), a report.json,
    /// or - for standard input
    #[arg(value_name = "ID|FILE", required_unless_present = "jobs", conflicts_with = "jobs")]
    what: Option<String>,
    #[command(flatten)]
    of_job: job::OfJob,
    /// How it is written; may be given several times, each with its own --output. Of a job there
    /// is all but in-toto
    #[arg(long, value_parser = formats::parser(), value_name = "FORMAT")]
    format: Vec<Format>,
    /// Mark in the text what this report of an earlier build does not have; `buildwarden diff`
    /// shows it in other formats
    #[arg(long, value_name = "ID|FILE", conflicts_with = "jobs")]
    baseline: Option<String>,
    /// Write to this file (- is standard output); the first is that of the first --format,
    /// and so on. A link there is replaced, not followed
    #[arg(long, value_name = "FILE")]
    output: Vec<PathBuf>,
    /// With --format in-toto: an artifact that the Statement is about; may be given several times
    #[arg(long, value_name = "NAME=sha256:DIGEST")]
    subject: Vec<Subject>,
    /// With --format in-toto: sign the Statement with this Ed25519 key, PKCS #8 in PEM, and write
    /// it in a DSSE envelope
    #[arg(long, value_name = "FILE", conflicts_with = "jobs")]
    key: Option<PathBuf>,
    /// The Dockerfile that the container's step, or those of the job, stand in: sarif,
    /// gitlab-codequality and github
    /// point at its line
    #[arg(long, value_name = "FILE")]
    dockerfile: Option<PathBuf>,
    /// Exit with a code of its own when there is a finding of this importance or above
    #[arg(long, value_name = "IMPORTANCE")]
    fail_on: Option<FailOn>,
    /// Whether the text has colours
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    color: Colour,
    /// Columns of the text [default: the terminal's, else 80]
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(40..=1000))]
    width: Option<u16>,
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<Exit> {
    let wanted = formats::pair(&args.format, &args.output, !args.subject.is_empty())?;
    if let Some(jobs) = args.of_job.jobs()? {
        return job::run(&args, jobs, &wanted, config);
    }
    // Clap asks for the one or the other.
    let what = args.what.as_deref().unwrap_or_default();
    let key = match &args.key {
        Some(_) if wanted.iter().any(|(format, _)| *format != Format::InToto) => {
            bail!("--key signs what --format in-toto writes, and no other format")
        }
        Some(path) => Some(read_key(path).map_err(anyhow::Error::msg)?),
        None => None,
    };
    let report = read(what, config)?;
    let baseline = match &args.baseline {
        Some(_) if wanted.iter().any(|(format, _)| *format != Format::Text) => {
            bail!("--baseline marks the text only: `buildwarden diff` compares in other formats")
        }
        Some(old) if old == "-" && what == "-" => {
            bail!("standard input can be the report or the baseline, not both")
        }
        Some(old) => Some(baseline::compare(&read(old, config)?, &report, Paths::Alike)),
        None => None,
    };
    let place = match &args.dockerfile {
        Some(file) => formats::places(file, [report.container.step.as_ref()].into_iter())?.pop(),
        None => None,
    };
    for (format, to) in wanted {
        let about = About {
            layout: layout(&args, to),
            baseline: baseline.as_ref(),
            place: place.clone().flatten(),
            subjects: args.subject.clone(),
        };
        let text = format::render(&report, format, &about)
            .with_context(|| format!("report as {}", format.name()))?;
        let text = match &key {
            Some(key) => signed::seal(&text, key).context("signing the report")?,
            None => text,
        };
        output::write(&text, to)?;
    }
    Ok(args.fail_on.and_then(|gate| gate.strikes(&report)).unwrap_or(Exit::Success))
}

/// Text is laid out for where it goes.
fn layout(args: &Args, to: Option<&Path>) -> Layout {
    let colour = match (args.color, to) {
        (Colour::Auto, Some(_)) => false,
        (colour, _) => colour.on_stdout(),
    };
    let width = match (args.width, to) {
        (Some(width), _) => width.into(),
        (None, Some(_)) => terminal::WIDTH,
        (None, None) => terminal::width(),
    };
    Layout { width, colour }
}

/// The report that the argument means.
pub(super) fn read(what: &str, config: Option<&Path>) -> anyhow::Result<Report> {
    if what == "-" {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).context("standard input")?;
        return json::parse(&bytes).context("standard input");
    }
    let store = || Ok(Store::of(&Settings::load(config)?));
    let (store, run) = match WhichReport::find(what, store)? {
        WhichReport::File(path) => return read_file(&path),
        WhichReport::Run(store, run) => (store, run),
    };
    match run.report()? {
        Some(bytes) => json::parse(&bytes).with_context(|| run.path().display().to_string()),
        None => match store.summary(&run)?.state {
            State::Running => bail!(
                "{name}: the container is running; its report comes at its end, and \
                 `buildwarden watch {name}` shows its findings now",
                name = run.name()
            ),
            State::Finished => bail!("{}: its report is gone", run.path().display()),
            State::Unfinished => bail!(
                "{}: the container is gone and its report was not written: `buildwarden gc` \
                 writes it",
                run.name()
            ),
        },
    }
}

fn read_file(path: &Path) -> anyhow::Result<Report> {
    let shown = || escape::visible(path.as_os_str().as_encoded_bytes()).into_owned();
    let bytes = fs::read(path).with_context(|| format!("{}: cannot read it", shown()))?;
    json::parse(&bytes).with_context(shown)
}
