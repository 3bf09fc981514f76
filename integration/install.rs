//! Installed by command: what `install` writes makes real engines run Buildwarden, `doctor`
//! proves it, and `uninstall` leaves what was there.

use crate::harness::{Dir, Docker, run, until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

/// A root to install to, in which this build's program lies where it does for the engines.
struct Tree<'a> {
    dir: &'a Dir,
    root: PathBuf,
    program: PathBuf,
}

impl<'a> Tree<'a> {
    fn new(dir: &'a Dir, files: &[(&str, &str)]) -> Tree<'a> {
        let (root, prefix) = (dir.path("tree"), dir.path("prefix"));
        let program = prefix.join("bin/buildwarden");
        fs::create_dir_all(prefix.join("bin")).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_buildwarden"), &program).unwrap();
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let inside = root.join(prefix.strip_prefix("/").unwrap());
        fs::create_dir_all(&inside).unwrap();
        run(Command::new("mount").arg("--bind").args([&prefix, &inside])).expect_code(0);
        Tree { dir, root, program }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// `buildwarden VERB --engine ENGINE` for this root; what it says.
    #[track_caller]
    fn change(&self, verb: &str, engine: &str) -> String {
        let mut command = self.dir.buildwarden([verb, "--engine", engine, "--root"]);
        command.arg(&self.root).arg("--program").arg(&self.program);
        run(&mut command).expect_code(0).stdout()
    }

    /// Installs twice: the second time, nothing.
    #[track_caller]
    fn install(&self, engine: &str) {
        let said = self.change("install", engine);
        assert!(!said.contains("nothing to do"), "{said}");
        let after = self.files();
        let said = self.change("install", engine);
        assert!(said.starts_with(&format!("{engine}: nothing to do\n")), "{said}");
        assert_eq!(self.files(), after);
    }

    /// Every file but the program's, with what it holds and its mode.
    fn files(&self) -> BTreeMap<PathBuf, (String, u32)> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.root.clone()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let metadata = path.symlink_metadata().unwrap();
                if metadata.is_dir() {
                    // The program's own place.
                    if !path.ends_with("prefix") {
                        open.push(path);
                    }
                } else {
                    let content = fs::read_to_string(&path).unwrap();
                    found.insert(path, (content, metadata.permissions().mode()));
                }
            }
        }
        found
    }
}

/// What `doctor` finds, by check: status and words.
fn doctor(command: &mut Command) -> BTreeMap<String, (String, String)> {
    let done = run(command.arg("--json"));
    let examination: Value = serde_json::from_slice(&done.stdout).expect("checks as JSON");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = examination["checks"].as_array().unwrap().iter();
    checks
        .map(|check| (text(&check["name"]), (text(&check["status"]), text(&check["found"]))))
        .collect()
}

#[track_caller]
fn expect(checks: &BTreeMap<String, (String, String)>, name: &str, status: &str, said: &str) {
    let (got, found) = checks.get(name).unwrap_or_else(|| panic!("no check {name}: {checks:?}"));
    assert!(got == status && found.contains(said), "{name}: {got}: {found}");
}

const SEEN: &str = "its entrypoint was the first exec seen, nothing was lost";

