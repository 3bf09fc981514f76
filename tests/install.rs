//! `install` and `uninstall` as they are called, in a root of their own.

mod snapshot;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

const DAEMON: &str = "{\n    \"log-driver\": \"journald\",\n    \"runtimes\": {\n        \"crun\": { \"path\": \"/usr/bin/crun\" }\n    },\n    \"live-restore\": true\n}\n";

const CONTAINERD: &str = "version = 2\n\n# Ours since 2021.\n[plugins.\"io.containerd.grpc.v1.cri\"]\n  sandbox_image = \"registry.example/pause:3\"\n";

/// A root with a program and configuration files.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("usr/bin/buildwarden");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::write(&program, "").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn usual() -> TempDir {
    tree(&[
        ("etc/docker/daemon.json", DAEMON),
        ("etc/containerd/config.toml", CONTAINERD),
        ("etc/buildkit/buildkitd.toml", "[worker.oci]\n  enabled = true\n"),
    ])
}

fn buildwarden(dir: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_buildwarden"));
    command.args(args).arg("--root").arg(dir.path());
    command
}

/// What it says, of a root called ROOT.
#[track_caller]
fn said(dir: &TempDir, args: &[&str]) -> String {
    let output = buildwarden(dir, args).output().unwrap();
    check(&output, 0, "");
    clean(dir, &output.stdout)
}

fn clean(dir: &TempDir, text: &[u8]) -> String {
    let root = dir.path().display().to_string();
    String::from_utf8_lossy(text).replace(&root, "ROOT")
}

#[track_caller]
fn check(output: &Output, code: i32, said: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(said), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

/// Everything below a directory: what it holds or leads to, and its mode.
fn files(directory: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        let content = if metadata.is_dir() {
            found.extend(files(&path));
            Vec::new()
        } else if metadata.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else {
            fs::read(&path).unwrap()
        };
        found.insert(path, (content, metadata.permissions().mode()));
    }
    found
}

#[test]
fn a_dry_run_shows_a_diff_and_changes_nothing() {
    let dir = usual();
    let before = files(dir.path());
    let args = ["install", "--engine", "all", "--dry-run"];
    snapshot::check("install/dry-run.txt", &said(&dir, &args));
    let mut coloured = buildwarden(&dir, &["install", "--engine", "buildkit", "--dry-run"]);
    let output = coloured.env("CLICOLOR_FORCE", "1").output().unwrap();
    snapshot::check("install/dry-run.colour.txt", &clean(&dir, &output.stdout));
    assert_eq!(files(dir.path()), before);
}

#[test]
fn what_was_installed_is_taken_out_to_the_byte() {
    let dir = usual();
    // Modes stay, and so do links.
    let json = dir.path().join("etc/docker/daemon.json");
    fs::rename(&json, dir.path().join("etc/docker/real.json")).unwrap();
    symlink("real.json", &json).unwrap();
    let real = dir.path().join("etc/docker/real.json");
    fs::set_permissions(real, fs::Permissions::from_mode(0o600)).unwrap();
    let before = files(dir.path());

    let args = ["install", "--engine", "docker", "--engine", "containerd", "--engine", "buildkit"];
    let text = said(&dir, &args);
    snapshot::check("install/installed.txt", &text);
    let after = files(dir.path());
    assert_eq!(after[&json], before[&json]);
    let text = said(&dir, &["install", "--engine", "all", "--engine", "docker"]);
    let [podman, rest] = text.split_once("docker: ").map(|(a, b)| [a, b]).unwrap();
    assert!(podman.starts_with("podman:\n  made ROOT/usr/share/"), "{podman}");
    assert_eq!(rest, "nothing to do\ncontainerd: nothing to do\nbuildkit: nothing to do\n");
    for (path, file) in &after {
        assert_eq!(files(dir.path()).get(path), Some(file), "{}", path.display());
    }

    snapshot::check("install/uninstall.txt", &said(&dir, &["uninstall", "--dry-run"]));
    said(&dir, &["uninstall"]);
    let mut found = files(dir.path());
    // Directories that every system has.
    found.retain(|path, _| !["usr/share", "usr/libexec"].iter().any(|name| path.ends_with(name)));
    assert_eq!(found, before);
    let text = said(&dir, &["uninstall"]);
    assert!(text.lines().all(|line| line.ends_with(": nothing to do")), "{text}");
}

