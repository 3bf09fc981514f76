//! The end of a container: its report, exactly once, and nothing of it left.

use super::{
    CollectError,
    account::{Account, Ending, account},
    attachment::Attachment,
    clock,
    collector::{End, PID},
    directory::Directory,
    file,
    lock::{Held, Lock},
    session::Session,
};
use crate::{
    annotation::Finished,
    config::Settings,
    oci::ContainerId,
    report::{Time, json, model::Verdict},
    trace::{Drain, ProbeSet},
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::{fs, os::fd::AsFd as _, path::PathBuf};

/// How long a collector may take to finish before its work is taken over,
/// milliseconds. It is real-time and only has to drain and sum up.
const PATIENCE_MS: u16 = 10_000;

/// How a container's collection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// There was nothing (left) to end: its collector has written the report, or
    /// there never was one.
    Nothing,
    /// Its collector was asked to, and somebody else has taken over meanwhile.
    ByCollector,
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
    // Twice: the second time after its collector has gone, one way or the other.
    for _ in 0..2 {
        match Lock::take(settings, id)? {
            Lock::Gone => return Ok(Ended::Nothing),
            Lock::Held(held) => return take_over(settings, held),
            Lock::Busy(collector) => end_collector(collector, id)?,
        }
    }
    Ok(Ended::ByCollector)
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
    let cgroup = attachment.attached.container.cgroup_id;
    let probes = ProbeSet::open(&settings.bpffs)?;
    let slot = probes.as_ref().and_then(|probes| probes.slot_of(cgroup));
    let mut session = match Session::open(settings, attachment) {
        Ok(session) => session,
        Err(error) => {
            // Its log and report are beyond us, the next start of this id is not.
            let released = slot.zip(probes.as_ref()).map(|(slot, probes)| probes.release(slot));
            remove_run(&held.run)?;
            released.transpose()?;
            return Err(error);
        }
    };
    let drain = match (&probes, slot) {
        (Some(probes), Some(slot)) => match Drain::open(probes, slot) {
            Ok(drain) => Some(drain),
            Err(error) => {
                session.fail(format!("the ring could not be drained: {error}"));
                None
            }
        },
        _ => None,
    };
    let report = session.directory.path().join(file::REPORT);
    let verdict = match &probes {
        Some(probes) => finish(settings, held, session, drain.as_ref(), probes)?,
        None => conclude(settings, &held, session, None, clock::boot_ns())?,
    };
    Ok(Ended::TakenOver { verdict, report })
}

/// Drains what is left, writes the report and releases everything. Goes on after an
/// error and gives the first.
pub(super) fn finish(
    settings: &Settings,
    held: Held,
    mut session: Session,
    drain: Option<&Drain>,
    probes: &ProbeSet,
) -> Result<Verdict, CollectError> {
    let at = clock::boot_ns();
    let ended = End::watch(&session.attachment).is_ok_and(|end| end.has_come());
    if !ended && session.attachment.failure.is_none() {
        session.fail("processes were still running when the recording ended".to_owned());
    }
    if let Some(drain) = drain {
        session.drain(drain);
    }
    let concluded = conclude(settings, &held, session, drain, at);
    let released = drain.map_or(Ok(()), |drain| probes.release(drain.slot()));
    let verdict = concluded?;
    // On old kernels an unprivileged collector cannot release; poststop or `gc` will.
    if let Err(error) = released {
        anstream::eprintln!("buildwarden: warning: {error}");
    }
    Ok(verdict)
}

/// Writes the report and the log's last line, and removes the run directory.
fn conclude(
    settings: &Settings,
    held: &Held,
    mut session: Session,
    drain: Option<&Drain>,
    at: u64,
) -> Result<Verdict, CollectError> {
    if let Some(drain) = drain {
        session.note_loss(&drain.counters(), true);
    }
    let ending = Ending {
        counters: drain.map(Drain::counters),
        programs_attached: drain.is_some_and(Drain::programs_attached),
        failures: std::mem::take(&mut session.failures),
        at,
        keep_events: settings.keep_execs,
    };
    let Account { report, counts } = account(&session.directory, &session.attachment, ending)?;
    let path = session.directory.path().join(file::REPORT);
    let text =
        json::pretty(&report).map_err(|error| CollectError::io(&path, "write", error.into()))?;
    let new = session.directory.put_new(file::REPORT, text.as_bytes())?;
    if new {
        let offset = session.attachment.attached.boot_to_unix_ns;
        let finished = Finished {
            verdict: report.verdict,
            findings: counts,
            report: Some(file::REPORT.to_owned()),
            reasons: report.completeness.shortcomings(),
        };
        let time = Time::from_boot(clock::boot_ns(), offset);
        session.log.finished(time, &finished).map_err(|error| {
            CollectError::io(&session.directory.path().join(file::ANNOTATIONS), "write", error)
        })?;
        if !settings.keep_execs {
            session.directory.remove(file::EXECS)?;
        }
    }
    remove_run(&held.run)?;
    Ok(report.verdict)
}

/// Removes a run directory; the lock last, so that whoever waits for it sees that
/// it is gone.
pub(super) fn remove_run(run: &Directory) -> Result<(), CollectError> {
    Attachment::remove(run)?;
    run.remove(PID)?;
    Held::remove(run)?;
    fs::remove_dir(run.path()).map_err(|error| CollectError::io(run.path(), "remove", error))
}
