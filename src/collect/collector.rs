//! The collector: a process of its own that drains one container's ring until the
//! container has ended.

use super::{
    CollectError,
    attachment::Attachment,
    beginning::make_directory,
    end::{Ending, release, report},
    evidence,
    lock::Lock,
    session::Session,
};
use crate::{
    cgroup::{self, CgroupError, Populated, Scope},
    config::Settings,
    confine::{Calls, Kept, Privileges, Reach, confine},
    host,
    oci::ContainerId,
    report::model::Container,
    trace::{self, Drain, ProbeSet, spawn_into, trim_heap},
};
use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::{
    ffi::{CString, OsStr},
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, OwnedFd, RawFd},
        unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    },
    path::Path,
    process,
};

/// The collector's pid, in the run directory, for who looks after the host.
pub(super) const PID: &str = "collector.pid";
/// How long records may gather before they are drained, milliseconds: the kernel
/// wakes only a collector that has caught up, so a storm costs a wake-up a pause
/// instead of one an exec. A listed tool's exec ends the pause at once.
const PAUSE_MS: u16 = 10;

/// Starts the collector of a container, detached. On its standard input it holds the container's
/// pid namespace: from before the container's end, or another container could be given the
/// number of the namespace while that still leads to our slot.
///
/// # Errors
/// When this program cannot be executed again.
pub fn spawn_collector(
    config: Option<&Path>,
    id: &ContainerId,
    namespace: Option<File>,
) -> Result<Pid, CollectError> {
    let config = config
        .map(|config| {
            std::path::absolute(config)
                .map_err(|error| CollectError::io(config, "find the directory of", error))
        })
        .transpose()?;
    spawn(config.as_deref(), ["collect", id.as_str()], namespace).map_err(|error| {
        CollectError::Collector {
            id: id.to_string(),
            reason: format!("cannot be started: {error}; poststop will do its work"),
        }
    })
}

/// Starts what sends a run's findings and end to the configured outputs, where there
/// are any. Nothing depends on it.
///
/// # Errors
/// When this program cannot be executed again.
pub(super) fn spawn_exporter(settings: &Settings, container: &Container) -> io::Result<()> {
    if !settings.outputs.is_empty() {
        let run = format!("{}.{}", container.id, container.run);
        spawn(settings.source.as_deref(), ["export", &run], None)?;
    }
    Ok(())
}

/// Starts this program, which detaches itself. Who ends the container sees that nobody has its
/// lock, should that fail.
fn spawn(config: Option<&Path>, args: [&str; 2], input: Option<File>) -> io::Result<Pid> {
    let config = config.map(|config| [OsStr::new("--config"), config.as_os_str()]);
    let args = args.map(OsStr::new);
    let words = [OsStr::new("buildwarden")].into_iter().chain(config.into_iter().flatten());
    let arguments = words.chain(args).map(|word| CString::new(word.as_bytes()));
    // A runtime waits until nobody holds its pipes any more.
    let null = File::options().read(true).write(true).open("/dev/null")?;
    // Where it cannot begin there, it goes there by itself, and says so in its report.
    let own = cgroup::collectors().ok();
    spawn_into(
        own.as_ref().map(File::as_fd),
        c"/proc/self/exe",
        arguments.collect::<Result<_, _>>()?,
        input.as_ref().unwrap_or(&null).as_fd(),
        null.as_fd(),
    )
}

/// Leaves whoever started this process: its descriptors, its directory, its session, its
/// cgroup.
///
/// # Errors
/// When there is no cgroup v2, or it cannot be written; the rest is done.
pub fn detach() -> Result<(), CgroupError> {
    // A runtime that leaks a descriptor must not wait for us because of it.
    close_inherited();
    // Nor may a mount be busy because of us.
    let _ = std::env::set_current_dir("/");
    let _ = nix::unistd::setsid();
    cgroup::move_to_own()
}

