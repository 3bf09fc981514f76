//! `buildwarden report --job`: one verdict over all containers of a job, and the gate
//! that waits for them.

use super::super::{Exit, formats, list, output, terminal, which_job::WhichJob};
use crate::{
    annotation::Changes,
    collect::file::EXECS,
    config::Settings,
    escape,
    oci::Jobs,
    report::{
        Time,
        format::{Format, JobContext, JobFormatError, render_job},
        model::{JobContainer, JobReport},
    },
    store::{JobRuns, Known, Run, Snapshot, State, Store, StoreError, job_container},
};
use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    collections::{BTreeSet, HashSet},
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

/// How long a gate waits when nobody says.
const TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// The longest that anybody means.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// Least time between two lines about the waiting, where there is no terminal.
const QUIET: Duration = Duration::from_secs(10);
/// How many containers a line names.
const NAMED: usize = 4;

#[derive(Debug, clap::Args)]
pub(super) struct OfJob {
    #[command(flatten)]
    which: WhichJob,
    /// Wait until the job has at least this many containers; implies waiting
    #[arg(long, value_name = "N", requires = "jobs")]
    expect: Option<usize>,
    /// How long to wait for containers that run, as in 90s, 5m, 1h 30m; implies waiting
    /// [default: 10m with --fail-on]
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "jobs")]
    timeout: Option<Duration>,
    /// Do not wait for this container of the job, such as the one that the gate runs in; its
    /// findings so far count
    #[arg(long, value_name = "ID", requires = "jobs")]
    exclude: Vec<String>,
    /// Wait for no container that runs; the findings so far count
    #[arg(long, requires = "jobs")]
    running_ok: bool,
    /// Let a job without any container pass, and write no report of it: where the administrator
    /// knows that not every job has one
    #[arg(long, requires = "jobs", conflicts_with = "expect")]
    none_ok: bool,
}

/// `5m`
fn duration(text: &str) -> Result<Duration, String> {
    let parsed: Result<jiff::SignedDuration, _> = text.parse();
    let unsigned = parsed.ok().and_then(|duration| Duration::try_from(duration).ok());
    unsigned
        .map(|duration| duration.min(LONGEST))
        .ok_or_else(|| "expected a duration such as 90s, 5m or 1h 30m".to_owned())
}

impl OfJob {
    /// The jobs that are asked for, if any are.
    pub(super) fn jobs(&self) -> anyhow::Result<Option<Jobs>> {
        self.which.read()
    }
}

pub(super) fn run(
    args: &super::Args,
    jobs: Jobs,
    wanted: &[(Format, Option<&Path>)],
    config: Option<&Path>,
) -> anyhow::Result<Exit> {
    if wanted.iter().any(|(format, _)| *format == Format::InToto) {
        return Err(JobFormatError::InToto.into());
    }
    let of = &args.of_job;
    let store = Store::of(&Settings::load(config)?);
    let set_aside = SetAside::read(of, &store)?;
    let mut runs = JobRuns::new(&store, jobs);
    let expected = of.expect.unwrap_or(1);
    let waits = args.fail_on.is_some() || of.timeout.is_some() || of.expect.is_some();
    let now = if waits {
        let deadline = Instant::now() + of.timeout.unwrap_or(TIMEOUT);
        let until = Until { deadline, expected: of.expect.unwrap_or(0), set_aside: &set_aside };
        wait(&store, &mut runs, &until)?
    } else {
        runs.look()?
    };
    if of.none_ok && now.has_none() {
        terminal::say(&format!("{}: {}", Shown(runs.jobs().as_str()), nothing(runs.jobs(), &now)));
        return Ok(Exit::Success);
    }
    if now.own.is_empty() && now.shared.is_empty() && args.fail_on.is_none() {
        bail!("{}: {}", Shown(runs.jobs().as_str()), nothing(runs.jobs(), &now));
    }
    let report = report(runs.jobs(), &now, expected, &set_aside)?;
    let steps = report.containers.iter().map(|container| container.container.step.as_ref());
    let places = args.dockerfile.as_deref().map(|file| formats::places(file, steps)).transpose()?;
    let mut about = JobContext {
        layout: super::layout(args, None),
        places: places.unwrap_or_default(),
        now: Time(jiff::Timestamp::now()),
    };
    for (format, to) in wanted {
        about.layout = super::layout(args, *to);
        let text = render_job(&report, *format, &about)
            .with_context(|| format!("report of the job as {}", format.name()))?;
        output::write(&text, *to)?;
    }
    Ok(args.fail_on.and_then(|gate| gate.strikes_job(&report)).unwrap_or(Exit::Success))
}

