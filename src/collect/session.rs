//! Draining, judging and writing down: the state of one collection.

use super::{
    CollectError,
    attachment::Attachment,
    beginning::{begin, create_directory},
    build, clock,
    collector::path_of,
    directory::Directory,
    evidence::{self, Rules},
    file,
    key::{self, Key},
    processes::Processes,
    step,
};
use crate::{
    annotation::{Entry, Gap, Line, Log, NamedJob, Tail},
    chain::Chain,
    config::Settings,
    detect::Detector,
    event::{self, Environment, Event, Exec, Flags, ProcessId},
    execlog::{self, Batch},
    oci::{self, Bundle},
    redact::Redactor,
    report::{
        Time,
        model::{self, Ancestor, Importance, Job},
    },
    trace::{Counters, Drain, Position},
    wire,
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    fs::File,
    io::{self, Write as _},
};

/// Bytes of records that are taken out of the ring at a time.
const BATCH: u64 = 256 << 10;
/// Findings that are written out; the rest is counted.
pub(super) const FINDINGS_MAX: u64 = 1000;
/// Bytes of argv that all findings together keep; beyond that each keeps little.
const ARGV_BUDGET: usize = 16 << 20;
/// The same for all long ones in the event file: a build must not fill the disk.
const EVENTS_ARGV_BUDGET: usize = 256 << 20;
/// Jobs beside its own that a container is said to have run execs of.
const OTHER_JOBS_MAX: usize = 16;
/// Jobs that wait for the execs whose environments named them.
const NAMED_MAX: usize = 64;
/// Least time between two gap annotations, nanoseconds.
const GAP_INTERVAL: u64 = 1_000_000_000;

/// One collection under way.
pub(super) struct Session {
    pub(super) attachment: Attachment,
    pub(super) directory: Directory,
    pub(super) log: Log,
    detector: Detector,
    /// Which recipes and policy that is.
    rules: String,
    redactor: Option<Redactor>,
    /// What its report is to be signed with.
    pub(super) key: Option<Key>,
    events: File,
    /// What its times count from, nanoseconds since boot; 0 where its header does not say.
    events_began: u64,
    events_chain: Chain,
    /// Lines that are not yet in the event file.
    pending: Batch,
    processes: Processes,
    /// The last sequence number given out.
    sequence: u64,
    /// The kernel's last number on each CPU.
    numbers: HashMap<u32, u64>,
    /// How far the ring is drained and written down.
    position: Position,
    /// Whether an earlier collector has drained some of it.
    resumed: bool,
    /// Execs with a finding in the annotation log already, by time and pid: those
    /// whose records are drained again after a crash.
    judged: HashSet<(Time, u32)>,
    /// Jobs that environments named whose execs have not come yet.
    named: VecDeque<(ProcessId, Job)>,
    /// Jobs that the container has run execs of beside its own.
    pub(super) other_jobs: Vec<Job>,
    /// Jobs in the log.
    jobs: u64,
    /// Environments that were cut before they named a job.
    pub(super) cut_environments: u64,
    findings: u64,
    allowed: u64,
    gaps: u64,
    argv_budget: usize,
    events_argv_budget: usize,
    reported: Counters,
    last_gap: u64,
    /// What could not be done; each kind once.
    pub(super) failures: Vec<String>,
}

