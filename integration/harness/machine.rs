//! A small Debian of a test's own, to install a package in.

use super::{Dir, Done, cgroups, run_within};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Fetching it, once.
const FETCH: Duration = Duration::from_secs(900);
/// Starting systemd, installing a package and removing it.
const BOOT: Duration = Duration::from_secs(180);
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Mounts it, says so, and holds it until its standard input ends. In a mount namespace of
/// its own: nothing of the host's /sys or /dev is ever below the test's directory.
const HOLD: &str = r#"
set -e
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
mount -t proc proc "$2/root/proc"
mount --rbind /sys "$2/root/sys"
mount -t bpf bpf "$2/root/sys/fs/bpf"
mount --rbind /dev "$2/root/dev"
mount -t tmpfs tmpfs "$2/root/run"
echo ready
read -r _ || true
"#;

/// What a machine is put together from: the Debian, and what is written over it.
pub(crate) struct Parts<'a> {
    dir: &'a Dir,
    lower: String,
}

impl<'a> Parts<'a> {
    #[track_caller]
    pub(crate) fn new(dir: &'a Dir) -> Parts<'a> {
        let fetch = script("fetch");
        let lower = run_within(FETCH, &mut Command::new(fetch)).expect_code(0).stdout();
        for name in ["upper", "work", "root"] {
            fs::create_dir_all(dir.path("machine").join(name)).unwrap();
        }
        Parts { dir, lower: lower.trim().to_owned() }
    }

    /// The files of the test's own.
    pub(crate) fn upper(&self) -> PathBuf {
        self.dir.path("machine/upper")
    }

    /// Starts its systemd, which runs `/check.sh`, and waits until it has powered off.
    #[track_caller]
    pub(crate) fn boot(&self) -> Done {
        let mut boot = Command::new(script("boot"));
        boot.arg(&self.lower).arg(self.dir.path("machine")).arg(self.dir.name());
        let done = run_within(BOOT, &mut boot);
        cgroups::remove(self.dir.name());
        done
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/debian").join(name)
}

/// A root file system with mounts as a machine has them, and a bpffs of its own. Goes
/// with its test.
pub(crate) struct Machine<'a> {
    dir: &'a Dir,
    holder: Child,
}

impl<'a> Machine<'a> {
    #[track_caller]
    pub(crate) fn new(dir: &'a Dir) -> Machine<'a> {
        let parts = Parts::new(dir);
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", HOLD, "hold"])
            .arg(&parts.lower)
            .arg(dir.path("machine"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "the machine could not be mounted");
        Machine { dir, holder }
    }

    /// A name that no other test has.
    pub(crate) fn name(&self) -> &str {
        self.dir.name()
    }

    /// The machine's `path`, as this test sees it.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        let root = self.dir.path("machine/root");
        let namespace = format!("/proc/{}/root{}{path}", self.holder.id(), root.display());
        namespace.into()
    }

    /// A program, run in the machine.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id()))
            .arg("chroot")
            .arg(self.dir.path("machine/root"))
            .arg(program)
            .env_clear()
            .envs([("PATH", PATH), ("HOME", "/root"), ("LC_ALL", "C.UTF-8")])
            .envs([("DEBIAN_FRONTEND", "noninteractive"), ("MANPAGER", "cat")]);
        command
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
