//! The hook's part: from here the kernel records.

use super::{
    CollectError, attachment::Attachment, build, clock, collector::spawn_collector,
    containers_directory, directory::Directory, end::end, evidence, lock::Held, warn,
};
use crate::{
    annotation,
    cgroup::Scope,
    config::{OnError, Settings, When},
    confine::{Kept, Privileges},
    detect::Detector,
    host,
    oci::{self, Bundle, ContainerId, Identity, State, split_run},
    report::{
        Bytes,
        model::{Container, Producer},
    },
    trace::{ProbeSet, ScopeKey, Setup, TraceError},
};
use std::{os::unix::ffi::OsStrExt as _, path::Path};

/// Where in a container's life a recording began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The `prestart` hook.
    Prestart,
    /// The `createRuntime` hook.
    CreateRuntime,
    /// `buildwarden run`: no engine.
    Run,
}

impl Stage {
    /// Its name in the annotation log.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Prestart => "prestart",
            Stage::CreateRuntime => "createRuntime",
            Stage::Run => "run",
        }
    }
}

/// What is to be recorded.
#[derive(Clone, Debug)]
pub struct Target {
    /// The container's id.
    pub id: ContainerId,
    /// Its scope, where it has one that can be traced.
    pub scope: Result<Scope, String>,
    /// Its first process; 0 where it is not started yet.
    pub pid: u32,
    /// The annotations of its configuration.
    pub annotations: std::collections::BTreeMap<String, String>,
    /// Who it is.
    pub identity: Identity,
    /// Its bundle.
    pub bundle: Option<Bytes>,
    /// Where recording begins.
    pub stage: Stage,
    /// Nanoseconds since boot when the hook began.
    pub begun: u64,
}

/// What became of an attachment.
#[derive(Debug)]
pub enum Attached {
    /// The kernel records.
    Recording {
        /// The collector.
        collector: rustix::process::Pid,
    },
    /// An earlier hook of this start has done it.
    Already,
    /// The configuration or an annotation says no.
    NotWanted,
    /// The container cannot be traced; its report will say so.
    Failed {
        /// Why.
        reason: CollectError,
        /// What is to happen to the container.
        on_error: OnError,
    },
}

/// Handles a hook that runs before a container's first instruction.
///
/// Never fails as such: what goes wrong comes back with what is to become of the
/// container.
pub fn attach(
    settings: &Settings,
    config: Option<&Path>,
    stage: Stage,
    state: &State,
    kept: &Kept,
) -> Attached {
    let begun = clock::boot_ns();
    let bundle = Bundle::read(&state.bundle);
    let unread = Bundle::default();
    let known = bundle.as_ref().unwrap_or(&unread);
    let on_error = on_error(settings, known);
    if !is_wanted(settings, known) {
        return Attached::NotWanted;
    }
    let scope = || {
        bundle.as_ref().map_err(ToString::to_string)?;
        let pid = state.require_pid().map_err(|error| error.to_string())?;
        Scope::of_container(pid).map_err(|error| error.to_string())
    };
    let (scope, namespace) = match scope() {
        Ok((scope, namespace)) => (Ok(scope), namespace),
        Err(reason) => (Err(reason), None),
    };
    let target = Target {
        scope,
        pid: state.pid.unwrap_or(0),
        annotations: known.annotations().clone(),
        identity: Identity::of(&state.id, &state.bundle, known, settings.honour.job),
        bundle: Some(state.bundle.as_os_str().as_bytes().into()),
        id: state.id.clone(),
        stage,
        begun,
    };
    kept.step(Privileges::Record);
    let probes = ProbeSet::open_to_register(&settings.bpffs).ok().flatten();
    // Who could open it is root, and may register: that is not asked, at each start.
    if probes.is_none() && !host::in_initial_user_namespace() {
        return Attached::Failed { reason: CollectError::Rootless, on_error };
    }
    let recorded = record(settings, &target, probes, Some(kept));
    kept.step(Privileges::Read);
    match recorded {
        Ok(None) => return Attached::Already,
        Ok(Some(_recording)) => {}
        Err(reason) => return Attached::Failed { reason, on_error },
    }
    match spawn_collector(config, &target.id, namespace) {
        Ok(collector) => Attached::Recording { collector },
        // The kernel records all the same: poststop will drain the ring.
        Err(reason) => Attached::Failed { reason, on_error: OnError::Allow },
    }
}

/// A recording that has begun. Nobody collects it while this is there: a sweep that
/// comes by would find no scope, and end what has only begun.
pub(super) struct Recording {
    attachment: Attachment,
    held: Held,
}

/// Makes the container's directories and registers its scope; what lies in that of its log
/// and report is for who collects, beside the container's start. `None` when an earlier
/// hook of the same start has done so. Without `probes` they are loaded, where nobody has yet;
/// of what is `kept`, that raises more.
pub(super) fn record(
    settings: &Settings,
    target: &Target,
    probes: Option<ProbeSet>,
    kept: Option<&Kept>,
) -> Result<Option<Recording>, CollectError> {
    let held = loop {
        let Some(run) = claim(settings, target)? else { return Ok(None) };
        if let Some(held) = Held::wait(run, &target.id)? {
            break held;
        }
    };
    let (name, number) = report_directory(settings, &target.id)?;
    let mut attachment = attachment(settings, target, name, number);
    // Before the scope is registered, so that a scope always has somebody to ask.
    attachment.write(&held.run)?;
    let registered = match &target.scope {
        Ok(scope) => register(settings, scope, probes, kept),
        Err(reason) => Err(CollectError::Scope(reason.clone())),
    };
    if let Err(reason) = registered {
        // Its report will say why.
        attachment.failure = Some(reason.to_string());
        attachment.replace(&held.run)?;
        return Err(reason);
    }
    Ok(Some(Recording { attachment, held }))
}

