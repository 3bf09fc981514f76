//! The Debian package: built, installed, used, upgraded, removed and purged in a small
//! Debian of its own.

use crate::export::collector;
use crate::harness::{Dir, Done, Machine, Parts, busybox, run, run_within, until};
use buildwarden::report::model::{Report, Verdict};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
    time::Duration,
};

/// Compressing a debug build's binary, on a busy machine.
const BUILD: Duration = Duration::from_secs(300);
/// dpkg syncs everything it writes.
const DPKG: Duration = Duration::from_secs(180);

/// The package of this build's binary, made in a directory of that name.
fn build(dir: &Dir, out: &str) -> PathBuf {
    let binary = dir.path("buildwarden");
    let mut strip = Command::new("strip");
    run(strip.arg("-o").arg(&binary).arg(env!("CARGO_BIN_EXE_buildwarden"))).expect_code(0);
    fs::create_dir(dir.path(out)).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/debian/build");
    let mut command = Command::new(script);
    let done = run_within(BUILD, command.arg(binary).arg(dir.path(out))).expect_code(0);
    PathBuf::from(done.stdout().trim())
}

/// The package, built once.
fn package() -> &'static [u8] {
    static PACKAGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let dir = Dir::new();
        fs::read(build(&dir, "out")).unwrap()
    });
    &PACKAGE
}

/// The same package with a later version.
fn newer(dir: &Dir, package: &Path) -> PathBuf {
    let root = dir.path("newer");
    run(Command::new("dpkg-deb").arg("-R").arg(package).arg(&root)).expect_code(0);
    let control = root.join("DEBIAN/control");
    let text = fs::read_to_string(&control).unwrap();
    let version = text.lines().find(|line| line.starts_with("Version: ")).unwrap();
    fs::write(&control, text.replace(version, &format!("{version}.1"))).unwrap();
    let newer = dir.path("newer.deb");
    let mut build = Command::new("dpkg-deb");
    build.args(["-Znone", "--root-owner-group", "-b"]).arg(root).arg(&newer);
    run_within(DPKG, &mut build).expect_code(0);
    newer
}

fn dpkg(machine: &Machine<'_>, args: &[&str]) -> Done {
    run_within(DPKG, machine.command("dpkg").args(args)).expect_code(0)
}

fn install(machine: &Machine<'_>, package: &Path) -> Done {
    fs::copy(package, machine.path("/tmp/package.deb")).unwrap();
    dpkg(machine, &["-i", "/tmp/package.deb"])
}

/// What a command in the machine says, which must go well.
#[track_caller]
fn said(machine: &Machine<'_>, program: &str, args: &[&str]) -> String {
    run(machine.command(program).args(args)).expect_code(0).stdout()
}

/// Everything on the machine's disk, but for what dpkg and man keep books in.
fn files(machine: &Machine<'_>) -> Vec<String> {
    let listed = said(machine, "find", &["/", "-xdev"]);
    let books = ["/var/lib/dpkg/", "/var/cache/", "/var/log/", "/tmp/"];
    let mut files: Vec<_> = listed
        .lines()
        .filter(|path| !books.iter().any(|book| path.starts_with(book)))
        .map(str::to_owned)
        .collect();
    files.sort();
    files
}

/// Runs a container with an address to find; its report must have it and be whole.
#[track_caller]
fn expect_traced(machine: &Machine<'_>, runtime: &str, id: &str, hooks: &Value) {
    let bundle = machine.path("/srv").join(id);
    fs::create_dir_all(bundle.join("rootfs/bin")).unwrap();
    fs::copy(busybox(), bundle.join("rootfs/bin/busybox")).unwrap();
    for applet in ["sh", "wget"] {
        symlink("busybox", bundle.join("rootfs/bin").join(applet)).unwrap();
    }
    let inside = format!("/srv/{id}");
    said(machine, "runc", &["spec", "--bundle", &inside]);
    let config = bundle.join("config.json");
    let mut spec: Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = json!(["/bin/sh", "-c", "wget http://198.51.100.13/x; true"]);
    spec["linux"]["cgroupsPath"] = format!("/{}.{id}", machine.name()).into();
    spec["hooks"] = hooks.clone();
    fs::write(&config, spec.to_string()).unwrap();
    said(machine, runtime, &["run", "--bundle", &inside, id]);

    let report = machine.path("/var/lib/buildwarden/containers").join(id).join("report.json");
    let report: Report =
        until("the report", || serde_json::from_slice(&fs::read(&report).ok()?).ok());
    assert_eq!(report.verdict, Verdict::Findings, "{runtime}: {report:?}");
    assert_eq!(report.completeness.reasons, [""; 0], "{runtime}");
    assert_eq!(report.findings.len(), 1, "{runtime}");
    until("the end of the run", || {
        (!machine.path("/run/buildwarden").join(id).exists()).then_some(())
    });
}

/// The hooks as an engine with a hooks directory runs them.
fn shipped_hooks(machine: &Machine<'_>) -> Value {
    let mut hooks = json!({});
    for entry in fs::read_dir(machine.path("/usr/share/buildwarden/hooks")).unwrap() {
        let file: Value =
            serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
        for stage in file["stages"].as_array().unwrap() {
            hooks[stage.as_str().unwrap()] = json!([file["hook"]]);
        }
    }
    hooks
}

