//! What follows a report that is written: the report in other formats, its signature, and
//! the log's last line.

use super::{CollectError, directory::Directory, file, key::Key, warn};
use crate::{
    annotation::{self, FindingCounts, Finished, Log},
    chain,
    config::Settings,
    report::{
        Time,
        format::{self, Context, Format},
        in_toto::Subject,
        model::Report,
        signed,
    },
};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// A report that is written.
pub(super) struct Written<'a> {
    pub(super) report: &'a Report,
    /// As it was written.
    pub(super) json: &'a [u8],
    /// Its findings, those too that are not kept.
    pub(super) findings: FindingCounts,
}

impl<'a> Written<'a> {
    /// One that was found, with the findings that it keeps.
    pub(super) fn found(report: &'a Report, json: &'a [u8]) -> Written<'a> {
        let findings = report.findings.iter().map(|finding| finding.importance).collect();
        Written { report, json, findings }
    }

    /// Does what follows; `time` is the log's last line's.
    pub(super) fn conclude(
        &self,
        settings: &Settings,
        key: Option<&Key>,
        directory: &Directory,
        log: &mut Log,
        time: Time,
    ) -> Result<(), CollectError> {
        let Written { report, json, findings } = *self;
        let (formats, formats_failed) = write_formats(settings, key, directory, report, json);
        let finished = Finished {
            verdict: report.verdict,
            findings,
            report: Some(file::REPORT.to_owned()),
            reasons: report.completeness.shortcomings(),
            formats,
            formats_failed,
            job: report.job.clone(),
            other_jobs: report.other_jobs.clone(),
            sha256: digests(report, json),
        };
        log.finished(time, &finished).map_err(|error| {
            CollectError::io(&directory.path().join(file::ANNOTATIONS), "write", error)
        })
    }
}

/// Whether the log's last line says that the container ended.
pub(super) fn is_concluded(directory: &Directory) -> Result<bool, CollectError> {
    let Some(log) = directory.read(file::ANNOTATIONS)? else { return Ok(false) };
    annotation::is_finished(&log)
        .map_err(|error| CollectError::io(&directory.path().join(file::ANNOTATIONS), "read", error))
}

/// The digests that the log's last line notes: of the report as it was written, and of the
/// event file where it stays.
fn digests(report: &Report, written: &[u8]) -> BTreeMap<String, String> {
    let events = report.events.as_ref().map(|events| (events.file.clone(), events.sha256.clone()));
    let report = (file::REPORT.to_owned(), chain::sha256(written));
    events.into_iter().chain([report]).collect()
}

/// Writes the report in the configured formats: the names of the files, and what failed.
/// They can be made from it again at any time, so a failure costs nothing but that file,
/// and not even a mistake of ours in a renderer costs more.
fn write_formats(
    settings: &Settings,
    key: Option<&Key>,
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
    if let Some(key) = key {
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
fn signed(report: &Report, json: &[u8], key: &Key) -> Result<String, String> {
    let key = key.as_ref().map_err(String::clone)?;
    let subjects = digests(report, json).into_iter().map(|(name, digest)| Subject {
        name,
        algorithm: "sha256".to_owned(),
        digest,
    });
    let context = Context { subjects: subjects.collect(), ..Context::default() };
    let statement = format::render(report, Format::InToto, &context);
    let statement = statement.map_err(|error| error.to_string())?;
    signed::seal(&statement, key).map_err(|error| error.to_string())
}
