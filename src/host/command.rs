//! Another program, run to its end or to a deadline.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How much of each output stream is kept.
const MAX_BYTES: u64 = 64 << 10;

/// What a program said and how it ended.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// The first 64 KiB of its standard output.
    pub stdout: Vec<u8>,
    /// The first 64 KiB of its standard error.
    pub stderr: Vec<u8>,
}

/// Why a program's output could not be had.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started, or not be waited for.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It was killed at its deadline.
    #[error("no answer within {} s", .0.as_secs())]
    TooLate(Duration),
}

/// Runs `command` with no input, in a process group of its own which is killed
/// after `limit`.
///
/// Its output goes to unnamed files: with pipes, something that it leaves behind
/// could keep this waiting for the pipe's end.
pub fn output(command: &mut Command, limit: Duration) -> Result<Output, CommandError> {
    let (stdout, stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?)
        .process_group(0)
        .spawn()?;
    let ended = wait_for_end(&child, limit);
    if !matches!(ended, Ok(true))
        && let Some(group) = pid(&child)
    {
        // It may have ended just now, and then there is nothing to kill.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let status = child.wait()?;
    if !ended? {
        return Err(CommandError::TooLate(limit));
    }
    Ok(Output { status, stdout: head(stdout)?, stderr: head(stderr)? })
}

/// Waits until `child` has ended; `false` when it has not within `limit`.
fn wait_for_end(child: &Child, limit: Duration) -> io::Result<bool> {
    let pid = pid(child).ok_or(io::ErrorKind::InvalidData)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(ready) => return Ok(ready > 0),
        }
    }
}

fn pid(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()).ok()?)
}

fn head(mut file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Result<Output, CommandError> {
        output(Command::new("sh").args(["-c", script]), limit)
    }

    #[test]
    fn both_streams_and_the_status_come_back() {
        let output = sh("echo out; echo err >&2; exit 3", Duration::from_secs(60)).expect("ended");
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(output.stdout, b"out\n");
        assert_eq!(output.stderr, b"err\n");
    }

    #[test]
    fn output_is_cut() {
        let output = sh("head -c 100000 /dev/zero", Duration::from_secs(60)).expect("ended");
        assert_eq!(output.stdout.len(), 64 << 10);
    }

    #[test]
    fn a_program_is_killed_at_its_deadline_with_its_children() {
        let begin = Instant::now();
        let error = sh("sleep 300 & wait", Duration::from_millis(50)).expect_err("too late");
        assert!(matches!(error, CommandError::TooLate(_)), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn what_stays_behind_does_not_keep_us() {
        let begin = Instant::now();
        let output = sh("sleep 5 & echo done", Duration::from_secs(60)).expect("ended");
        assert_eq!(output.stdout, b"done\n");
        assert!(begin.elapsed() < Duration::from_secs(4));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let mut command = Command::new("/nonexistent/program");
        let error = output(&mut command, Duration::from_secs(1)).expect_err("not there");
        assert!(matches!(error, CommandError::Io(_)), "{error}");
    }
}
