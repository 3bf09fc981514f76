//! Which finished runs are kept, and how the others go: whole, the oldest first, and
//! without a moment in which half of one could be read.

use super::{
    CollectError, clock, containers_directory,
    directory::{Directory, Entry, staged},
    file, orphan,
};
use crate::{
    config::{Retention, Settings},
    escape,
    oci::{could_be_a_run, split_run},
    report::{Time, format::Format},
};
use rustix::fs::FileType;

/// What the name of a run's directory ends with while it is deleted. It begins with a
/// dot, which no run's does.
const ASIDE: &str = ".removed";
/// The content of the file that takes a removed run's name while the container has later
/// runs: a number is given only once.
const PLACEHOLDER: &[u8] = b"this run was removed: see [keep] in buildwarden.toml\n";
/// Files take whole blocks of the disk.
const BLOCK: u64 = 4096;

/// A finished run that is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The name of its directory.
    pub name: String,
    /// When its report was written.
    pub finished: Time,
    /// The disk that it takes, bytes.
    pub bytes: u64,
}

/// Finished runs that are not to be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surplus {
    /// Those that go.
    pub expired: Vec<Expired>,
    /// Those that stay because something else is in their directory, with its name.
    pub held: Vec<(String, String)>,
}

/// A run's directory.
struct Found {
    name: String,
    /// When its report was written; none while there is no report.
    finished: Option<Time>,
    bytes: u64,
    /// Something in it that is not ours.
    foreign: Option<String>,
}

/// What would be removed now. A run that cannot be looked at is told in `errors`, and stays.
///
/// # Errors
/// When the directory of the runs cannot be read.
pub fn surplus(
    settings: &Settings,
    errors: &mut Vec<CollectError>,
) -> Result<Surplus, CollectError> {
    let Some(containers) = Directory::open(&containers_directory(settings))? else {
        return Ok(Surplus::default());
    };
    if settings.keep == Retention::default() {
        return Ok(Surplus::default());
    }
    let now = Time::from_boot(clock::boot_ns(), clock::boot_to_unix_ns());
    Ok(choose(find(settings, &containers, errors)?, settings.keep, now))
}

/// Removes what is surplus. What could not be removed is told in `errors`.
pub(super) fn remove(
    settings: &Settings,
    errors: &mut Vec<CollectError>,
) -> Result<Surplus, CollectError> {
    let Some(containers) = Directory::open(&containers_directory(settings))? else {
        return Ok(Surplus::default());
    };
    // Another sweep is at it.
    if !containers.try_lock()? {
        return Ok(Surplus::default());
    }
    tidy(&containers, errors)?;
    let mut surplus = surplus(settings, errors)?;
    surplus.expired.retain(|run| match remove_run(settings, &containers, &run.name) {
        Ok(removed) => removed,
        Err(error) => {
            errors.push(error);
            false
        }
    });
    if !surplus.expired.is_empty() {
        tidy(&containers, errors)?;
    }
    Ok(surplus)
}

/// The oldest first: what is too old, and what does not fit.
fn choose(mut runs: Vec<Found>, keep: Retention, now: Time) -> Surplus {
    let mut surplus = Surplus::default();
    let mut total: u64 = runs.iter().map(|run| run.bytes).sum();
    runs.sort_by(|a, b| (a.finished, &a.name).cmp(&(b.finished, &b.name)));
    for run in runs {
        let Some(finished) = run.finished else { continue };
        let age = u128::from(now.ns_since(finished));
        let too_old = keep.age.is_some_and(|most| age > most.as_nanos());
        let too_much = keep.size.is_some_and(|most| total > most);
        if !too_old && !too_much {
            continue;
        }
        match run.foreign {
            Some(foreign) => surplus.held.push((run.name, foreign)),
            None => {
                total -= run.bytes;
                surplus.expired.push(Expired { name: run.name, finished, bytes: run.bytes });
            }
        }
    }
    surplus
}

fn find(
    settings: &Settings,
    containers: &Directory,
    errors: &mut Vec<CollectError>,
) -> Result<Vec<Found>, CollectError> {
    let mut found = Vec::new();
    for entry in containers.entries()? {
        let Some(name) = run_name(&entry, FileType::Directory) else { continue };
        let directory = containers.below(name).transpose();
        match directory.map(|directory| look(settings, name, &directory?)) {
            Some(Ok(run)) => found.push(run),
            Some(Err(error)) => errors.push(error),
            None => {}
        }
    }
    Ok(found)
}

