use super::*;
use crate::config::{DEFAULT_PATH, When};
use crate::doctor::Status;
use crate::host::{
    Btf, Capabilities, Containerd, Docker, Dockerd, Engines, Executable, HOOKS_DIRS, Hook,
    HookFile, HooksDir, HostError, Kernel, Runtime, Worker,
};
use crate::trace::Verified;
use std::path::PathBuf;

/// A machine on which everything is as it should be.
struct Machine {
    facts: Facts,
    settings: Settings,
    own: Own,
}

fn hook(dir: &str, stage: &str) -> Hook {
    Hook {
        file: PathBuf::from(format!("{dir}/buildwarden-{stage}.json")),
        program: PathBuf::from("/usr/bin/buildwarden"),
        executable: Executable::Yes { this_one: true },
        stages: vec![stage.to_owned()],
        sets_path: true,
    }
}

fn hooks(dir: &str, hooks: Vec<Hook>) -> HooksDir {
    HooksDir {
        path: PathBuf::from(dir),
        files: Ok(Some(hooks.into_iter().map(HookFile::Ours).collect())),
    }
}

fn program(name: &'static str) -> Program {
    let path = PathBuf::from(format!("/usr/bin/{name}"));
    Program { name, path, version: Ok("1.2.3".to_owned()) }
}

fn machine() -> Machine {
    let [usual, local] = HOOKS_DIRS;
    Machine {
        facts: Facts {
            kernel: Kernel {
                release: Some("6.12.1".to_owned()),
                architecture: "x86_64",
                lockdown: Some("none".to_owned()),
                unprivileged_bpf_disabled: Some(2),
                memlock: Some(8 << 20),
            },
            btf: Ok(Btf { bytes: 5 << 20, missing: Vec::new() }),
            bpffs: Ok(vec![PathBuf::from("/sys/fs/bpf")]),
            cgroup2: Ok(PathBuf::from("/sys/fs/cgroup")),
            initial_user_namespace: true,
            capabilities: Ok(Capabilities {
                bpf: true,
                perfmon: true,
                sys_admin: true,
                sys_resource: true,
                sys_nice: true,
            }),
            programs: vec![program("podman"), program("dockerd"), program("runc")],
            hooks: vec![
                hooks(usual, vec![hook(usual, "createRuntime"), hook(usual, "poststop")]),
                HooksDir { path: PathBuf::from(local), files: Ok(None) },
            ],
            docker: Ok(Some(Docker {
                runtimes: vec![Runtime {
                    name: "traced".to_owned(),
                    program: PathBuf::from("/usr/bin/buildwarden-runc"),
                    executable: Executable::Yes { this_one: true },
                }],
                others: Vec::new(),
                default_runtime: Some("traced".to_owned()),
            })),
            engines: Engines::default(),
        },
        settings: Settings::default(),
        own: Own {
            config_path: DEFAULT_PATH.into(),
            config: Place::Ours,
            run: Place::Ours,
            state: Place::Missing,
        },
    }
}

fn checks(machine: Machine) -> Vec<Check> {
    judge(&machine.facts, &Ok(machine.settings), &machine.own, &Trial::default())
}

/// What is not ok after `change`: status, name, what was found.
fn check(change: impl FnOnce(&mut Machine), want: &[(Status, &str, &str)]) {
    let mut machine = machine();
    change(&mut machine);
    let checks = checks(machine);
    for check in checks.iter().filter(|check| check.section != Section::Engines) {
        assert!(documented(&check.name), "docs/doctor.md does not explain `{}`", check.name);
    }
    let bad: Vec<_> = checks.into_iter().filter(|check| check.status != Status::Ok).collect();
    let got: Vec<_> =
        bad.iter().map(|check| (check.status, check.name.as_str(), check.found.as_str())).collect();
    assert_eq!(got, want);
    assert!(bad.iter().all(|check| check.advice.is_some()), "no advice: {bad:?}");
}