#[test]
fn what_another_program_has_installed_does_not_come_back() {
    for files in [usual(), tree(&[])] {
        let before = self::files(files.path());
        let local = files.path().join("usr/local/bin/buildwarden");
        fs::create_dir_all(local.parent().unwrap()).unwrap();
        fs::copy(files.path().join("usr/bin/buildwarden"), &local).unwrap();
        let args = |program| ["install", "--engine", "all", "--program", program];
        said(&files, &args("/usr/local/bin/buildwarden"));
        let text = said(&files, &args("/usr/bin/buildwarden"));
        assert_eq!(text.lines().filter(|line| line.contains("  changed ")).count(), 6, "{text}");
        said(&files, &["uninstall"]);
        // Its links.
        said(&files, &["uninstall", "--program", "/usr/local/bin/buildwarden"]);
        fs::remove_file(&local).unwrap();
        let mut found = self::files(files.path());
        found.retain(|path, (content, _)| before.contains_key(path) || !content.is_empty());
        assert_eq!(found, before);
    }
}

#[test]
fn masked_units_are_empty_ones() {
    let dir = usual();
    let units = dir.path().join("etc/systemd/system");
    let drop_ins = units.join("docker.service.d");
    fs::create_dir_all(&drop_ins).unwrap();
    symlink("/dev/null", units.join("docker.service")).unwrap();
    symlink("/dev/null", drop_ins.join("theirs.conf")).unwrap();
    let before = files(dir.path());
    said(&dir, &["install", "--engine", "all"]);
    said(&dir, &["uninstall"]);
    let mut found = files(dir.path());
    found.retain(|path, _| !["usr/share", "usr/libexec"].iter().any(|name| path.ends_with(name)));
    assert_eq!(found, before);
    // In the place of ours.
    symlink("/dev/null", drop_ins.join("buildwarden.conf")).unwrap();
    let output = buildwarden(&dir, &["install", "--engine", "all"]).output().unwrap();
    check(&output, 1, "docker.service.d/buildwarden.conf: masked, a link to /dev/null");
    said(&dir, &["uninstall"]);
}

#[test]
fn where_one_cannot_be_changed_none_is() {
    let broken = "{\n    \"debug\": true,\n}\n";
    let files_of =
        |json, toml| [("etc/docker/daemon.json", json), ("etc/containerd/config.toml", toml)];
    let nvidia = "{\"default-runtime\": \"nvidia\"}\n";
    for (json, toml, said) in [
        (broken, "version = 2\n", "etc/docker/daemon.json: trailing comma at line 3"),
        (DAEMON, "version = 2\n[plugins\n", "config.toml: line 2, column 9"),
        (nvidia, "version = 2\n", "default-runtime is \"nvidia\""),
    ] {
        let dir = tree(&files_of(json, toml));
        let before = files(dir.path());
        for args in
            [&["install", "--engine", "all"][..], &["install", "--engine", "all", "--dry-run"]]
        {
            check(&buildwarden(&dir, args).output().unwrap(), 1, said);
            assert_eq!(files(dir.path()), before, "{said}");
        }
    }
    // Found out only where it is to be written, the last engine's.
    for path in ["etc/buildkit", "usr/libexec/buildwarden", "etc/systemd/system"] {
        let dir = usual();
        fs::remove_dir_all(dir.path().join("etc/buildkit")).unwrap();
        let link = dir.path().join(path);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink("nowhere", &link).unwrap();
        let before = files(dir.path());
        let output = buildwarden(&dir, &["install", "--engine", "all"]).output().unwrap();
        check(&output, 1, &format!("{path}/"));
        check(
            &output,
            1,
            "a symbolic link to nothing, expected a directory\nbuildwarden: nothing was changed",
        );
        assert_eq!(files(dir.path()), before);
    }
    // All that is wrong is told.
    let dir = tree(&files_of("", "version = 1\n"));
    fs::write(dir.path().join("etc/docker/daemon.json"), b"\xff").unwrap();
    let before = files(dir.path());
    let output = buildwarden(&dir, &["install", "--engine", "all"]).output().unwrap();
    check(&output, 1, "docker: ");
    check(&output, 1, "daemon.json: line 1: not UTF-8");
    check(&output, 1, "containerd: ");
    assert_eq!(files(dir.path()), before);
}

