//! Runs of which only the report directory is left: a reboot takes the run directory, the
//! collector and the ring away at once, and nobody has written down the end.

use super::{
    CollectError,
    attachment::{Attachment, Lost},
    clock,
    conclusion::{Written, is_concluded},
    containers_directory,
    directory::Directory,
    end, file, key,
    session::Session,
};
use crate::{
    annotation::{self, Entry, Line, Log, Tail},
    config::Settings,
    execlog, host,
    oci::{ContainerId, could_be_a_run, split_run},
    report::{
        Time, json,
        model::{Container, Producer, Report},
    },
};
use rustix::fs::FileType;

/// What became of a run without an end.
pub(super) enum Adopted {
    /// Somebody sees to it, or has.
    NoOrphan,
    /// It has a report now.
    Reported,
    /// It had one, and its log ends as it should now.
    Closed,
    /// The kernel may still record it: it has a run directory again, and nobody in it.
    Revived(ContainerId),
}

/// The names of the report directories without a report, or whose log does not say that
/// it is written.
///
/// To be asked for before one looks for run directories: a hook makes the run
/// directory first, and it goes last.
pub(super) fn without_end(settings: &Settings, errors: &mut Vec<CollectError>) -> Vec<String> {
    names(settings, errors).unwrap_or_else(|error| {
        errors.push(error);
        Vec::new()
    })
}

/// One that cannot be looked at is told in `errors`, and hides no other.
fn names(settings: &Settings, errors: &mut Vec<CollectError>) -> Result<Vec<String>, CollectError> {
    let Some(containers) = Directory::open(&containers_directory(settings))? else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for entry in containers.entries()? {
        let Some(name) = entry.name.ok().filter(|name| could_be_a_run(name)) else { continue };
        if entry.kind != FileType::Directory {
            continue;
        }
        match has_end(&containers, &name) {
            Ok(true) => {}
            Ok(false) => names.push(name),
            Err(error) => errors.push(error),
        }
    }
    names.sort();
    Ok(names)
}

fn has_end(containers: &Directory, name: &str) -> Result<bool, CollectError> {
    // Removed meanwhile, it is no business of ours.
    let Some(directory) = containers.below(name)? else { return Ok(true) };
    Ok(has_report(&directory)? && is_concluded(&directory)?)
}

/// A report without content is what a crash of the machine leaves of one that was
/// just written.
pub(super) fn has_report(directory: &Directory) -> Result<bool, CollectError> {
    let Some(file) = directory.read(file::REPORT)? else { return Ok(false) };
    let metadata = file
        .metadata()
        .map_err(|error| CollectError::io(&directory.path().join(file::REPORT), "read", error))?;
    Ok(metadata.len() > 0)
}

/// Sees to the run in the report directory `name`, if nobody else does.
pub(super) fn adopt(settings: &Settings, name: &str) -> Result<Adopted, CollectError> {
    if is_claimed(settings, name)? {
        return Ok(Adopted::NoOrphan);
    }
    let containers = Directory::open(&containers_directory(settings))?;
    let directory = containers.map(|containers| containers.below(name)).transpose()?.flatten();
    let Some(directory) = directory else { return Ok(Adopted::NoOrphan) };
    // A collector whose run directory was removed under it ends as always. And only
    // now: whoever let go of the run directory or of this has written the report before.
    if !directory.try_lock()? {
        return Ok(Adopted::NoOrphan);
    }
    let written = directory.content(file::REPORT)?;
    let report = written.and_then(|bytes| json::parse(&bytes).ok().map(|report| (report, bytes)));
    match report {
        Some(_) if is_concluded(&directory)? => return Ok(Adopted::NoOrphan),
        Some((report, bytes)) => {
            return close(settings, &directory, &report, &bytes).map(|()| Adopted::Closed);
        }
        None => {}
    }
    let (id, mut attachment) = rebuild(&directory, name)?;
    if attachment.lost.is_none() {
        // Claimed as by a hook: for one of the same id, this is an earlier run.
        if let Some(run) =
            Directory::create(&settings.run_dir, id.as_str(), settings.group.as_deref())?
        {
            attachment.write(&run)?;
            return Ok(Adopted::Revived(id));
        }
        if is_claimed(settings, name)? {
            return Ok(Adopted::NoOrphan);
        }
        attachment.lost = lost(&directory, "its state was lost, and its id runs again")?.into();
    }
    // What cannot be read was just being written.
    directory.remove(file::REPORT)?;
    end::write_up(settings, Session::open(settings, attachment)?, None, true)?;
    Ok(Adopted::Reported)
}

/// Does what follows a report that is there.
fn close(
    settings: &Settings,
    directory: &Directory,
    report: &Report,
    json: &[u8],
) -> Result<(), CollectError> {
    let file = directory.append(file::ANNOTATIONS)?;
    let mut log = Log::new(file, &report.container.id).map_err(|error| {
        CollectError::io(&directory.path().join(file::ANNOTATIONS), "read", error)
    })?;
    let now = Time::from_boot(clock::boot_ns(), clock::boot_to_unix_ns());
    Written::found(report, json).conclude(
        settings,
        key::configured(settings).as_ref(),
        directory,
        &mut log,
        now,
    )
}