impl Session {
    /// Opens a container's files and reads what an earlier collector has written.
    pub(super) fn open(
        settings: &Settings,
        attachment: Attachment,
    ) -> Result<Session, CollectError> {
        let path = super::containers_directory(settings).join(&attachment.directory);
        let mut failures = Vec::new();
        let directory = match Directory::open(&path)? {
            Some(directory) => directory,
            None => {
                failures.push("the directory of its log and report was removed".to_owned());
                create_directory(settings, &attachment)?.ok_or_else(|| {
                    CollectError::io(&path, "create", io::ErrorKind::AlreadyExists.into())
                })?
            }
        };
        // For who finds this directory alone, without the container's run directory:
        // somebody is at work here. Who has the run directory needs no leave.
        let _ = directory.try_lock();
        let begun = begin(&directory, &attachment);
        failures.extend(begun.err().map(|error| error.to_string()));
        let log = directory.append(file::ANNOTATIONS)?;
        let log = Log::new(log, &attachment.attached.container.id)
            .map_err(|e| CollectError::io(&path.join(file::ANNOTATIONS), "read", e))?;
        let redactor = settings.redaction.then(|| evidence::salt(settings)).transpose()?;
        let Rules { detector, digest: rules } = Rules::of(settings).unwrap_or_else(|error| {
            // Without the administrator's recipes and policy, but not without judging.
            failures.push(format!("configured recipes or policy: {error}"));
            Rules::builtin()
        });
        let redactor = redactor.map(|salt| Redactor::new(&salt));
        let mut attachment = attachment;
        // By now the bundle of a lost recording may be another container's.
        if attachment.lost.is_none() {
            describe(settings, &mut attachment, &directory, redactor.as_ref());
        }
        let mut session = Session {
            events: directory.append(file::EXECS)?,
            events_began: 0,
            events_chain: Chain::default(),
            attachment,
            directory,
            log,
            detector,
            rules,
            redactor,
            key: key::configured(settings),
            pending: Batch::default(),
            processes: Processes::default(),
            sequence: 0,
            numbers: HashMap::new(),
            position: Position(0),
            resumed: false,
            judged: HashSet::new(),
            named: VecDeque::new(),
            other_jobs: Vec::new(),
            jobs: 0,
            cut_environments: 0,
            findings: 0,
            allowed: 0,
            gaps: 0,
            argv_budget: ARGV_BUDGET,
            events_argv_budget: EVENTS_ARGV_BUDGET,
            reported: Counters::default(),
            last_gap: 0,
            failures,
        };
        session.resume()?;
        Ok(session)
    }

    /// The detector in use.
    pub(super) fn detector(&self) -> &Detector {
        &self.detector
    }

    /// Which recipes and policy judged; of what an earlier collector has judged, it is not
    /// known.
    pub(super) fn rules(&self) -> Option<String> {
        (!self.resumed).then(|| self.rules.clone())
    }

    /// Learns what an earlier collector has written down.
    fn resume(&mut self) -> Result<(), CollectError> {
        if let Some(log) = self.directory.read(file::ANNOTATIONS)? {
            let mut lines = Tail::new(log);
            while let Ok(Some(line)) = lines.next_line() {
                match Line::parse(line).and_then(|line| line.entry()) {
                    Ok(Entry::Finding(finding)) => {
                        self.judged.insert((finding.exec.time, finding.exec.pid));
                        self.findings = self.findings.max(finding.n);
                    }
                    Ok(Entry::Allowed(allowed)) => {
                        self.judged.insert((allowed.exec.time, allowed.exec.pid));
                        self.allowed += 1;
                    }
                    Ok(Entry::Job(named)) => {
                        self.jobs += 1;
                        self.belongs(named.job, named.taken);
                    }
                    Ok(Entry::Gap(gap)) => {
                        self.gaps += 1;
                        self.reported.lost_execs += gap.execs;
                        self.reported.lost_exits += gap.exits;
                    }
                    _ => {}
                }
            }
        }
        self.resume_events()
    }

    /// Learns what is in the event file up to the end of its last whole batch, and
    /// cuts off what is behind it: those records are still in the ring.
    fn resume_events(&mut self) -> Result<(), CollectError> {
        let mut lines = Tail::new(self.reopen_events()?);
        let (mut length, mut whole) = (0, 0);
        let (mut chain, mut whole_chain) = (Chain::default(), Chain::default());
        let mut batch = Vec::new();
        while let Ok(Some(line)) = lines.next_line() {
            if length == 0 {
                let header = execlog::Header::parse(line);
                self.events_began = header.map_or(0, |header| header.began_since_boot());
            }
            length += line.len() as u64 + 1;
            chain.line(line);
            match execlog::Line::parse(line) {
                Ok(execlog::Line::Drained(position)) => {
                    self.position = Position(position);
                    (whole, whole_chain) = (length, chain.clone());
                    batch.drain(..).for_each(|line| self.remember(line));
                }
                Ok(line) => batch.push(line),
                // The header is the first line, and a batch of its own.
                Err(_) if whole == 0 && batch.is_empty() => {
                    (whole, whole_chain) = (length, chain.clone());
                }
                Err(_) => {}
            }
        }
        self.resumed = self.position != Position(0);
        let torn = lines.is_torn();
        if self.attachment.lost.is_some() {
            // There is no ring that these could be drained from again.
            (whole, whole_chain) = (length, chain);
            if torn {
                self.fail("the event file ends in the middle of a line".to_owned());
            }
        }
        self.events_chain = whole_chain;
        self.events
            .set_len(whole)
            .map_err(|e| CollectError::io(&self.directory.path().join(file::EXECS), "cut", e))
    }

