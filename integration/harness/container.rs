//! A container in runc, from a bundle with a static busybox.

use super::{
    command::{Done, finish, run, spawn},
    dir::Dir,
    image,
    programs::program,
    wait::{DEADLINE, until},
};
use nix::{fcntl::OFlag, sys::stat::Mode, unistd::Pid};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::LazyLock,
};

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A bundle, and the container it becomes. Goes with its test, running or not.
pub(crate) struct Container<'a> {
    dir: &'a Dir,
    id: String,
    spec: Value,
    runtime: PathBuf,
}

impl<'a> Container<'a> {
    /// A bundle with both hooks whose root file system holds a busybox.
    ///
    /// `/sync` is shared with the host; see [`Running::ready`].
    pub(crate) fn new(dir: &'a Dir, id: &str) -> Container<'a> {
        let (id, spec) = (id.to_owned(), spec(dir, id));
        let container = Container { dir, id, spec, runtime: "runc".into() };
        image::populate(&container.rootfs());
        fs::create_dir(container.sync()).unwrap();
        nix::unistd::mkfifo(&container.sync().join("go"), Mode::S_IRWXU).unwrap();
        container.hooks(&["createRuntime", "poststop"])
    }

    /// Runs a shell script as its entrypoint.
    pub(crate) fn script(self, script: &str) -> Self {
        self.args(&["/bin/sh", "-c", script])
    }

    /// Runs a program as its entrypoint.
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.spec["process"]["args"] = json!(args);
        self
    }

    /// Registers Buildwarden's hooks of these stages, and no others.
    pub(crate) fn hooks(mut self, stages: &[&str]) -> Self {
        self.spec["hooks"] = json!({});
        for stage in stages {
            self.spec["hooks"][*stage] = json!([{
                "path": env!("CARGO_BIN_EXE_buildwarden"),
                "args": ["buildwarden", "hook", stage],
                "env": [PATH, format!("BUILDWARDEN_CONFIG={}", self.dir.config().display())],
            }]);
        }
        self
    }

    /// Runs the hook of this stage through a program, which gets it as its last arguments.
    pub(crate) fn through(mut self, stage: &str, program: &[&str]) -> Self {
        let hook = &mut self.spec["hooks"][stage][0];
        let args = hook["args"].as_array().unwrap();
        let words = program.iter().map(|word| json!(word));
        let words: Vec<Value> =
            words.chain([hook["path"].clone()]).chain(args[1..].iter().cloned()).collect();
        (hook["path"], hook["args"]) = (words[0].clone(), words.into());
        self
    }

    /// Keeps what the hook of this stage says: runc tells nobody.
    pub(crate) fn overheard(self, stage: &str) -> Self {
        let file = self.said().display().to_string();
        self.through(stage, &["/bin/sh", "-c", &format!("\"$@\" 2>>{file}"), "sh"])
    }

    /// Where that is kept.
    pub(crate) fn said(&self) -> PathBuf {
        self.bundle().join("said")
    }

    /// Takes another binary of ours for the hook of this stage.
    pub(crate) fn binary(mut self, stage: &str, binary: &Path) -> Self {
        self.spec["hooks"][stage][0]["path"] = json!(binary);
        self
    }

    /// Registers a program that is not Buildwarden as the hook of these stages, and no others.
    pub(crate) fn other_hooks(mut self, program: &Path, stages: &[&str]) -> Self {
        self.spec["hooks"] = json!({});
        for stage in stages {
            self.spec["hooks"][*stage] = json!([{ "path": program, "args": ["hook"], "env": [] }]);
        }
        self
    }

    /// Has the hook of this stage killed at its `call`th system call.
    pub(crate) fn kill_hook(self, stage: &str, call: usize) -> Self {
        static FAULT_AT: LazyLock<PathBuf> = LazyLock::new(|| program("fault-at"));
        let struck = self.bundle().join("struck").display().to_string();
        let program = FAULT_AT.display().to_string();
        self.through(stage, &[&program, "it", "kill", &call.to_string(), &struck])
    }

    /// All capabilities, the host's processes and network in sight, the run and report
    /// directories in `/bw/run` and `/bw/state`, and what `[directories] bpffs` names in
    /// `/bw/bpf`, to write.
    pub(crate) fn privileged(mut self) -> Self {
        let all = ["CAP_BPF", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE"];
        for set in ["bounding", "effective", "permitted"] {
            self.spec["process"]["capabilities"][set] = json!(all);
        }
        let others = ["ipc", "uts", "mount"].map(|kind| json!({ "type": kind }));
        self.spec["linux"]["namespaces"] = json!(others);
        let mounts = self.spec["mounts"].as_array_mut().unwrap();
        for name in ["run", "state", "bpf"] {
            mounts.push(json!({
                "destination": format!("/bw/{name}"),
                "type": "bind",
                "source": self.dir.path(name),
                "options": ["rbind"],
            }));
        }
        self
    }

    /// Takes another program for runc.
    pub(crate) fn runtime(mut self, program: &Path) -> Self {
        self.runtime = program.to_owned();
        self
    }

    /// Sets an annotation.
    pub(crate) fn annotation(mut self, key: &str, value: &str) -> Self {
        self.spec["annotations"][key] = value.into();
        self
    }

    /// Puts a program into the root file system.
    pub(crate) fn with(self, program: &Path, path: &str) -> Self {
        let target = self.rootfs().join(path.trim_start_matches('/'));
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(program, target).unwrap();
        self
    }

    /// Puts an overlay over the root file system: what the container writes lies
    /// in its upper layer, as in an engine.
    pub(crate) fn overlay(self) -> Self {
        let [lower, upper, work] = ["lower", "upper", "work"].map(|name| self.bundle().join(name));
        fs::rename(self.rootfs(), &lower).unwrap();
        for dir in [&upper, &work, &self.rootfs()] {
            fs::create_dir(dir).unwrap();
        }
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.display(),
            upper.display(),
            work.display()
        );
        let mut mount = Command::new("mount");
        mount.args(["-t", "overlay", "overlay", "-o", &options]).arg(self.rootfs());
        run(&mut mount).expect_code(0);
        self
    }

