//! Where the cgroup v2 hierarchy is.

use super::error::HostError;
use super::mounts::mounts;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// `CGROUP2_SUPER_MAGIC` in linux/magic.h.
const CGROUP2_MAGIC: u64 = 0x6367_7270;

/// The mount point of the cgroup v2 hierarchy: `/sys/fs/cgroup` on a host with
/// v2 alone, `/sys/fs/cgroup/unified` on a hybrid one, else wherever
/// `/proc/self/mountinfo` says.
///
/// The two usual places are asked first: a hook needs this at every container
/// start, and mountinfo is long on a host with many containers. What was found stays for the process.
pub fn cgroup2_mount() -> Result<PathBuf, HostError> {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found.clone());
    }
    let found = find()?;
    Ok(FOUND.get_or_init(|| found).clone())
}

fn find() -> Result<PathBuf, HostError> {
    for usual in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
        if is_cgroup2(Path::new(usual)) {
            return Ok(PathBuf::from(usual));
        }
    }
    mounts()?
        .into_iter()
        .filter(|mount| mount.file_system == "cgroup2" && mount.root == Path::new("/"))
        .map(|mount| mount.point)
        // Another mount may lie on top of it.
        .find(|point| is_cgroup2(point))
        .ok_or(HostError::NoCgroup2)
}

fn is_cgroup2(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|file_system| file_system.f_type as u64 == CGROUP2_MAGIC)
}