    fn reopen_events(&self) -> Result<File, CollectError> {
        self.directory.read(file::EXECS)?.ok_or_else(|| {
            let path = self.directory.path().join(file::EXECS);
            CollectError::io(&path, "open", io::ErrorKind::NotFound.into())
        })
    }

    fn remember(&mut self, line: execlog::Line) {
        match line {
            execlog::Line::Exec(line) => {
                self.sequence = self.sequence.max(line.exec);
                let parent = line.by.and_then(|by| self.processes.of_exec(by));
                let exec = Exec {
                    sequence: line.exec,
                    process: line.process(self.events_began),
                    parents: parent.into_iter().collect(),
                    path: &line.path,
                    ..Exec::default()
                };
                self.processes.insert(&exec, line.argv().iter().map(|argument| &**argument));
                if line.end().is_some() {
                    self.processes.end(exec.process);
                }
            }
            execlog::Line::Exit(line) => {
                let named = line.exit.and_then(|exec| self.processes.of_exec(exec));
                self.processes.end(named.unwrap_or_else(|| line.process(self.events_began)));
            }
            execlog::Line::Gap(_) | execlog::Line::Drained(_) => {}
        }
    }

    /// Takes everything out of the ring that is there; whether nothing has come meanwhile.
    /// In a storm something always has: to take that at once would be batches of a few
    /// records, each with the costs of one.
    pub(super) fn drain(&mut self, drain: &Drain) -> bool {
        let mut records: Vec<u8> = Vec::new();
        let mut ends = Vec::new();
        // What a collector wrote down that was killed before it could say so.
        drain.commit(self.position);
        let all = loop {
            records.clear();
            ends.clear();
            let position = drain.read(BATCH, |record| {
                records.extend_from_slice(record);
                ends.push(records.len());
            });
            let Some(position) = position else { break true };
            let mut begin = 0;
            let mut spills = Vec::new();
            for end in &ends {
                self.record(drain, &records[begin..*end], &mut spills);
                begin = *end;
            }
            let full = position.0.saturating_sub(self.position.0) >= BATCH;
            self.position = position;
            self.flush();
            // Only now: a collector that is killed before has lost nothing.
            drain.commit(position);
            drain.free_spilled(spills.iter().copied());
            if !full {
                break drain.is_empty();
            }
        };
        self.note_loss(&drain.counters(), false);
        all
    }

    fn record(&mut self, drain: &Drain, record: &[u8], spills: &mut Vec<usize>) {
        let spill = wire::spill(record);
        let spilled = spill.map(|spill| {
            spills.extend(spill.buffers());
            drain.spilled(spill.buffers(), spill.len).unwrap_or_else(|error| {
                self.fail(format!("a long argv could not be read: {error}"));
                Vec::new()
            })
        });
        match wire::decode(record, spilled.as_deref()) {
            Ok(Event::Exec(exec)) => {
                let complete =
                    spill.is_none_or(|spill| Some(spill.len) == spilled.as_ref().map(Vec::len));
                let flags = if complete { exec.flags } else { exec.flags.with(Flags::TRUNCATED) };
                let sequence = self.next_sequence(record);
                let exec = Exec { sequence, flags, ..exec };
                // Before it is judged: the policy may be about its job.
                if flags.contains(Flags::ENTERED) {
                    self.name_job(&exec, drain.counters().lost_execs > 0);
                }
                self.exec(&exec);
            }
            Ok(Event::Exit(exit)) => {
                let last = self.processes.last_exec(exit.process);
                self.pending.exit(&exit, last, self.events_began);
                self.processes.end(exit.process);
            }
            Ok(Event::Environment(environment)) => self.environment(&environment),
            Ok(Event::Gap(_)) => {}
            Err(error) => self.fail(format!("a record could not be decoded: {error}")),
        }
    }

