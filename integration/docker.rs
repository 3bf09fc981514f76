//! Docker with the shim as its runtime: containers, and both of its builders.

use crate::harness::{Dir, Docker, Release, until};
use buildwarden::report::model::{Report, Step};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

fn addresses(report: &Report) -> Vec<&str> {
    report.findings.iter().flat_map(|f| &f.addresses).map(|a| a.address.as_str()).collect()
}

#[test]
fn root_docker_run_exec_restart_and_kill_are_seen() {
    let dir = Dir::new();
    let docker = Docker::new(&dir);
    run_exec_restart_and_kill_are_seen(&dir, &docker);

    // Docker's own name for its runtime: the daemon's PATH has the shim.
    docker.run(&["--rm", "--runtime", "runc"], "true").expect_code(0);
    assert_eq!(dir.runs().len(), 3);
    dir.expect_nothing_live();
}

#[test]
fn root_next_docker_run_exec_restart_and_kill_are_seen() {
    let dir = Dir::new();
    let docker = Docker::of(&dir, Release::next(&dir));
    run_exec_restart_and_kill_are_seen(&dir, &docker);

    // Here it has not.
    docker.run(&["--rm", "--runtime", "runc"], "true").expect_code(0);
    assert_eq!(dir.runs().len(), 2);
    dir.expect_nothing_live();
}

