//! What the engines' configuration and their daemons say about runtimes and hooks.

use super::{
    command::output,
    containers_conf::{ContainersConf, containers_conf},
    daemon::Daemon,
    docker::is_ours,
    error::{HostError, read_bounded},
    executable::{Executable, executable},
    program::find_program,
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(5);

const MAX_BYTES: u64 = 1 << 20;

/// Beside Docker's own configuration.
#[derive(Debug, Default)]
pub struct Engines {
    /// podman's and buildah's.
    pub containers_conf: ContainersConf,
    /// dockerd, where one answers.
    pub dockerd: Option<Dockerd>,
    /// containerd's CRI; `None` without, or where it is off.
    pub containerd: Option<Containerd>,
    /// buildkitd's worker; `None` without a configuration.
    pub buildkit: Option<Result<Worker, HostError>>,
    /// Daemons that run and have a configuration that has changed since.
    pub stale: Vec<(&'static str, PathBuf)>,
    /// Sockets of engines that run as somebody else than root.
    pub rootless: Vec<PathBuf>,
}

/// The dockerd that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerd {
    /// Its process.
    pub pid: i32,
    /// What its BuildKit runs, by `DOCKER_BUILDKIT_RUNC_COMMAND`.
    pub command: Option<Worker>,
    /// The first runc in its PATH, which its BuildKit runs else.
    pub runc: Option<Worker>,
    /// What `docker run --runtime runc` runs: the first in its containerd's PATH.
    pub runtime: Option<Worker>,
}

/// A program that runs containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its path.
    pub program: PathBuf,
    /// Whether it is Buildwarden.
    pub ours: bool,
    /// What its path leads to.
    pub executable: Executable,
}

impl Worker {
    fn new(program: PathBuf) -> Worker {
        Worker { ours: is_ours(&program, &[]), executable: executable(&program), program }
    }
}

/// containerd's CRI plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Containerd {
    /// The runtime of pods that ask for none.
    pub default: String,
    /// The program of each runtime, where one is named.
    pub runtimes: BTreeMap<String, Option<Worker>>,
}

impl Engines {
    /// Asks and reads. No daemon is made to do anything but accept a connection; `docker`
    /// is the dockerd that has.
    pub(super) fn gather(docker: Option<&Daemon>) -> Engines {
        let mut engines = Engines { containers_conf: containers_conf(), ..Engines::default() };
        let mut look = |name: &'static str, daemon: Option<&Daemon>, files: &[PathBuf]| {
            if let Some(daemon) = daemon {
                let newer = files.iter().filter(|file| daemon.is_older_than(file));
                engines.stale.extend(newer.map(|file| (name, file.clone())));
            }
        };
        let drop_ins = "/etc/systemd/system/docker.service.d/buildwarden.conf";
        look("dockerd", docker, &[daemon_json(docker), drop_ins.into()]);
        let containerd = Daemon::behind(
            &socket("CONTAINERD_ADDRESS", "/run/containerd/containerd.sock"),
            "containerd",
        );
        let config = containerd_config(containerd.as_ref());
        let drop_in = "/etc/containerd/conf.d/buildwarden.toml";
        look("containerd", containerd.as_ref(), &[config.clone(), drop_in.into()]);
        let buildkitd = Daemon::only("buildkitd");
        let buildkitd_toml = buildkitd_toml(buildkitd.as_ref());
        look("buildkitd", buildkitd.as_ref(), std::slice::from_ref(&buildkitd_toml));
        // One that systemd has started has its own environment, not dockerd's.
        let others = docker.and_then(|daemon| daemon.option(&["--containerd"]));
        let runs = match others {
            Some(socket) => Daemon::behind(&socket, "containerd"),
            None => docker.cloned(),
        };
        engines.dockerd = docker.map(|daemon| Dockerd {
            runtime: runs.and_then(|daemon| daemon.find("runc")).map(Worker::new),
            pid: daemon.pid,
            command: daemon
                .variable("DOCKER_BUILDKIT_RUNC_COMMAND")
                .filter(|command| !command.is_empty())
                .map(|command| {
                    let command = PathBuf::from(command);
                    Worker::new(daemon.find_any(&command).unwrap_or(command))
                }),
            runc: daemon.find("runc").map(Worker::new),
        });
        engines.containerd = cri(&config);
        engines.buildkit = worker(&buildkitd_toml);
        engines.rootless = rootless();
        engines
    }
}

impl Daemon {
    /// A program as it would find it, which may be a name or a path.
    fn find_any(&self, program: &Path) -> Option<PathBuf> {
        if program.components().count() > 1 {
            return Some(program.to_owned());
        }
        self.find(program.to_str()?)
    }
}

fn socket(variable: &str, usual: &str) -> PathBuf {
    let named = std::env::var_os(variable).filter(|value| !value.is_empty());
    let named = named.map(PathBuf::from).unwrap_or_else(|| usual.into());
    named.to_str().and_then(|path| path.strip_prefix("unix://")).map(PathBuf::from).unwrap_or(named)
}

/// The dockerd that the client here would ask.
pub(super) fn dockerd() -> Option<Daemon> {
    Daemon::behind(&socket("DOCKER_HOST", "/var/run/docker.sock"), "dockerd")
}

