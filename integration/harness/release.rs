//! The Debian whose engines a test runs.

use super::{command::run_within, dir::Dir, programs::package};
use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::LazyLock,
    time::Duration,
};

/// Where an engine's programs are: on this machine, or in the next Debian's root file
/// system, in a mount namespace that goes with its test.
pub(crate) struct Release(Option<Next>);

struct Next {
    keeper: Child,
    directory: PathBuf,
}

impl Release {
    /// What is installed here.
    pub(crate) fn installed() -> Release {
        Release(None)
    }

    /// The next Debian.
    #[track_caller]
    pub(crate) fn next(dir: &Dir) -> Release {
        Release::enter(dir, &[])
    }

    /// The next Debian with cgroups of version 2 only, which newer podman and crun want.
    #[track_caller]
    pub(crate) fn next_with_cgroup2(dir: &Dir) -> Release {
        Release::enter(dir, &["--cgroup2"])
    }

    #[track_caller]
    fn enter(dir: &Dir, options: &[&str]) -> Release {
        static ROOT: LazyLock<PathBuf> = LazyLock::new(|| cached("fetch"));
        let mut keeper = Command::new(package().join("integration/engines/enter"));
        keeper.args(options).arg(&*ROOT).arg(dir.path("next")).arg(dir.path(""));
        keeper.arg(Path::new(env!("CARGO_BIN_EXE_buildwarden")).parent().unwrap());
        let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Release(Some(Next { keeper, directory: dir.path("") }))
    }

    /// Whether it is the next one.
    pub(crate) fn is_next(&self) -> bool {
        self.0.is_some()
    }

    /// A program of it.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let program = program.as_ref();
        let Some(next) = &self.0 else { return Command::new(program) };
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--root", "--target"]).arg(next.keeper.id().to_string());
        command.arg(format!("--wdns={}", next.directory.display())).arg(program);
        command
    }

    /// A program of it that ends with the test, however that ends.
    pub(crate) fn daemon(&self, program: &str) -> Command {
        let command = self.command(program);
        let mut daemon = Command::new("setpriv");
        daemon.args(["--pdeathsig", "TERM"]).arg(command.get_program()).args(command.get_args());
        daemon
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// youki, which no Debian has.
pub(crate) fn youki() -> &'static Path {
    static PATH: LazyLock<PathBuf> = LazyLock::new(|| cached("youki"));
    &PATH
}

/// What a script in `integration/engines` prints the path of. The first time it takes
/// minutes.
fn cached(script: &str) -> PathBuf {
    let mut command = Command::new(package().join("integration/engines").join(script));
    let done = run_within(Duration::from_secs(1200), &mut command).expect_code(0);
    done.stdout().trim_end().into()
}