    /// The scope's next sequence number. What the kernel's numbers leave out on a CPU
    /// leaves out as many here.
    fn next_sequence(&mut self, record: &[u8]) -> u64 {
        if let Some(wire::Number { cpu, number }) = wire::number(record) {
            let before = self.numbers.insert(cpu, number);
            let missing = number.saturating_sub(1).saturating_sub(before.unwrap_or(0));
            // After a crash a CPU's first number says nothing; the totals do.
            if before.is_some() || !self.resumed {
                self.sequence = self.sequence.saturating_add(missing);
            }
        }
        self.sequence = self.sequence.saturating_add(1);
        self.sequence
    }

    /// Takes the job out of an environment; the rest of it is secrets and goes no further.
    fn environment(&mut self, environment: &Environment<'_>) {
        let Some(job) = oci::job_from_environment(environment.variables()) else {
            self.cut_environments += u64::from(environment.is_cut());
            return;
        };
        if self.named.len() >= NAMED_MAX {
            self.named.pop_front();
            self.cut_environments += 1;
        }
        self.named.push_back((environment.process, job));
    }

    /// Notes the job that the environment of an exec from outside named.
    fn name_job(&mut self, exec: &Exec<'_>, lossy: bool) {
        let waiting = self.named.iter().position(|(process, _)| *process == exec.process);
        let Some((_, job)) = waiting.and_then(|at| self.named.remove(at)) else { return };
        // What the same process executes later has an environment of the build's making;
        // after a loss it cannot be told whether this is the first.
        if lossy || self.processes.may_know(exec.process) {
            return;
        }
        let own = &self.attachment.attached.job;
        let known = own.iter().chain(&self.other_jobs).any(|known| known.id == job.id);
        if known {
            return;
        }
        if self.other_jobs.len() >= OTHER_JOBS_MAX {
            self.cut_environments += 1;
            return;
        }
        let taken = own.as_ref().is_none_or(oci::is_last_resort);
        let source = format!("{} in the environment of exec {}", job.source, exec.sequence);
        let job = Job { source, ..job };
        self.jobs += 1;
        let named = NamedJob { job: job.clone(), exec: exec.sequence, taken };
        let time = Time::from_boot(exec.time, self.attachment.attached.boot_to_unix_ns);
        if let Err(error) = self.log.job(time, self.jobs, &named) {
            self.fail(format!("a job could not be written: {error}"));
        }
        self.belongs(job, taken);
    }

    /// Remembers a job: the container's own, or another that it ran execs of.
    fn belongs(&mut self, job: Job, taken: bool) {
        if taken {
            self.attachment.attached.job = Some(job);
        } else {
            self.other_jobs.push(job);
        }
    }

    fn exec(&mut self, exec: &Exec<'_>) {
        let importance = self.judge(exec);
        let redacted = self
            .redactor
            .as_ref()
            .and_then(|redactor| redactor.argv(exec.path, exec.argv.iter(), &[]));
        match redacted {
            None => self.keep(exec, exec.argv.iter(), importance),
            Some(redacted) => {
                let argv = redacted.argv.iter().map(Vec::as_slice);
                self.keep(exec, argv, importance);
            }
        }
    }

