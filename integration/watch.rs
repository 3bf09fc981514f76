//! Watching containers that start meanwhile.

use crate::harness::{Container, Dir, until};
use std::{
    fs::{self, File},
    process::{Child, Stdio},
};

/// `buildwarden watch`, and what it has written so far.
struct Watch<'a> {
    dir: &'a Dir,
    name: &'a str,
    child: Child,
}

impl<'a> Watch<'a> {
    fn start(dir: &'a Dir, name: &'a str, args: &[&str]) -> Watch<'a> {
        let out = File::create(dir.path(name)).unwrap();
        let mut command = dir.buildwarden(["watch"].iter().chain(args));
        let child = command.stdin(Stdio::null()).stdout(out).spawn().unwrap();
        Watch { dir, name, child }
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.dir.path(self.name)).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        // Gone already when it was to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn root_containers_that_start_while_watching_are_watched() {
    let dir = Dir::new();
    let host = Watch::start(&dir, "host", &[]);
    let mut job = None;
    for (id, of) in [("first", "acme #1"), ("other", "acme #2"), ("second", "acme #1")] {
        let script = "wget http://198.51.100.33/x; echo >/sync/ready; read _ </sync/go";
        let container = Container::new(&dir, id).script(script);
        let container = container.annotation("dev.buildwarden.job", of);
        let mut running = container.start();
        running.ready();
        // While it runs.
        until(&format!("the row of {id}"), || {
            host.lines().last()?.contains(&format!("  {id} ")).then_some(())
        });
        let args = ["--job", "acme #1", "--until-idle", "--json"];
        let job = job.get_or_insert_with(|| Watch::start(&dir, "job", &args));
        if id == "first" {
            until("the job's finding", || (job.lines().len() == 2).then_some(()));
        }
        running.go();
        running.finish().expect_code(0);
        until("the row of its end", || host.lines().last()?.contains("ended").then_some(()));
    }
    let rows = host.lines();
    assert_eq!(rows.len(), 6, "{rows:#?}");
    assert!(rows[2].contains("MEDIUM") && rows[2].contains("wget → 198.51.100.33"), "{rows:#?}");
    // The first container was its last one then.
    let mut job = job.unwrap();
    assert!(job.child.wait().unwrap().success());
    assert_eq!(job.lines().len(), 3, "{:#?}", job.lines());
}
