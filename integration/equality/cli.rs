//! Scenarios of engines with Docker's command line.

use super::{Observed, Scenario, without_ids};
use crate::harness::{Dir, Done, run, until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{fs, process::Command};

/// An engine with Docker's command line and an image `img:1`.
pub(super) trait Cli {
    /// `docker ARG…`.
    fn command(&self, args: &[&str]) -> Done;

    /// `docker run --network none OPTION… img:1 sh -c SCRIPT`.
    fn run(&self, options: &[&str], script: &str) -> Done;
}

const SCRIPT: &str = "sh /build.sh";
/// It is there when the script has ended.
const HELD: &str = "sh /build.sh; echo \"ended: $?\"; exec sleep 600";
const OPTIONS: [&str; 8] =
    ["--name", "build", "--hostname", "build", "--env", "A=b", "--workdir", "/tmp"];
/// A build that succeeds, one of whose steps does not. Builders put both streams on one, in
/// the middle of lines too, so there is one.
const DOCKERFILE: &str = "\
    FROM img:1\n\
    ENV A=b\n\
    WORKDIR /tmp\n\
    RUN sh /build.sh 2>/err || echo \"ended: $?\" >/status\n\
    RUN cat /status /err\n";
const FAILING: &str = "FROM img:1\nRUN sh /build.sh 2>/err; s=$?; cat /err; exit $s\n";

/// Removes what a scenario that failed has left.
fn clean(cli: &dyn Cli, dir: &Dir) {
    // Mostly there is nothing.
    cli.command(&["rm", "--force", "build"]);
    let _ = fs::remove_dir_all(dir.path("export"));
}

/// Keeps the container `build` as the engine has it, and removes it.
fn leave(cli: &dyn Cli, dir: &Dir, observed: &mut Observed) {
    state(cli, observed);
    export(cli, dir, observed);
}

/// Keeps what the engine says of the container `build`, which has ended.
pub(super) fn state(cli: &dyn Cli, observed: &mut Observed) {
    // podman cleans up behind it, in its own time.
    until("the container is off", || {
        let status = cli.command(&["inspect", "--format", "{{.State.Status}}", "build"]).stdout();
        (status == "exited\n").then_some(())
    });
    observed.state("container", &cli.command(&["inspect", "build"]));
}

/// Keeps the files of the container `build`, and removes it.
fn export(cli: &dyn Cli, dir: &Dir, observed: &mut Observed) {
    let (tar, files) = (dir.path("export.tar"), dir.path("export"));
    cli.command(&["export", "--output", tar.to_str().unwrap(), "build"]).expect_code(0);
    fs::create_dir(&files).unwrap();
    run(Command::new("tar").arg("-xpf").arg(tar).arg("-C").arg(&files)).expect_code(0);
    observed.files(&files);
    fs::remove_dir_all(files).unwrap();
    cli.command(&["rm", "--force", "build"]).expect_code(0);
}

/// Starts the container `build` in the background.
fn start(cli: &dyn Cli, dir: &Dir, observed: &mut Observed, script: &str) {
    clean(cli, dir);
    let options = [&["--detach"], &OPTIONS[..]].concat();
    observed.lines("run", |line| Some(without_ids(line)), || cli.run(&options, script));
}

/// Waits until the script has ended for the `times`th time.
fn ended(cli: &dyn Cli, times: usize) {
    until("the script's end", || {
        let logs = cli.command(&["logs", "build"]).stdout();
        (logs.matches("\nended: 42\n").count() >= times).then_some(())
    });
}

/// `docker run`, in the foreground.
pub(super) fn in_foreground<'e>(cli: &'e dyn Cli, dir: &'e Dir) -> Scenario<'e> {
    Scenario::new("run", &[1], move |observed| {
        clean(cli, dir);
        observed.step("run", || cli.run(&OPTIONS, SCRIPT));
        leave(cli, dir, observed);
    })
}

/// `docker exec` into a container that sleeps.
pub(super) fn exec<'e>(cli: &'e dyn Cli, dir: &'e Dir) -> Scenario<'e> {
    Scenario::new("exec", &[1], move |observed| {
        start(cli, dir, observed, "exec sleep 600");
        observed.step("exec", || {
            cli.command(&["exec", "--env", "B=c", "--workdir", "/", "build", "sh", "/build.sh"])
        });
        cli.command(&["kill", "build"]).expect_code(0);
        cli.command(&["wait", "build"]).expect_code(0);
        leave(cli, dir, observed);
    })
}

/// The same container a second time, by these commands.
pub(super) fn again<'e>(
    name: &'static str,
    commands: &'static [&'static [&'static str]],
    cli: &'e dyn Cli,
    dir: &'e Dir,
) -> Scenario<'e> {
    Scenario::new(name, &[1, 1], move |observed| {
        start(cli, dir, observed, HELD);
        ended(cli, 1);
        for command in commands {
            observed.step(command[0], || cli.command(command));
        }
        ended(cli, 2);
        observed.step("stop", || cli.command(&["stop", "--time", "0", "build"]));
        observed.step("logs", || cli.command(&["logs", "build"]));
        leave(cli, dir, observed);
    })
}

/// SIGKILL from outside of the engine.
pub(super) fn killed<'e>(cli: &'e dyn Cli, dir: &'e Dir) -> Scenario<'e> {
    Scenario::new("kill -9", &[1], move |observed| {
        start(cli, dir, observed, HELD);
        ended(cli, 1);
        let pid = cli.command(&["inspect", "--format", "{{.State.Pid}}", "build"]).stdout();
        kill(Pid::from_raw(pid.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
        observed.step("wait", || cli.command(&["wait", "build"]));
        observed.step("logs", || cli.command(&["logs", "build"]));
        leave(cli, dir, observed);
    })
}

/// A build that succeeds and one that fails. `build` takes options and a Dockerfile,
/// `line` is for [`Observed::lines`].
pub(super) fn build<'e>(
    name: &'static str,
    cli: &'e dyn Cli,
    dir: &'e Dir,
    line: fn(&str) -> Option<String>,
    build: impl Fn(&[&str], &str) -> Done + 'e,
) -> Scenario<'e> {
    Scenario::new(name, &[0, 1, 1], move |observed| {
        clean(cli, dir);
        observed.lines("build", line, || build(&["--tag", "built"], DOCKERFILE));
        let image = ["image", "inspect", "--format", "{{json .Config}}", "built"];
        observed.state("image", &cli.command(&image));
        cli.command(&["create", "--name", "build", "built", "true"]).expect_code(0);
        export(cli, dir, observed);
        cli.command(&["rmi", "built"]).expect_code(0);
        observed.lines("failing build", line, || build(&[], FAILING));
    })
}
