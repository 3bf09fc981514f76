//! Jobs of several engines at once on one host.

use crate::harness::{Dir, Docker, Done, Podman, run, until};
use std::{fs, process::Command, thread};

/// What a job does until there is a file `/stop` in its container, or for so long that
/// something is wrong: the numbers from 0 on in its name, and at last how many they were.
fn script(job: usize) -> String {
    format!(
        "i=0; until [ -e /stop ] || [ $i = 9999 ]; do \
           /bin/true job-{job} $i; /bin/usleep 5000; i=$((i+1)); done; \
         /bin/wget http://198.51.100.{job}/x; /bin/true job-{job} ran $i"
    )
}

/// Puts the file there.
fn stop(dir: &Dir, id: &str) {
    let attachment = fs::read(dir.run().join(id).join("attachment.json")).unwrap();
    let attachment: serde_json::Value = serde_json::from_slice(&attachment).unwrap();
    let pid = &attachment["attached"]["pid"];
    fs::write(format!("/proc/{pid}/root/stop"), "").unwrap();
}

#[test]
fn root_jobs_side_by_side_see_nothing_of_each_other() {
    const JOBS: usize = 5;
    let dir = Dir::new();
    let (docker, podman) = (Docker::new(&dir), Podman::new(&dir));
    let build =
        |buildkit, job| docker.build(buildkit, &[], &format!("FROM img:1\nRUN {}\n", script(job)));
    let start: [&(dyn Fn() -> Done + Sync); JOBS] = [
        &|| docker.run(&["--rm"], &script(0)),
        &|| docker.run(&["--rm"], &script(1)),
        &|| build(false, 2),
        &|| build(true, 3),
        &|| podman.run(&["--rm", "img:1", "sh", "-c", &script(4)]),
    ];
    thread::scope(|scope| {
        let jobs = start.map(|start| scope.spawn(start));
        until("all jobs at work at the same time", || {
            let runs = dir.runs();
            let lines = |id: &String| {
                let log = dir.state().join("containers").join(id).join("execs.jsonl");
                fs::read_to_string(log).map_or(0, |text| text.lines().count())
            };
            run(Command::new("/bin/true").args(["job-9", "0"])).expect_code(0);
            (runs.len() == JOBS && runs.iter().all(|id| lines(id) > 100)).then_some(())
        });
        dir.runs().iter().for_each(|id| stop(&dir, id));
        for (job, handle) in jobs.into_iter().enumerate() {
            let done = handle.join().unwrap();
            assert_eq!(done.code, 0, "job {job}: {done}");
        }
    });

    let mut seen: Vec<usize> = dir.runs().iter().map(|id| check(&dir, id)).collect();
    seen.sort();
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    dir.expect_nothing_live();
}

/// The number of the job whose report this is, which holds all that it executed and nothing
/// else.
#[track_caller]
fn check(dir: &Dir, id: &str) -> usize {
    let report = dir.report(id);
    let execs = dir.execs(id);
    let address = &report.findings[0].addresses[0].address;
    let job: usize = address.rsplit('.').next().unwrap().parse().unwrap();
    let ran = (execs.len() - 3) / 2;
    assert!(ran > 10, "job {job}: {ran}");
    let mut found = execs.iter().map(|exec| -> Vec<String> {
        exec.argv.iter().map(|argument| String::from_utf8(argument.to_vec()).unwrap()).collect()
    });
    let entrypoint = found.next().unwrap();
    assert_eq!(entrypoint[1..], ["-c", &*script(job)], "job {job}");
    let name = format!("job-{job}");
    for number in 0..ran {
        assert_eq!(found.next().unwrap(), ["/bin/true", &*name, &*number.to_string()]);
        assert_eq!(found.next().unwrap(), ["/bin/usleep", "5000"]);
    }
    assert_eq!(found.next().unwrap(), ["/bin/wget", &*format!("http://198.51.100.{job}/x")]);
    assert_eq!(found.next().unwrap(), ["/bin/true", &*name, "ran", &*ran.to_string()]);
    assert_eq!(found.next(), None, "job {job}");
    assert_eq!(report.findings.len(), 1, "job {job}");
    assert_eq!(report.completeness.reasons, [""; 0], "job {job}");
    assert_eq!(report.completeness.execs, execs.len() as u64, "job {job}");
    job
}
