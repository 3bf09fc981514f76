//! `buildwarden watch`: what a container does, as it happens.

use super::{
    Exit,
    terminal::{self, Colour},
};
use crate::{
    annotation::{Changes, Entry, Key, Line, Tail},
    collect::file::{ANNOTATIONS, EXECS},
    config::Settings,
    execlog::{self, Header},
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
    let mut annotations = Followed::new(&run, ANNOTATIONS);
    let mut execs = args.all.then(|| Followed::new(&run, EXECS));
    loop {
        // Asked before reading: what is written before a container's end is seen then.
        let live = store.is_live(&id);
        if let Some(execs) = &mut execs {
            while let Some(bytes) = execs.next_line()? {
                if let Next::Stop = view.exec(bytes)? {
                    return Ok(Exit::Success);
                }
            }
        }
        while let Some(bytes) = annotations.next_line()? {
            if let Next::Stop = view.annotation(bytes)? {
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

/// A file of lines that may not be there yet.
struct Followed<'a> {
    run: &'a Run,
    name: &'static str,
    tail: Option<Tail>,
}

impl<'a> Followed<'a> {
    fn new(run: &'a Run, name: &'static str) -> Followed<'a> {
        Followed { run, name, tail: None }
    }

    fn next_line(&mut self) -> anyhow::Result<Option<&[u8]>> {
        if self.tail.is_none() {
            self.tail = self.run.open(self.name)?.map(Tail::new);
        }
        let Some(tail) = &mut self.tail else { return Ok(None) };
        let path = || self.run.path().join(self.name).display().to_string();
        tail.next_line().with_context(path)
    }
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
    /// Shows a line of the annotation log. A line that cannot be read is no news.
    fn annotation(&mut self, bytes: &[u8]) -> anyhow::Result<Next> {
        let Ok(line) = Line::parse(bytes) else { return Ok(Next::More) };
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
            Entry::Finding(finding) => {
                text::live_finding(self.since_start(finding.exec.time), &finding, self.layout)
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
            // What the policy allows is for the report.
            Entry::Allowed(_) | Entry::Other => return None,
        })
    }

    /// Shows a line of the event file.
    fn exec(&mut self, bytes: &[u8]) -> anyhow::Result<Next> {
        if self.json {
            let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else {
                return Ok(Next::More);
            };
            let text = json::line(&value).context("event as JSON")? + "\n";
            return Ok(if terminal::print(&text)? { Next::More } else { Next::Stop });
        }
        if let Ok(header) = serde_json::from_slice::<Header>(bytes) {
            self.boot_to_unix_ns = header.boot_to_unix_ns;
            return Ok(Next::More);
        }
        // Losses are told by the annotation log.
        let Ok(execlog::Line::Exec(exec)) = execlog::Line::parse(bytes) else {
            return Ok(Next::More);
        };
        let since = self.since_start(Time::from_boot(exec.t, self.boot_to_unix_ns));
        let argv = match exec.argv.as_slice() {
            [] => std::slice::from_ref(&exec.path),
            argv => argv,
        };
        let text = text::live_exec(since, exec.cpid, argv, self.layout);
        Ok(if terminal::print(&text)? { Next::More } else { Next::Stop })
    }

    /// Milliseconds since recording began.
    fn since_start(&self, time: Time) -> f64 {
        self.started.map_or(0.0, |started| time.ns_since(started) as f64 / 1e6)
    }
}
