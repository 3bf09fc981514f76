//! The end of a container: its report, exactly once, and nothing of it left.

use super::{
    CollectError,
    account::{Account, Ending, account},
    attachment::Attachment,
    clock,
    collector::{End, PID, spawn_exporter},
    directory::Directory,
    file,
    key::read_key,
    lock::{Held, Lock},
    session::Session,
    warn,
};
use crate::{
    annotation::Finished,
    chain,
    config::Settings,
    oci::ContainerId,
    report::{
        Time,
        format::{self, Context, Format},
        in_toto::Subject,
        json,
        model::{Report, Verdict},
        signed,
    },
    trace::{Drain, ProbeSet, SlotId},
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::{
    collections::BTreeMap,
    fs,
    os::fd::AsFd as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long a collector may take to finish before its work is taken over,
/// milliseconds. It is real-time and only has to drain and sum up.
const PATIENCE_MS: u16 = 10_000;
/// How long to wait before trying a lock again that is held for a moment, milliseconds.
const RETRY_MS: u16 = 5;

/// How a container's collection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// There was nothing (left) to end: its collector has written the report, or
    /// there never was one.
    Nothing,
    /// The caller wrote it, because there was no collector any more.
    TakenOver {
        /// The report's verdict.
        verdict: Verdict,
        /// Where the report is.
        report: PathBuf,
    },
}

/// Ends a container's collection now: asks its collector to finish, or does its work.
///
/// # Errors
/// When the report cannot be written, or the collector not be ended.
pub fn end(settings: &Settings, id: &ContainerId) -> Result<Ended, CollectError> {
    let begun = Instant::now();
    loop {
        match Lock::take(settings, id)? {
            Lock::Gone => return Ok(Ended::Nothing),
            Lock::Held(held) => return take_over(settings, held),
            Lock::Busy(holder) if is_collector(settings, id, holder)? => {
                end_collector(holder, id)?;
            }
            // Another poststop, a sweep, or a collector that has not said yet that it is one.
            Lock::Busy(_) => wait(RETRY_MS),
        }
        if begun.elapsed() > 3 * Duration::from_millis(PATIENCE_MS.into()) {
            return Err(CollectError::Collector {
                id: id.to_string(),
                reason: "somebody else holds its lock and does not end".to_owned(),
            });
        }
    }
}

/// Whether the lock's holder is the container's collector: only that may be told to end.
fn is_collector(settings: &Settings, id: &ContainerId, holder: Pid) -> Result<bool, CollectError> {
    let Some(run) = Directory::open(&settings.run_dir.join(id.as_str()))? else { return Ok(false) };
    let text = run.content(PID)?.unwrap_or_default();
    Ok(text.trim_ascii() == holder.as_raw_nonzero().to_string().as_bytes())
}

fn wait(milliseconds: u16) {
    // Nothing to poll: a pause that a signal may cut short.
    let _ = poll(&mut [], PollTimeout::from(milliseconds));
}

/// Tells the collector to finish, and waits until it is gone.
fn end_collector(pid: Pid, id: &ContainerId) -> Result<(), CollectError> {
    let Ok(collector) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
    for signal in [Signal::TERM, Signal::KILL] {
        // It may have gone by itself.
        let _ = pidfd_send_signal(&collector, signal);
        let mut fds = [PollFd::new(collector.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(PATIENCE_MS)).is_ok_and(|ready| ready > 0) {
            return Ok(());
        }
    }
    Err(CollectError::Collector {
        id: id.to_string(),
        reason: format!("process {} does not end", pid.as_raw_nonzero()),
    })
}

/// Does what the collector has not done.
pub(super) fn take_over(settings: &Settings, held: Held) -> Result<Ended, CollectError> {
    let Some(attachment) = Attachment::read(&held.run)? else {
        // The hook was killed before it registered anything.
        remove_run(&held.run)?;
        return Ok(Ended::Nothing);
    };
    let probes = ProbeSet::open(&settings.bpffs)?;
    let cgroup = attachment.attached.container.cgroup_id;
    let container = attachment.attached.container.clone();
    let slot = probes.as_ref().and_then(|probes| probes.slot_of(cgroup));
    let recording = probes.as_ref().zip(slot);
    let mut session = match Session::open(settings, attachment) {
        Ok(session) => session,
        // Its log and report are beyond us; the next start of this id is not.
        Err(error) => return release(held, recording).and(Err(error)),
    };
    let report = session.directory.path().join(file::REPORT);
    if session.directory.read(file::REPORT)?.is_some() {
        // Written by a collector that could not release, or was killed before.
        return release(held, recording).map(|()| Ended::Nothing);
    }
    // Where there never was a collector, nobody has started it.
    let _ = spawn_exporter(settings, &container);
    let drain = recording.and_then(|(probes, slot)| {
        Drain::open(probes, slot)
            .inspect_err(|error| session.fail(format!("the ring could not be drained: {error}")))
            .ok()
    });
    let verdict = finish(settings, held, session, drain.as_ref(), recording)?;
    Ok(Ended::TakenOver { verdict, report })
}

/// Drains what is left, writes the report and releases everything. Goes on after an
/// error and gives the first.
pub(super) fn finish(
    settings: &Settings,
    held: Held,
    mut session: Session,
    drain: Option<&Drain>,
    recording: Option<(&ProbeSet, SlotId)>,
) -> Result<Verdict, CollectError> {
    let at = clock::boot_ns();
    let ended = End::watch(&session.attachment).is_ok_and(|end| end.has_come());
    if !ended && session.attachment.failure.is_none() {
        session.fail("processes were still running when the recording ended".to_owned());
    }
    if let Some(drain) = drain {
        session.drain(drain);
    }
    let reported = report(settings, session, drain, at);
    let released = release(held, recording);
    let verdict = reported?;
    released.map(|()| verdict)
}

/// Stops recording and removes the run directory; in this order, so that whoever finds
/// the directory finishes the job. (Before Linux 5.19 a collector without privileges
/// cannot; poststop and `gc` can.)
fn release(held: Held, recording: Option<(&ProbeSet, SlotId)>) -> Result<(), CollectError> {
    if let Some((probes, slot)) = recording {
        probes.release(slot)?;
    }
    remove_run(&held.run)
}

/// Writes the report and the log's last line.
pub(super) fn report(
    settings: &Settings,
    mut session: Session,
    drain: Option<&Drain>,
    at: u64,
) -> Result<Verdict, CollectError> {
    if let Some(drain) = drain {
        session.note_loss(&drain.counters(), true);
        // A ring of the pool has the size that was configured when it was made.
        session.attachment.attached.ring_bytes = drain.ring_bytes();
    }
    let ending = Ending {
        counters: drain.map(Drain::counters),
        programs_attached: drain.is_some_and(Drain::programs_attached),
        cut_environments: session.cut_environments,
        other_jobs: std::mem::take(&mut session.other_jobs),
        failures: std::mem::take(&mut session.failures),
        at,
        keep_events: settings.keep_execs,
        rules: session.rules(),
    };
    let Account { report, counts } = account(&session.directory, &session.attachment, ending)?;
    let path = session.directory.path().join(file::REPORT);
    let text =
        json::pretty(&report).map_err(|error| CollectError::io(&path, "write", error.into()))?;
    if session.directory.put_new(file::REPORT, text.as_bytes())? {
        let (formats, formats_failed) =
            write_formats(settings, &session.directory, &report, text.as_bytes());
        // A recording that was lost may be of a boot with another clock.
        let offset = match session.attachment.lost {
            None => session.attachment.attached.boot_to_unix_ns,
            Some(_) => clock::boot_to_unix_ns(),
        };
        let finished = Finished {
            verdict: report.verdict,
            findings: counts,
            report: Some(file::REPORT.to_owned()),
            reasons: report.completeness.shortcomings(),
            formats,
            formats_failed,
            job: report.job.clone(),
            other_jobs: report.other_jobs.clone(),
            sha256: digests(&report, text.as_bytes()),
        };
        let time = Time::from_boot(clock::boot_ns(), offset);
        session.log.finished(time, &finished).map_err(|error| {
            CollectError::io(&session.directory.path().join(file::ANNOTATIONS), "write", error)
        })?;
        if !settings.keep_execs {
            session.directory.remove(file::EXECS)?;
        }
    }
    Ok(report.verdict)
}

/// The digests that the log's last line notes: of the report as it was written, and of the
/// event file where it stays.
pub(super) fn digests(report: &Report, written: &[u8]) -> BTreeMap<String, String> {
    let events = report.events.as_ref().map(|events| (events.file.clone(), events.sha256.clone()));
    let report = (file::REPORT.to_owned(), chain::sha256(written));
    events.into_iter().chain([report]).collect()
}

/// Writes the report in the configured formats: the names of the files, and what failed.
/// They can be made from it again at any time, so a failure costs nothing but that file,
/// and not even a mistake of ours in a renderer costs more.
pub(super) fn write_formats(
    settings: &Settings,
    directory: &Directory,
    report: &Report,
    json: &[u8],
) -> (Vec<String>, Vec<String>) {
    let (mut written, mut failed) = (Vec::new(), Vec::new());
    let named = settings.formats.iter().filter_map(|format| Some((format.file_name()?, *format)));
    let mut files: Vec<(&str, Box<dyn Fn() -> Result<String, String>>)> = Vec::new();
    for (name, format) in named {
        let render = move || {
            format::render(report, format, &Context::default()).map_err(|error| error.to_string())
        };
        files.push((name, Box::new(render)));
    }
    if let Some(key) = &settings.key {
        files.push((file::SIGNED, Box::new(|| signed(report, json, key))));
    }
    for (name, render) in files {
        let text = catch_unwind(AssertUnwindSafe(render));
        let text = text.unwrap_or_else(|_| Err("the renderer failed".to_owned()));
        let put =
            |text: String| directory.put_new(name, text.as_bytes()).map_err(|e| e.to_string());
        match text.and_then(put) {
            Ok(_) => written.push(name.to_owned()),
            Err(error) => {
                let error = format!("{name}: {error}");
                warn(&error);
                failed.push(error);
            }
        }
    }
    (written, failed)
}

/// The signed Statement about the report as it was written, and through it about the log
/// before its last line; and about the event file where it stays.
fn signed(report: &Report, json: &[u8], key: &Path) -> Result<String, String> {
    let key = read_key(key)?;
    let subjects = digests(report, json).into_iter().map(|(name, digest)| Subject {
        name,
        algorithm: "sha256".to_owned(),
        digest,
    });
    let context = Context { subjects: subjects.collect(), ..Context::default() };
    let statement = format::render(report, Format::InToto, &context);
    let statement = statement.map_err(|error| error.to_string())?;
    signed::seal(&statement, &key).map_err(|error| error.to_string())
}

/// Removes a run directory; the lock last, so that whoever waits for it sees that
/// it is gone.
pub(super) fn remove_run(run: &Directory) -> Result<(), CollectError> {
    Attachment::remove(run)?;
    run.remove(PID)?;
    Held::remove(run)?;
    fs::remove_dir(run.path()).map_err(|error| CollectError::io(run.path(), "remove", error))
}
