//! `buildwarden watch`: what a container does, as it happens.

use super::{
    Exit,
    terminal::{self, Colour},
};
use crate::{
    annotation::{Changes, Entry, Key, Line, Tail},
    collect::file::{ANNOTATIONS, EXECS},
    config::Settings,
    execlog::{self, ExecLine, Header},
    report::{
        Time, json,
        text::{self, Layout},
    },
    store::{Run, Store},
};
use anyhow::{Context, bail};
use nix::sys::stat::fstat;
use std::path::Path;

/// Show the findings of a container as they happen
///
/// Begins with what was found so far and ends when the container does, or at ctrl-c. The
/// container is not touched by either.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  buildwarden watch 7f3a
  buildwarden watch web --all
  buildwarden watch 7f3a --json | jq -r 'select(.key | contains(\".finding.\")) | .value.tool.name'

With --json, each line of the annotation log comes as it is; with --all too, the lines of the event
file come among them.")]
pub(super) struct Args {
    /// A container's id or the beginning of one (its last run; ID.2 is its second)
    id: String,
    /// Show every exec, not only findings
    #[arg(long)]
    all: bool,
    /// Write a line of JSON for each
    #[arg(long)]
    json: bool,
    /// Whether the text has colours
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    color: Colour,
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<Exit> {
    let store = Store::of(&Settings::load(config)?);
    let run = store.find(&args.id)?;
    let directory = run.directory()?;
    let changes = Changes::in_directory(&directory)
        .with_context(|| format!("{}: cannot watch it", run.path().display()))?;
    let (id, _) = run.identity();
    let mut view = View {
        layout: Layout { width: terminal::width(), colour: args.color.on_stdout() },
        json: args.json,
        started: None,
        boot_to_unix_ns: 0,
    };
    let mut annotations: Followed<'_, Line> = Followed::new(&run, ANNOTATIONS);
    let mut execs = args.all.then(|| Followed::new(&run, EXECS));
    loop {
        // Asked before reading: what is written before a container's end is seen then.
        let live = store.is_live(&id);
        loop {
            // What is there of both comes in the order of its time.
            let event = match &mut execs {
                Some(execs) => execs.peek(|bytes| view.event(bytes))?,
                None => None,
            };
            let line = annotations.peek(|bytes| Ok(Line::parse(bytes).ok()))?;
            let event_first = match (&event, &line) {
                (None, None) => break,
                (Some(event), Some(line)) => event.time < line.time,
                (Some(_), None) => true,
                (None, Some(_)) => false,
            };
            let next = if event_first {
                view.show_event(execs.as_mut().and_then(|execs| execs.next.take()))?
            } else {
                view.show_line(annotations.next.take())?
            };
            if let Next::Stop = next {
                return Ok(Exit::Success);
            }
        }
        if !live {
            bail!(
                "{}: the container is gone and its report was not written: `buildwarden gc` \
                 writes it",
                run.name()
            );
        }
        if fstat(&directory).is_ok_and(|stat| stat.st_nlink == 0) {
            bail!("{}: it was removed while it was watched", run.path().display());
        }
        changes.wait().context("waiting for the container")?;
    }
}

/// A file of lines that may not be there yet, and the line that comes next.
struct Followed<'a, T> {
    run: &'a Run,
    name: &'static str,
    tail: Option<Tail>,
    next: Option<T>,
}

impl<'a, T> Followed<'a, T> {
    fn new(run: &'a Run, name: &'static str) -> Followed<'a, T> {
        Followed { run, name, tail: None, next: None }
    }

    /// The next line that `read` makes something of; none when there is none yet.
    fn peek(
        &mut self,
        mut read: impl FnMut(&[u8]) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<Option<&T>> {
        if self.tail.is_none() {
            self.tail = self.run.open(self.name)?.map(Tail::new);
        }
        let Some(tail) = &mut self.tail else { return Ok(None) };
        let path = || self.run.path().join(self.name).display().to_string();
        while self.next.is_none() {
            let Some(bytes) = tail.next_line().with_context(path)? else { break };
            self.next = read(bytes)?;
        }
        Ok(self.next.as_ref())
    }
}