#[test]
fn uninstall_goes_on_after_an_error() {
    let dir = usual();
    let before = files(dir.path());
    said(&dir, &["install", "--engine", "all"]);
    let [json, toml] = ["etc/docker/daemon.json", "etc/containerd/config.toml"]
        .map(|path| (dir.path().join(path), fs::read(dir.path().join(path)).unwrap()));
    fs::write(&json.0, "{").unwrap();
    fs::remove_file(&toml.0).unwrap();
    fs::create_dir(&toml.0).unwrap();
    let output = buildwarden(&dir, &["uninstall"]).output().unwrap();
    for said in
        ["docker: ", "etc/docker/daemon.json: ", "containerd: ", "config.toml: not a regular"]
    {
        check(&output, 1, said);
    }
    let text = clean(&dir, &output.stdout);
    for said in ["removed ROOT/usr/share/", "restored ROOT/etc/buildkit/buildkitd.toml"] {
        assert!(text.contains(said), "{text}");
    }
    // What still is told to run them finds them.
    assert!(dir.path().join("usr/bin/buildwarden-runc").is_symlink());
    fs::write(&json.0, json.1).unwrap();
    fs::remove_dir(&toml.0).unwrap();
    fs::write(&toml.0, toml.1).unwrap();
    said(&dir, &["uninstall"]);
    let mut found = files(dir.path());
    found.retain(|path, _| !["usr/share", "usr/libexec"].iter().any(|name| path.ends_with(name)));
    assert_eq!(found, before);
}

#[test]
fn every_engine_that_reads_a_file_is_to_be_restarted() {
    let dir = tempfile::tempdir().unwrap();
    let restarts = |engines: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_buildwarden"));
        command.args(["install", "--dry-run", "--program", "/bin/true", "--hooks-dir"]);
        command.arg(dir.path()).args(engines.iter().flat_map(|engine| ["--engine", engine]));
        let output = command.output().unwrap();
        check(&output, 0, "");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix("# restart: "));
        lines
            .map(|line| line.split(['(', ';']).next().unwrap().trim().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(restarts(&["podman"]), ["nothing"]);
    assert_eq!(restarts(&["crio"]), ["systemctl restart crio"]);
    assert_eq!(restarts(&["crio", "podman"]), ["nothing", "systemctl restart crio"]);
}

#[test]
fn a_program_that_is_not_there_is_not_installed() {
    let dir = usual();
    let before = files(dir.path());
    for (program, said) in [
        ("/opt/buildwarden", "opt/buildwarden: no program there"),
        ("buildwarden", "not an absolute path"),
        ("/etc/docker/daemon.json", "no program there"),
    ] {
        let args = ["install", "--engine", "podman", "--program", program];
        check(&buildwarden(&dir, &args).output().unwrap(), 1, said);
    }
    let args = ["install", "--engine", "docker", "--keep-default", "--replace-default"];
    check(&buildwarden(&dir, &args).output().unwrap(), 2, "cannot be used with");
    check(&buildwarden(&dir, &["install"]).output().unwrap(), 1, "no engine found: name one");
    assert_eq!(files(dir.path()), before);
    // A place to pass through is warned of.
    let home = dir.path().join("home/ci");
    fs::create_dir_all(&home).unwrap();
    fs::copy(dir.path().join("usr/bin/buildwarden"), home.join("buildwarden")).unwrap();
    let args = ["install", "--engine", "podman", "--program", "/home/ci/buildwarden", "--dry-run"];
    check(&buildwarden(&dir, &args).output().unwrap(), 0, "not a place to stay");
}

#[test]
fn engines_are_found_by_their_programs() {
    let dir = usual();
    for name in ["dockerd", "buildah"] {
        let program = dir.path().join("usr/bin").join(name);
        fs::copy(dir.path().join("usr/bin/buildwarden"), program).unwrap();
    }
    let text = said(&dir, &["install", "--hooks-dir", "/etc/containers/oci/hooks.d"]);
    let engines: Vec<_> = text.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(engines, ["podman:", "docker:"]);
    let note = "podman reads /etc/containers/oci/hooks.d only when hooks_dir";
    assert!(text.contains(note), "{text}");
}