/// Which containers may go on running.
struct SetAside {
    all: bool,
    /// Their report directories' names.
    directories: HashSet<String>,
}

impl SetAside {
    fn read(of: &OfJob, store: &Store) -> Result<SetAside, StoreError> {
        let named = of.exclude.iter().map(|id| store.find(id).map(|run| run.name().to_owned()));
        Ok(SetAside { all: of.running_ok, directories: named.collect::<Result<_, _>>()? })
    }

    fn has(&self, run: &Run) -> bool {
        self.all || self.directories.contains(run.name())
    }
}

/// What is waited for.
struct Until<'a> {
    deadline: Instant,
    /// How many containers there must be at least.
    expected: usize,
    set_aside: &'a SetAside,
}

/// Waits until all containers of the job have ended, or the deadline; what there is then.
fn wait(store: &Store, runs: &mut JobRuns<'_>, until: &Until<'_>) -> anyhow::Result<Snapshot> {
    let changes = Changes::new().context("watching for containers")?;
    let mut watched = HashSet::new();
    let mut progress = Progress::new(runs.jobs().as_str());
    loop {
        for directory in store.directories() {
            watch(&changes, directory)?;
        }
        let now = runs.look()?;
        let running = now.own.iter().filter(|(_, summary)| summary.state == State::Running);
        let live = running.map(|(run, _)| run).chain(&now.starting).chain(&now.without);
        let mut fresh = false;
        for run in live {
            if watched.insert(run.name().to_owned()) {
                // Gone again already: that is a change too.
                let _ = run.directory().map(|directory| changes.add(&directory));
                fresh = true;
            }
        }
        if fresh {
            // What happened before it was watched.
            continue;
        }
        let awaited = awaited(&now, until.set_aside);
        let missing = until.expected.saturating_sub(now.own.len());
        if awaited.is_empty() && missing == 0 || Instant::now() >= until.deadline {
            return Ok(now);
        }
        progress.show(&awaited, missing, until.deadline);
        changes.wait_until(until.deadline, EXECS).context("waiting for containers")?;
    }
}

/// The containers whose end is waited for.
fn awaited<'a>(now: &'a Snapshot, set_aside: &SetAside) -> Vec<&'a str> {
    let own = now.own.iter().filter(|(_, summary)| summary.state == State::Running);
    let own = own.map(|(run, _)| run).filter(|run| !set_aside.has(run));
    own.chain(&now.starting).map(Run::name).collect()
}

/// Watches a directory, or where it will be when it is made.
fn watch(changes: &Changes, directory: &Path) -> anyhow::Result<()> {
    let there = directory.ancestors().find(|ancestor| ancestor.is_dir());
    let there = there.unwrap_or(Path::new("/"));
    File::open(there)
        .and_then(|open| changes.add(&open))
        .with_context(|| format!("{}: cannot watch it", there.display()))
}

/// What is waited for, on a terminal's last line or in a line now and then.
struct Progress {
    job: String,
    bar: ProgressBar,
    said: Option<(Instant, String)>,
}