/// Whether the first cell of a row of docs/doctor.md names the check.
fn documented(name: &str) -> bool {
    include_str!("../../../docs/doctor.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .any(|cell| cell.split(", ").any(|documented| documented == name))
}

fn malformed() -> HostError {
    HostError::Malformed { path: PathBuf::from("/x"), reason: "no".to_owned() }
}

#[test]
fn a_good_machine_is_ok() {
    check(|_| {}, &[]);
}

#[test]
fn the_kernel_is_judged() {
    use Status::{Problem, Warning};
    check(|m| m.facts.btf = Err(malformed()), &[(Problem, "type information", "no BTF: /x: no")]);
    check(
        |m| m.facts.btf = Ok(Btf { bytes: 1, missing: vec!["dfl_cgrp", "task_struct"] }),
        &[(Problem, "type information", "BTF lacks dfl_cgrp, task_struct")],
    );
    check(
        |m| m.facts.bpffs = Ok(vec![PathBuf::from("/sys/fs/bpf2")]),
        &[(Warning, "BPF file system", "not mounted on /sys/fs/bpf; the first hook will mount it")],
    );
    check(|m| m.settings.bpffs = PathBuf::from("/sys/fs/bpf/ci"), &[]);
    check(
        |m| m.facts.cgroup2 = Err(HostError::NoCgroup2),
        &[(
            Problem,
            "cgroup v2",
            "no cgroup2 file system, expected one on /sys/fs/cgroup or /sys/fs/cgroup/unified",
        )],
    );
    check(
        |m| m.facts.kernel.lockdown = Some("confidentiality".to_owned()),
        &[(Problem, "lockdown", "confidentiality: BPF programs may not read kernel memory")],
    );
    check(|m| m.facts.kernel.lockdown = Some("integrity".to_owned()), &[]);
    check(|m| m.facts.kernel.lockdown = None, &[]);
    check(|m| m.facts.kernel.unprivileged_bpf_disabled = Some(0), &[]);
}

#[test]
fn what_was_tried_is_told() {
    let verified = |program: &str, instructions| Verified {
        program: program.to_owned(),
        instructions,
        total_states: 2,
        peak_states: 1,
    };
    let trial = Trial {
        features: vec![
            ("one".to_owned(), Ok(())),
            ("two".to_owned(), Err("unknown func".to_owned())),
        ],
        verified: vec![verified("first", 20), verified("second", 30), verified("third", 10)],
    };
    let machine = machine();
    let checks = judge(&machine.facts, &Ok(machine.settings), &machine.own, &trial);
    let got: Vec<_> = checks
        .iter()
        .filter(|check| ["one", "two", "verifier"].contains(&check.name.as_str()))
        .map(|check| (check.status, check.found.as_str()))
        .collect();
    let most = "at most 30 of 1000000 instructions, for second";
    assert_eq!(got, [(Status::Ok, "works"), (Status::Problem, "unknown func"), (Status::Ok, most)]);
}

#[test]
fn what_confines_nobody_is_a_warning() {
    use crate::confine::{Confined, Layer};
    let all = Confined { layers: Layer::ALL.to_vec(), missing: Vec::new() };
    let check = confinement(&all);
    assert_eq!(check.status, Status::Ok);
    assert_eq!(check.found, "no_new_privs, landlock, capabilities, seccomp");
    let missing = vec![(Layer::Landlock, "no Landlock here".to_owned())];
    let some = Confined { layers: vec![Layer::NoNewPrivs, Layer::Seccomp], missing };
    let check = confinement(&some);
    assert_eq!(check.status, Status::Warning);
    assert_eq!(check.found, "no_new_privs, seccomp; landlock is missing (no Landlock here)");
    assert!(check.advice.is_some());
}

#[test]
fn privileges_are_judged() {
    use Status::{Problem, Warning};
    fn capabilities(m: &mut Machine) -> &mut Capabilities {
        m.facts.capabilities.as_mut().expect("the good machine tells them")
    }
    check(
        |m| m.facts.initial_user_namespace = false,
        &[(
            Problem,
            "user namespace",
            "not the host's: the kernel refuses BPF here, whatever the capabilities say",
        )],
    );
    check(|m| (capabilities(m).bpf, capabilities(m).perfmon) = (false, false), &[]);
    check(
        |m| (capabilities(m).bpf, capabilities(m).sys_admin) = (false, false),
        &[(Problem, "capabilities", "CAP_BPF missing: BPF programs cannot be loaded")],
    );
    check(
        |m| capabilities(m).sys_admin = false,
        &[(
            Warning,
            "capabilities",
            "CAP_SYS_ADMIN missing: the BPF file system cannot be mounted nor a container started from here",
        )],
    );
    check(
        |m| capabilities(m).sys_nice = false,
        &[(
            Warning,
            "real-time priority",
            "CAP_SYS_NICE missing: a storm of execs on the collector's CPU can make it lose some",
        )],
    );
    check(|m| m.facts.kernel.release = Some("5.10.0-32".to_owned()), &[]);
    check(
        |m| {
            m.facts.kernel.release = Some("5.10.0-32".to_owned());
            capabilities(m).sys_resource = false;
        },
        &[(
            Warning,
            "locked memory",
            "limited to 8388608 bytes, and CAP_SYS_RESOURCE is missing to raise it",
        )],
    );
}

#[test]
fn settings_are_judged() {
    use Status::{Problem, Warning};
    check(
        |m| m.own.config = Place::Open { uid: 1000, mode: 0o664 },
        &[(
            Problem,
            "configuration",
            "/etc/buildwarden/buildwarden.toml belongs to uid 1000, mode 0664: others than root can turn tracing off",
        )],
    );
    check(
        |m| m.own.state = Place::Open { uid: 0, mode: 0o1777 },
        &[(
            Problem,
            "state directory",
            "/var/lib/buildwarden belongs to uid 0, mode 1777: others than root can change evidence",
        )],
    );
    check(
        |m| m.own.run = Place::Unusable("not a directory".to_owned()),
        &[(Problem, "run directory", "/run/buildwarden: not a directory")],
    );
    check(
        |m| {
            m.settings.when = When::Annotated;
            m.settings.honour.trace = false;
        },
        &[(
            Problem,
            "what is traced",
            "nothing: trace.when is \"annotated\", and annotations.trace is \"ignore\"",
        )],
    );
    check(
        |m| {
            m.settings.when = When::Never;
            m.settings.honour.trace = false;
        },
        &[(Warning, "what is traced", "nothing: trace.when is \"never\"")],
    );
}

#[test]
fn a_configuration_that_cannot_be_read_is_a_problem() {
    let machine = machine();
    let error = Settings::load(Some("/nonexistent/a.toml".as_ref()));
    let checks = judge(&machine.facts, &error, &machine.own, &Trial::default());
    let bad: Vec<_> = checks.iter().filter(|check| check.status != Status::Ok).collect();
    let [check] = bad[..] else { panic!("{bad:?}") };
    assert_eq!(check.name, "configuration");
    assert_eq!(
        check.advice.as_deref(),
        Some("mend it; until then the defaults apply, but for on_error as far as it can be read")
    );
}

#[test]
fn engines_are_judged() {
    use Status::Warning;
    check(
        |m| {
            m.facts.programs.clear();
            m.facts.hooks.clear();
            m.facts.docker = Ok(None);
        },
        &[(Warning, "engines", "no container engine or runtime found")],
    );
    check(
        |m| m.facts.programs.push(program("kata-runtime")),
        &[(
            Warning,
            "kata-runtime",
            "1.2.3, /usr/bin/kata-runtime: runs containers on a kernel of their own",
        )],
    );
    check(
        |m| m.facts.programs[2].version = Err("no answer within 5 s".to_owned()),
        &[(Warning, "runc", "/usr/bin/runc: no answer within 5 s")],
    );
}

#[test]
fn hooks_are_judged() {
    use Status::{Problem, Warning};
    let [usual, local] = HOOKS_DIRS;
    let nothing = "no working hook in /usr/share/containers/oci/hooks.d or /etc/containers/oci/hooks.d: nothing is traced under podman";
    check(|m| m.facts.hooks[0].files = Ok(None), &[(Warning, "hook stages", nothing)]);
    check(
        |m| m.facts.hooks[0].files = Ok(Some(vec![HookFile::Other])),
        &[(Warning, "hook stages", nothing)],
    );
    check(
        |m| m.facts.hooks[0].files = Err(malformed()),
        &[(Problem, "hooks directory", "/x: no"), (Warning, "hook stages", nothing)],
    );
    check(
        |m| {
            m.facts.hooks[1].files = Ok(Some(vec![HookFile::Malformed(malformed())]));
        },
        &[(Problem, "hook file", "/x: no")],
    );
    // One file for both stages is as good as two.
    check(
        |m| {
            let stages = vec!["prestart".to_owned(), "poststop".to_owned()];
            m.facts.hooks[0] = hooks(usual, vec![Hook { stages, ..hook(usual, "any") }]);
        },
        &[],
    );
    check(
        |m| m.facts.hooks[0] = hooks(usual, vec![hook(usual, "poststop")]),
        &[(
            Problem,
            "hook stages",
            "no working hook at createRuntime: nothing is traced under podman",
        )],
    );
    check(
        |m| m.facts.hooks[0] = hooks(usual, vec![hook(usual, "createRuntime")]),
        &[(
            Warning,
            "hook stages",
            "no working hook at poststop: a container whose collector died gets its report from `buildwarden gc` only",
        )],
    );
    let both = |dir| vec![hook(dir, "createRuntime"), hook(dir, "poststop")];
    check(
        |m| m.facts.hooks = vec![hooks(local, both(local))],
        &[(
            Warning,
            "hook stages",
            "only in /etc/containers/oci/hooks.d, which `podman run` does not read by itself",
        )],
    );
    check(
        |m| {
            m.facts.hooks = vec![hooks(local, both(local))];
            m.facts.programs = vec![program("crio"), program("buildah")];
        },
        &[],
    );
    check(
        |m| {
            let mut files = both(usual);
            files[0].executable = Executable::Missing;
            files[1].executable = Executable::No;
            m.facts.hooks[0] = hooks(usual, files);
        },
        &[
            (
                Problem,
                "hook",
                "/usr/share/containers/oci/hooks.d/buildwarden-createRuntime.json names /usr/bin/buildwarden, which is not there: nothing is traced, and no engine says so",
            ),
            (
                Problem,
                "hook",
                "/usr/share/containers/oci/hooks.d/buildwarden-poststop.json names /usr/bin/buildwarden, which cannot be executed",
            ),
            (Warning, "hook stages", nothing),
        ],
    );
    check(
        |m| {
            let mut files = both(usual);
            files[1].sets_path = false;
            m.facts.hooks[0] = hooks(usual, files);
        },
        &[(
            Warning,
            "hook",
            "/usr/share/containers/oci/hooks.d/buildwarden-poststop.json (poststop) sets no PATH; youki runs it without any",
        )],
    );
}

#[test]
fn docker_is_judged() {
    use Status::{Problem, Warning};
    fn runtime(m: &mut Machine) -> &mut Docker {
        m.facts.docker.as_mut().expect("readable").as_mut().expect("there")
    }
    check(|m| m.facts.docker = Err(malformed()), &[(Problem, "Docker runtime", "/x: no")]);
    let untraced = "no runtime of Buildwarden's: Docker's containers are not traced";
    check(|m| m.facts.docker = Ok(None), &[(Warning, "Docker runtime", untraced)]);
    check(|m| runtime(m).runtimes.clear(), &[(Warning, "Docker runtime", untraced)]);
    check(
        |m| {
            m.facts.docker = Ok(None);
            m.facts.programs = vec![program("podman")];
        },
        &[],
    );
    check(
        |m| runtime(m).default_runtime = None,
        &[(
            Warning,
            "Docker runtime",
            "traced (/usr/bin/buildwarden-runc), only for containers that ask for it",
        )],
    );
    check(
        |m| runtime(m).runtimes[0].executable = Executable::Missing,
        &[(
            Problem,
            "Docker runtime",
            "traced names /usr/bin/buildwarden-runc, which is not there: no container starts with it",
        )],
    );
}

fn worker(program: &str, ours: bool, executable: Executable) -> Worker {
    Worker { program: program.into(), ours, executable }
}

#[test]
fn what_goes_past_us_is_judged() {
    use Status::{Problem, Warning};
    const YES: Executable = Executable::Yes { this_one: false };
    let engines = |m: &mut Machine, change: fn(&mut Engines)| change(&mut m.facts.engines);
    check(
        |m| engines(m, |e| e.containers_conf.errors.push(malformed())),
        &[(Problem, "containers.conf", "/x: no")],
    );
    check(
        |m| engines(m, |e| e.containers_conf.chroot_isolation = Some("/c".to_owned())),
        &[(
            Warning,
            "build isolation",
            "BUILDAH_ISOLATION=chroot in /c: steps of `buildah build` and `podman build` run without hooks",
        )],
    );
    let named = |dir: &str| Some((PathBuf::from("/c"), vec![PathBuf::from(dir)]));
    check(
        |m| m.facts.engines.containers_conf.hooks_dirs = named("/other"),
        &[(
            Problem,
            "hook stages",
            "hooks_dir in /c leaves out the directory of the hooks: `podman run` is not traced",
        )],
    );
    check(|m| m.facts.engines.containers_conf.hooks_dirs = named(HOOKS_DIRS[0]), &[]);
    check(
        |m| {
            m.facts.engines.containers_conf.hooks_dirs = named("/own");
            m.facts.hooks =
                vec![hooks("/own", vec![hook("/own", "prestart"), hook("/own", "poststop")])];
        },
        &[],
    );
    check(
        |m| {
            let docker = m.facts.docker.as_mut().expect("readable").as_mut().expect("there");
            docker.others = vec!["kata".to_owned(), "nvidia".to_owned()];
        },
        &[(
            Warning,
            "other runtimes",
            "Docker's kata, nvidia: a container that is started with `--runtime` of these is not traced",
        )],
    );
    let runs = |program, ours| {
        let runtime = Some(worker(program, ours, YES));
        let shim = || Some(worker("/l/runc", true, YES));
        Some(Dockerd { pid: 7, command: shim(), runc: shim(), runtime })
    };
    check(|m| m.facts.engines.dockerd = runs("/l/runc", true), &[]);
    check(
        |m| m.facts.engines.dockerd = runs("/usr/sbin/runc", false),
        &[(
            Warning,
            "other runtimes",
            "Docker's runc: a container that is started with `--runtime` of these is not traced",
        )],
    );
    check(
        |m| m.facts.engines.stale = vec![("dockerd", "/etc/docker/daemon.json".into())],
        &[(Warning, "daemon", "dockerd runs since before /etc/docker/daemon.json was changed")],
    );
    check(
        |m| m.facts.engines.rootless = vec!["/run/user/1/docker.sock".into()],
        &[(
            Warning,
            "rootless engines",
            "/run/user/1/docker.sock: their containers are in user namespaces and are not traced",
        )],
    );

    let shim = || Some(worker("/l/runc", true, YES));
    let runc = || Some(worker("/usr/sbin/runc", false, YES));
    let by = |command, runc| Some(Dockerd { pid: 7, command, runc, runtime: None });
    let untraced = "the steps of `docker build` are not traced";
    for (version, dockerd, want) in [
        ("28.1.0", by(shim(), runc()), None),
        ("28.1.0", by(None, shim()), None),
        ("20.10.5", by(None, shim()), None),
        (
            "20.10.5",
            by(shim(), runc()),
            Some(format!(
                "dockerd (7) runs /usr/sbin/runc by the first runc in its PATH: {untraced}"
            )),
        ),
        (
            "28.1.0",
            by(runc(), shim()),
            Some(format!(
                "dockerd (7) runs /usr/sbin/runc by DOCKER_BUILDKIT_RUNC_COMMAND: {untraced}"
            )),
        ),
        (
            "28.1.0",
            by(Some(worker("/l/runc", true, Executable::Missing)), None),
            Some(format!(
                "dockerd (7) runs /l/runc by DOCKER_BUILDKIT_RUNC_COMMAND, which cannot be executed: {untraced}"
            )),
        ),
        ("28.1.0", by(None, None), Some("dockerd (7) has no runc in its PATH".to_owned())),
    ] {
        let want: Vec<_> = want.iter().map(|w| (Problem, "Docker BuildKit", w.as_str())).collect();
        check(
            |m| {
                m.facts.programs[1].version = Ok(version.to_owned());
                m.facts.engines.dockerd = dockerd;
            },
            &want,
        );
    }

    let pods = |default: &str, ours: Executable| {
        let runtimes =
            [("buildwarden".to_owned(), Some(worker("/b", true, ours))), ("runc".to_owned(), None)];
        Some(Containerd { default: default.to_owned(), runtimes: runtimes.into() })
    };
    check(|m| m.facts.engines.containerd = pods("buildwarden", YES), &[]);
    check(
        |m| m.facts.engines.containerd = pods("buildwarden", Executable::No),
        &[(
            Problem,
            "containerd runtime",
            "buildwarden names /b, which cannot be executed: no pod starts",
        )],
    );
    let untraced = "runc is the default and not Buildwarden: pods are not traced";
    check(
        |m| m.facts.engines.containerd = pods("runc", YES),
        &[(Warning, "containerd runtime", untraced)],
    );
    let alone = || {
        let runtimes = [("runc".to_owned(), None)].into();
        Some(Containerd { default: "runc".to_owned(), runtimes })
    };
    check(|m| m.facts.engines.containerd = alone(), &[]);
    check(
        |m| {
            m.facts.engines.containerd = alone();
            m.facts.programs.push(program("kubelet"));
        },
        &[(Warning, "containerd runtime", untraced)],
    );

    check(|m| m.facts.engines.buildkit = shim().map(Ok), &[]);
    check(
        |m| m.facts.engines.buildkit = Some(Err(malformed())),
        &[(Problem, "BuildKit worker", "/x: no")],
    );
    let untraced = "the steps of buildkitd's builds are not traced";
    check(
        |m| m.facts.engines.buildkit = runc().map(Ok),
        &[(Warning, "BuildKit worker", &format!("/usr/sbin/runc: {untraced}"))],
    );
    check(
        |m| m.facts.programs.push(program("buildkitd")),
        &[(Warning, "BuildKit worker", &format!("runc: {untraced}"))],
    );
    check(
        |m| m.facts.engines.buildkit = Some(Ok(worker("/b", true, Executable::Missing))),
        &[(Problem, "BuildKit worker", "/b cannot be executed: no step runs")],
    );
}
