//! A run's directory, and the first lines of its log and event file. Who collects first makes them, and not
//! the hook: a container's start does not wait for files on a disk.

use super::{
    CollectError, attachment::Attachment, collector::PID, containers_directory,
    directory::Directory, file,
};
use crate::{annotation::Log, config::Settings, execlog};
use std::{
    fs::File,
    io::{self, Write as _},
};

/// Makes the directory of its log and report, unless there was a collector at work: that has
/// made it first, and said in the run directory only then that it is there.
pub(super) fn make_directory(
    settings: &Settings,
    run: &Directory,
    attachment: &Attachment,
) -> Result<(), CollectError> {
    if run.read(PID)?.is_none() {
        create_directory(settings, attachment)?;
    }
    Ok(())
}

/// The directory of its log and report; `None` when it is there already.
pub(super) fn create_directory(
    settings: &Settings,
    attachment: &Attachment,
) -> Result<Option<Directory>, CollectError> {
    let parent = containers_directory(settings);
    Directory::create(&parent, &attachment.directory, settings.group.as_deref())
}

/// Writes those that are not there. Of a run that has a report, or was lost, nothing begins any
/// more; one of which nothing was recorded has no first line in its log.
pub(super) fn begin(directory: &Directory, attachment: &Attachment) -> Result<(), CollectError> {
    if attachment.lost.is_some() || directory.read(file::REPORT)?.is_some() {
        return Ok(());
    }
    if_new(directory, file::EXECS, |mut events| {
        let attached = &attachment.attached;
        let (container, offset) = (&attached.container, attached.boot_to_unix_ns);
        let header = execlog::Header::new(&container.id, container.run, offset, attachment.begun);
        let mut line = Vec::new();
        execlog::push_header(&mut line, &header);
        events.write_all(&line)
    })?;
    if attachment.failure.is_some() {
        return Ok(());
    }
    if_new(directory, file::ANNOTATIONS, |log| {
        let attached = &attachment.attached;
        Log::begin(log, &attached.container.id).attached(attachment.began(), attached)
    })
}

/// Begins a file that is empty, or not there.
fn if_new(
    directory: &Directory,
    name: &str,
    begin: impl FnOnce(File) -> io::Result<()>,
) -> Result<(), CollectError> {
    let file = directory.append(name)?;
    let begun = file.metadata().and_then(|metadata| match metadata.len() {
        0 => begin(file),
        _ => Ok(()),
    });
    begun.map_err(|error| CollectError::io(&directory.path().join(name), "begin", error))
}
