//! Commands that end, one way or the other.

use super::wait::DEADLINE;
use std::{
    fmt,
    io::{Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// Its exit code, or 128 plus its signal.
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Done {
    /// Its standard output, with what is not UTF-8 replaced.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its standard error, with what is not UTF-8 replaced.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Itself, when its exit code is `code`.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Done { code, .. } = self;
        write!(f, "exit code {code}\nstdout: {}\nstderr: {}", self.stdout(), self.stderr())
    }
}

/// Runs a command to its end, without input.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Done {
    run_with_input(command, b"")
}

/// Runs a command that may take longer than everything else.
#[track_caller]
pub(crate) fn run_within(deadline: Duration, command: &mut Command) -> Done {
    finish(spawn(command), b"", deadline, &format!("{command:?}"))
}

/// Runs a command to its end and to the end of its output: a process that it
/// leaves behind with the pipes open fails the test, as it would block an engine.
#[track_caller]
pub(crate) fn run_with_input(command: &mut Command, input: &[u8]) -> Done {
    finish(spawn(command), input, DEADLINE, &format!("{command:?}"))
}

/// Starts a command with pipes, in a process group of its own.
#[track_caller]
pub(super) fn spawn(command: &mut Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Waits for the end of what [`spawn`] started.
#[track_caller]
pub(super) fn finish(mut child: Child, input: &[u8], deadline: Duration, what: &str) -> Done {
    let (send, receive) = mpsc::channel();
    let mut pipes: [Box<dyn Read + Send>; 2] =
        [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
    let group = child.id() as i32;
    let mut stdin = child.stdin.take().unwrap();
    let output = thread::scope(|scope| {
        scope.spawn(move || {
            // Who does not read its input closes it.
            let _ = stdin.write_all(input);
        });
        for (index, pipe) in pipes.iter_mut().enumerate() {
            let send = send.clone();
            scope.spawn(move || {
                let mut bytes = Vec::new();
                let result = pipe.read_to_end(&mut bytes).map(|_| bytes);
                let _ = send.send((index, result));
            });
        }
        let mut output = [Vec::new(), Vec::new()];
        for _ in 0..2 {
            let Ok((index, bytes)) = receive.recv_timeout(deadline) else {
                let group = nix::unistd::Pid::from_raw(group);
                let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
                return None;
            };
            output[index] = bytes.unwrap();
        }
        Some(output)
    });
    let status = child.wait().unwrap();
    let Some([stdout, stderr]) = output else {
        panic!("not at its end after {deadline:?}: {what}");
    };
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Done { code, stdout, stderr }
}