/// A line of the event file.
struct Event {
    time: Time,
    what: What,
}

/// What is shown of it.
enum What {
    Json(String),
    Exec(Box<ExecLine>),
}

/// Whether there is more to show.
enum Next {
    More,
    Stop,
}

/// What is shown, and how.
struct View {
    layout: Layout,
    json: bool,
    /// When recording began.
    started: Option<Time>,
    /// For the times in the event file, which are since boot.
    boot_to_unix_ns: i64,
}

impl View {
    /// Shows a line of the annotation log.
    fn show_line(&mut self, line: Option<Line>) -> anyhow::Result<Next> {
        let Some(line) = line else { return Ok(Next::More) };
        let last = line.key == Key::Finished;
        let text = if self.json {
            json::line(&line).context("annotation as JSON")? + "\n"
        } else {
            self.lines(&line).unwrap_or_default()
        };
        let read = terminal::print(&text)?;
        Ok(if last || !read { Next::Stop } else { Next::More })
    }

    /// A line of the annotation log for a person; none for one that says nothing to them.
    fn lines(&mut self, line: &Line) -> Option<String> {
        Some(match line.entry().ok()? {
            Entry::Attached(attached) => {
                self.started = Some(line.time);
                text::live_start(line.time, &attached.container, attached.job.as_ref(), self.layout)
            }
            Entry::Job(named) => {
                text::live_job(self.since_start(line.time), &named.job, named.taken, self.layout)
            }
            Entry::Finding(finding) => {
                text::live_finding(self.since_start(finding.exec.time), &finding, self.layout)
            }
            Entry::Allowed(allowed) => {
                text::live_allowed(self.since_start(allowed.exec.time), &allowed, self.layout)
            }
            Entry::Gap(gap) => {
                text::live_gap(self.since_start(line.time), gap.execs, gap.exits, self.layout)
            }
            Entry::Finished(finished) => text::live_end(
                self.since_start(line.time),
                finished.verdict,
                &finished.reasons,
                self.layout,
            ),
            Entry::Other => return None,
        })
    }

    /// Reads a line of the event file; none when there is nothing to show of it.
    fn event(&mut self, bytes: &[u8]) -> anyhow::Result<Option<Event>> {
        if let Ok(header) = serde_json::from_slice::<Header>(bytes) {
            self.boot_to_unix_ns = header.boot_to_unix_ns;
        }
        let parsed = execlog::Line::parse(bytes).ok();
        let boot_ns = match &parsed {
            Some(execlog::Line::Exec(exec)) => exec.t,
            Some(execlog::Line::Exit(exit)) => exit.t,
            // As soon as possible.
            _ => 0,
        };
        let what = match parsed {
            _ if self.json => {
                let value: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
                let Some(value) = value else { return Ok(None) };
                What::Json(json::line(&value).context("event as JSON")? + "\n")
            }
            Some(execlog::Line::Exec(exec)) => What::Exec(exec),
            // Losses are told by the annotation log.
            _ => return Ok(None),
        };
        Ok(Some(Event { time: Time::from_boot(boot_ns, self.boot_to_unix_ns), what }))
    }

    /// Shows a line of the event file.
    fn show_event(&mut self, event: Option<Event>) -> anyhow::Result<Next> {
        let text = match event {
            None => return Ok(Next::More),
            Some(Event { what: What::Json(text), .. }) => text,
            Some(Event { time, what: What::Exec(exec) }) => {
                let argv = match exec.argv.as_slice() {
                    [] => std::slice::from_ref(&exec.path),
                    argv => argv,
                };
                text::live_exec(self.since_start(time), exec.cpid, argv, self.layout)
            }
        };
        Ok(if terminal::print(&text)? { Next::More } else { Next::Stop })
    }

    /// Milliseconds since recording began.
    fn since_start(&self, time: Time) -> f64 {
        self.started.map_or(0.0, |started| time.ns_since(started) as f64 / 1e6)
    }
}
