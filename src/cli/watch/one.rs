//! One container, to its end.

use super::{
    super::{Exit, terminal},
    Args,
    status::Status,
};
use crate::{
    annotation::{Changes, Entry, Key, Line, Tail},
    collect::file::{ANNOTATIONS, EXECS},
    execlog::{self, ExecLine, Header},
    report::{
        Time, json,
        text::{self, Layout, LiveStatus},
    },
    store::{Run, Store},
};
use anyhow::{Context, bail};
use nix::sys::stat::fstat;

pub(super) fn watch(store: &Store, id: &str, args: &Args) -> anyhow::Result<Exit> {
    let run = store.find(id)?;
    let directory = run.directory()?;
    let changes = Changes::in_directory(&directory)
        .with_context(|| format!("{}: cannot watch it", run.path().display()))?;
    let (id, _) = run.identity();
    let execs_before = run.last_exec().unwrap_or(0);
    let colour = args.color.on_stdout();
    let mut view = View {
        layout: Layout { width: terminal::width(), colour },
        // Execs would push it down faster than it can be read.
        status: Status::new(!args.json && !args.all, colour),
        findings: 0,
        lost: 0,
        json: args.json,
        started: None,
        events_began: None,
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
        if !view.draw_status(&run, execs_before)? {
            return Ok(Exit::Success);
        }
        changes.next(view.status.due()).context("waiting for the container")?;
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
    status: Status,
    findings: u64,
    /// Execs and ends of processes that were lost.
    lost: u64,
    json: bool,
    /// When recording began.
    started: Option<Time>,
    /// What the times in the event file count from.
    events_began: Option<Time>,
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
        let read = self.status.print(&text)?;
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
                self.findings += 1;
                text::live_finding(self.since_start(finding.exec.time), &finding, self.layout)
            }
            Entry::Allowed(allowed) => {
                text::live_allowed(self.since_start(allowed.exec.time), &allowed, self.layout)
            }
            Entry::Gap(gap) => {
                self.lost = self.lost.saturating_add(gap.execs + gap.exits);
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
        if execlog::is_header(bytes) {
            self.events_began = Some(Header::parse(bytes).context(EXECS)?.began);
        }
        let parsed = execlog::Line::parse(bytes).ok();
        let t = match &parsed {
            Some(execlog::Line::Exec(exec)) => exec.t,
            Some(execlog::Line::Exit(exit)) => exit.t,
            // As soon as possible.
            _ => i64::MIN,
        };
        let began = self.events_began.unwrap_or(Time(jiff::Timestamp::UNIX_EPOCH));
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
        Ok(Some(Event { time: began.plus_ns(t), what }))
    }

    /// Shows a line of the event file.
    fn show_event(&mut self, event: Option<Event>) -> anyhow::Result<Next> {
        let text = match event {
            None => return Ok(Next::More),
            Some(Event { what: What::Json(text), .. }) => text,
            Some(Event { time, what: What::Exec(exec) }) => {
                let argv = match exec.argv() {
                    [] => std::slice::from_ref(&exec.path),
                    argv => argv,
                };
                text::live_exec(self.since_start(time), exec.container_pid(), argv, self.layout)
            }
        };
        Ok(if self.status.print(&text)? { Next::More } else { Next::Stop })
    }

    /// Draws the last line, where there is one.
    fn draw_status(&mut self, run: &Run, execs_before: u64) -> anyhow::Result<bool> {
        let Some(count) = self.status.wants() else { return Ok(true) };
        let execs = count.then(|| run.last_exec().unwrap_or(0).saturating_sub(execs_before));
        let Self { findings, lost, .. } = *self;
        self.status.draw(LiveStatus { live: 1, execs_per_second: 0.0, lost, findings }, execs)
    }

    /// Milliseconds since recording began.
    fn since_start(&self, time: Time) -> f64 {
        self.started.map_or(0.0, |started| time.ns_since(started) as f64 / 1e6)
    }
}
