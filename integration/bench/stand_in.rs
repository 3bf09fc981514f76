//! A process in a cgroup and a pid namespace of its own, which the hooks take for a
//! container's first: they are measured without a runtime around them.

use super::machine::timed;
use crate::harness::{Dir, program, run, until};
use serde_json::json;
use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// What all stand-ins of a measurement share: compiled programs and a bundle.
pub(super) struct Stage<'a> {
    pub(super) dir: &'a Dir,
    /// A program that does nothing.
    pub(super) nothing: PathBuf,
    pub(super) exec_loop: PathBuf,
    hold: PathBuf,
}

impl<'a> Stage<'a> {
    pub(super) fn new(dir: &'a Dir) -> Stage<'a> {
        let bundle = dir.path("bundle");
        fs::create_dir(&bundle).unwrap();
        // As long as an engine's are.
        run(Command::new("runc").arg("spec").arg("--bundle").arg(bundle)).expect_code(0);
        let [nothing, exec_loop, hold] = ["nothing", "exec-loop", "hold"].map(program);
        Stage { dir, nothing, exec_loop, hold }
    }

    /// A stand-in that nobody watches.
    #[track_caller]
    pub(super) fn stand_in(&self, id: &str) -> StandIn<'_> {
        StandIn::new(self, id)
    }

    /// One that is watched, by a collector that has nothing more to prepare.
    #[track_caller]
    pub(super) fn watched(&self, id: &str) -> StandIn<'_> {
        let stand_in = self.stand_in(id);
        stand_in.watch();
        stand_in.settled();
        stand_in
    }

    /// Waits until the collectors of what was watched have ended: their rings go behind their
    /// reports.
    #[track_caller]
    pub(super) fn rest(&self) {
        until("collectors to end", || self.dir.processes().is_empty().then_some(()));
    }

    /// Takes the probe set away; nothing may be watched.
    #[track_caller]
    pub(super) fn unload(&self) {
        run(&mut self.dir.buildwarden(["gc", "--unload"])).expect_code(0);
    }
}

/// Goes with its measurement.
pub(super) struct StandIn<'a> {
    stage: &'a Stage<'a>,
    id: String,
    cgroup: PathBuf,
    state: PathBuf,
    holder: Child,
}

impl<'a> StandIn<'a> {
    #[track_caller]
    fn new(stage: &'a Stage<'a>, id: &str) -> StandIn<'a> {
        let root = buildwarden::host::cgroup2_mount().unwrap();
        let cgroup = root.join(format!("{}.{id}", stage.dir.name()));
        fs::create_dir(&cgroup).unwrap();
        let mut hold = Command::new(&stage.hold);
        hold.arg(cgroup.join("cgroup.procs")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = hold.spawn().unwrap();
        let mut pid = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        let pid: u32 = pid.trim_end().parse().unwrap();
        let state = stage.dir.path(format!("{id}.state"));
        let bundle = stage.dir.path("bundle");
        let text = json!({
            "ociVersion": "1.0.2", "id": id, "status": "creating", "pid": pid, "bundle": bundle,
        });
        fs::write(&state, text.to_string()).unwrap();
        StandIn { stage, id: id.to_owned(), cgroup, state, holder }
    }

    /// The file that a process enters its cgroup by.
    pub(super) fn procs(&self) -> PathBuf {
        self.cgroup.join("cgroup.procs")
    }

    /// Milliseconds from spawn to exit of the hook that starts to watch it.
    #[track_caller]
    pub(super) fn watch(&self) -> f64 {
        let took = self.hook(&mut self.ours("createRuntime"));
        let run = self.stage.dir.run().join(&self.id).join("attachment.json");
        assert!(run.exists(), "the hook did not attach to {}", self.id);
        took
    }

    /// The same of a program that does nothing.
    #[track_caller]
    pub(super) fn nothing(&self) -> f64 {
        self.hook(&mut Command::new(&self.stage.nothing))
    }

    /// Not in a directory of its own: for that the standard library would fork this process, and
    /// what that takes would be the hook's.
    fn ours(&self, stage: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_buildwarden"));
        command.args(["hook", stage]).env("BUILDWARDEN_CONFIG", self.stage.dir.config());
        command
    }

    fn hook(&self, command: &mut Command) -> f64 {
        timed(command.stdin(self.input()).stdout(Stdio::null()))
    }

    /// Its state, as a runtime gives it to a hook.
    pub(super) fn input(&self) -> Stdio {
        File::open(&self.state).unwrap().into()
    }

    /// Where its logs and its report are.
    pub(super) fn directory(&self) -> PathBuf {
        self.stage.dir.state().join("containers").join(&self.id)
    }

    /// Its collector.
    #[track_caller]
    pub(super) fn collector(&self) -> nix::unistd::Pid {
        self.stage.dir.collector(&self.id)
    }

    /// Waits until its event file holds some text.
    #[track_caller]
    pub(super) fn until_recorded(&self, text: &str) {
        self.stage.dir.until_recorded(&self.id, text);
    }

    /// Its collector, once the pool is full again and it does nothing but wait.
    #[track_caller]
    pub(super) fn settled(&self) -> nix::unistd::Pid {
        let collector = self.collector();
        until("a collector that is prepared", || {
            // It gives up its privileges when all is open; the filler's thread has its own.
            let status = fs::read_to_string(format!("/proc/{collector}/status")).ok()?;
            let is = |line: &str| status.lines().any(|other| other == line);
            (is("Threads:\t1") && is("CapEff:\t0000000000000000")).then_some(collector)
        })
    }

    /// A loop of so many execs in it; `1000+250` is at least a thousand, and for a quarter of a
    /// second.
    pub(super) fn exec_loop(&self, count: &str, program: &Path) -> Command {
        let mut command = Command::new(&self.stage.exec_loop);
        command.arg(count).arg(self.procs()).arg(program);
        command
    }

    /// Ends its first process.
    pub(super) fn die(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }

    /// Milliseconds from spawn to exit of the hook behind its end; there is a report then.
    #[track_caller]
    pub(super) fn poststop(&self) -> f64 {
        let took = self.hook(&mut self.ours("poststop"));
        assert!(self.directory().join("report.json").exists(), "{} has no report", self.id);
        took
    }

    /// Its end, as a runtime has it.
    #[track_caller]
    pub(super) fn end(mut self) {
        self.die();
        self.poststop();
    }
}

impl Drop for StandIn<'_> {
    fn drop(&mut self) {
        self.die();
        // Fails where something else went wrong, which has been said.
        let _ = fs::remove_dir(&self.cgroup);
    }
}
