//! Several containers: those of a job, or of the host.
//!
//! No descriptor stays open for a container, only one watch of the kernel's on its log:
//! a log is opened when it has grown, and read on from where it was.

use super::{
    super::{Exit, terminal},
    Args,
    status::Status,
};
use crate::{
    annotation::{Change, Changes, Entry, FindingCounts, Line, Tail, Watch},
    collect::file::ANNOTATIONS,
    oci::{self, Jobs},
    report::{
        json,
        model::{Container, Job},
        text::{self, Layout, LiveStatus},
    },
    store::{Run, State, Store},
};
use anyhow::Context;
use nix::sys::stat::fstat;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ffi::OsStr,
    path::Path,
};

/// Columns of a line where there is no terminal to keep to.
const WIDTH: usize = 240;

pub(super) fn watch(store: &Store, args: &Args) -> anyhow::Result<Exit> {
    let colour = args.color.on_stdout();
    let width = terminal::width_if_terminal().unwrap_or(WIDTH);
    let mut watcher = Watcher {
        store,
        jobs: args.which.read()?,
        json: args.json,
        layout: Layout { width, colour },
        changes: Changes::new().context("watching directories")?,
        containers: None,
        live: None,
        watched: BTreeMap::new(),
        by_watch: HashMap::new(),
        counts: Counts::default(),
        status: Status::new(!args.json, colour),
        is_read: true,
    };
    watcher.begin()?;
    while watcher.is_read && !(args.until_idle && watcher.is_idle()) {
        watcher.draw_status()?;
        let due = watcher.status.due();
        for change in watcher.changes.next(due).context("waiting for containers")? {
            watcher.take(change)?;
        }
    }
    Ok(Exit::Success)
}

/// Whom there is to watch, and what came of it so far.
struct Watcher<'a> {
    store: &'a Store,
    /// The jobs whose containers are shown, those that have ended already too; else all that live are.
    jobs: Option<Jobs>,
    json: bool,
    layout: Layout,
    changes: Changes,
    /// The directories of runs and of live containers, or the next above them that is there.
    containers: Option<Watch>,
    live: Option<Watch>,
    /// Runs that go on, by their directories' names.
    watched: BTreeMap<String, Watched>,
    by_watch: HashMap<Watch, String>,
    counts: Counts,
    status: Status,
    /// Whether somebody reads what is written.
    is_read: bool,
}

#[derive(Default)]
struct Counts {
    findings: FindingCounts,
    lost: u64,
    /// Execs of runs that have ended.
    execs: u64,
}

/// A run that goes on.
struct Watched {
    run: Run,
    /// What wakes us: its log, or its directory while there is no log.
    watch: Watch,
    has_log: bool,
    /// How far the log was read.
    position: u64,
    container: Container,
    job: Option<Job>,
    /// Other jobs that have run execs in it.
    other_jobs: BTreeSet<String>,
    /// The number of execs so far, and when the watching began.
    execs: u64,
    execs_before: u64,
}

/// What a run's log has that was not read yet.
enum Read {
    More,
    /// The container has ended, or its files are gone.
    Ended,
}

/// Whether a run's log has its last line.
fn has_ended(store: &Store, run: &Run) -> bool {
    store.summary(run).is_ok_and(|summary| summary.state == State::Finished)
}