/// Collects until the container has ended, and writes its report. Does nothing
/// when somebody else is at it, or has ended it.
///
/// # Errors
/// When the container's files cannot be used.
pub fn collect(settings: &Settings, id: &ContainerId) -> Result<(), CollectError> {
    let moved = detach();
    // Until it is confined; for the thread that fills the pool, to its end.
    let _ = Kept::of(Privileges::Collect, Privileges::Collect);
    let Lock::Held(held) = Lock::take(settings, id)? else {
        // Somebody has ended it, or is at it. What is left to do is for those that come.
        let probes = open_probes(settings)?;
        return Ok(probes.fill_pool(&settings.bpffs, settings.pool, settings.ring_bytes)?);
    };
    let Some(mut attachment) = Attachment::read(&held.run)? else { return Ok(()) };
    make_directory(settings, &held.run, &attachment)?;
    held.run.remove(PID)?;
    held.run.put_new(PID, format!("{}\n", process::id()).as_bytes())?;

    let probes = open_probes(settings)?;
    let slot = probes.slot_of(attachment.attached.container.cgroup_id);
    attachment.registered(slot.and_then(|slot| probes.registered(slot)));
    if let Some((slot, began)) = slot.zip(first_began(attachment.attached.pid)) {
        probes.set_first(slot, began);
    }
    let drain = slot.map(|slot| Drain::open(&probes, slot)).transpose()?;
    let container = &attachment.attached.container;
    let end = End::watch(&attachment)?;
    let mut session = Session::open(settings, attachment.clone())?;
    // It follows the log that is open now, and is not to be real-time.
    let _ = spawn_exporter(settings, container);
    if let Err(error) = moved {
        session.fail(format!("the collector has no cgroup of its own: {error}"));
    }
    if let Err(error) = probes.add_names(&evidence::configured_names(settings, session.detector()))
    {
        session.fail(format!("tools of {} are found late: {error}", container.id));
    }
    // Before there is another thread, which has the same mask: what one does not block ends all.
    // Nothing is lost where it cannot be: poststop takes over.
    let _ = end_signals().thread_block();
    trace::real_time();
    std::thread::scope(|scope| {
        // Off the hook's path and beside the drain: making a ring waits for the
        // kernel. Its thread keeps the privileges that this one gives up, and ends.
        // A failure costs later containers time, and this one nothing.
        let fill = || probes.fill_pool(&settings.bpffs, settings.pool, settings.ring_bytes);
        scope.spawn(fill);
        // A ring's removal sets its numbers to 0 on each of these.
        let processors = Path::new("/sys/devices/system/cpu/possible");
        let reach = Reach {
            own: vec![session.directory.as_fd(), held.run.as_fd()],
            prune: vec![&settings.run_dir],
            // And it is locked for that.
            read: vec![processors, &settings.bpffs],
            ..Reach::default()
        };
        let confined = confine(reach, Calls::COLLECTOR);
        trim_heap();
        if let Some(drain) = &drain {
            drain_until(&end, drain, &mut session).map_err(|error| CollectError::Collector {
                id: id.to_string(),
                reason: error.to_string(),
            })?;
        }
        let ending = Ending {
            ended: end.has_come(),
            namespace: held_namespace(),
            confined: confined.names(),
        };
        // A report that cannot be written leaves everything to poststop or `gc`, which have
        // other means, and somebody to tell.
        report(settings, session, drain.as_ref(), ending)?;
        release(held, slot.map(|slot| (&probes, slot)))?;
        // Poststop has gone on.
        Ok(probes.recycle(&settings.bpffs)?)
    })
}

fn open_probes(settings: &Settings) -> Result<ProbeSet, CollectError> {
    let gone = || CollectError::Malformed {
        path: trace::pin_directory(&settings.bpffs),
        reason: "the probe set is gone".to_owned(),
    };
    ProbeSet::open(&settings.bpffs)?.ok_or_else(gone)
}