fn run_exec_restart_and_kill_are_seen(dir: &Dir, docker: &Docker<'_>) {
    let script = "wget http://198.51.100.30/x; sleep 60";
    docker.run(&["--detach", "--name", "builder"], script).expect_code(0);
    let id = docker.id("builder");
    docker.docker(&["exec", "builder", "wget", "http://198.51.100.31/x"]).expect_code(1);
    docker.docker(&["restart", "--time", "0", "builder"]).expect_code(0);
    let report = dir.report(&id);
    let mut found = addresses(&report);
    found.sort();
    assert_eq!(found, ["198.51.100.30", "198.51.100.31"]);
    assert_eq!(report.completeness.reasons, [""; 0]);
    assert_eq!(report.container.engine.as_deref(), Some("docker"));
    assert_eq!(words(&report.container.step), ["sh", "-c", script]);

    // Its second run ends by a SIGKILL from outside.
    let second = format!("{id}.2");
    until("the second run's exec", || {
        let log = dir.state().join("containers").join(&second).join("annotations.jsonl");
        std::fs::read_to_string(log).ok()?.contains("finding.1").then_some(())
    });
    let pid = docker.docker(&["inspect", "--format", "{{.State.Pid}}", "builder"]).stdout();
    kill(Pid::from_raw(pid.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
    let report = dir.report(&second);
    assert_eq!(addresses(&report), ["198.51.100.30"]);
    assert_eq!(report.completeness.reasons, [""; 0]);
    assert_eq!(dir.runs(), [id, second]);
}

const DOCKERFILE: &str = "\
    FROM img:1\n\
    RUN true\n\
    RUN wget http://198.51.100.7/x || true\n\
    RUN sleep 0\n";

#[test]
fn root_docker_build_has_a_report_for_each_step() {
    let dir = Dir::new();
    let docker = Docker::new(&dir);
    // This daemon's BuildKit has its own opinion; it takes the daemon's parent.
    build_has_a_report_for_each_step(&dir, &docker, dir.name());
}

#[test]
fn root_next_docker_build_has_a_report_for_each_step() {
    let dir = Dir::new();
    let docker = Docker::of(&dir, Release::next(&dir));
    build_has_a_report_for_each_step(&dir, &docker, &format!("{}/ci-42", dir.name()));
}

/// Builds with both builders; `buildkit_parent` is where BuildKit puts
/// the steps' cgroups.
fn build_has_a_report_for_each_step(dir: &Dir, docker: &Docker<'_>, buildkit_parent: &str) {
    let mut before = Vec::new();
    for buildkit in [false, true] {
        let parent = format!("{}/ci-42", dir.name());
        let want = if buildkit { buildkit_parent } else { &parent };
        let done = docker.build(buildkit, &["--cgroup-parent", &parent], DOCKERFILE);
        let done = done.expect_code(0);
        let mut runs = dir.runs();
        runs.retain(|run| !before.contains(run));
        assert_eq!(runs.len(), 3, "{runs:?}: {done}");
        let reports = runs.iter().map(|run| dir.report(run));
        let mut steps: Vec<(String, Vec<String>)> = Vec::new();
        for report in reports {
            let container = &report.container;
            let engine = if buildkit { "buildkit" } else { "docker" };
            assert_eq!(container.engine.as_deref(), Some(engine));
            assert_eq!(report.completeness.reasons, [""; 0]);
            let step = words(&container.step);
            assert_eq!(step[..2], ["/bin/sh", "-c"]);
            let build = container.step.as_ref().and_then(|step| step.build.as_ref()).unwrap();
            assert_eq!((build.id.as_str(), build.source.as_str()), (want, "cgroup parent"));
            assert_eq!(report.job.as_ref().map(|job| job.id.as_str()), Some(want));
            for finding in &report.findings {
                let advice = finding.advice.join("\n");
                assert!(advice.contains("the step `wget http://198.51.100.7/x"), "{advice}");
            }
            let found = addresses(&report).into_iter().map(str::to_owned).collect();
            steps.push((step[2].clone(), found));
        }
        steps.sort();
        let none = Vec::new;
        assert_eq!(
            steps,
            [
                ("sleep 0".to_owned(), none()),
                ("true".to_owned(), none()),
                ("wget http://198.51.100.7/x || true".to_owned(), vec!["198.51.100.7".to_owned()]),
            ],
        );
        before = dir.runs();
    }
    // What a CI system passes on to its builds names the job.
    let ci = ["CI_PROJECT_PATH=acme/web", "CI_PIPELINE_ID=3", "CI_JOB_ID=7"];
    let options = ci.map(|variable| ["--build-arg", variable]).concat();
    let dockerfile = "FROM img:1\nARG CI_PROJECT_PATH CI_PIPELINE_ID CI_JOB_ID\nRUN true\n";
    docker.build(true, &options, dockerfile).expect_code(0);
    let run = dir.runs().into_iter().find(|run| !before.contains(run)).unwrap();
    assert_eq!(dir.report(&run).job.map(|job| job.id).as_deref(), Some("acme/web/3/7"));
    dir.expect_nothing_live();
}

#[test]
fn root_docker_behaves_as_without_us() {
    const SCRIPT: &str = "echo out; echo err >&2; ls /bin /tmp; cat /proc/self/limits; \
        while read l; do case $l in Sig[!Q]*|Shd*|Cap*|NoNew*|Secc*) echo $l; esac; done </proc/self/status; \
        wget -T 1 http://198.51.100.33/x; cat nothing; (exit 7); exit 42";
    let dir = Dir::new();
    let docker = Docker::new(&dir);
    for (options, script) in [
        (&[][..], SCRIPT),
        (&["--tty"], SCRIPT),
        (&["--env", "A=b", "--workdir", "/tmp", "--user", "7:8"], "ls -ln; echo $A $PWD; exit 3"),
        (&["--read-only", "--hostname", "h"], "echo x >/x; kill -9 $$"),
        (&["--init"], "true"),
        (&["--entrypoint", "/nothing"], "true"),
        (&["--cgroupns", "host"], "true"),
    ] {
        let behaviour = |name: &str, runtime: &str| {
            let own = ["--name", name, "--runtime", runtime];
            let done = docker.run(&[&own, options].concat(), script);
            let state = "{{.State.ExitCode}} {{.State.Status}} {{.State.OOMKilled}}";
            let state = docker.docker(&["inspect", "--format", state, name]).stdout();
            let diff = docker.docker(&["diff", name]).stdout();
            docker.docker(&["rm", name]).expect_code(0);
            // Its client's own messages come or come not, as it happens.
            let stderr = done.stderr();
            let stderr: Vec<_> = stderr.lines().filter(|l| !l.starts_with("time=")).collect();
            (done.code, done.stdout(), stderr.join("\n"), state, diff)
        };
        let (with, without) = (behaviour("same", "traced"), behaviour("same", "plain"));
        assert_eq!(with, without, "{options:?}");
    }
    dir.expect_nothing_live();
}

fn words(step: &Option<Step>) -> Vec<String> {
    let command = step.as_ref().expect("a step").command.iter();
    command.map(|word| String::from_utf8(word.to_vec()).unwrap()).collect()
}