/// The configuration that a dockerd has read, or would.
pub(super) fn daemon_json(daemon: Option<&Daemon>) -> PathBuf {
    let named = daemon.and_then(|daemon| daemon.option(&["--config-file"]));
    named.unwrap_or_else(|| "/etc/docker/daemon.json".into())
}

fn containerd_config(daemon: Option<&Daemon>) -> PathBuf {
    let named = daemon.and_then(|daemon| daemon.option(&["--config", "-c"]));
    named.unwrap_or_else(|| "/etc/containerd/config.toml".into())
}

fn buildkitd_toml(daemon: Option<&Daemon>) -> PathBuf {
    let named = daemon.and_then(|daemon| daemon.option(&["--config"]));
    named.unwrap_or_else(|| "/etc/buildkit/buildkitd.toml".into())
}

/// What containerd makes of its files: it merges them differently from version to version.
fn cri(config: &Path) -> Option<Containerd> {
    let mut command = Command::new(find_program("containerd")?);
    if config.exists() {
        command.arg("--config").arg(config);
    }
    let output = output(command.args(["config", "dump"]), LIMIT).ok()?;
    read_cri(std::str::from_utf8(&output.stdout).ok()?)
}

#[derive(Deserialize)]
struct Dump {
    #[serde(default)]
    disabled_plugins: Vec<String>,
    #[serde(default)]
    plugins: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
struct Cri {
    containerd: CriContainerd,
}

#[derive(Deserialize)]
struct CriContainerd {
    default_runtime_name: String,
    #[serde(default)]
    runtimes: BTreeMap<String, CriRuntime>,
}

#[derive(Deserialize)]
struct CriRuntime {
    #[serde(default)]
    options: toml::Table,
}

fn read_cri(dump: &str) -> Option<Containerd> {
    let dump: Dump = toml::from_str(dump).ok()?;
    let names = ["io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"];
    if dump.disabled_plugins.iter().any(|off| off == "cri" || names.contains(&off.as_str())) {
        return None;
    }
    // The newer containerd has both, the other without runtimes.
    let cri: Cri =
        names.iter().find_map(|name| dump.plugins.get(*name)?.clone().try_into().ok())?;
    let binary = |runtime: CriRuntime| {
        let program = runtime.options.get("BinaryName")?.as_str()?;
        (!program.is_empty()).then(|| Worker::new(program.into()))
    };
    let runtimes = cri.containerd.runtimes.into_iter();
    Some(Containerd {
        default: cri.containerd.default_runtime_name,
        runtimes: runtimes.map(|(name, runtime)| (name, binary(runtime))).collect(),
    })
}

#[derive(Deserialize)]
struct Buildkitd {
    #[serde(default)]
    worker: BTreeMap<String, toml::Value>,
}

fn worker(path: &Path) -> Option<Result<Worker, HostError>> {
    match read_bounded(path, MAX_BYTES) {
        Err(HostError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            None
        }
        Err(error) => Some(Err(error)),
        Ok(bytes) => match toml::from_slice::<Buildkitd>(&bytes) {
            Err(error) => Some(Err(HostError::malformed(path, error.message()))),
            Ok(buildkitd) => {
                let binary =
                    buildkitd.worker.get("oci").and_then(|oci| oci.get("binary")?.as_str());
                Some(Ok(Worker::new(binary.unwrap_or("runc").into())))
            }
        },
    }
}

/// A user's engine has its socket in the user's runtime directory.
fn rootless() -> Vec<PathBuf> {
    let users = fs::read_dir("/run/user").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = users
        .filter(|user| user.file_name() != "0")
        .flat_map(|user| ["docker.sock", "podman/podman.sock"].map(|name| user.path().join(name)))
        .filter(|path| fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()))
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtimes_of_pods_are_read() {
        for plugin in ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"] {
            let dump = format!(
                "version = 2\n[plugins.'{plugin}'.containerd]\ndefault_runtime_name = 'a'\n\
                 [plugins.'{plugin}'.containerd.runtimes.a.options]\nBinaryName = '/usr/bin/buildwarden-runc'\n\
                 [plugins.'{plugin}'.containerd.runtimes.runc]\nruntime_type = 'x'\n"
            );
            let cri = read_cri(&dump).expect("on");
            assert_eq!(cri.default, "a");
            assert!(cri.runtimes["a"].as_ref().is_some_and(|worker| worker.ours), "{cri:?}");
            assert_eq!(cri.runtimes["runc"], None);
            let off = format!("disabled_plugins = ['{plugin}']\n{dump}");
            assert_eq!(read_cri(&off), None);
        }
        assert_eq!(read_cri(""), None);
    }

    #[test]
    fn the_worker_of_buildkit_is_read() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("buildkitd.toml");
        assert!(worker(&path).is_none());
        for (text, want) in [
            ("", Some(("runc", false))),
            ("[worker.oci]\nbinary = '/x/buildwarden-crun'\n", Some(("/x/buildwarden-crun", true))),
            ("[worker.containerd]\nenabled = true\n", Some(("runc", false))),
            ("[", None),
        ] {
            fs::write(&path, text).expect("written");
            let found = worker(&path).expect("there").ok();
            let found = found.map(|worker| (worker.program.display().to_string(), worker.ours));
            assert_eq!(found, want.map(|(program, ours)| (program.to_owned(), ours)), "{text}");
        }
    }
}