    fn keep<'a>(
        &mut self,
        exec: &Exec<'_>,
        argv: impl Iterator<Item = &'a [u8]> + Clone,
        finding: Option<Importance>,
    ) {
        let long = exec.argv_len as usize > execlog::ARGV_LEAST;
        let argv_kept = if long { self.events_argv_budget } else { 0 }.max(execlog::ARGV_LEAST);
        let by = self.processes.by(&exec.parents);
        let beside = execlog::Beside { began: self.events_began, by, finding, argv_kept };
        let size = self.pending.exec(exec, argv.clone(), beside);
        if long {
            self.events_argv_budget = self.events_argv_budget.saturating_sub(size);
        }
        self.processes.insert(exec, argv);
    }

    /// Judges an exec and writes its findings to the log: before its line goes to
    /// the event file, so that a crash in between judges it again and finds them there.
    fn judge(&mut self, exec: &Exec<'_>) -> Option<Importance> {
        let attached = &self.attachment.attached;
        let now = clock::time_now(attached.boot_to_unix_ns);
        let judgement = evidence::judge(&self.detector, exec, attached, now);
        let importance = judgement.findings.iter().map(|f| f.importance.into()).max();
        if judgement.findings.is_empty() && judgement.allowed.is_empty() {
            return None;
        }
        let time = Time::from_boot(exec.time, attached.boot_to_unix_ns);
        if self.judged.contains(&(time, exec.process.pid)) {
            return importance;
        }
        let lineage = self.processes.lineage(exec.process, &exec.parents);
        let mut failure = None;
        for finding in &judgement.findings {
            if self.findings >= FINDINGS_MAX {
                break;
            }
            self.findings += 1;
            let written = self.context(&lineage).finding(self.findings, exec, finding);
            self.spend(&written.exec);
            failure = failure.or(self.log.finding(now, &written).err());
        }
        for allowed in &judgement.allowed {
            let Some(written) = self.context(&lineage).allowed(exec, allowed) else { continue };
            if self.allowed >= FINDINGS_MAX {
                break;
            }
            self.allowed += 1;
            self.spend(&written.exec);
            failure = failure.or(self.log.allowed(now, self.allowed, &written).err());
        }
        if let Some(error) = failure {
            self.fail(format!("findings of exec {} could not be written: {error}", exec.sequence));
        }
        importance
    }

    fn context<'a>(&'a self, lineage: &'a [Ancestor]) -> evidence::Context<'a> {
        evidence::Context {
            attached: &self.attachment.attached,
            detector: &self.detector,
            redactor: self.redactor.as_ref(),
            lineage,
            argv_kept: self.argv_budget,
        }
    }

    /// Takes what a finding keeps of argv out of what all may keep.
    fn spend(&mut self, exec: &model::Exec) {
        let size: usize = exec.argv.iter().map(|argument| argument.len()).sum();
        self.argv_budget = self.argv_budget.saturating_sub(size);
    }

    /// Writes pending lines to the event file.
    fn flush(&mut self) {
        let lines = self.pending.seal(self.position.0, &mut self.events_chain);
        if let Err(error) = self.events.write_all(lines) {
            self.fail(format!("the event file could not be written: {error}"));
            // What is in it now is what the chain goes on from.
            let written = self.reopen_events().map(Tail::new).ok().and_then(|mut lines| {
                let mut chain = lines.chain().ok()?;
                chain.add(lines.torn());
                Some(chain)
            });
            self.events_chain = written.unwrap_or_default();
        }
    }

    /// Writes down what the kernel could not deliver since the last time.
    pub(super) fn note_loss(&mut self, counters: &Counters, last: bool) {
        let execs = counters.lost_execs.saturating_sub(self.reported.lost_execs);
        let exits = counters.lost_exits.saturating_sub(self.reported.lost_exits);
        let now = clock::boot_ns();
        if execs + exits == 0 || (!last && now.saturating_sub(self.last_gap) < GAP_INTERVAL) {
            return;
        }
        self.last_gap = now;
        self.reported = *counters;
        self.gaps += 1;
        self.pending.gap(&event::Gap { execs, exits });
        self.flush();
        let time = Time::from_boot(now, self.attachment.attached.boot_to_unix_ns);
        if let Err(error) = self.log.gap(time, self.gaps, &Gap { execs, exits }) {
            self.fail(format!("a gap could not be written: {error}"));
        }
    }

    /// Notes what went wrong, unless it is noted already.
    pub(super) fn fail(&mut self, reason: String) {
        if self.failures.len() < 16 && !self.failures.contains(&reason) {
            self.failures.push(reason);
        }
    }
}

/// Fills in what bundle and engine tell and is too slow for the hook. The bundle is there
/// still: engines remove it after poststop, which waits for who reads this.
fn describe(
    settings: &Settings,
    attachment: &mut Attachment,
    directory: &Directory,
    redactor: Option<&Redactor>,
) {
    let container = &mut attachment.attached.container;
    let Some(path) = container.bundle.as_ref().map(|bundle| path_of(bundle)) else { return };
    if let Ok(bundle) = Bundle::read(&path) {
        container.step = step::of(container, &bundle, redactor);
        let build = match &attachment.builder {
            Some(id) => Some(build::of_process(id)),
            None => build::upon(settings, directory, container, &bundle),
        };
        if let Some(step) = &mut container.step {
            // What was given says more.
            step.build = step.build.take().or(build);
        }
    }
    if container.engine.as_deref() == Some("podman") {
        let stored = oci::stored(&path);
        container.name = container.name.take().or(stored.name);
        container.image = container.image.take().or(stored.image);
    }
}