fn look(settings: &Settings, name: &str, directory: &Directory) -> Result<Found, CollectError> {
    let entries = directory.entries()?;
    let is = |entry: &&Entry, name: &str| entry.name.as_deref() == Ok(name);
    let report = entries.iter().find(|entry| is(entry, file::REPORT) && entry.len > 0);
    let finished = match report {
        Some(report) if !orphan::is_claimed(settings, name)? => Some(report.modified),
        _ => None,
    };
    let foreign = entries.iter().find(|entry| !is_ours(entry)).map(|entry| match &entry.name {
        Ok(name) => name.clone(),
        Err(bytes) => escape::visible(bytes).to_string(),
    });
    let bytes = entries.iter().map(|entry| entry.len.next_multiple_of(BLOCK)).sum();
    Ok(Found { name: name.to_owned(), finished, bytes, foreign })
}

fn is_ours(entry: &Entry) -> bool {
    let is_format =
        |name: &str| Format::ALL.into_iter().any(|format| format.file_name() == Some(name));
    let named = |name: &String| {
        let name = staged(name).unwrap_or(name);
        file::ALL.contains(&name) || is_format(name)
    };
    entry.kind == FileType::RegularFile && entry.name.as_ref().is_ok_and(named)
}

/// Removes one run; `false` when somebody is at work in it, or it is gone.
fn remove_run(
    settings: &Settings,
    containers: &Directory,
    name: &str,
) -> Result<bool, CollectError> {
    let Some(directory) = containers.below(name)? else { return Ok(false) };
    if !directory.try_lock()? || look(settings, name, &directory)?.finished.is_none() {
        return Ok(false);
    }
    // From one moment to the next it is no run any more, and yet its number is not free.
    let aside = format!(".{name}{ASIDE}");
    if !containers.put_new(&aside, PLACEHOLDER)? {
        // In the run's place it would pass for the run.
        return Err(CollectError::Malformed {
            path: containers.path().join(&aside),
            reason: format!(
                "an earlier sweep could not remove it: move it away, so that {name} can go"
            ),
        });
    }
    containers.exchange(&aside, name).inspect_err(|_| {
        let _ = containers.remove(&aside);
    })?;
    delete(containers, &aside)?;
    Ok(true)
}

/// Deletes a directory that was moved aside. What is not ours in it stays, and so does it.
fn delete(containers: &Directory, aside: &str) -> Result<(), CollectError> {
    let Some(directory) = containers.below(aside)? else { return Ok(()) };
    for entry in directory.entries()?.iter().filter(|entry| is_ours(entry)) {
        if let Ok(name) = &entry.name {
            directory.remove(name)?;
        }
    }
    containers.remove_directory(aside)
}

/// Deletes what a killed sweep has moved aside, and placeholders that nobody needs.
fn tidy(containers: &Directory, errors: &mut Vec<CollectError>) -> Result<(), CollectError> {
    let entries = containers.entries()?;
    let runs: Vec<_> =
        entries.iter().filter_map(|entry| run_name(entry, FileType::Directory)).collect();
    for entry in &entries {
        let Ok(name) = &entry.name else { continue };
        // It may be a placeholder that was not written to its end.
        let aside = staged(name).unwrap_or(name);
        let tidied = if aside.starts_with('.') && aside.ends_with(ASIDE) {
            match entry.kind {
                FileType::Directory => delete(containers, name),
                _ => containers.remove(name),
            }
        } else if run_name(entry, FileType::RegularFile).is_some()
            && !runs.iter().any(|run| is_later(run, name))
        {
            remove_placeholder(containers, name)
        } else {
            Ok(())
        };
        errors.extend(tidied.err());
    }
    Ok(())
}

fn remove_placeholder(containers: &Directory, name: &str) -> Result<(), CollectError> {
    match containers.content(name)? {
        Some(content) if content == PLACEHOLDER => containers.remove(name),
        _ => Ok(()),
    }
}

/// Whether `run` is a later run than `name` of what may be the same container: `a.2` is
/// the second run of `a`, or the first of `a.2`.
fn is_later(run: &str, name: &str) -> bool {
    let Some((id, number)) = split_run(run) else { return false };
    let as_second = split_run(name).is_some_and(|(of, earlier)| of == id && earlier < number);
    id == name || as_second
}

