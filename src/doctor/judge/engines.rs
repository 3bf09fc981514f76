//! Whether the engines without a hooks directory run Buildwarden, and what goes past it
//! without a word.

use crate::doctor::{Check, Section};
use crate::host::{Containerd, Dockerd, Executable, Facts, Worker};
use std::path::Path;

const SECTION: Section = Section::Hooks;

pub(super) fn judge(facts: &Facts) -> Vec<Check> {
    let engines = &facts.engines;
    let has = |name| facts.programs.iter().any(|program| program.name == name);
    let mut checks = Vec::new();
    for error in &engines.containers_conf.errors {
        checks.push(Check::problem(
            SECTION,
            "containers.conf",
            error.to_string(),
            "mend it: podman and buildah do not start with it",
        ));
    }
    if let Some(place) = &engines.containers_conf.chroot_isolation {
        checks.push(Check::warning(
            SECTION,
            "build isolation",
            format!("BUILDAH_ISOLATION=chroot in {place}: steps of `buildah build` and `podman build` run without hooks"),
            "remove it there: with the isolation oci, steps run in a runtime",
        ));
    }
    let installed = matches!(&facts.docker, Ok(Some(docker)) if !docker.runtimes.is_empty());
    if let Some(dockerd) = engines.dockerd.as_ref().filter(|_| installed) {
        checks.push(buildkit_of_docker(dockerd, old(facts)));
    }
    let mut others = match &facts.docker {
        Ok(Some(docker)) if installed => docker.others.clone(),
        _ => Vec::new(),
    };
    let runc = engines.dockerd.as_ref().and_then(|dockerd| dockerd.runtime.as_ref());
    if installed && runc.is_some_and(|runc| !runc.ours) {
        others.push("runc".to_owned());
    }
    if !others.is_empty() {
        checks.push(Check::warning(
            SECTION,
            "other runtimes",
            format!(
                "Docker's {}: a container that is started with `--runtime` of these is not traced",
                others.join(", ")
            ),
            "let builds not choose their runtime, or take out of daemon.json what nothing needs",
        ));
    }
    if let Some(containerd) = &engines.containerd {
        checks.extend(pods(containerd, has("kubelet")));
    }
    match &engines.buildkit {
        Some(Err(error)) => checks.push(Check::problem(
            SECTION,
            "BuildKit worker",
            error.to_string(),
            "mend it: buildkitd does not start with it",
        )),
        Some(Ok(worker)) => checks.push(buildkitd(worker)),
        None if has("buildkitd") => checks.push(untraced_worker("runc".as_ref())),
        None => {}
    }
    for (name, path) in &engines.stale {
        checks.push(Check::warning(
            SECTION,
            "daemon",
            format!("{name} runs since before {} was changed", path.display()),
            format!("restart it when no container must go on: {}", restart(name)),
        ));
    }
    if !engines.rootless.is_empty() {
        let sockets: Vec<_> =
            engines.rootless.iter().map(|path| path.display().to_string()).collect();
        checks.push(Check::warning(
            SECTION,
            "rootless engines",
            format!(
                "{}: their containers are in user namespaces and are not traced",
                sockets.join(", ")
            ),
            "let builds use root's engine, or `buildwarden run` around them",
        ));
    }
    checks
}

fn restart(daemon: &str) -> &'static str {
    match daemon {
        "dockerd" => "systemctl daemon-reload && systemctl restart docker",
        "buildkitd" => "systemctl restart buildkit",
        _ => "systemctl restart containerd",
    }
}

/// Before 23, `DOCKER_BUILDKIT_RUNC_COMMAND` meant nothing.
fn old(facts: &Facts) -> bool {
    let dockerd = facts.programs.iter().find(|program| program.name == "dockerd");
    let version = dockerd.and_then(|program| program.version.as_ref().ok());
    let major = version.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    major.is_some_and(|major| major < 23)
}

/// The BuildKit inside of the dockerd that runs.
fn buildkit_of_docker(dockerd: &Dockerd, old: bool) -> Check {
    let name = "Docker BuildKit";
    let command = dockerd.command.as_ref().filter(|_| !old);
    let (runs, by) = match command {
        Some(worker) => (Some(worker), "DOCKER_BUILDKIT_RUNC_COMMAND"),
        None => (dockerd.runc.as_ref(), "the first runc in its PATH"),
    };
    let pid = dockerd.pid;
    match runs {
        Some(Worker { ours: true, executable: Executable::Yes { .. }, program }) => {
            Check::ok(SECTION, name, format!("{} by {by}, for each step", program.display()))
        }
        Some(Worker { program, executable, .. }) => Check::problem(
            SECTION,
            name,
            format!(
                "dockerd ({pid}) runs {} by {by}{}: the steps of `docker build` are not traced",
                program.display(),
                if executable.is_yes() { "" } else { ", which cannot be executed" }
            ),
            "run `buildwarden install --engine docker`; then systemctl daemon-reload && systemctl restart docker",
        ),
        None => Check::problem(
            SECTION,
            name,
            format!("dockerd ({pid}) has no runc in its PATH"),
            "run `buildwarden install --engine docker`; then systemctl daemon-reload && systemctl restart docker",
        ),
    }
}

/// containerd's CRI, where it matters: somebody runs pods, or we are in it.
fn pods(containerd: &Containerd, kubelet: bool) -> Option<Check> {
    let name = "containerd runtime";
    let worker = |name: &str| containerd.runtimes.get(name).and_then(Option::as_ref);
    let ours = |name: &str| worker(name).filter(|worker| worker.ours);
    let default = &containerd.default;
    let (others, all): (Vec<&str>, usize) = (
        containerd
            .runtimes
            .keys()
            .map(String::as_str)
            .filter(|name| ours(name).is_none())
            .collect(),
        containerd.runtimes.len(),
    );
    if others.len() == all && !kubelet {
        return None;
    }
    Some(match ours(default) {
        Some(Worker { program, executable, .. }) if !executable.is_yes() => Check::problem(
            SECTION,
            name,
            format!(
                "{default} names {}, which cannot be executed: no pod starts",
                program.display()
            ),
            format!("install the program as {}", program.display()),
        ),
        Some(_) if others.is_empty() => {
            Check::ok(SECTION, name, format!("{default}, for every pod"))
        }
        Some(_) => Check::ok(
            SECTION,
            name,
            format!("{default}, for every pod but those of the handlers {}", others.join(", ")),
        ),
        None => Check::warning(
            SECTION,
            name,
            format!("{default} is the default and not Buildwarden: pods are not traced"),
            "run `buildwarden install --engine containerd`; then systemctl restart containerd",
        ),
    })
}

fn buildkitd(worker: &Worker) -> Check {
    let name = "BuildKit worker";
    let program = worker.program.display();
    match worker {
        Worker { ours: false, program, .. } => untraced_worker(program),
        Worker { executable: Executable::Yes { .. }, .. } => {
            Check::ok(SECTION, name, format!("{program}, for each step"))
        }
        _ => Check::problem(
            SECTION,
            name,
            format!("{program} cannot be executed: no step runs"),
            format!("install the program as {program}"),
        ),
    }
}

fn untraced_worker(program: &Path) -> Check {
    Check::warning(
        SECTION,
        "BuildKit worker",
        format!("{}: the steps of buildkitd's builds are not traced", program.display()),
        "run `buildwarden install --engine buildkit`; then systemctl restart buildkit",
    )
}