#[test]
fn root_installed_docker_traces_containers_and_both_builders() {
    let dir = Dir::new();
    // Of somebody's: an order, an indentation.
    let json = "{\n    \"log-level\": \"warn\",\n    \"debug\": false,\n    \"max-concurrent-uploads\": 2\n}\n";
    let tree = Tree::new(&dir, &[("etc/docker/daemon.json", json)]);
    let before = tree.files();
    tree.install("docker");
    let drop_in = tree.path("etc/systemd/system/docker.service.d/buildwarden.conf");
    let drop_in = fs::read_to_string(drop_in).unwrap();
    let variables = drop_in.lines().filter_map(|line| line.strip_prefix("Environment="));
    let variables: Vec<_> = variables.map(|variable| variable.split_once('=').unwrap()).collect();
    assert_eq!(variables.len(), 2, "{drop_in}");
    let daemon_json = tree.path("etc/docker/daemon.json");

    let docker = Docker::configured(&dir, |daemon| {
        daemon.arg("--config-file").arg(&daemon_json).envs(variables);
    });
    docker.run(&["--rm"], "true").expect_code(0);
    assert_eq!(dir.runs().len(), 1);
    let mut want = 1;
    for buildkit in [false, true] {
        docker.build(buildkit, &[], "FROM img:1\nRUN true\nRUN sleep 0\n").expect_code(0);
        want += 2;
        assert_eq!(dir.runs().len(), want, "BuildKit: {buildkit}");
    }

    let images = || {
        let images = docker.docker(&["images", "--all", "--quiet"]).stdout();
        images.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let images_before = images();
    let path = format!("/usr/bin:{}", std::env::var("PATH").unwrap());
    let command = || {
        let mut command = dir.buildwarden(["doctor"]);
        command.envs(docker.environment()).env("PATH", &path);
        command
    };
    let checks = doctor(&mut command());
    expect(&checks, "Docker runtime", "ok", "buildwarden (");
    expect(
        &checks,
        "Docker BuildKit",
        "ok",
        "libexec/buildwarden/runc by the first runc in its PATH",
    );
    expect(&checks, "traced container", "ok", SEEN);
    expect(&checks, "docker container", "ok", SEEN);
    expect(&checks, "docker build", "ok", SEEN);
    assert!(!checks.contains_key("daemon"), "{checks:?}");
    // Nothing of it is left.
    assert_eq!(dir.runs().len(), want);
    assert_eq!(images(), images_before);
    assert_eq!(docker.docker(&["ps", "--all", "--quiet"]).stdout(), "");

    // A daemon that has not read the file.
    let later = SystemTime::now() + Duration::from_secs(60);
    File::options().write(true).open(&daemon_json).unwrap().set_modified(later).unwrap();
    let checks = doctor(command().arg("--no-probe"));
    expect(&checks, "daemon", "warning", "dockerd runs since before");

    tree.change("uninstall", "docker");
    assert_eq!(tree.files(), before);
    dir.expect_nothing_live();
}

#[test]
fn root_doctor_sees_a_dockerd_whose_builds_go_past_us() {
    let dir = Dir::new();
    let tree = Tree::new(&dir, &[]);
    tree.install("docker");
    let daemon_json = tree.path("etc/docker/daemon.json");
    // Its environment is not that of the drop-in.
    let docker = Docker::configured(&dir, |daemon| {
        daemon.arg("--config-file").arg(&daemon_json);
    });
    let path = format!("/usr/bin:{}", std::env::var("PATH").unwrap());
    let mut command = dir.buildwarden(["doctor"]);
    let checks = doctor(command.envs(docker.environment()).env("PATH", path));
    expect(&checks, "Docker BuildKit", "problem", "the steps of `docker build` are not traced");
    expect(&checks, "docker container", "ok", SEEN);
    expect(&checks, "docker build", "problem", "it ran without a report");
    dir.expect_nothing_live();
}

#[test]
fn root_installed_podman_is_proved_by_a_container() {
    let dir = Dir::new();
    let tree = Tree::new(&dir, &[]);
    let before = tree.files();
    tree.install("podman");
    let hooks = tree.path("usr/share/containers/oci/hooks.d");
    // An administrator's word in a file of ours stays.
    for name in ["buildwarden-createRuntime.json", "buildwarden-poststop.json"] {
        let path = hooks.join(name);
        let text = fs::read_to_string(&path).unwrap();
        let own = format!("\"env\": [\"BUILDWARDEN_CONFIG={}\", ", dir.config().display());
        fs::write(path, text.replace("\"env\": [", &own)).unwrap();
    }
    let said = tree.change("install", "podman");
    assert_eq!(said, "podman: nothing to do\n");

    let at = |name: &str| dir.path("podman").join(name);
    let storage = format!(
        "[storage]\ndriver = \"vfs\"\ngraphroot = {:?}\nrunroot = {:?}\n",
        at("root"),
        at("runroot")
    );
    fs::write(dir.path("storage.conf"), storage).unwrap();
    let configure = |hooks_dir: &Path| {
        let conf = format!(
            "[containers]\npids_limit = 0\ncgroupns = \"host\"\n\
             default_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
             [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n\
             tmp_dir = {:?}\nhooks_dir = [{hooks_dir:?}]\n",
            at("tmp"),
        );
        fs::write(dir.path("containers.conf"), conf).unwrap();
    };
    let command = || {
        let mut command = dir.buildwarden(["doctor"]);
        command.env("CONTAINERS_CONF", dir.path("containers.conf"));
        command.env("CONTAINERS_STORAGE_CONF", dir.path("storage.conf"));
        command
    };
    configure(&hooks);
    let checks = doctor(&mut command());
    expect(&checks, "hook stages", "ok", "start and end");
    expect(&checks, "podman container", "ok", SEEN);
    assert_eq!(dir.runs(), [""; 0]);

    // podman reads another directory, and says nothing.
    fs::create_dir(dir.path("empty")).unwrap();
    configure(&dir.path("empty"));
    let checks = doctor(&mut command());
    expect(&checks, "podman container", "warning", "not run: no hook of Buildwarden's");
    // It reads the right one, whose program is gone, and says nothing.
    configure(&hooks);
    fs::rename(&tree.program, tree.program.with_extension("gone")).unwrap();
    let checks = doctor(&mut command());
    expect(&checks, "hook", "problem", "which is not there: nothing is traced");
    expect(&checks, "podman container", "problem", "podman does not run Buildwarden");
    fs::rename(tree.program.with_extension("gone"), &tree.program).unwrap();

    tree.change("uninstall", "podman");
    assert_eq!(tree.files(), before);
    dir.expect_nothing_live();
}

/// containerd with its CRI, on a socket of its own. Goes with its test.
struct Containerd(Child);

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.0.id() as i32), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

#[test]
fn root_installed_containerd_runs_pods_with_the_shim() {
    let dir = Dir::new();
    let at = |name: &str| dir.path("containerd").join(name);
    let toml = format!(
        "# of somebody\nversion = 2\nroot = {:?}\nstate = {:?}\n\
         [grpc]\n  address = {:?} # here\n[debug]\n  address = {:?}\n\
         [plugins.\"io.containerd.grpc.v1.cri\"]\n  sandbox_image = \"pause:1\"\n",
        at("root"),
        at("state"),
        at("socket"),
        at("debug"),
    );
    let tree = Tree::new(&dir, &[("etc/containerd/config.toml", &toml)]);
    let before = tree.files();
    tree.install("containerd");
    let config = tree.path("etc/containerd/config.toml");

    let mut dump = Command::new("containerd");
    let dump =
        run(dump.arg("--config").arg(&config).args(["config", "dump"])).expect_code(0).stdout();
    let dump: toml::Table = dump.parse().unwrap();
    let cri = &dump["plugins"]["io.containerd.grpc.v1.cri"];
    assert_eq!(cri["sandbox_image"].as_str(), Some("pause:1"));
    assert_eq!(cri["containerd"]["default_runtime_name"].as_str(), Some("buildwarden"));
    let runtimes = &cri["containerd"]["runtimes"];
    let shim = runtimes["buildwarden"]["options"]["BinaryName"].as_str().unwrap();
    assert_eq!(Path::new(shim), tree.program.with_file_name("buildwarden-runc"));
    // A pod may ask for it by name.
    assert_eq!(runtimes["runc"]["runtime_type"].as_str(), Some("io.containerd.runc.v2"));

    fs::create_dir_all(at("root")).unwrap();
    let log = File::create(at("log")).unwrap();
    let mut daemon = Command::new("setpriv");
    daemon.args(["--pdeathsig", "TERM", "containerd", "--config"]).arg(&config);
    daemon.env("BUILDWARDEN_CONFIG", dir.config()).stdin(Stdio::null());
    let _daemon = Containerd(daemon.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
    until("an answer of containerd", || {
        let mut ctr = Command::new("ctr");
        (run(ctr.arg("--address").arg(at("socket")).arg("version")).code == 0).then_some(())
    });
    let mut command = dir.buildwarden(["doctor"]);
    let checks = doctor(command.env("CONTAINERD_ADDRESS", at("socket")));
    expect(
        &checks,
        "containerd runtime",
        "ok",
        "buildwarden, for every pod but those of the handlers runc",
    );
    expect(&checks, "containerd container", "ok", SEEN);
    let mut ctr = Command::new("ctr");
    let namespaces = run(ctr.arg("--address").arg(at("socket")).args(["namespaces", "list"]));
    assert!(!namespaces.stdout().contains("buildwarden"), "{namespaces}");
    assert_eq!(dir.runs(), [""; 0]);

    tree.change("uninstall", "containerd");
    assert_eq!(tree.files(), before);
    dir.expect_nothing_live();
}