impl Recording {
    /// Notes the first process of a container that was started after its scope was
    /// registered.
    pub(super) fn set_first_process(&mut self, pid: u32) -> Result<(), CollectError> {
        self.attachment.attached.pid = pid;
        self.attachment.replace(&self.held.run)
    }
}

fn register(
    settings: &Settings,
    scope: &Scope,
    probes: Option<ProbeSet>,
    kept: Option<&Kept>,
) -> Result<(), CollectError> {
    let setup = Setup {
        bpffs: &settings.bpffs,
        names: &|| evidence::names(&Detector::builtin()),
        ring_bytes: settings.ring_bytes,
    };
    let key = ScopeKey {
        cgroup: scope.id,
        depth: scope.depth,
        pid_namespace: scope.pid_namespace,
        owner: super::owner(settings),
    };
    let load = || {
        if let Some(kept) = kept {
            kept.step(Privileges::Load);
        }
        ProbeSet::open_or_load(&setup)
    };
    let mut probes = probes.map_or_else(load, Ok)?;
    let registered = match probes.register(&key, settings.ring_bytes) {
        // Once more, with one that is loaded anew.
        Err(TraceError::Unloaded) => load()?.register(&key, settings.ring_bytes),
        registered => registered,
    };
    // What it maps goes with this process: of a hook, at once and with all else.
    std::mem::forget(probes);
    Ok(registered.map(drop)?)
}

/// Makes the run directory of a container that is starting; `None` when an earlier hook
/// of the same start has made it. What an earlier start has left is ended first.
fn claim(settings: &Settings, target: &Target) -> Result<Option<Directory>, CollectError> {
    let id = target.id.as_str();
    let create = || Directory::create(&settings.run_dir, id, settings.group.as_deref());
    if let Some(run) = create()? {
        return Ok(Some(run));
    }
    let earlier = Directory::open(&settings.run_dir.join(id))?
        .map(|run| Attachment::read(&run))
        .transpose()?
        .flatten();
    let same = earlier.is_some_and(|earlier| {
        let scope = target.scope.as_ref().ok();
        earlier.attached.pid == target.pid
            && scope.is_none_or(|scope| scope.id == earlier.attached.container.cgroup_id)
    });
    if same {
        return Ok(None);
    }
    let ended = end(settings, &target.id);
    if let Err(error) = &ended {
        warn(&format_args!("an earlier run of {id}: {error}"));
    }
    create()?.map(Some).ok_or_else(|| CollectError::Collector {
        id: id.to_owned(),
        reason: "its earlier run has not ended".to_owned(),
    })
}

/// A name for its report directory that nothing has: `<id>`, or `<id>.2` and so on; with the
/// number. The first is the container's alone while it has its run directory, unless it is what
/// a later run of another would be called: who collects makes that directory, and its start does not
/// wait for a disk. Any other is made at once.
fn report_directory(settings: &Settings, id: &ContainerId) -> Result<(String, u32), CollectError> {
    let parent = containers_directory(settings);
    let first = id.to_string();
    if split_run(&first).is_none() && Directory::could_create(&parent, &first) {
        return Ok((first, 1));
    }
    for number in 1..=u32::MAX {
        let name = if number == 1 { first.clone() } else { format!("{id}.{number}") };
        if Directory::create(&parent, &name, settings.group.as_deref())?.is_some() {
            return Ok((name, number));
        }
    }
    Err(CollectError::Malformed { path: parent, reason: format!("too many runs of {id}") })
}

fn attachment(settings: &Settings, target: &Target, directory: String, run: u32) -> Attachment {
    let scope = target.scope.as_ref().ok();
    let identity = &target.identity;
    Attachment {
        attached: annotation::Attached {
            tool: Producer::this(),
            container: Container {
                id: target.id.to_string(),
                run,
                name: identity.name.clone(),
                image: identity.image.clone(),
                engine: identity.engine.clone(),
                bundle: target.bundle.clone(),
                cgroup: scope
                    .map(|scope| scope.path.as_os_str().as_bytes().into())
                    .unwrap_or_default(),
                cgroup_id: scope.map_or(0, |scope| scope.id),
                annotations: target.annotations.clone(),
                // The collector reads it: secrets are to be taken out first.
                step: None,
            },
            job: identity.job.clone(),
            stage: target.stage.as_str().to_owned(),
            pid: target.pid,
            ring_bytes: settings.ring_bytes.into(),
            attach_ms: 0.0,
            boot_to_unix_ns: clock::boot_to_unix_ns(),
            // As above.
            boot_id: None,
        },
        begun: target.begun,
        directory,
        builder: build::process_of(identity.engine.as_deref()),
        failure: None,
        lost: None,
    }
}

fn on_error(settings: &Settings, bundle: &Bundle) -> OnError {
    let annotated =
        bundle.annotation(oci::annotation::ON_ERROR).filter(|_| settings.honour.on_error);
    match annotated {
        Some("allow") => OnError::Allow,
        Some("deny") => OnError::Deny,
        _ => settings.on_error,
    }
}

fn is_wanted(settings: &Settings, bundle: &Bundle) -> bool {
    if bundle.is_sandbox() && !settings.sandboxes {
        return false;
    }
    let annotated = bundle.annotation(oci::annotation::TRACE).filter(|_| settings.honour.trace);
    match (settings.when, annotated) {
        (When::Never, _) => false,
        (When::Always, Some("false")) => false,
        (When::Always, _) => true,
        (When::Annotated, annotated) => annotated == Some("true"),
    }
}
