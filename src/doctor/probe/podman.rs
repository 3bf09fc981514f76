//! A container through podman, as it is configured.

use super::engine::{SHORT, Workshop, program, run};
use super::records::Records;
use super::{Failure, PROGRAM, Probe, RUN_LIMIT, judge};
use crate::host::{HookFile, find_program, mounts, output};
use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// How long podman's monitor may stay after its container.
const LINGER: Duration = Duration::from_secs(5);

const PAUSE: Duration = Duration::from_millis(10);

impl Probe<'_> {
    /// `None` without podman.
    pub(super) fn podman(&self) -> Option<Result<String, Failure>> {
        let podman = find_program("podman")?;
        let files = self.facts.hooks.iter().flat_map(|dir| dir.files.iter().flatten().flatten());
        if !files.into_iter().any(|file| matches!(file, HookFile::Ours(_))) {
            let advice = "run `buildwarden install --engine podman`";
            return Some(Err(Failure::NotRun("no hook of Buildwarden's".to_owned(), advice)));
        }
        let probe = || {
            let workshop = Workshop::new()?;
            let rootfs = workshop.rootfs()?;
            let records = Records::new(self.settings);
            let volume = format!(
                "{}:{PROGRAM}:ro",
                super::bundle::utf8(&program()?).map_err(Failure::Bundle)?
            );
            let mut command = Command::new(&podman);
            command.args(["run", "--rm", "--name", workshop.name(), "--cidfile"]);
            command.arg(workshop.path("cid")).args(["--network", "none", "--log-driver", "none"]);
            // Nothing there has a label that a container may read.
            command.args(["--security-opt", "label=disable", "--volume", &volume]);
            // podman's own parent cgroup would stay; one of systemd's goes by itself.
            let mut info = Command::new(&podman);
            let info = info.args(["info", "--format", "{{.Host.CgroupManager}}"]);
            let manager = run(&podman, info, SHORT)?.stdout;
            if manager.trim_ascii() == b"cgroupfs" {
                command.args(["--cgroup-parent", &format!("/{}", workshop.name())]);
            }
            command.args(["--annotation", "dev.buildwarden.trace=true"]);
            // So that podman tells why the hook failed.
            command.args(["--annotation", "dev.buildwarden.on-error=deny"]);
            command.arg("--rootfs").arg(&rootfs).args([PROGRAM, "--version"]);
            let ran = run(&podman, &mut command, RUN_LIMIT);
            let judged = ran.and_then(|_| {
                let report = records.wait(&workshop.id("cid")?);
                judge(&report.map_err(|error| error.untraced("podman"))?, false)
            });
            // It is gone, unless something failed on the way; then there is nothing to tell.
            let mut remove = Command::new(&podman);
            let _ = output(remove.args(["rm", "--force", "--ignore", workshop.name()]), SHORT);
            let removed = workshop.id("cid").map_or(Ok(()), |id| records.remove(id));
            remove_cgroups(workshop.name());
            let found = judged?;
            removed.map(|()| found)
        };
        Some(probe())
    }
}

/// Removes a cgroup and its children from every hierarchy. podman's monitor, which is in
/// one, may be on its way out.
fn remove_cgroups(name: &str) {
    let deadline = Instant::now() + LINGER;
    let mounts = mounts().unwrap_or_default();
    let cgroups = mounts.iter().filter(|mount| mount.file_system.starts_with("cgroup"));
    for cgroup in cgroups.map(|mount| mount.point.join(name)) {
        while remove_cgroup(&cgroup).is_err_and(|error| error.kind() == ErrorKind::ResourceBusy)
            && Instant::now() < deadline
        {
            std::thread::sleep(PAUSE);
        }
    }
}

fn remove_cgroup(cgroup: &Path) -> io::Result<()> {
    for entry in fs::read_dir(cgroup)?.flatten() {
        if entry.file_type()?.is_dir() {
            fs::remove_dir(entry.path())?;
        }
    }
    fs::remove_dir(cgroup)
}
