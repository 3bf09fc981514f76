//! From a pid to its scope, whether a scope has emptied, and cgroups of our own.
//!
//! cgroup v2 only: a cgroup's id is the inode number of its directory
//! (`cgroup_id()` in the kernel), whichever controllers v1 may have taken.

mod error;
mod own;
mod populated;

pub use error::CgroupError;
pub use own::{Fresh, collectors, move_to_own, remove_left};
pub use populated::Populated;

use crate::host;
use rustix::fs::fstat;
use std::{
    collections::HashSet,
    ffi::OsStr,
    fs::{self, File},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

/// A container's cgroup and pid namespace: what is traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The cgroup's directory.
    pub directory: PathBuf,
    /// The cgroup's path below the mount point of cgroup v2, with a leading `/`.
    pub path: PathBuf,
    /// The inode number of the directory.
    pub id: u64,
    /// How deep it lies: children of the root have depth 1.
    pub depth: u32,
    /// The inode number of the container's pid namespace, where it has one that is
    /// its own: `pid` is process 1 in it, and we are not in it.
    pub pid_namespace: Option<u32>,
}

impl Scope {
    /// The scope of the container whose first process is `pid`, at a moment when
    /// that is its only process; and its pid namespace, where that is its own. Its number is not
    /// given to another while it is held.
    ///
    /// # Errors
    /// When the process has no cgroup v2 of its own: tracing the root cgroup, the
    /// caller's, or one with other processes would trace more than the container.
    pub fn of_container(pid: u32) -> Result<(Scope, Option<File>), CgroupError> {
        let scope = Scope::at(cgroup_of(&pid.to_string())?)?;
        let others = processes(&scope.directory)?.into_iter().filter(|other| *other != pid);
        match others.count() {
            0 => {
                let Some((number, namespace)) = own_pid_namespace(pid)? else {
                    return Ok((scope, None));
                };
                Ok((Scope { pid_namespace: Some(number), ..scope }, Some(namespace)))
            }
            _ if scope.path == cgroup_of("self")? => {
                Err(CgroupError::Ours { pid, cgroup: scope.path })
            }
            others => Err(CgroupError::Shared { pid, cgroup: scope.path, others }),
        }
    }

    /// The scope of the cgroup at `path`, which begins with `/`.
    ///
    /// # Errors
    /// When it is the root, outside of this process's cgroup namespace, or gone.
    pub fn at(path: PathBuf) -> Result<Scope, CgroupError> {
        let names = path.components().skip(1);
        let depth = names.clone().count() as u32;
        if depth == 0 {
            return Err(CgroupError::Root);
        }
        if names.clone().any(|name| !matches!(name, std::path::Component::Normal(_))) {
            return Err(CgroupError::Namespace(path));
        }
        let directory = host::cgroup2_mount()?.join(path.strip_prefix("/").unwrap_or(&path));
        let id = fs::metadata(&directory).map_err(CgroupError::io(&directory))?.ino();
        Ok(Scope { directory, path, id, depth, pid_namespace: None })
    }

    /// How many processes are in the cgroup itself; 0 when it is gone.
    pub fn process_count(&self) -> usize {
        processes(&self.directory).map_or(0, |pids| pids.len())
    }
}

/// The ids of all cgroups of this host.
///
/// # Errors
/// When there is no cgroup v2.
pub fn ids() -> Result<HashSet<u64>, CgroupError> {
    // One that vanishes meanwhile has no id any more.
    let id = |directory: &PathBuf| fs::metadata(directory).ok().map(|metadata| metadata.ino());
    Ok(directories()?.iter().filter_map(id).collect())
}

/// The directories of all cgroups of this host, parents before their children.
fn directories() -> Result<Vec<PathBuf>, CgroupError> {
    let mut all = vec![host::cgroup2_mount()?];
    let mut next = 0;
    while let Some(directory) = all.get(next) {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let below: Vec<PathBuf> = below.map(|entry| entry.path()).collect();
        all.extend(below);
        next += 1;
    }
    Ok(all)
}

/// The cgroup v2 path of a process (`self` or a pid), as this process sees it.
fn cgroup_of(process: &str) -> Result<PathBuf, CgroupError> {
    let file = Path::new("/proc").join(process).join("cgroup");
    let text = read(&file)?;
    text.split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"0::"))
        .map(|path| PathBuf::from(OsStr::from_bytes(path)))
        .ok_or(CgroupError::NoV2 { file })
}

fn read(file: &Path) -> Result<Vec<u8>, CgroupError> {
    host::read_from_kernel(file).map_err(CgroupError::io(file))
}

/// The processes in a cgroup, by pid.
fn processes(directory: &Path) -> Result<Vec<u32>, CgroupError> {
    let file = directory.join("cgroup.procs");
    let text = read(&file)?;
    let lines = text.split(|byte| *byte == b'\n');
    Ok(lines.filter_map(|line| std::str::from_utf8(line).ok()?.parse().ok()).collect())
}

/// The pid namespace that `pid` is process 1 of, with its number, unless it is ours.
fn own_pid_namespace(pid: u32) -> Result<Option<(u32, File)>, CgroupError> {
    let process = Path::new("/proc").join(pid.to_string());
    let status = read(&process.join("status"))?;
    let numbers = status
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"NSpid:"))
        .unwrap_or_default();
    // A pid namespace that belongs to another container must not draw its
    // processes into this scope. The first number is the one in ours.
    if !is_first_below_us(numbers) {
        return Ok(None);
    }
    let file = process.join("ns/pid");
    let namespace = File::open(&file).map_err(CgroupError::io(&file))?;
    let number = fstat(&namespace).map_err(|error| CgroupError::io(&file)(error.into()))?.st_ino;
    Ok(number.try_into().ok().map(|number| (number, namespace)))
}

/// Whether the numbers of a process, `\t` before each, are those of one that is process 1 of a
/// pid namespace below ours.
fn is_first_below_us(numbers: &[u8]) -> bool {
    let mut numbers = numbers.split(|byte| *byte == b'\t').skip(1);
    numbers.next().is_some() && numbers.last() == Some(b"1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_process_of_a_pid_namespace_below_ours_has_two_numbers_at_least() {
        for (numbers, want) in [
            ("\t4242\t1", true),
            ("\t4242\t77\t1", true),
            ("\t4242\t11", false),
            ("\t4242\t1\t7", false),
            // Ours, or an ancestor of it.
            ("\t4242", false),
            ("\t1", false),
            ("", false),
        ] {
            assert_eq!(is_first_below_us(numbers.as_bytes()), want, "{numbers:?}");
        }
    }
}