impl Progress {
    fn new(job: &str) -> Progress {
        // Hidden where standard error is no terminal.
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
            bar.set_style(style);
        }
        Progress { job: Shown(job).to_string(), bar, said: None }
    }

    fn show(&mut self, awaited: &[&str], missing: usize, deadline: Instant) {
        let mut parts = Vec::new();
        if missing > 0 {
            let s = if missing == 1 { "" } else { "s" };
            parts.push(format!("for {missing} more container{s} to begin"));
        }
        if !awaited.is_empty() {
            parts.push(format!("until these have ended: {}", names(awaited)));
        }
        let text = format!("{}: waiting {}", self.job, parts.join(", and "));
        if !self.bar.is_hidden() {
            self.bar.set_message(text);
            self.bar.enable_steady_tick(Duration::from_millis(200));
            return;
        }
        let again = |(at, said): &(Instant, String)| *said != text && at.elapsed() >= QUIET;
        if self.said.as_ref().is_none_or(again) {
            let left = deadline.saturating_duration_since(Instant::now()).as_secs();
            terminal::say(&format!("{text}; at most {left} s more"));
            self.said = Some((Instant::now(), text));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Some names, and how many more there are.
fn names(all: &[&str]) -> String {
    let mut named: Vec<String> = all.iter().take(NAMED).map(|name| list::short(name)).collect();
    if let more @ 1.. = all.len().saturating_sub(NAMED) {
        named.push(format!("and {more} more"));
    }
    named.join(", ")
}

/// An id in a message.
struct Shown<'a>(&'a str);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&escape::visible(self.0.as_bytes()))
    }
}

/// Says that there is no container of the job, and which jobs may be meant.
fn nothing(jobs: &Jobs, now: &Snapshot) -> String {
    let near: Vec<String> =
        now.near(jobs.as_str()).into_iter().map(|id| Shown(id).to_string()).collect();
    let hint = match near.as_slice() {
        [] => "`buildwarden list` shows the jobs that there are".to_owned(),
        near => format!("there are jobs with similar ids: {}", near.join(", ")),
    };
    let which = if jobs.are_many() { "whose id fits this pattern" } else { "with exactly this id" };
    format!("no container of a job {which} is on record; {hint}")
}

/// Sums up what there is.
fn report(
    jobs: &Jobs,
    now: &Snapshot,
    expected: usize,
    set_aside: &SetAside,
) -> anyhow::Result<JobReport> {
    let container = |(run, summary): &Known| job_container(run, summary, set_aside.has(run));
    let mut reasons = Vec::new();
    let mut containers: Vec<JobContainer> = Vec::new();
    for known in &now.own {
        match container(known) {
            Ok(container) => containers.push(container),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    if now.own.is_empty() {
        reasons.push(nothing(jobs, now));
    } else if now.own.len() < expected {
        reasons.push(format!("{} of {expected} expected containers are on record", now.own.len()));
    }
    for shared in &now.shared {
        let other = shared.job.as_ref().map_or("no job", |job| job.id.as_str());
        reasons.push(format!(
            "{}: execs of this job ran in it too, but it counts under {}: see its own report",
            shared.directory,
            Shown(other),
        ));
    }
    for run in &now.starting {
        reasons.push(format!("{}: it has just begun, and may be of this job", run.name()));
    }
    let unreadable: BTreeSet<String> = now.unreadable.iter().map(ToString::to_string).collect();
    reasons.extend(unreadable.into_iter().map(|error| format!("{error}; it may be of this job")));
    Ok(JobReport::new(jobs.as_str(), containers, reasons))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let seconds = |text| duration(text).map(|duration| duration.as_secs()).ok();
        assert_eq!(seconds("90s"), Some(90));
        assert_eq!(seconds("5m"), Some(300));
        assert_eq!(seconds("1h 30m"), Some(5400));
        assert_eq!(seconds("0s"), Some(0));
        for wrong in ["", "5", "-5m", "5 parsecs", "1 month"] {
            assert_eq!(
                duration(wrong).unwrap_err(),
                "expected a duration such as 90s, 5m or 1h 30m"
            );
        }
    }
}