/// Whether a run directory speaks for the report directory `name`.
pub(super) fn is_claimed(settings: &Settings, name: &str) -> Result<bool, CollectError> {
    let ids = [Some(name), split_run(name).map(|(id, _)| id)];
    for id in ids.into_iter().flatten() {
        let Some(run) = Directory::open(&settings.run_dir.join(id))? else { continue };
        match Attachment::read(&run) {
            Ok(Some(attachment)) if attachment.directory != name => {}
            // Which run it is of is not written down yet, or cannot be read.
            _ => return Ok(true),
        }
    }
    Ok(false)
}

/// What the hook wrote into the run directory, as far as log and event file tell.
fn rebuild(directory: &Directory, name: &str) -> Result<(ContainerId, Attachment), CollectError> {
    let begun = attached(directory)?.and_then(|attached| {
        Some((named(&attached.container.id, attached.container.run, name)?, attached))
    });
    let (id, attached, reason) = match begun {
        Some((id, attached)) => {
            let reason = match (&attached.boot_id, &host::boot_id()) {
                (Some(then), Some(now)) if then == now => None,
                (Some(_), Some(_)) => Some("the machine was restarted before its end was recorded"),
                _ => Some("its state was lost before its end was recorded"),
            };
            (id, attached, reason)
        }
        None => {
            let (id, attached) = unknown(directory, name)?;
            (id, attached, Some("it was lost before its beginning was written down"))
        }
    };
    let lost = reason.map(|reason| lost(directory, reason)).transpose()?;
    let attachment = Attachment {
        attached,
        begun: 0,
        directory: name.to_owned(),
        builder: None,
        failure: None,
        lost,
    };
    Ok((id, attachment))
}

/// What the log's first line says.
fn attached(directory: &Directory) -> Result<Option<annotation::Attached>, CollectError> {
    let Some(log) = directory.read(file::ANNOTATIONS)? else { return Ok(None) };
    let mut lines = Tail::new(log);
    let first = lines.next_line().ok().flatten();
    Ok(first.and_then(|line| match Line::parse(line).ok()?.entry().ok()? {
        Entry::Attached(attached) => Some(*attached),
        _ => None,
    }))
}

/// A run of which nothing but the event file's head, or only the name, is known.
fn unknown(
    directory: &Directory,
    name: &str,
) -> Result<(ContainerId, annotation::Attached), CollectError> {
    let header = match directory.read(file::EXECS)? {
        Some(events) => Tail::new(events)
            .next_line()
            .ok()
            .flatten()
            .and_then(|line| execlog::Header::parse(line).ok()),
        None => None,
    };
    let recorded = header.as_ref().and_then(|header| {
        Some((named(&header.container, header.run, name)?, header.run, header.boot_to_unix_ns))
    });
    let (id, run, boot_to_unix_ns) = match (recorded, split_run(name)) {
        (Some(recorded), _) => recorded,
        // `a.2` alone may as well be the first run of a container called so.
        (None, None) => (ContainerId::new(name)?, 1, clock::boot_to_unix_ns()),
        (None, Some((id, run))) => match ContainerId::new(name) {
            Ok(id) => (id, 1, clock::boot_to_unix_ns()),
            Err(_) => (ContainerId::new(id)?, run, clock::boot_to_unix_ns()),
        },
    };
    let container = Container { id: id.to_string(), run, ..Container::default() };
    let attached = annotation::Attached {
        tool: Producer::this(),
        container,
        job: None,
        stage: String::new(),
        pid: 0,
        ring_bytes: 0,
        attach_ms: 0.0,
        boot_to_unix_ns,
        boot_id: None,
    };
    Ok((id, attached))
}

/// The id, if this run of it is what the directory is called after.
fn named(id: &str, run: u32, name: &str) -> Option<ContainerId> {
    let is_it = if run == 1 { name == id } else { split_run(name) == Some((id, run)) };
    ContainerId::new(id).ok().filter(|_| is_it)
}

fn lost(directory: &Directory, reason: &str) -> Result<Lost, CollectError> {
    let entries = directory.entries()?;
    let ours = entries
        .iter()
        .filter(|entry| entry.name.as_ref().is_ok_and(|name| file::ALL.contains(&name.as_str())));
    let last = ours.map(|entry| entry.modified).max();
    let now = || Time::from_boot(clock::boot_ns(), clock::boot_to_unix_ns());
    Ok(Lost { reason: reason.to_owned(), last: last.unwrap_or_else(now) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn one_that_cannot_be_read_hides_no_other() {
        let root = tempfile::tempdir().unwrap();
        let settings = Settings { state_dir: root.path().to_owned(), ..Settings::default() };
        let containers = containers_directory(&settings);
        for name in ["a", "linked", "z"] {
            fs::create_dir_all(containers.join(name)).unwrap();
        }
        symlink("/dev/null", containers.join("linked").join(file::REPORT)).unwrap();
        fs::write(containers.join("removed"), "").unwrap();
        let mut errors = Vec::new();
        assert_eq!(without_end(&settings, &mut errors), ["a", "z"]);
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert!(matches!(&errors[..], [one] if one.contains("linked/report.json")), "{errors:?}");
        // As another sweep replaces it, after it was listed.
        let containers = Directory::open(&containers).unwrap().unwrap();
        assert!(has_end(&containers, "removed").unwrap());
    }
}
