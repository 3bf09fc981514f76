//! A command traced without an engine.

use super::{
    CollectError, Stage, Target, attach::record, clock, collector::spawn_collector,
    containers_directory, end::end, file, warn,
};
use crate::{
    cgroup::Fresh,
    config::{OnError, Settings},
    oci::{ContainerId, Identity, job_from_environment},
    report::{
        json,
        model::{Job, Report},
    },
};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
    unistd::Pid,
};
use rustix::process::{PidfdFlags, WaitOptions, pidfd_open, waitpid};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    os::{fd::AsFd as _, unix::process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
};

/// A command to run and trace.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The CI job, where the caller names one.
    pub job: Option<String>,
    /// The command and its arguments; not empty.
    pub command: Vec<OsString>,
}

/// How a traced command ended.
#[derive(Debug)]
pub enum RunOutcome {
    /// It ran.
    Finished {
        /// Its exit code, or 128 plus its signal.
        code: u8,
        /// Its report and where that lies; `None` when there is none.
        report: Option<(PathBuf, Box<Report>)>,
    },
    /// There is no such command.
    NotFound(String),
    /// It cannot be executed.
    NotExecutable(String),
}

/// Runs a command in a fresh cgroup, traced.
///
/// # Errors
/// When tracing cannot be set up and the configuration says `deny`. With `allow` the
/// command runs untraced after a warning.
pub fn run(
    settings: &Settings,
    config: Option<&Path>,
    request: &RunRequest,
) -> Result<RunOutcome, CollectError> {
    let id =
        ContainerId::new(&format!("run-{}-{}", clock::boot_ns() / 1_000_000, std::process::id()))?;
    let begun = clock::boot_ns();
    let fresh = Fresh::create(id.as_str());
    let target = Target {
        id: id.clone(),
        scope: fresh.as_ref().map(|fresh| fresh.scope().clone()).map_err(ToString::to_string),
        pid: 0,
        annotations: BTreeMap::new(),
        identity: identity(request),
        bundle: None,
        stage: Stage::Run,
        begun,
    };
    let recording = match record(settings, &target, None, None) {
        Ok(recording) => recording,
        Err(reason) if settings.on_error == OnError::Deny => {
            let _ = end(settings, &id);
            return Err(reason);
        }
        Err(reason) => {
            // The report says so too; here it is said before the command's own output.
            warn(&format_args!("the command runs untraced: {reason}"));
            None
        }
    };
    let spawned = spawn(fresh.as_ref().ok(), &request.command);
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            drop(recording);
            let _ = end(settings, &id);
            return Ok(refused(&request.command, &error));
        }
    };
    if let Some(mut recording) = recording {
        recording.set_first_process(child.id())?;
    }
    let collector = spawn_collector(config, &id, None).inspect_err(|error| warn(error));
    let status = wait(&mut child);
    if let Err(error) = end(settings, &id) {
        warn(&error);
    }
    if let Ok(collector) = collector {
        // Ours to reap: it is a child of this process.
        let _ = waitpid(Some(collector), WaitOptions::empty());
    }
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(RunOutcome::Finished { code: code as u8, report: read_report(settings, &id) })
}

fn identity(request: &RunRequest) -> Identity {
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let named = request.job.clone().map(|id| Job { id, source: "--job".to_owned() });
    let from_ci = || {
        job_from_environment(
            environment.iter().map(|(name, value)| (name.as_str(), value.as_str())),
        )
    };
    let name = request.command.first().map(|name| name.to_string_lossy().into_owned());
    Identity {
        engine: Some("buildwarden run".to_owned()),
        name,
        image: None,
        job: named.or_else(from_ci),
    }
}

/// Starts the command in the fresh cgroup: this process enters it, executes the
/// command from there, and leaves. The command's own exec is the scope's first.
fn spawn(fresh: Option<&Fresh>, command: &[OsString]) -> io::Result<Child> {
    let (program, arguments) =
        command.split_first().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let _inside = fresh.map(Fresh::enter).transpose().map_err(io::Error::other)?;
    Command::new(program).args(arguments).spawn()
}

fn refused(command: &[OsString], error: &io::Error) -> RunOutcome {
    let program = command.first().map(|name| name.to_string_lossy().into_owned());
    let text = format!("{}: {error}", program.unwrap_or_default().escape_debug());
    match error.kind() {
        io::ErrorKind::NotFound => RunOutcome::NotFound(text),
        _ => RunOutcome::NotExecutable(text),
    }
}

/// Waits for the command, and hands on to it the signals that are meant to end it.
fn wait(child: &mut Child) -> ExitStatus {
    let unknown = ExitStatus::from_raw(0);
    let mut mask = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        mask.add(signal);
    }
    let pid = Pid::from_raw(child.id() as i32);
    let signals = mask
        .thread_block()
        .and_then(|()| SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK));
    let pidfd = rustix::process::Pid::from_raw(pid.as_raw())
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    if let (Ok(signals), Some(pidfd)) = (signals, pidfd) {
        loop {
            let mut fds = [
                PollFd::new(pidfd.as_fd(), PollFlags::POLLIN),
                PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            ];
            if poll(&mut fds, PollTimeout::NONE).is_err() {
                continue;
            }
            if fds[0].revents().is_some_and(|events| !events.is_empty()) {
                break;
            }
            while let Ok(Some(info)) = signals.read_signal() {
                // The terminal sends its signals to the command itself (SI_KERNEL).
                let by_user = info.ssi_code <= 0;
                if let Some(signal) =
                    Signal::try_from(info.ssi_signo as i32).ok().filter(|_| by_user)
                {
                    let _ = nix::sys::signal::kill(pid, signal);
                }
            }
        }
    }
    child.wait().unwrap_or(unknown)
}

fn read_report(settings: &Settings, id: &ContainerId) -> Option<(PathBuf, Box<Report>)> {
    let path = containers_directory(settings).join(id.as_str()).join(file::REPORT);
    let report = json::parse(&std::fs::read(&path).ok()?).ok()?;
    Some((path, Box::new(report)))
}
