//! What else shows each exec and its arguments: what Debian has of it, as its manual has it.

use super::{
    rounds::{Took, With},
    stand_in::Stage,
    table::Row,
};
use nix::{
    mount::{MsFlags, mount},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// One of them.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) name: &'static str,
    place: Place,
    command: &'static [&'static str],
}

#[derive(Debug)]
enum Place {
    /// Beside what it watches; it writes to standard output.
    Beside,
    /// The same, but it writes the file whose path is its last argument.
    BesideInto,
    /// Before what it watches; the file that it writes goes between.
    Before,
}

const PEERS: [Peer; 6] = [
    Peer { name: "execsnoop (libbpf-tools)", place: Place::Beside, command: &["execsnoop"] },
    Peer { name: "execsnoop (bpfcc-tools)", place: Place::Beside, command: &["execsnoop-bpfcc"] },
    Peer { name: "execsnoop.bt (bpftrace)", place: Place::Beside, command: &["execsnoop.bt"] },
    Peer {
        name: "strace",
        place: Place::Before,
        command: &["strace", "-f", "-qq", "-e", "trace=execve,execveat", "-o"],
    },
    Peer {
        name: "strace --seccomp-bpf",
        place: Place::Before,
        command: &["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=execve,execveat", "-o"],
    },
    Peer {
        name: "auditd",
        place: Place::BesideInto,
        command: &[concat!(env!("CARGO_MANIFEST_DIR"), "/integration/bench/auditd")],
    },
];

/// How long one may take to begin or to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// As much of what a peer says as fits in a row.
const SAID_MAX: usize = 200;

/// One that watches, until it is dropped.
pub(super) struct Running<'a> {
    peer: &'a Peer,
    output: PathBuf,
    process: Option<Process>,
}

/// Each that runs on this machine, to take part in each round of so many; and, of each that does not,
/// what it says.
pub(super) fn with_each<'a>(
    stage: &'a Stage<'_>,
    every: usize,
    run: &'a dyn Fn(&'static Peer, Running<'_>) -> Took,
) -> (Vec<(&'static Peer, With<'a>)>, Vec<(&'static Peer, String)>) {
    mount_tracing();
    let (mut able, mut unable) = (Vec::new(), Vec::new());
    for peer in &PEERS {
        match peer.start(stage) {
            Err(said) => unable.push((peer, said)),
            Ok(_) => {
                let run = move |_| match peer.start(stage) {
                    Ok(running) => vec![run(peer, running)],
                    // It ran before, and may in another round.
                    Err(said) => {
                        eprintln!("{}: {said}", peer.name);
                        Vec::new()
                    }
                };
                able.push((peer, With::new(every, run)));
            }
        }
    }
    (able, unable)
}

/// Where systemd has not done it; in the mount namespace of these tests.
fn mount_tracing() {
    let kernel = Path::new("/sys/kernel");
    for (kind, directory) in [("tracefs", "tracing"), ("debugfs", "debug")] {
        let directory = kernel.join(directory);
        if fs::read_dir(&directory).is_ok_and(|mut entries| entries.next().is_none()) {
            // A peer says what it misses.
            let _ = mount(Some(kind), &directory, Some(kind), MsFlags::empty(), None::<&str>);
        }
    }
}

impl Peer {
    /// A row of it where it does not run.
    pub(super) fn unable(&self, what: &str, said: String) -> Row {
        Row::single(&format!("{what}, {}", self.name), "does not run", "").remark(said)
    }

    /// Starts it: it sees each exec from then on. Or what it says why it does not.
    fn start<'a>(&'a self, stage: &Stage<'_>) -> Result<Running<'a>, String> {
        let output = stage.dir.path("peer.out");
        let errors = stage.dir.path("peer.err");
        // Behind an exec that it shows, each line of which is longer than what it may keep to itself.
        let mut shown = Command::new(&stage.nothing);
        shown.args([&"shown".repeat(20); 15]).stdin(Stdio::null());
        let mut running = Running { peer: self, output, process: None };
        let failed = || said(&errors);
        match self.place {
            Place::Before => {
                let mut watched = running.watch(shown);
                watched.stderr(File::create(&errors).unwrap());
                // Who is not there says so itself.
                let ended =
                    watched.status().map_err(|error| format!("{}: {error}", self.command[0]))?;
                if ended.success() { Ok(running) } else { Err(failed()) }
            }
            Place::Beside | Place::BesideInto => {
                // It does not outlive who measures.
                let mut command = Command::new("setpriv");
                command.args(["--pdeathsig", "TERM"]).args(self.command).stdin(Stdio::null());
                command.stdout(File::create(&running.output).unwrap()).process_group(0);
                if matches!(self.place, Place::BesideInto) {
                    command.arg(&running.output);
                }
                let child = command.stderr(File::create(&errors).unwrap()).spawn().unwrap();
                let process = running.process.insert(Process(child));
                let begun = Instant::now();
                while begun.elapsed() < PATIENCE {
                    if process.ended().is_some() {
                        return Err(failed());
                    }
                    shown.status().unwrap();
                    if fs::read(&running.output).unwrap().windows(5).any(|text| text == b"shown") {
                        return Ok(running);
                    }
                    thread::sleep(Duration::from_millis(5));
                }
                Err(format!("showed no exec within {PATIENCE:?}; {}", failed()))
            }
        }
    }
}

impl Running<'_> {
    /// A command that it watches.
    pub(super) fn watch(&self, command: Command) -> Command {
        match self.peer.place {
            Place::Beside | Place::BesideInto => command,
            Place::Before => {
                let mut watched = Command::new(self.peer.command[0]);
                watched.args(&self.peer.command[1..]).arg(&self.output);
                watched.arg(command.get_program()).args(command.get_args());
                if let Some(directory) = command.get_current_dir() {
                    watched.current_dir(directory);
                }
                watched.stdin(Stdio::null()).stdout(Stdio::null());
                watched
            }
        }
    }

    /// Ends it once it writes nothing more, if it ever does; what it wrote.
    pub(super) fn end(mut self) -> Vec<u8> {
        let output = self.output.clone();
        let size = || fs::metadata(&output).unwrap().len();
        let begun = Instant::now();
        let mut before = None;
        while self.process.is_some() && before != Some(size()) && begun.elapsed() < PATIENCE {
            before = Some(size());
            // Longer than any peer keeps back what it has seen.
            thread::sleep(Duration::from_millis(200));
        }
        self.process = None;
        fs::read(output).unwrap()
    }
}

/// A process that is told to end and has ended when it is dropped.
struct Process(Child);

impl Process {
    fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.0.id() as i32);
        let begun = Instant::now();
        // As who ends it at a terminal.
        let _ = kill(pid, Signal::SIGINT);
        while self.ended().is_none() && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What it said on standard error, in a line.
fn said(errors: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(errors).unwrap()).into_owned();
    // Without the frames of a traceback.
    let of_use = |line: &&str| {
        !line.is_empty() && !line.starts_with([' ', '\t']) && !line.starts_with("Traceback")
    };
    let lines: Vec<&str> = text.lines().filter(of_use).collect();
    lines.join("; ").chars().take(SAID_MAX).collect()
}