/// The entry's name, if it is of this kind and could be a run's.
fn run_name(entry: &Entry, kind: FileType) -> Option<&str> {
    let name = entry.name.as_deref().ok()?;
    (entry.kind == kind && could_be_a_run(name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const DAY: i128 = 86_400_000_000_000;

    #[test]
    fn the_oldest_go_first_and_nothing_unfinished_goes() {
        // Name, age in days (none: not finished), bytes, something else in it.
        let runs = [
            ("new", Some(1), 10, false),
            ("old", Some(40), 20, false),
            ("older", Some(50), 30, false),
            ("noted", Some(60), 40, true),
            ("live", None, 50, false),
            ("tomorrow", Some(-1), 60, false),
        ];
        let check = |days: Option<u64>, size: Option<u64>, want: &[&str], held: &[&str]| {
            let now = Time::from_unix_ns(1000 * DAY);
            let found = runs.iter().map(|(name, age, bytes, foreign)| Found {
                name: (*name).to_owned(),
                finished: age.map(|days: i128| Time::from_unix_ns((1000 - days) * DAY)),
                bytes: *bytes,
                foreign: foreign.then(|| "note.txt".to_owned()),
            });
            let age = days.map(|days| Duration::from_secs(days * 86_400));
            let surplus = choose(found.collect(), Retention { age, size }, now);
            let names: Vec<_> = surplus.expired.iter().map(|run| run.name.as_str()).collect();
            assert_eq!(names, want, "{days:?} {size:?}");
            let names: Vec<_> = surplus.held.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, held, "{days:?} {size:?}");
        };
        check(None, None, &[], &[]);
        check(Some(60), None, &[], &[]);
        check(Some(59), None, &[], &["noted"]);
        check(Some(45), None, &["older"], &["noted"]);
        check(Some(30), None, &["older", "old"], &["noted"]);
        check(Some(0), None, &["older", "old", "new"], &["noted"]);
        check(None, Some(210), &[], &[]);
        check(None, Some(209), &["older"], &["noted"]);
        check(None, Some(180), &["older"], &["noted"]);
        check(None, Some(179), &["older", "old"], &["noted"]);
        check(None, Some(0), &["older", "old", "new", "tomorrow"], &["noted"]);
        check(Some(45), Some(160), &["older", "old"], &["noted"]);
    }

    #[test]
    fn a_later_run_is_known_by_its_name() {
        let check = |run, name, want| assert_eq!(is_later(run, name), want, "{run} {name}");
        check("a.2", "a", true);
        check("a.10", "a.9", true);
        check("a.9", "a.10", false);
        check("a.2", "a.2", false);
        check("a.2.2", "a.2", true);
        check("b.2", "a", false);
        check("a", "a.2", false);
        check("ab.2", "a", false);
    }

    /// A state directory with these files; a report's age in days.
    fn host(runs: &[(&str, Option<u64>, &[&str])]) -> (tempfile::TempDir, Settings) {
        let root = tempfile::tempdir().unwrap();
        let settings = Settings {
            state_dir: root.path().join("state"),
            run_dir: root.path().join("run"),
            keep: Retention { age: Some(Duration::from_secs(30 * 86_400)), size: None },
            ..Settings::default()
        };
        for (name, age, others) in runs {
            let path = containers_directory(&settings).join(name);
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join(file::ANNOTATIONS), "{}\n").unwrap();
            for other in *others {
                std::fs::write(path.join(other), "x").unwrap();
            }
            if let Some(days) = age {
                let report = std::fs::File::create(path.join(file::REPORT)).unwrap();
                report.set_len(1).unwrap();
                let time = std::time::SystemTime::now() - Duration::from_secs(days * 86_400);
                report.set_modified(time).unwrap();
            }
        }
        (root, settings)
    }

    fn left(settings: &Settings) -> Vec<String> {
        let entries = std::fs::read_dir(containers_directory(settings)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| {
                let entry = entry.unwrap();
                let end = if entry.file_type().unwrap().is_dir() { "/" } else { "" };
                format!("{}{end}", entry.file_name().to_str().unwrap())
            })
            .collect();
        names.sort();
        names
    }

    #[track_caller]
    fn sweep(settings: &Settings) -> Vec<String> {
        let mut errors = Vec::new();
        let surplus = remove(settings, &mut errors).unwrap();
        assert!(errors.is_empty(), "{errors:?}");
        surplus.expired.into_iter().map(|run| run.name).collect()
    }

    #[test]
    fn a_run_goes_whole_and_its_number_is_not_given_again() {
        let (root, settings) = host(&[
            (
                "a",
                Some(40),
                &[
                    file::EXECS,
                    file::BUILD_NEXT,
                    ".report.json.17.new",
                    ".build.next.18.new",
                    "report.md",
                    ".report.sarif.new",
                ],
            ),
            ("a.2", Some(35), &[]),
            ("a.3", Some(2), &[]),
            ("b", Some(40), &[]),
            ("noted", Some(40), &["case.txt"]),
            ("unfinished", None, &[]),
        ]);
        let outside = root.path().join("outside");
        std::fs::write(&outside, "stays").unwrap();
        let link = containers_directory(&settings).join("b").join(file::EXECS);
        std::os::unix::fs::symlink(&outside, link).unwrap();
        assert_eq!(sweep(&settings), ["a", "a.2"]);
        assert_eq!(left(&settings), ["a", "a.2", "a.3/", "b/", "noted/", "unfinished/"]);
        assert_eq!(sweep(&settings), [""; 0]);
        // No later run: the names are free again.
        std::fs::remove_dir_all(containers_directory(&settings).join("a.3")).unwrap();
        assert_eq!(sweep(&settings), [""; 0]);
        assert_eq!(left(&settings), ["b/", "noted/", "unfinished/"]);
        assert_eq!(std::fs::read(&outside).unwrap(), b"stays");
    }

    #[test]
    fn what_a_killed_sweep_has_left_goes_with_the_next() {
        let (_root, settings) = host(&[(".a.removed", Some(40), &[]), ("b", Some(1), &[])]);
        let containers = containers_directory(&settings);
        std::fs::write(containers.join(".c.removed"), PLACEHOLDER).unwrap();
        std::fs::write(containers.join("..c.removed.new"), "").unwrap();
        std::fs::write(containers.join("..c.removed.17.new"), "").unwrap();
        std::fs::write(containers.join("d"), PLACEHOLDER).unwrap();
        std::fs::write(containers.join("notes"), "mine").unwrap();
        assert_eq!(sweep(&settings), [""; 0]);
        assert_eq!(left(&settings), ["b/", "notes"]);
    }

    #[test]
    fn what_could_not_be_removed_takes_the_place_of_no_run() {
        let (_root, settings) = host(&[
            (".a.removed", Some(50), &["mine"]),
            ("a", Some(40), &[]),
            ("b", Some(40), &[]),
        ]);
        let mut errors = Vec::new();
        let surplus = remove(&settings, &mut errors).unwrap();
        assert_eq!(surplus.expired.len(), 1);
        assert_eq!(left(&settings), [".a.removed/", "a/"]);
        assert!(containers_directory(&settings).join("a").join(file::REPORT).exists());
        let told = errors.iter().any(|error| error.to_string().contains("move it away"));
        assert!(told, "{errors:?}");
    }

    #[test]
    fn a_run_that_cannot_be_looked_at_keeps_no_other() {
        let (_root, settings) = host(&[("a", Some(40), &[]), ("b", Some(40), &[])]);
        std::fs::create_dir_all(&settings.run_dir).unwrap();
        std::fs::write(settings.run_dir.join("a"), "no directory").unwrap();
        let mut errors = Vec::new();
        let surplus = remove(&settings, &mut errors).unwrap();
        assert_eq!(surplus.expired.len(), 1);
        assert_eq!(left(&settings), ["a/"]);
        assert_eq!(errors.len(), 1, "{errors:?}");
    }

    #[test]
    fn a_run_that_somebody_is_at_work_in_stays() {
        let (_root, settings) = host(&[("a", Some(40), &[]), ("b.2", Some(40), &[])]);
        // A hook of `b` that has not written down which run it is of.
        std::fs::create_dir_all(settings.run_dir.join("b")).unwrap();
        let a = Directory::open(&containers_directory(&settings).join("a")).unwrap().unwrap();
        assert!(a.try_lock().unwrap());
        assert_eq!(sweep(&settings), [""; 0]);
        drop(a);
        assert_eq!(sweep(&settings), ["a"]);
        std::fs::remove_dir(settings.run_dir.join("b")).unwrap();
        assert_eq!(sweep(&settings), ["b.2"]);
        assert_eq!(left(&settings), [""; 0]);
    }
}
