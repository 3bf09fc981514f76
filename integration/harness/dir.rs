//! A directory that belongs to one test.

use super::{command::run, exec::Exec, release::youki, wait::until};
use buildwarden::report::model::Report;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::{
    ffi::OsStr,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};
use tempfile::TempDir;

/// A temporary directory with a configuration that keeps everything in it. Goes
/// with its test: collectors first, then mounts, then files.
pub(crate) struct Dir {
    temp: TempDir,
    name: String,
}

impl Dir {
    pub(crate) fn new() -> Dir {
        Dir::below(&std::env::temp_dir())
    }

    fn below(parent: &Path) -> Dir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("bw-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = Dir { temp: TempDir::with_prefix_in(&name, parent).unwrap(), name };
        dir.configure("");
        dir
    }

    /// With a bpffs of its own, for what would disturb other tests.
    pub(crate) fn with_bpffs() -> Dir {
        Dir::new().add_bpffs()
    }

    /// The same as it lies on a host, for measuring: what lives shortly in memory, as /run
    /// is, and logs and reports on the disk of /var/lib, where nobody else makes and removes
    /// files meanwhile: ext4 takes 0.3 ms to make one beside many that were just removed.
    pub(crate) fn like_a_host() -> Dir {
        let dir = Dir::below(Path::new("/var/lib")).add_bpffs();
        fs::create_dir(dir.run()).unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(dir.run())).expect_code(0);
        dir
    }

    fn add_bpffs(self) -> Dir {
        fs::create_dir(self.path("bpf")).unwrap();
        self.configure("");
        self
    }

    /// Puts lines before the configuration's tables.
    pub(crate) fn configure(&self, lines: &str) {
        let mut config =
            format!("{lines}\n[directories]\nrun = {:?}\nstate = {:?}\n", self.run(), self.state());
        let bpffs = self.path("bpf");
        if bpffs.exists() {
            config += &format!("bpffs = {bpffs:?}\n");
        }
        fs::write(self.config(), config).unwrap();
    }

    /// A name that no other test has, for what the whole machine shares.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.temp.path().join(relative)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("buildwarden.toml")
    }

    /// The configured directory of live containers.
    pub(crate) fn run(&self) -> PathBuf {
        self.path("run")
    }

    /// The configured directory of logs and reports.
    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// The BPF file system: its own, or the one that all tests share.
    pub(crate) fn bpffs(&self) -> PathBuf {
        let own = self.path("bpf");
        if own.exists() { own } else { "/sys/fs/bpf".into() }
    }

    /// `buildwarden ARG…` with this directory's configuration.
    pub(crate) fn buildwarden<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_buildwarden"));
        command.args(args).env("BUILDWARDEN_CONFIG", self.config()).current_dir(self.temp.path());
        command
    }

    /// This build's binary under another name; each name in a directory of its own, to
    /// go before PATH.
    pub(crate) fn shim(&self, name: &str) -> PathBuf {
        let shim = self.path("shims").join(name).join(name);
        if !shim.exists() {
            fs::create_dir_all(shim.parent().unwrap()).unwrap();
            symlink(env!("CARGO_BIN_EXE_buildwarden"), &shim).unwrap();
        }
        shim
    }

    /// Takes what an administrator sets up away from engines that run, or gives it back:
    /// the shims are the runtimes themselves then, and the hooks directory is empty.
    pub(crate) fn set_up(&self, with_us: bool) {
        for name in names(&self.path("shims")) {
            let shim = self.path("shims").join(&name).join(&name);
            let target = match with_us {
                true => env!("CARGO_BIN_EXE_buildwarden").into(),
                false => match name.trim_start_matches("buildwarden-") {
                    "youki" => youki().to_owned(),
                    name => in_path(name),
                },
            };
            let fresh = shim.with_extension("fresh");
            symlink(target, &fresh).unwrap();
            fs::rename(fresh, shim).unwrap();
        }
        let (from, to) = if with_us { ("off", "json") } else { ("json", "off") };
        for file in names(&self.path("hooks.d")) {
            let file = self.path("hooks.d").join(file);
            if file.extension().is_some_and(|extension| extension == from) {
                fs::rename(&file, file.with_extension(to)).unwrap();
            }
        }
    }

    /// Writes a hooks directory for podman with this package's hooks, this
    /// build's binary and this directory's configuration.
    pub(crate) fn hooks_d(&self, files: &[&str]) -> PathBuf {
        let dir = self.path("hooks.d");
        fs::create_dir_all(&dir).unwrap();
        for file in files {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks").join(file);
            let mut json: serde_json::Value =
                serde_json::from_slice(&fs::read(source).unwrap()).unwrap();
            json["hook"]["path"] = env!("CARGO_BIN_EXE_buildwarden").into();
            let env = json["hook"]["env"].as_array_mut().unwrap();
            env.push(format!("BUILDWARDEN_CONFIG={}", self.config().display()).into());
            fs::write(dir.join(file), json.to_string()).unwrap();
        }
        dir
    }

    /// The runs that have a directory of their own, finished or not.
    pub(crate) fn runs(&self) -> Vec<String> {
        names(&self.state().join("containers"))
    }

    /// What the configured run directory holds.
    pub(crate) fn live(&self) -> Vec<String> {
        names(&self.run())
    }

    /// The report of a run (`<id>`, `<id>.2`), once it is written. Whatever the test did
    /// to the container, it holds.
    #[track_caller]
    pub(crate) fn report(&self, id: &str) -> Report {
        let report = self.report_unverified(id);
        // The log's last line comes after it.
        let directory = self.state().join("containers").join(id);
        until(&format!("the end in the log of {id}"), || {
            let log = fs::read_to_string(directory.join("annotations.jsonl")).ok()?;
            log.contains("\"dev.buildwarden.finished\"").then_some(())
        });
        let path = directory.join("report.json");
        let path = path.to_str().unwrap();
        run(&mut self.buildwarden(["verify", path])).expect_code(0);
        report
    }

    /// The same, whether it holds or not.
    #[track_caller]
    pub(crate) fn report_unverified(&self, run: &str) -> Report {
        let path = self.state().join("containers").join(run).join("report.json");
        let json = until(&format!("report {}", path.display()), || fs::read(&path).ok());
        serde_json::from_slice(&json).unwrap_or_else(|error| {
            panic!("{}: {error}: {}", path.display(), String::from_utf8_lossy(&json))
        })
    }

    /// Every exec of a run, in order, once its report is written.
    #[track_caller]
    pub(crate) fn execs(&self, run: &str) -> Vec<Exec> {
        self.report(run);
        let path = self.state().join("containers").join(run).join("execs.jsonl");
        let lines = fs::read_to_string(&path).unwrap();
        lines.lines().filter_map(Exec::from_line).collect()
    }

    /// The pid of a live container's collector, once it runs.
    pub(crate) fn collector(&self, id: &str) -> Pid {
        let path = self.run().join(id).join("collector.pid");
        until(&format!("collector of {id}"), || {
            fs::read_to_string(&path).ok()?.trim().parse().ok().map(Pid::from_raw)
        })
    }

    /// Kills a container's collector without a trace, and waits until it is gone.
    #[track_caller]
    pub(crate) fn kill_collector(&self, id: &str) {
        let collector = self.collector(id);
        kill(collector, Signal::SIGKILL).unwrap();
        until("the collector's end", || kill(collector, None).is_err().then_some(()));
    }

    /// Does something while a container's collector is stopped.
    #[track_caller]
    pub(crate) fn while_stopped(&self, id: &str, act: impl FnOnce()) {
        let collector = self.collector(id);
        kill(collector, Signal::SIGSTOP).unwrap();
        act();
        kill(collector, Signal::SIGCONT).unwrap();
    }

    /// Waits until a container's event file holds some text.
    #[track_caller]
    pub(crate) fn until_recorded(&self, id: &str, text: &str) {
        let events = self.state().join("containers").join(id).join("execs.jsonl");
        until(&format!("{text} on record"), || {
            fs::read_to_string(&events).ok()?.contains(text).then_some(())
        });
    }

    /// The pid of a container's collector, if that runs and still is the one.
    pub(crate) fn live_collector(&self, id: &str) -> Option<Pid> {
        let pid = fs::read_to_string(self.run().join(id).join("collector.pid")).ok()?;
        let pid = Pid::from_raw(pid.trim().parse().ok()?);
        self.processes().contains(&pid).then_some(pid)
    }

    /// The processes that send findings of this directory's containers to outputs.
    pub(crate) fn exporters(&self) -> Vec<Pid> {
        self.processes_with(Some(b"export"))
    }

    /// All processes of Buildwarden that were started with this directory's configuration.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        self.processes_with(None)
    }

    /// Those whose command line has the configuration, and `next` right behind it.
    pub(crate) fn processes_with(&self, next: Option<&[u8]>) -> Vec<Pid> {
        let config = self.config();
        let ours = |entry: fs::DirEntry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let command = fs::read(entry.path().join("cmdline")).ok()?;
            let mut words = command.split(|byte| *byte == 0);
            let named = words.any(|word| word == config.as_os_str().as_encoded_bytes());
            (named && (next.is_none() || words.next() == next)).then(|| Pid::from_raw(pid))
        };
        fs::read_dir("/proc").unwrap().flatten().filter_map(ours).collect()
    }

    /// Waits until nothing of any container is live.
    #[track_caller]
    pub(crate) fn expect_nothing_live(&self) {
        until(&format!("{:?} in {}", self.live(), self.run().display()), || {
            let live = self.live();
            live.iter().all(|name| !self.run().join(name).is_dir()).then_some(())
        });
    }
}

/// The first program of this name in PATH.
pub(crate) fn in_path(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut files = std::env::split_paths(&path).map(|directory| directory.join(name));
    files.find(|file| file.is_file()).unwrap_or_else(|| panic!("{name} is not in PATH"))
}

fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

impl Drop for Dir {
    fn drop(&mut self) {
        for id in self.live() {
            let path = self.run().join(id).join("collector.pid");
            let Ok(pid) = fs::read_to_string(path) else { continue };
            let Ok(pid) = pid.trim().parse() else { continue };
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        for exporter in self.exporters() {
            let _ = kill(exporter, Signal::SIGKILL);
        }
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        for mount in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)) {
            if Path::new(mount).starts_with(self.temp.path()) {
                run(Command::new("umount").args(["--lazy", mount]));
            }
        }
        let result = fs::remove_dir_all(self.temp.path());
        if let Err(error) = result
            && error.kind() != io::ErrorKind::NotFound
            && !std::thread::panicking()
        {
            panic!("{}: {error}", self.temp.path().display());
        }
    }
}
