//! The end of a container: its report, exactly once, and nothing of it left.

use super::{
    CollectError,
    account::{self, Account, account},
    attachment::Attachment,
    beginning::make_directory,
    clock,
    collector::{End, PID, spawn_exporter},
    conclusion::{Written, is_concluded},
    directory::Directory,
    file,
    lock::{Busy, Held, Lock, Waited},
    session::Session,
};
use crate::{
    config::Settings,
    confine::{Calls, Reach, confine},
    oci::ContainerId,
    report::{Time, json, model::Verdict},
    trace::{Drain, ProbeSet, SlotId},
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::{fs, io, os::fd::AsFd as _, path::PathBuf, time::Duration};

/// How long a collector may take to finish before its work is taken over. It is real-time
/// and only has to drain and sum up.
const PATIENCE: Duration = Duration::from_secs(10);

/// What whoever writes a report knows of its end.
pub(super) struct Ending {
    /// Whether the container has ended: what outlives it may not be reached any more.
    pub(super) ended: bool,
    /// The number of the pid namespace that was held since before the end.
    pub(super) namespace: Option<u64>,
    /// What confines the writer.
    pub(super) confined: Vec<String>,
}

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
    loop {
        let busy = match Lock::take(settings, id)? {
            Lock::Gone => return Ok(Ended::Nothing),
            Lock::Held(held) => return take_over(settings, held),
            Lock::Busy(busy) => busy,
        };
        if let Some(held) = wait_for(busy, id)? {
            return take_over(settings, held);
        }
    }
}

/// Whether the lock's holder is the container's collector: only that may be told to end. By its
/// command line, which it has from its first instruction on, wherever it was stopped.
fn is_collector(id: &ContainerId, holder: Pid) -> bool {
    let path = format!("/proc/{}/cmdline", holder.as_raw_nonzero());
    let command = fs::read(path).unwrap_or_default();
    let words: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
    words.windows(2).any(|pair| pair == [b"collect", id.as_str().as_bytes()])
}

/// Waits until nobody has the lock: a collector is told to finish, and lets go of it when
/// everything is written and the run directory gone. `None` when it is.
fn wait_for(busy: Busy, id: &ContainerId) -> Waited {
    // Another poststop, a sweep, or a hook is left alone.
    let collector = is_collector(id, busy.holder)
        .then(|| pidfd_open(busy.holder, PidfdFlags::empty()).ok())
        .flatten();
    let holder = busy.holder.as_raw_nonzero();
    let waited = busy.wait()?;
    for signal in [Signal::TERM, Signal::KILL] {
        if let Some(collector) = &collector {
            // It may have gone by itself.
            let _ = pidfd_send_signal(collector, signal);
        }
        if let Ok(waited) = waited.recv_timeout(PATIENCE) {
            return waited;
        }
    }
    Err(CollectError::Collector {
        id: id.to_string(),
        reason: format!("process {holder} holds its lock and does not end"),
    })
}

/// Does what the collector has not done.
pub(super) fn take_over(settings: &Settings, held: Held) -> Result<Ended, CollectError> {
    let mut attachment = match Attachment::read(&held.run) {
        Ok(Some(attachment)) => attachment,
        // The hook was killed before it registered anything.
        Ok(None) => return remove_run(held.run).map(|()| Ended::Nothing),
        // Nothing in it can be believed. `gc` makes it again from the log.
        Err(error) => {
            if let CollectError::Malformed { .. } = error {
                remove_run(held.run)?;
            }
            return Err(error);
        }
    };
    let probes = ProbeSet::open(&settings.bpffs)?;
    let cgroup = attachment.attached.container.cgroup_id;
    let container = attachment.attached.container.clone();
    let slot = probes.as_ref().and_then(|probes| probes.slot_of(cgroup));
    let recording = probes.as_ref().zip(slot);
    attachment.registered(recording.and_then(|(probes, slot)| probes.registered(slot)));
    let made = make_directory(settings, &held.run, &attachment);
    let mut session = match made.and_then(|()| Session::open(settings, attachment)) {
        Ok(session) => session,
        // Its log and report are beyond us; the next start of this id is not.
        Err(error) => return release(held, recording).and(Err(error)),
    };
    let report = session.directory.path().join(file::REPORT);
    if let Some(written) = session.directory.content(file::REPORT)? {
        // By a collector that could not release, or was killed before or in what follows.
        let concluded = conclude(settings, &mut session, &written);
        return release(held, recording).and(concluded).map(|()| Ended::Nothing);
    }
    // Where there never was a collector, nobody has started it.
    let _ = spawn_exporter(settings, &container);
    let ended = has_come(&session.attachment);
    let drain = recording.and_then(|(probes, slot)| {
        Drain::open(probes, slot)
            .inspect_err(|error| session.fail(format!("the ring could not be drained: {error}")))
            .ok()
    });
    // Whoever releases a slot needs privileges before Linux 5.19; who reads what a build
    // controls needs none.
    let reported = write_up(settings, session, drain, ended);
    // Whatever became of it: nobody comes after us, and the next start of this id may.
    let released = release(held, recording);
    let verdict = reported?;
    released?;
    Ok(Ended::TakenOver { verdict, report })
}