/// What tells that the container has ended: its scope has emptied and its first
/// process is gone. Both, because a container may move its processes to another
/// cgroup, and its pid namespace dies with its first process.
pub(super) struct End {
    populated: Option<Populated>,
    first: Option<OwnedFd>,
}

impl End {
    pub(super) fn watch(attachment: &Attachment) -> Result<End, CollectError> {
        let container = &attachment.attached.container;
        let scope = Scope::at(path_of(&container.cgroup))
            .ok()
            .filter(|scope| scope.id == container.cgroup_id);
        let first = i32::try_from(attachment.attached.pid)
            .ok()
            .and_then(Pid::from_raw)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let populated = scope.and_then(|scope| Populated::watch(&scope).ok());
        Ok(End { populated, first })
    }

    /// Whether it has ended.
    pub(super) fn has_come(&self) -> bool {
        let populated = self.populated.as_ref().is_some_and(Populated::is_populated);
        !populated && self.first.as_ref().is_none_or(has_exited)
    }
}

/// The number of the pid namespace that this collector holds: see [`spawn_collector`].
fn held_namespace() -> Option<u64> {
    rustix::fs::fstat(io::stdin()).ok().map(|stat| stat.st_ino)
}

/// When the first process of that namespace began, in clock ticks since boot; `None` once it is
/// gone, and its pid may be another's.
fn first_began(pid: u32) -> Option<u64> {
    let began = host::began(pid);
    let namespace = fs::metadata(format!("/proc/{pid}/ns/pid")).ok()?.ino();
    began.filter(|_| held_namespace() == Some(namespace))
}

fn has_exited(pidfd: &OwnedFd) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

pub(super) fn path_of(bytes: &[u8]) -> std::path::PathBuf {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    OsStr::from_bytes(bytes).into()
}

/// What tells a collector that its container has ended.
fn end_signals() -> SigSet {
    SigSet::from(Signal::SIGTERM)
}

/// Drains until the end comes, or until SIGTERM says that it has.
fn drain_until(end: &End, drain: &Drain, session: &mut Session) -> nix::Result<()> {
    let signals =
        SignalFd::with_flags(&end_signals(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    // Edge-triggered: while records gather, only a listed tool's exec (which the
    // kernel announces by force) ends the pause.
    let watch = |fd: &dyn AsFd, flags| epoll.add(fd.as_fd(), EpollEvent::new(flags, 0));
    watch(&drain.as_fd(), EpollFlags::EPOLLIN | EpollFlags::EPOLLET)?;
    watch(&signals, EpollFlags::EPOLLIN)?;
    if let Some(populated) = &end.populated {
        watch(populated, EpollFlags::EPOLLPRI | EpollFlags::EPOLLET)?;
    }
    if let Some(first) = &end.first {
        watch(first, EpollFlags::EPOLLIN | EpollFlags::EPOLLET)?;
    }
    let mut urgent = 0;
    let mut drained = true;
    let mut events = [EpollEvent::empty(); 4];
    // A container that has ended before we watched wakes nobody.
    while !end.has_come() {
        // The kernel wakes nobody who has left records there.
        if drained {
            wait(&epoll, &mut events, EpollTimeout::NONE)?;
        }
        if drain.counters().urgent == urgent && !end.has_come() {
            wait(&epoll, &mut events, PAUSE_MS.into())?;
        }
        urgent = drain.counters().urgent;
        drained = session.drain(drain);
        if matches!(signals.read_signal(), Ok(Some(_))) {
            break;
        }
    }
    Ok(())
}

fn wait(epoll: &Epoll, events: &mut [EpollEvent], timeout: EpollTimeout) -> nix::Result<()> {
    match epoll.wait(events, timeout) {
        Err(nix::errno::Errno::EINTR) => Ok(()),
        result => result.map(drop),
    }
}

/// Closes every descriptor above standard error.
fn close_inherited() {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<RawFd> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        // The directory's own is among them, and is closed already.
        let _ = nix::unistd::close(fd);
    }
}