impl Watcher<'_> {
    /// Watches what will come, then reads what is there.
    fn begin(&mut self) -> anyhow::Result<()> {
        self.watch_directories()?;
        self.look_around(true)
    }

    /// Watches the two directories; where one is not there yet, the next above it.
    fn watch_directories(&mut self) -> anyhow::Result<()> {
        let nearest = |directory: &Path| {
            let there = directory.ancestors().find(|path| path.is_dir()).unwrap_or(directory);
            let watched = self.changes.watch_entries(there);
            watched.with_context(|| format!("{}: cannot watch it", there.display()))
        };
        let [containers, live] = self.store.directories();
        let now = [nearest(containers)?, nearest(live)?];
        let before = [self.containers, self.live].into_iter().flatten();
        before.filter(|watch| !now.contains(watch)).for_each(|watch| self.changes.forget(watch));
        [self.containers, self.live] = now.map(Some);
        Ok(())
    }

    /// Takes up every run that goes on, and reads all that are watched.
    fn look_around(&mut self, first: bool) -> anyhow::Result<()> {
        for run in self.store.runs()? {
            // Of the runs of an id that lives, the last is the one that does.
            let goes_on = || self.goes_on(run.name()) && !has_ended(self.store, &run);
            if first && self.jobs.is_some() || goes_on() {
                self.add(&run, first)?;
            }
        }
        let names: Vec<String> = self.watched.keys().cloned().collect();
        names.iter().try_for_each(|name| self.read(name))
    }

    /// Whether a container lives that this may be a run of.
    fn goes_on(&self, name: &str) -> bool {
        let id = oci::split_run(name).map(|(id, _)| id);
        self.store.is_live(name) || id.is_some_and(|id| self.store.is_live(id))
    }

    fn take(&mut self, change: Change) -> anyhow::Result<()> {
        let (watch, name) = match change {
            Change::At(watch, name) => (watch, name),
            Change::Anything => return self.look_around(false),
        };
        if let Some(name) = self.by_watch.get(&watch).cloned() {
            return self.read(&name);
        }
        if ![self.containers, self.live].contains(&Some(watch)) {
            return Ok(());
        }
        let leads_to_us = |name: &OsStr| {
            let mut directories = self.store.directories().into_iter();
            directories.any(|directory| directory.iter().any(|part| part == name))
        };
        let name = match name {
            Some(name) if !leads_to_us(&name) => name,
            // One of the two has come to be, or is gone.
            _ => {
                self.watch_directories()?;
                return self.look_around(false);
            }
        };
        let Some(name) = name.to_str() else { return Ok(()) };
        if Some(watch) == self.live {
            // A container has come or gone: its runs may have ended without saying so.
            let mut own: BTreeSet<String> = self.watched.keys().cloned().collect();
            own.retain(|run| run == name || oci::split_run(run).is_some_and(|(id, _)| id == name));
            return own.iter().try_for_each(|run| self.read(run));
        }
        match self.store.run(name) {
            Some(run) if run.path().is_dir() => self.add(&run, false),
            _ => Ok(()),
        }
    }

    /// Begins to watch a run. One that is `old` has executed what was not watched.
    fn add(&mut self, run: &Run, old: bool) -> anyhow::Result<()> {
        let name = run.name().to_owned();
        if self.watched.contains_key(&name) {
            return Ok(());
        }
        let (watch, has_log) = match self.watch(run) {
            Ok(watched) => watched,
            Err(_) if !run.path().is_dir() => return Ok(()),
            // One that cannot be watched, or is one too many for the kernel
            // (fs.inotify.max_user_watches), must not hide the others.
            Err(error) => {
                terminal::say(&format!("{}: cannot watch it: {error:#}", run.path().display()));
                return Ok(());
            }
        };
        let execs_before = if old { run.last_exec().unwrap_or(0) } else { 0 };
        let watched = Watched {
            run: run.clone(),
            watch,
            has_log,
            position: 0,
            container: Container { id: name.clone(), ..Container::default() },
            job: None,
            other_jobs: BTreeSet::new(),
            execs: execs_before,
            execs_before,
        };
        self.by_watch.insert(watch, name.clone());
        self.watched.insert(name.clone(), watched);
        self.read(&name)
    }

    fn watch(&self, run: &Run) -> anyhow::Result<(Watch, bool)> {
        if let Some(log) = run.open(ANNOTATIONS)? {
            return Ok((self.changes.watch_file(&log)?, true));
        }
        let watch = self.changes.watch_entries(run.path())?;
        // It may have been made in between.
        match run.open(ANNOTATIONS)? {
            None => Ok((watch, false)),
            Some(log) => {
                self.changes.forget(watch);
                Ok((self.changes.watch_file(&log)?, true))
            }
        }
    }

    /// Reads on in a run's log.
    fn read(&mut self, name: &str) -> anyhow::Result<()> {
        let Some(mut watched) = self.watched.remove(name) else { return Ok(()) };
        let read = self.read_on(&mut watched)?;
        if let Read::More = read {
            self.watched.insert(name.to_owned(), watched);
            return Ok(());
        }
        self.changes.forget(watched.watch);
        self.by_watch.remove(&watched.watch);
        watched.execs = watched.run.last_exec().unwrap_or(watched.execs).max(watched.execs);
        if self.is_own(&watched) {
            self.counts.execs += watched.execs - watched.execs_before;
        }
        Ok(())
    }

    fn read_on(&mut self, watched: &mut Watched) -> anyhow::Result<Read> {
        // Asked before reading: what is written before a container's end is seen then.
        let goes_on = self.goes_on(watched.run.name());
        let log = match watched.run.open(ANNOTATIONS) {
            Ok(Some(log)) => log,
            Ok(None) if goes_on => return Ok(Read::More),
            // Its directory is gone, or nothing will come any more.
            _ => return Ok(Read::Ended),
        };
        if !watched.has_log {
            self.changes.forget(watched.watch);
            self.by_watch.remove(&watched.watch);
            watched.watch = self.changes.watch_file(&log)?;
            watched.has_log = true;
            self.by_watch.insert(watched.watch, watched.run.name().to_owned());
        }
        let removed = fstat(&log).is_ok_and(|stat| stat.st_nlink == 0);
        let mut lines = Tail::resume(log, watched.position);
        let path = watched.run.path().join(ANNOTATIONS);
        while let Some(bytes) = lines.next_line().with_context(|| path.display().to_string())? {
            let Ok(line) = Line::parse(bytes) else { continue };
            let entry = line.entry().ok();
            match &entry {
                Some(Entry::Attached(attached)) => {
                    watched.container = attached.container.clone();
                    watched.job = watched.job.take().or(attached.job.clone());
                }
                Some(Entry::Job(named)) if named.taken => {
                    let was_own = self.is_own(watched);
                    watched.job = Some(named.job.clone());
                    if !was_own && self.is_own(watched) {
                        // All of it is the job's, what was before it was told too.
                        watched.position = 0;
                        return self.read_on(watched);
                    }
                }
                Some(Entry::Job(named)) => drop(watched.other_jobs.insert(named.job.id.clone())),
                _ => {}
            }
            if self.is_own(watched) {
                self.show(&line, entry.as_ref(), watched)?;
            }
            if let Some(Entry::Finished(_)) = entry {
                return Ok(Read::Ended);
            }
        }
        watched.position = lines.position();
        Ok(if goes_on && !removed { Read::More } else { Read::Ended })
    }

    /// Whether a run is one of those that are to be shown.
    fn is_own(&self, watched: &Watched) -> bool {
        self.jobs.as_ref().is_none_or(|jobs| {
            watched.job.as_ref().is_some_and(|own| jobs.has(&own.id))
                || watched.other_jobs.iter().any(|other| jobs.has(other))
        })
    }

    /// Whether nothing is left to come from those that there are.
    fn is_idle(&self) -> bool {
        // Of one whose log has not begun it is not known whose it is.
        !self.watched.values().any(|watched| watched.position == 0 || self.is_own(watched))
    }

    /// Writes what a line of a log is worth.
    fn show(
        &mut self,
        line: &Line,
        entry: Option<&Entry>,
        watched: &Watched,
    ) -> anyhow::Result<()> {
        let layout = self.layout;
        let container = &watched.container;
        let text = match entry {
            Some(Entry::Finding(found)) => {
                self.counts.findings.add(found.importance);
                text::live_row_finding(&text::live_whom(container, Some(found)), found, layout)
            }
            Some(Entry::Gap(gap)) => {
                self.counts.lost = self.counts.lost.saturating_add(gap.execs + gap.exits);
                let whom = text::live_whom(container, None);
                text::live_row_gap(line.time, &whom, gap.execs, gap.exits, layout)
            }
            Some(Entry::Finished(end)) => {
                let whom = text::live_whom(container, None);
                let complete = end.reasons.is_empty();
                text::live_row_end(line.time, &whom, end.verdict, complete, layout)
            }
            _ => String::new(),
        };
        let text =
            if self.json { json::line(line).context("annotation as JSON")? + "\n" } else { text };
        self.is_read &= self.status.print(&text)?;
        Ok(())
    }

    /// Draws the last line, where there is one.
    fn draw_status(&mut self) -> anyhow::Result<()> {
        let Some(count) = self.status.wants() else { return Ok(()) };
        if count {
            for watched in self.watched.values_mut() {
                watched.execs = watched.run.last_exec().unwrap_or(0).max(watched.execs);
            }
        }
        let (mut live, mut execs) = (0, self.counts.execs);
        for watched in self.watched.values().filter(|watched| self.is_own(watched)) {
            live += 1;
            execs += watched.execs - watched.execs_before;
        }
        let (findings, lost) = (self.counts.findings.total(), self.counts.lost);
        let status = LiveStatus { live, execs_per_second: 0.0, lost, findings };
        self.is_read &= self.status.draw(status, count.then_some(execs))?;
        Ok(())
    }
}
