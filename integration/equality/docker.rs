//! Docker, with both of its builders.

use super::{
    Engine,
    cli::{self, Cli},
    without_ids,
};
use crate::harness::{Docker, Done, Release};
use std::path::Path;

impl Cli for Docker<'_> {
    fn command(&self, args: &[&str]) -> Done {
        without_chatter(self.docker(args))
    }

    fn run(&self, options: &[&str], script: &str) -> Done {
        without_chatter(Docker::run(self, options, script))
    }
}

/// Docker's own client says this or that about its connection, as it happens.
fn without_chatter(mut done: Done) -> Done {
    let lines = done.stderr.split_inclusive(|byte| *byte == b'\n');
    done.stderr = lines.filter(|line| !line.starts_with(b"time=")).flatten().copied().collect();
    done
}

/// A line of the classic builder, which colours what comes from standard error.
fn classic(line: &str) -> Option<String> {
    Some(without_ids(&line.replace("\u{1b}[91m", "").replace("\u{1b}[0m", "")))
}

/// What a step said, of BuildKit's `#5 0.123 text`, and how it failed.
fn buildkit(line: &str) -> Option<String> {
    let (number, rest) = line.split_once(' ').unwrap_or((line, ""));
    if !number.starts_with('#') {
        return line.contains("exit code").then(|| line.to_owned());
    }
    let (time, text) = rest.split_once(' ')?;
    match time.parse::<f64>() {
        Ok(_) => Some(text.to_owned()),
        Err(_) => (time == "ERROR:").then(|| rest.to_owned()),
    }
}

pub(crate) const DOCKER: Engine = Engine {
    name: "docker",
    program: || Path::new("dockerd"),
    release: |_| Release::installed(),
    scenarios: |dir, release, each| {
        let docker = Docker::of(dir, release);
        each(&cli::in_foreground(&docker, dir));
        each(&cli::exec(&docker, dir));
        each(&cli::again("restart", &[&["restart", "--time", "0", "build"]], &docker, dir));
        each(&cli::killed(&docker, dir));
        let build = |options: &[&str], file: &str| docker.build(false, options, file);
        each(&cli::build("build (classic)", &docker, dir, classic, build));
        let build = |options: &[&str], file: &str| docker.build(true, options, file);
        each(&cli::build("build (BuildKit)", &docker, dir, buildkit, build));
    },
};

pub(crate) const NEXT_DOCKER: Engine = Engine { release: Release::next, ..DOCKER };