    pub(crate) fn bundle(&self) -> PathBuf {
        self.dir.path("bundles").join(&self.id)
    }

    pub(crate) fn rootfs(&self) -> PathBuf {
        self.bundle().join("rootfs")
    }

    /// What is `/sync` to it.
    pub(crate) fn sync(&self) -> PathBuf {
        self.bundle().join("sync")
    }

    /// `runc ARG…` with its root, or the program that was taken for it.
    pub(crate) fn runc(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.runtime);
        command.arg("--root").arg(self.dir.path("runc")).args(args);
        command.env("BUILDWARDEN_CONFIG", self.dir.config());
        command
    }

    /// Writes its config.json, as an engine does before each start.
    pub(crate) fn write_config(&self) {
        let json = serde_json::to_vec_pretty(&self.spec).unwrap();
        fs::write(self.bundle().join("config.json"), json).unwrap();
    }

    /// Creates it, without a start.
    pub(crate) fn create(&self) -> Command {
        let mut create = self.runc(&["create", "--bundle"]);
        create.arg(self.bundle()).arg(&self.id);
        create
    }

    /// Takes it away, created or running.
    pub(crate) fn delete(&self) -> Command {
        self.runc(&["delete", "--force", &self.id])
    }

    /// Kills its first process.
    pub(crate) fn kill(&self) -> Command {
        self.runc(&["kill", &self.id, "KILL"])
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(&self) -> Done {
        self.start().finish()
    }

    /// Starts it; [`Running::finish`] waits for its end.
    pub(crate) fn start(&self) -> Running<'_, 'a> {
        self.write_config();
        let bundle = self.bundle();
        let child = spawn(self.runc(&["run", "--bundle"]).arg(bundle).arg(&self.id));
        Running { container: self, child }
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // Already gone when the test went well.
        run(&mut self.delete());
    }
}

/// A container whose end is awaited.
pub(crate) struct Running<'c, 'a> {
    container: &'c Container<'a>,
    child: Child,
}

impl Running<'_, '_> {
    /// The host's pid of its first process.
    pub(crate) fn pid(&self) -> Pid {
        let container = self.container;
        until("the container's pid", || {
            let state = run(&mut container.runc(&["state", &container.id]));
            let state: Value = serde_json::from_slice(&state.stdout).ok()?;
            if state["status"] != "running" {
                return None;
            }
            Some(Pid::from_raw(state["pid"].as_i64()? as i32))
        })
    }

    /// Whether it came to its end.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until the container has made `/sync/ready`.
    #[track_caller]
    pub(crate) fn ready(&mut self) {
        let ready = self.container.sync().join("ready");
        until("ready", || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended before it was ready: {ended:?}");
            ready.exists().then_some(())
        });
        fs::remove_file(ready).unwrap();
    }

    /// Lets the container's `read _ </sync/go` return.
    #[track_caller]
    pub(crate) fn go(&self) {
        let go = self.container.sync().join("go");
        let mut go = until("the container reads /sync/go", || {
            // Fails while nobody reads.
            fs::OpenOptions::new().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&go).ok()
        });
        go.write_all(b"\n").unwrap();
    }

    /// Executes a program in it.
    #[track_caller]
    pub(crate) fn exec(&self, args: &[&str]) -> Done {
        run(self.container.runc(&["exec", &self.container.id]).args(args))
    }

    /// Waits for its end; the code is its entrypoint's.
    #[track_caller]
    pub(crate) fn finish(self) -> Done {
        finish(self.child, b"", DEADLINE, &self.container.id)
    }
}

/// A command that sees cgroup v2 only: crun and youki refuse a mixture with v1.
pub(crate) fn cgroup2_only() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c"]);
    command
        .arg("umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec \"$@\"");
    command.arg("sh");
    command
}

fn spec(dir: &Dir, id: &str) -> Value {
    let namespaces = ["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({ "type": kind }));
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": ["/bin/true"],
            "env": [PATH],
            "cwd": "/",
        },
        "root": { "path": "rootfs" },
        "hostname": "container",
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs" },
            {
                "destination": "/sync",
                "type": "bind",
                "source": dir.path("bundles").join(id).join("sync"),
                "options": ["bind"],
            },
        ],
        "annotations": {},
        "linux": {
            "namespaces": namespaces,
            "cgroupsPath": format!("/{}.{id}", dir.name()),
        },
    })
}