/// Does what follows a report that is there, unless it is done.
fn conclude(
    settings: &Settings,
    session: &mut Session,
    written: &[u8],
) -> Result<(), CollectError> {
    let Ok(report) = json::parse(written) else { return Ok(()) };
    if is_concluded(&session.directory)? {
        return Ok(());
    }
    let now = Time::from_boot(clock::boot_ns(), session.attachment.attached.boot_to_unix_ns);
    let Session { directory, log, key, .. } = session;
    Written::found(&report, written).conclude(settings, key.as_ref(), directory, log, now)
}

/// Whether the container has ended.
fn has_come(attachment: &Attachment) -> bool {
    End::watch(attachment).is_ok_and(|end| end.has_come())
}

/// Drains what is left and writes the report, on a thread that is confined as a collector
/// is: it reads what a build controls, and its caller goes on to what needs privileges.
pub(super) fn write_up(
    settings: &Settings,
    session: Session,
    drain: Option<Drain>,
    ended: bool,
) -> Result<Verdict, CollectError> {
    let id = session.attachment.attached.container.id.clone();
    let write = move || {
        let own = vec![session.directory.as_fd()];
        let confined = confine(Reach { own, ..Reach::default() }, Calls::COLLECTOR);
        let confined = confined.names();
        let ending = Ending { ended, namespace: None, confined };
        report(settings, session, drain.as_ref(), ending)
    };
    let written = std::thread::scope(|scope| scope.spawn(write).join());
    written.unwrap_or_else(|_| {
        Err(CollectError::Collector { id, reason: "it panicked over its report".to_owned() })
    })
}

/// Stops recording and removes the run directory; in this order, so that whoever finds
/// the directory finishes the job. (Before Linux 5.19 a collector without privileges
/// cannot; poststop and `gc` can.) The ring stays: its removal waits for the kernel, and the
/// container's engine need not. A collector takes it back at its own end, or when it fills
/// the pool; `gc` too, and a slot that nobody's directory names after a kill.
pub(super) fn release(
    held: Held,
    recording: Option<(&ProbeSet, SlotId)>,
) -> Result<(), CollectError> {
    let Some((probes, slot)) = recording else { return remove_run(held.run) };
    probes.retire(slot)?;
    remove_run(held.run)
}

/// Drains what is left, writes the report and the log's last line.
pub(super) fn report(
    settings: &Settings,
    mut session: Session,
    drain: Option<&Drain>,
    ending: Ending,
) -> Result<Verdict, CollectError> {
    let at = clock::boot_ns();
    if !ending.ended && session.attachment.failure.is_none() {
        session.fail("processes were still running when the recording ended".to_owned());
    }
    if let Some(drain) = drain {
        while !session.drain(drain) {}
        for what in drain.unregistered(ending.namespace) {
            session.fail(format!("the recording was tampered with: its {what} was taken away"));
        }
        session.note_loss(&drain.counters(), true);
        // A ring of the pool has the size that was configured when it was made.
        session.attachment.attached.ring_bytes = drain.ring_bytes();
    }
    let ending = account::Ending {
        confined: ending.confined,
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
        // A recording that was lost may be of a boot with another clock.
        let offset = match session.attachment.lost {
            None => session.attachment.attached.boot_to_unix_ns,
            Some(_) => clock::boot_to_unix_ns(),
        };
        let time = Time::from_boot(clock::boot_ns(), offset);
        let written = Written { report: &report, json: text.as_bytes(), findings: counts };
        let Session { directory, log, key, .. } = &mut session;
        written.conclude(settings, key.as_ref(), directory, log, time)?;
        if !settings.keep_execs {
            session.directory.remove(file::EXECS)?;
        }
    }
    Ok(report.verdict)
}

/// Removes a run directory; the lock last, so that whoever waits for it sees that
/// it is gone.
fn remove_run(run: Directory) -> Result<(), CollectError> {
    Attachment::remove(&run)?;
    run.remove(PID)?;
    run.remove_staged()?;
    Held::remove(&run)?;
    let path = run.path();
    match fs::remove_dir(path) {
        // By another one, who found it without a lock.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|error| CollectError::io(path, "remove", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_directory_goes_with_what_a_killed_hook_has_left() {
        let root = tempfile::tempdir().unwrap();
        let run = Directory::create(root.path(), "a", None).unwrap().unwrap();
        let path = run.path().to_owned();
        fs::write(path.join(".attachment.json.17.new"), "{").unwrap();
        remove_run(run).unwrap();
        assert!(!path.exists());
    }
}
