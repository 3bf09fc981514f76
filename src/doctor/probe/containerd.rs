//! A container through containerd with the shim of its CRI. containerd keeps no report of
//! what a pod would be; a task is the part of it that matters.

use super::engine::{SHORT, Workshop, program, run};
use super::records::Records;
use super::{Failure, PROGRAM, Probe, RUN_LIMIT, judge};
use crate::host::{find_program, output};
use std::process::Command;

impl Probe<'_> {
    /// `None` without containerd, or where no runtime of it is ours.
    pub(super) fn containerd(&self) -> Option<Result<String, Failure>> {
        let containerd = self.facts.engines.containerd.as_ref()?;
        let mut runtimes = containerd.runtimes.values().flatten();
        let shim = &runtimes.find(|worker| worker.ours)?.program;
        let Some(ctr) = find_program("ctr") else {
            let advice = "install ctr to let Buildwarden prove that it works";
            return Some(Err(Failure::NotRun("ctr not found".to_owned(), advice)));
        };
        let probe = || {
            self.expect_always()?;
            let workshop = Workshop::new()?;
            let (rootfs, name) = (workshop.rootfs()?, workshop.name());
            let records = Records::new(self.settings);
            let ctr_in = || {
                let mut command = Command::new(&ctr);
                command.args(["--connect-timeout", "5s", "--namespace", name]);
                command
            };
            run(&ctr, ctr_in().arg("version"), SHORT)?;
            let source = program()?;
            let source = super::bundle::utf8(&source).map_err(Failure::Bundle)?;
            let mount = format!("type=bind,src={source},dst={PROGRAM},options=rbind:ro");
            let mut command = ctr_in();
            command.args(["run", "--rm", "--runc-binary"]).arg(shim);
            // Below its own it would leave a directory for each namespace.
            command.arg("--runc-root").arg(workshop.path("runc"));
            // At the top, because a runtime removes that one only and none above it.
            command.args(["--cgroup", &format!("/{name}"), "--mount", &mount, "--rootfs"]);
            let ran = run(&ctr, command.arg(&rootfs).args([name, PROGRAM, "--version"]), RUN_LIMIT);
            let judged = ran.and_then(|_| {
                let report = records.wait(name);
                judge(&report.map_err(|error| error.untraced("containerd"))?, false)
            });
            // The container is gone, unless something failed on the way; then there is
            // nothing to tell.
            for command in
                [&["tasks", "delete", "--force", name], &["containers", "delete", name][..]]
            {
                let _ = output(ctr_in().args(command), SHORT);
            }
            let gone = run(&ctr, ctr_in().args(["namespaces", "remove", name]), SHORT);
            let gone = gone.map(drop).map_err(|error| Failure::Leftover(error.to_string()));
            let removed = records.remove(name);
            let found = judged?;
            gone.and(removed).map(|()| found)
        };
        Some(probe())
    }
}
