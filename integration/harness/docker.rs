//! A Docker daemon on a socket of its own.

use super::{
    cgroups,
    command::{Done, run},
    dir::{Dir, in_path},
    image,
    release::Release,
    wait::until,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
};

/// Where Docker puts containers' cgroups when nobody says where.
const USUAL_PARENT: &str = "docker";

/// A daemon whose default runtime is the shim, as is what its BuildKit runs; the runtime
/// `plain` is runc itself. It has an image `img:1` with a busybox. Everything goes with it.
pub(crate) struct Docker<'a> {
    dir: &'a Dir,
    daemon: Child,
    release: Release,
}

impl<'a> Docker<'a> {
    /// The one that is installed.
    #[track_caller]
    pub(crate) fn new(dir: &'a Dir) -> Docker<'a> {
        Docker::of(dir, Release::installed())
    }

    /// A release's, which puts its containers' cgroups below the test's own: of that
    /// nothing is left in the end.
    #[track_caller]
    pub(crate) fn of(dir: &'a Dir, release: Release) -> Docker<'a> {
        Docker::start(dir, release, dir.name(), &[])
    }

    /// A release's, which puts them where Docker does when nobody says where; with
    /// `options` for the daemon.
    #[track_caller]
    pub(crate) fn with_usual_cgroups(
        dir: &'a Dir,
        release: Release,
        options: &[&str],
    ) -> Docker<'a> {
        Docker::start(dir, release, USUAL_PARENT, options)
    }

    /// Starts it and waits until it answers.
    #[track_caller]
    fn start(dir: &'a Dir, release: Release, cgroup_parent: &str, options: &[&str]) -> Docker<'a> {
        let shim = dir.shim("buildwarden-runc");
        let is_next = release.is_next();
        Docker::with(dir, release, cgroup_parent, |daemon| {
            daemon.arg("--add-runtime").arg(format!("traced={}", shim.display()));
            daemon.arg("--add-runtime").arg(format!("plain={}", in_path("runc").display()));
            daemon.args(["--default-runtime", "traced"]).args(options);
            if is_next {
                daemon.env("DOCKER_BUILDKIT_RUNC_COMMAND", &shim);
            } else {
                // This one's BuildKit runs the first `runc` in PATH.
                let before_path = dir.shim("runc");
                let path = std::env::var("PATH").unwrap_or_default();
                daemon.env("PATH", format!("{}:{path}", before_path.parent().unwrap().display()));
            }
        })
    }

    /// The one that is installed, with what `configure` says of runtimes.
    #[track_caller]
    pub(crate) fn configured(dir: &'a Dir, configure: impl FnOnce(&mut Command)) -> Docker<'a> {
        Docker::with(dir, Release::installed(), dir.name(), configure)
    }

    #[track_caller]
    fn with(
        dir: &'a Dir,
        release: Release,
        cgroup_parent: &str,
        configure: impl FnOnce(&mut Command),
    ) -> Docker<'a> {
        let root = dir.path("docker");
        fs::create_dir(&root).unwrap();
        let log = File::create(root.join("log")).unwrap();
        let mut daemon = release.daemon("dockerd");
        daemon.args(["--iptables=false", "--ip6tables=false", "--bridge=none"]);
        for (option, name) in
            [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")]
        {
            daemon.arg(option).arg(root.join(name));
        }
        daemon.arg("--host").arg(format!("unix://{}", root.join("socket").display()));
        // Limits that need no privilege to set.
        daemon.args(["--default-ulimit", "nofile=1024:1024"]);
        daemon.arg("--cgroup-parent").arg(format!("/{cgroup_parent}"));
        configure(&mut daemon);
        daemon.env("BUILDWARDEN_CONFIG", dir.config());
        daemon.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let daemon = daemon.current_dir(&root).spawn().unwrap();
        let mut docker = Docker { dir, daemon, release };
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
        let mut command = self.release.command("/usr/bin/docker");
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

    /// `docker build` of a Dockerfile without its cache, with BuildKit or with the
    /// classic builder.
    #[track_caller]
    pub(crate) fn build(&self, buildkit: bool, options: &[&str], dockerfile: &str) -> Done {
        self.build_cached(buildkit, &[&["--no-cache"], options].concat(), dockerfile)
    }

    /// `docker build` of a Dockerfile.
    #[track_caller]
    pub(crate) fn build_cached(&self, buildkit: bool, options: &[&str], dockerfile: &str) -> Done {
        let mut command = self.command();
        command.env("DOCKER_BUILDKIT", if buildkit { "1" } else { "0" });
        command.args(["build", "--network", "none"]).args(options);
        run(command.arg(image::context(self.dir, "Dockerfile", dockerfile)))
    }

    /// Loads an image of the same files that was, as its configuration says, made of a
    /// container.
    #[track_caller]
    pub(crate) fn load_image(&self, name: &str, container: &str) {
        let tar = image::claiming(self.dir, name, container);
        self.docker(&["load", "--input", &tar.display().to_string()]).expect_code(0);
    }

    /// The id of a container.
    #[track_caller]
    pub(crate) fn id(&self, name: &str) -> String {
        let done = self.docker(&["inspect", "--format", "{{.Id}}", name]).expect_code(0);
        done.stdout().trim_end().to_owned()
    }
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
        cgroups::remove_empty(&format!("{USUAL_PARENT}/buildkit"));
        cgroups::remove_empty(USUAL_PARENT);
    }
}
