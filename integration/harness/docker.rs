//! A Docker daemon on a socket of its own.

use super::{
    cgroups,
    command::{Done, run},
    dir::Dir,
    image,
    wait::until,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A daemon whose default runtime is the shim, as is the `runc` that its BuildKit finds
/// in PATH; the runtime `plain` is runc itself. It has an image `img:1` with a busybox.
/// Everything goes with it.
pub(crate) struct Docker<'a> {
    dir: &'a Dir,
    daemon: Child,
}

impl<'a> Docker<'a> {
    /// Starts it and waits until it answers.
    #[track_caller]
    pub(crate) fn new(dir: &'a Dir) -> Docker<'a> {
        let shim = dir.shim("buildwarden-runc");
        let in_path = dir.shim("runc");
        Docker::with(dir, |daemon| {
            daemon.arg("--add-runtime").arg(format!("traced={}", shim.display()));
            daemon.arg("--add-runtime").arg(format!("plain={}", runc().display()));
            daemon.args(["--default-runtime", "traced"]);
            let path = std::env::var("PATH").unwrap_or_default();
            daemon.env("PATH", format!("{}:{path}", in_path.parent().unwrap().display()));
        })
    }

    /// The same, with what `configure` says of runtimes.
    #[track_caller]
    pub(crate) fn with(dir: &'a Dir, configure: impl FnOnce(&mut Command)) -> Docker<'a> {
        let root = dir.path("docker");
        fs::create_dir(&root).unwrap();
        let log = File::create(root.join("log")).unwrap();
        // It ends with the test, however that ends.
        let mut daemon = Command::new("setpriv");
        daemon.args(["--pdeathsig", "TERM", "dockerd"]);
        daemon.args(["--iptables=false", "--ip6tables=false", "--bridge=none"]);
        for (option, name) in
            [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")]
        {
            daemon.arg(option).arg(root.join(name));
        }
        daemon.arg("--host").arg(format!("unix://{}", root.join("socket").display()));
        // Limits that need no privilege to set.
        daemon.args(["--default-ulimit", "nofile=1024:1024"]);
        // Below this nothing is left in the end; its own would stay.
        daemon.arg("--cgroup-parent").arg(format!("/{}", dir.name()));
        configure(&mut daemon);
        daemon.env("BUILDWARDEN_CONFIG", dir.config());
        daemon.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let daemon = daemon.current_dir(&root).spawn().unwrap();
        let mut docker = Docker { dir, daemon };
        until("an answer of dockerd", || {
            if let Some(status) = docker.daemon.try_wait().unwrap() {
                panic!("dockerd: {status}: {}", fs::read_to_string(root.join("log")).unwrap());
            }
            (run(docker.command().arg("version")).code == 0).then_some(())
        });
        docker.docker(&["import", &image::tar(dir).display().to_string(), "img:1"]).expect_code(0);
        docker
    }

    fn command(&self) -> Command {
        // Debian's; a newer client could lack what this daemon needs.
        let mut command = Command::new("/usr/bin/docker");
        for (name, value) in self.environment() {
            command.env(name, value);
        }
        command.current_dir(self.dir.path(""));
        command
    }

    /// What makes any client ask this daemon.
    pub(crate) fn environment(&self) -> [(&'static str, String); 2] {
        let socket = self.dir.path("docker/socket");
        let client = self.dir.path("docker/client");
        [
            ("DOCKER_HOST", format!("unix://{}", socket.display())),
            ("DOCKER_CONFIG", client.display().to_string()),
        ]
    }

    /// `docker ARG…`.
    #[track_caller]
    pub(crate) fn docker(&self, args: &[&str]) -> Done {
        run(self.command().args(args))
    }

    /// `docker run --network none OPTION… img:1 sh -c SCRIPT`.
    #[track_caller]
    pub(crate) fn run(&self, options: &[&str], script: &str) -> Done {
        let args = [&["run", "--network", "none"], options, &["img:1", "sh", "-c", script]];
        self.docker(&args.concat())
    }

    /// `docker build` of a Dockerfile, with BuildKit or with the classic builder.
    #[track_caller]
    pub(crate) fn build(&self, buildkit: bool, options: &[&str], dockerfile: &str) -> Done {
        let context = self.dir.path("context");
        fs::create_dir_all(&context).unwrap();
        fs::write(context.join("Dockerfile"), dockerfile).unwrap();
        let mut command = self.command();
        command.env("DOCKER_BUILDKIT", if buildkit { "1" } else { "0" });
        command.args(["build", "--no-cache", "--network", "none"]).args(options);
        run(command.arg(context))
    }

    /// The id of a container.
    #[track_caller]
    pub(crate) fn id(&self, name: &str) -> String {
        let done = self.docker(&["inspect", "--format", "{{.Id}}", name]).expect_code(0);
        done.stdout().trim_end().to_owned()
    }
}

/// runc itself.
pub(crate) fn runc() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut files = std::env::split_paths(&path).map(|directory| directory.join("runc"));
    files.find(|file| Path::is_file(file)).expect("runc in PATH")
}

impl Drop for Docker<'_> {
    fn drop(&mut self) {
        let ids = self.docker(&["ps", "--all", "--quiet"]).stdout();
        for id in ids.lines() {
            self.docker(&["rm", "--force", id]);
        }
        let daemon = Pid::from_raw(self.daemon.id() as i32);
        let _ = kill(daemon, Signal::SIGTERM);
        let _ = self.daemon.wait();
        cgroups::remove(self.dir.name());
    }
}
