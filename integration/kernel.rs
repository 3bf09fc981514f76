//! The kernels of Debian's releases, in an emulator, and the one that runs: what is tried on
//! each is the same (`kernel/try.sh`), and so is what must be seen of it.

mod checks;
mod document;
mod verifier;

use crate::harness::{Dir, busybox, in_path, program, run_within};
use buildwarden::{report::model::Report, trace::Verified};
use checks::CHECKS;
use comfy_table::{Table, presets};
use serde_json::Value;
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Debian's, as `kernel/fetch` calls them.
const RELEASES: [&str; 4] = ["5.10", "6.1", "6.12", "next"];
/// The kernel side's.
const PROGRAMS: [&str; 3] = ["on_exec", "on_fork", "on_exit"];
/// The first time the kernel is downloaded.
pub(crate) const BOOT: Duration = Duration::from_secs(900);
/// What the script in a machine takes to read, where everything else lies.
const SETTINGS: &str = "[directories]\nrun = \"/run/buildwarden\"\nstate = \"/out/state\"\n[ring]\nsize = \"256KiB\"\n";

/// What came of the script on one kernel.
struct Tried {
    dir: Dir,
    /// What `doctor --json` said.
    doctor: Value,
}

impl Tried {
    /// On Debian's kernel of a release.
    #[track_caller]
    fn on(release: &str) -> Tried {
        let dir = Dir::new();
        let [settings, script] =
            [("settings", SETTINGS), ("script", SCRIPT)].map(|(name, text)| {
                fs::write(dir.path(name), text).unwrap();
                dir.path(name)
            });
        let mut boot = boot(&dir, &[], release, &script);
        for (file, path) in [
            (settings, "/out/buildwarden.toml"),
            (file("kernel/try.sh"), "/try.sh"),
            (in_path("crun"), "/usr/bin/crun"),
            (program("exec"), "/usr/bin/exec"),
        ] {
            boot.arg(format!("{}:{path}", file.display()));
        }
        run_within(BOOT, &mut boot).expect_code(0);
        Tried::read(dir)
    }

    /// Here.
    #[track_caller]
    fn here() -> Tried {
        let dir = Dir::with_bpffs();
        dir.configure("ring.size = '256KiB'");
        let binary = Path::new(env!("CARGO_BIN_EXE_buildwarden"));
        let path = std::env::join_paths(
            [binary.parent().unwrap().to_owned()]
                .into_iter()
                .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
        );
        let mut script = Command::new("sh");
        script.arg(file("kernel/try.sh")).arg(dir.path("")).arg(dir.name()).arg("runc");
        script.arg(busybox()).arg(program("exec")).env("PATH", path.unwrap());
        run_within(BOOT, &mut script).expect_code(0);
        dir.expect_nothing_live();
        Tried::read(dir)
    }

    fn read(dir: Dir) -> Tried {
        let doctor = serde_json::from_slice(&fs::read(dir.path("doctor.json")).unwrap()).unwrap();
        Tried { dir, doctor }
    }

    /// The report of a container, which must hold; or of a `run`, from the copy that it made.
    #[track_caller]
    fn report(&self, name: &str) -> Report {
        let Ok(copy) = fs::read(self.dir.path(format!("{name}.json"))) else {
            return self.dir.report(name);
        };
        let copy: Report = serde_json::from_slice(&copy).unwrap();
        self.dir.report(&copy.container.id)
    }

    /// What the verifier took.
    fn verified(&self) -> Vec<Verified> {
        serde_json::from_value(self.doctor["verifier"].clone()).unwrap()
    }

    /// What uname says.
    fn release(&self) -> String {
        let checks = self.doctor["checks"].as_array().unwrap();
        let kernel = checks.iter().find(|check| check["name"] == "kernel").unwrap();
        let found = kernel["found"].as_str().unwrap();
        let (release, _) = found.strip_prefix("Linux ").unwrap().split_once(',').unwrap();
        release.to_owned()
    }
}

const SCRIPT: &str = "sh /try.sh /out matrix /usr/bin/crun /bin/busybox /usr/bin/exec\n";

/// A file beside this one.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("integration").join(name)
}

/// `kernel/boot` of a script that leaves its files in the directory.
pub(crate) fn boot(dir: &Dir, options: &[&str], release: &str, script: &Path) -> Command {
    let mut command = Command::new(file("kernel/boot"));
    // Longer than it ever took on a busy machine.
    command.args(["--deadline", "600", "--out"]).arg(dir.path("")).args(options).arg(release);
    command.arg(env!("CARGO_BIN_EXE_buildwarden")).arg(script);
    command
}

/// Everything must be seen, and be what docs/kernels.md and `verifier.csv` say.
#[track_caller]
fn check(release: &str) {
    let tried = Tried::on(release);
    let mut column = Vec::new();
    for (name, check) in CHECKS {
        column.push(((*name).to_owned(), check(&tried).to_owned()));
    }
    column.extend(verifier::check(release, &tried.verified()));
    document::check(release, &column);
}

#[test]
fn root_kernel_5_10() {
    check("5.10");
}

#[test]
fn root_kernel_6_1() {
    check("6.1");
}

#[test]
fn root_kernel_6_12() {
    check("6.12");
}

#[test]
fn root_kernel_next() {
    check("next");
}

#[test]
fn root_kernel_here() {
    let tried = Tried::here();
    for (_, check) in CHECKS {
        check(&tried);
    }
    tried.verified().iter().for_each(verifier::check_limit);
}

#[test]
#[ignore = "says what `root_kernel_…` check: `make matrix` prints it"]
fn root_matrix() {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let mut failed = Vec::new();
    let mut header = vec!["KERNEL".to_owned()];
    let mut columns = Vec::new();
    for release in RELEASES.into_iter().map(Some).chain([None]) {
        let name = release.unwrap_or("here");
        eprintln!("{name}");
        let tried = catch_unwind(|| release.map_or_else(Tried::here, Tried::on));
        let Ok(tried) = tried else {
            failed.push(format!("{name}: the script"));
            continue;
        };
        header.push(tried.release());
        let mut column = Vec::new();
        for (row, check) in CHECKS {
            let cell = catch_unwind(AssertUnwindSafe(|| check(&tried)));
            column.push(
                cell.unwrap_or_else(|_| {
                    failed.push(format!("{name}: {row}"));
                    "FAIL"
                })
                .to_owned(),
            );
        }
        column.extend(PROGRAMS.map(|program| verifier::cell(&tried.verified(), program)));
        columns.push(column);
    }
    table.set_header(header);
    let verified = PROGRAMS.map(verifier::row);
    let rows = CHECKS.iter().map(|(name, _)| (*name).to_owned()).chain(verified);
    for (number, row) in rows.enumerate() {
        table.add_row([row].into_iter().chain(columns.iter().map(|column| column[number].clone())));
    }
    println!();
    table.lines().for_each(|line| println!("{}", line.trim_end()));
    assert!(failed.is_empty(), "failed: {}", failed.join(", "));
}