#[test]
fn root_a_package_is_installed_used_and_removed() {
    let dir = Dir::new();
    let package = build(&dir, "out");
    assert!(fs::read(&package).unwrap() == self::package(), "not the same twice");

    let machine = Machine::new(&dir);
    let before = files(&machine);
    let done = install(&machine, &package);
    assert!(done.stdout().contains("buildwarden install --engine docker"), "{done}");
    assert_eq!(said(&machine, "dpkg", &["--verify", "buildwarden"]), "");
    expect_complete_system(&machine);
    expect_traced(&machine, "buildwarden-runc", "shim", &json!({}));
    expect_traced(&machine, "runc", "hooks", &shipped_hooks(&machine));
    assert!(machine.path("/sys/fs/bpf/buildwarden").exists());

    // What the administrator has decided outlives upgrades.
    let config = machine.path("/etc/buildwarden/buildwarden.toml");
    let changed = fs::read_to_string(&config).unwrap().replace("age = \"30d\"", "age = \"7d\"");
    fs::write(&config, &changed).unwrap();
    said(&machine, "systemctl", &["disable", "buildwarden-gc.timer"]);
    for package in [&package, &newer(&dir, &package)] {
        let done = install(&machine, package);
        assert!(!done.stdout().contains("buildwarden install"), "{done}");
        assert_eq!(fs::read_to_string(&config).unwrap(), changed);
        let enabled =
            run(machine.command("systemctl").args(["is-enabled", "buildwarden-gc.timer"]));
        assert_eq!(enabled.stdout(), "disabled\n");
    }

    let done = dpkg(&machine, &["-r", "buildwarden"]);
    assert!(done.stdout().contains("1 probe sets unloaded"), "{done}");
    for gone in ["/sys/fs/bpf/buildwarden", "/run/buildwarden", "/usr/bin/buildwarden-runc"] {
        assert!(machine.path(gone).symlink_metadata().is_err(), "{gone} is still there");
    }
    assert_eq!(fs::read_to_string(&config).unwrap(), changed);
    let reports = machine.path("/var/lib/buildwarden/containers");
    assert!(reports.join("shim/report.json").exists(), "removing is not purging");

    dpkg(&machine, &["-P", "buildwarden"]);
    let bundles = |path: &String| !path.starts_with("/srv/");
    let left: Vec<_> = files(&machine).into_iter().filter(bundles).collect();
    let left: Vec<_> = left.iter().filter(|path| !before.contains(path)).collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn root_the_sweep_works_as_confined_as_its_unit_is() {
    let dir = Dir::new();
    let parts = Parts::new(&dir);
    fs::write(parts.upper().join("package.deb"), package()).unwrap();
    let check = include_str!("debian/check.sh");
    fs::write(parts.upper().join("check.sh"), check).unwrap();
    let (url, requests) = collector();
    let outputs = format!("journald = \"/run/systemd/journal/socket\"\notlp = {url:?}\n");
    fs::write(parts.upper().join("outputs.toml"), outputs).unwrap();
    let booted = parts.boot();
    let log = fs::read_to_string(parts.upper().join("check.log")).unwrap_or_default();
    assert!(parts.upper().join("checked").exists(), "{booted}\n{log}");
    let mut records = requests.try_iter().flatten();
    assert!(records.any(|record| record.event_name == "buildwarden.finished"), "{log}");
}

/// Everything that the package brings must be where it is looked for, and be in order.
#[track_caller]
fn expect_complete_system(machine: &Machine<'_>) {
    let units = ["buildwarden-gc.service", "buildwarden-gc.timer"];
    let verified = run(machine.command("systemd-analyze").arg("verify").args(units));
    assert_eq!(verified.expect_code(0).stderr(), "");
    assert_eq!(said(machine, "systemctl", &["is-enabled", units[1]]), "enabled\n");
    // As systemd makes them at each start of the machine.
    fs::remove_dir(machine.path("/run/buildwarden")).unwrap();
    said(machine, "systemd-tmpfiles", &["--create", "buildwarden.conf"]);
    let kept = said(machine, "stat", &["-c", "%a %U", "/run/buildwarden", "/var/lib/buildwarden"]);
    assert_eq!(kept, "755 root\n755 root\n");

    let page = said(machine, "man", &["buildwarden-gc"]);
    assert!(page.contains("--keep-age"), "{page}");
    assert!(said(machine, "man", &["buildwarden-runc"]).contains("runtime"));
    let completion =
        "source /usr/share/bash-completion/completions/buildwarden && complete -p buildwarden";
    assert!(said(machine, "bash", &["-c", completion]).contains("_buildwarden"));
    for path in [
        "/usr/share/zsh/vendor-completions/_buildwarden",
        "/usr/share/fish/vendor_completions.d/buildwarden.fish",
        "/usr/share/doc/buildwarden/copyright",
    ] {
        assert!(fs::read_to_string(machine.path(path)).unwrap().contains("buildwarden"), "{path}");
    }
    // No engine runs it yet.
    assert!(!machine.path("/usr/share/containers").exists());
    // What the snippets for Docker name.
    for shim in ["/usr/bin/buildwarden-runc", "/usr/libexec/buildwarden/runc"] {
        let named = ["hooks/docker/daemon.json", "hooks/docker/buildkit.conf"].map(|file| {
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
        });
        let directory = Path::new(shim).parent().unwrap().to_str().unwrap();
        assert!(named.iter().any(|text| text.contains(directory)), "{shim}");
        assert!(said(machine, shim, &["--version"]).contains("runc version"), "{shim}");
    }
    let doctor = said(machine, "buildwarden", &["doctor"]);
    assert!(doctor.contains("everything is as it should be"), "{doctor}");
}
