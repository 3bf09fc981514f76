//! What `buildwarden gc` does: finish what nobody finished, release what nobody
//! holds.

use super::{
    CollectError,
    attachment::Attachment,
    collector::{End, spawn_collector},
    directory::Directory,
    end::take_over,
    lock::Lock,
    orphan::{self, Adopted},
    retention::{self, Surplus},
};
use crate::{
    cgroup,
    config::Settings,
    oci::ContainerId,
    trace::{self, ProbeSet},
};
use std::{fs::File, path::Path, time::Duration};

/// How long a hook may take to say what it has attached to. Engines do not wait so long.
const HOOK_MAX: Duration = Duration::from_secs(3600);

/// What was swept.
#[derive(Debug, Default)]
pub struct Swept {
    /// Containers that had ended without a report and have one now.
    pub finished: Vec<ContainerId>,
    /// Containers that run and had lost their collector: they have a new one.
    pub resumed: Vec<ContainerId>,
    /// Runs of which only the report directory was left, by its name: they have a
    /// report now.
    pub orphans: Vec<String>,
    /// Runs with a report whose log did not say so, by its name; it does now.
    pub closed: Vec<String>,
    /// Finished runs that were removed, or should have been.
    pub surplus: Surplus,
    /// Scopes that belonged to nobody.
    pub released: usize,
    /// Probe sets that were unloaded.
    pub unloaded: usize,
    /// What went wrong; the rest was swept all the same.
    pub errors: Vec<CollectError>,
}

/// Sweeps this host. With `unload`, probe sets that record nothing are unloaded;
/// the next container loads one again.
pub fn sweep(settings: &Settings, config: Option<&Path>, unload: bool) -> Swept {
    let mut swept = Swept::default();
    for id in live(settings) {
        if let Err(error) = sweep_container(settings, config, &id, &mut swept) {
            swept.errors.push(error);
        }
    }
    for name in orphan::without_end(settings, &mut swept.errors) {
        if let Err(error) = sweep_orphan(settings, config, &name, &mut swept) {
            swept.errors.push(error);
        }
    }
    if let Err(error) = release_stale(settings, &mut swept) {
        swept.errors.push(error);
    }
    if let Err(error) = cgroup::remove_left() {
        swept.errors.push(error.into());
    }
    match retention::remove(settings, &mut swept.errors) {
        Ok(surplus) => swept.surplus = surplus,
        Err(error) => swept.errors.push(error),
    }
    if unload {
        match trace::unload(&settings.bpffs, &|| cgroup::ids().ok()) {
            Ok(count) => swept.unloaded = count,
            Err(error) => swept.errors.push(error.into()),
        }
    }
    swept
}

/// The containers that have a run directory.
fn live(settings: &Settings) -> Vec<ContainerId> {
    let entries = std::fs::read_dir(&settings.run_dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| ContainerId::new(entry.file_name().to_str()?).ok()).collect()
}

fn sweep_container(
    settings: &Settings,
    config: Option<&Path>,
    id: &ContainerId,
    swept: &mut Swept,
) -> Result<(), CollectError> {
    // A collector is at work where the lock is held.
    let Lock::Held(held) = Lock::take(settings, id)? else { return Ok(()) };
    let attachment = match Attachment::read(&held.run) {
        // Whose it was is told by the log, to who looks for runs without an end.
        Err(CollectError::Malformed { .. }) => return take_over(settings, held).map(drop),
        attachment => attachment?,
    };
    let begun = attachment.is_some();
    let (runs, first) = match attachment {
        // `run` is about to start its command.
        Some(attachment) if attachment.attached.pid == 0 && attachment.failure.is_none() => {
            return Ok(());
        }
        Some(attachment) => (!End::watch(&attachment)?.has_come(), attachment.attached.pid),
        // A hook is at work, or was killed.
        None if held.run.age()? < HOOK_MAX => return Ok(()),
        None => (false, 0),
    };
    if runs {
        drop(held);
        let namespace = File::open(format!("/proc/{first}/ns/pid")).ok();
        spawn_collector(config, id, namespace)?;
        swept.resumed.push(id.clone());
    } else {
        take_over(settings, held)?;
        swept.finished.extend(begun.then(|| id.clone()));
    }
    Ok(())
}

/// Sees to a run that has no report and that may have no run directory either.
fn sweep_orphan(
    settings: &Settings,
    config: Option<&Path>,
    name: &str,
    swept: &mut Swept,
) -> Result<(), CollectError> {
    match orphan::adopt(settings, name)? {
        Adopted::NoOrphan => {}
        Adopted::Reported => swept.orphans.push(name.to_owned()),
        Adopted::Closed => swept.closed.push(name.to_owned()),
        Adopted::Revived(id) => sweep_container(settings, config, &id, swept)?,
    }
    Ok(())
}

/// Releases slots of ours whose cgroup is gone and that no live container names.
fn release_stale(settings: &Settings, swept: &mut Swept) -> Result<(), CollectError> {
    let Some(probes) = ProbeSet::open(&settings.bpffs)? else { return Ok(()) };
    // Slots first: a hook writes its attachment before it takes a slot.
    let mut slots: Vec<_> = probes.scopes_of(super::owner(settings)).collect();
    let mut used = cgroup::ids()?;
    used.extend(live(settings).iter().filter_map(|id| {
        let run = Directory::open(&settings.run_dir.join(id.as_str())).ok()??;
        Some(Attachment::read(&run).ok()??.attached.container.cgroup_id)
    }));
    slots.retain(|(_, cgroup)| !used.contains(cgroup));
    for (slot, cgroup) in slots {
        swept.released += usize::from(probes.release_if(&settings.bpffs, slot, cgroup)?);
    }
    probes.reclaim(&settings.bpffs)?;
    Ok(())
}
