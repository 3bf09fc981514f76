use super::*;

const DOCKER_JSON: &str = DOCKER;
const RUNC_V2: &str = "runtime_type = \"io.containerd.runc.v2\"";

fn wish(verb: Verb, others: Others) -> Wish {
    Wish {
        verb,
        program: PathBuf::from("/usr/bin/buildwarden"),
        hooks_dir: PathBuf::from(HOOKS_DIR),
        others,
        links: false,
    }
}

/// A machine's files in memory.
#[derive(Clone, Debug, Default, PartialEq)]
struct Machine(BTreeMap<PathBuf, Found>);

impl Machine {
    fn new(files: &[(&str, &str)]) -> Machine {
        let found = |text: &str| Found { content: text.to_owned(), backup: None };
        Machine(files.iter().map(|(path, text)| (path.into(), found(text))).collect())
    }

    fn facts(&self) -> Facts {
        Facts { files: self.0.clone(), ..Facts::default() }
    }

    fn plan(&self, engine: Engine, verb: Verb, others: Others) -> Result<Plan, InstallError> {
        plan(engine, &self.facts(), &wish(verb, others))
    }

    /// `buildwarden install` by a program that lies elsewhere.
    #[track_caller]
    fn install_other(&mut self, engine: Engine) {
        let program = PathBuf::from("/usr/local/bin/buildwarden");
        let wish = Wish { program, ..wish(Verb::Install, Others::Refuse) };
        let plan = plan(engine, &self.facts(), &wish).unwrap();
        assert!(!plan.edits.is_empty());
        self.apply(&plan, Verb::Install);
    }

    /// As `apply` does it.
    fn apply(&mut self, plan: &Plan, verb: Verb) {
        for edit in &plan.edits {
            let before = self.0.remove(&edit.path);
            assert_eq!(before.as_ref().map(|found| &found.content), edit.before.as_ref());
            let Some(content) = edit.after.clone() else { continue };
            let backup = match verb {
                Verb::Install if edit.ours => before.and_then(|found| found.backup),
                Verb::Install => edit.before.clone(),
                Verb::Uninstall => None,
            };
            self.0.insert(edit.path.clone(), Found { content, backup });
        }
    }

    #[track_caller]
    fn install(&mut self, engine: Engine, others: Others) -> Plan {
        let plan = self.plan(engine, Verb::Install, others).unwrap();
        self.apply(&plan, Verb::Install);
        let again = self.plan(engine, Verb::Install, others).unwrap();
        assert_eq!(again.edits, [], "{engine} twice");
        plan
    }

    #[track_caller]
    fn uninstall(&mut self, engine: Engine) {
        let plan = self.plan(engine, Verb::Uninstall, Others::Refuse).unwrap();
        self.apply(&plan, Verb::Uninstall);
        let again = self.plan(engine, Verb::Uninstall, Others::Refuse).unwrap();
        assert_eq!(again.edits, [], "{engine} twice");
    }

    fn text(&self, path: &str) -> &str {
        self.0.get(Path::new(path)).map_or("", |found| &found.content)
    }

    /// Without what was kept.
    fn forget(&mut self) {
        self.0.values_mut().for_each(|found| found.backup = None);
    }
}

/// Installs into `before`, whose file `path` then is `want`; uninstalls, with what is kept
/// and without it: both give `before` again.
#[track_caller]
fn check(engine: Engine, others: Others, path: &str, before: &str, want: &str) -> Plan {
    let files = [(path, before)];
    let original = Machine::new(if before.is_empty() { &[] } else { &files });
    let mut machine = original.clone();
    let plan = machine.install(engine, others);
    assert_eq!(machine.text(path), want);
    let mut restored = machine.clone();
    restored.uninstall(engine);
    assert_eq!(restored, original);
    plan
}

/// The same, and taking out needs no backup either.
#[track_caller]
fn check_both(engine: Engine, path: &str, before: &str, want: &str) {
    check(engine, Others::Refuse, path, before, want);
    let mut machine = Machine::new(&[(path, want)]);
    machine.uninstall(engine);
    assert_eq!(machine.text(path), before, "without a backup");
}

#[test]
fn what_another_program_has_installed_is_not_the_original() {
    let hook = format!("{HOOKS_DIR}/buildwarden-poststop.json");
    for (engine, path, before) in [
        (Engine::Podman, hook.as_str(), ""),
        (Engine::Crio, &hook, ""),
        (Engine::Docker, DOCKER_JSON, "{\"debug\": true}\n"),
        (Engine::Containerd, CONTAINERD, "version = 3\n# theirs\n"),
        (Engine::Buildkit, BUILDKIT, "debug = true\n"),
    ] {
        for before in ["", before] {
            let files = [(path, before)];
            let original = Machine::new(if before.is_empty() { &[] } else { &files });
            let mut machine = original.clone();
            machine.install_other(engine);
            machine.install(engine, Others::Refuse);
            assert!(!machine.text(path).contains("/usr/local/bin/buildwarden"), "{engine}");
            let mut edited = machine.clone();
            machine.uninstall(engine);
            assert_eq!(machine, original, "{engine}");
            // Ours without a backup: what is there is not kept as one.
            edited.forget();
            edited.install_other(engine);
            edited.uninstall(engine);
            for (path, found) in &edited.0 {
                assert_eq!(found.backup, None, "{engine}");
                assert!(!found.content.contains("buildwarden"), "{engine}: {}", path.display());
            }
        }
    }
}

#[test]
fn daemon_json_keeps_what_is_there() {
    let check = |before: &str, want: &str| check_both(Engine::Docker, DOCKER_JSON, before, want);
    check(
        "",
        "{\n  \"runtimes\": {\n    \"buildwarden\": {\n      \"path\": \"/usr/bin/buildwarden-runc\"\n    }\n  },\n  \"default-runtime\": \"buildwarden\"\n}\n",
    );
    // Tabs, an odd order, numbers as they are written, no newline at the end.
    check(
        "{\n\t\"max-concurrent-uploads\": 1e1,\n\t\"hosts\":[ \"unix://\" ]\n}",
        "{\n\t\"max-concurrent-uploads\": 1e1,\n\t\"hosts\":[ \"unix://\" ],\n\t\"runtimes\": {\n\t\t\"buildwarden\": {\n\t\t\t\"path\": \"/usr/bin/buildwarden-runc\"\n\t\t}\n\t},\n\t\"default-runtime\": \"buildwarden\"\n}",
    );
    // Windows line ends.
    check(
        "{\r\n  \"debug\": true\r\n}\r\n",
        "{\r\n  \"debug\": true,\r\n  \"runtimes\": {\r\n    \"buildwarden\": {\r\n      \"path\": \"/usr/bin/buildwarden-runc\"\r\n    }\r\n  },\r\n  \"default-runtime\": \"buildwarden\"\r\n}\r\n",
    );
}

#[test]
fn a_default_that_can_be_wrapped_is() {
    let plan = check(
        Engine::Docker,
        Others::Refuse,
        DOCKER_JSON,
        "{\"default-runtime\":\"c\",\"runtimes\":{\"c\":{\"path\":\"/opt/crun\",\"runtimeArgs\":[\"--debug\"]}}}",
        "{\"default-runtime\":\"buildwarden\",\"runtimes\":{\n    \"c\":{\"path\":\"/opt/crun\",\"runtimeArgs\":[\"--debug\"]},\n    \"buildwarden\": {\n      \"path\": \"/usr/bin/buildwarden-crun\",\n      \"runtimeArgs\": [\"--debug\"]\n    }\n  }}",
    );
    let links: Vec<_> = plan.links.iter().map(|link| link.path.to_str().unwrap()).collect();
    assert_eq!(
        links,
        ["/usr/bin/buildwarden-runc", "/usr/libexec/buildwarden/runc", "/usr/bin/buildwarden-crun"]
    );
    assert!(plan.notes[0].contains("runtime.crun = \"/opt/crun\""), "{:?}", plan.notes);
}

const NVIDIA: &str = "{\n    \"default-runtime\": \"nvidia\",\n    \"runtimes\": {\n        \"nvidia\": {\n            \"args\": [],\n            \"path\": \"nvidia-container-runtime\"\n        }\n    }\n}\n";

#[test]
fn a_default_of_somebody_elses_is_not_dropped_silently() {
    let machine = Machine::new(&[(DOCKER_JSON, NVIDIA)]);
    let error =
        machine.plan(Engine::Docker, Verb::Install, Others::Refuse).unwrap_err().to_string();
    for said in ["default-runtime is \"nvidia\"", "--keep-default", "--replace-default"] {
        assert!(error.contains(said), "{error}");
    }
    let ours = ",\n        \"buildwarden\": {\n            \"path\": \"/usr/bin/buildwarden-runc\"\n        }\n    }\n}\n";
    let kept = NVIDIA.replace("\n    }\n}\n", ours);
    let replaced = kept.replacen("nvidia", "buildwarden", 1);
    for (others, want, note) in [
        (Others::Keep, kept, "default-runtime stays \"nvidia\""),
        (Others::Replace, replaced, "default-runtime was \"nvidia\""),
    ] {
        let plan = check(Engine::Docker, others, DOCKER_JSON, NVIDIA, &want);
        assert!(plan.notes.iter().any(|said| said.contains(note)), "{:?}", plan.notes);
        // Edited since: only ours goes, and what was the default comes back.
        let mut machine = Machine::new(&[(DOCKER_JSON, NVIDIA)]);
        machine.install(Engine::Docker, others);
        let found = machine.0.get_mut(Path::new(DOCKER_JSON)).unwrap();
        found.content =
            found.content.replace("{\n    \"default", "{\n    \"debug\": true,\n    \"default");
        machine.uninstall(Engine::Docker);
        let want = NVIDIA.replace("{\n    \"default", "{\n    \"debug\": true,\n    \"default");
        assert_eq!(machine.text(DOCKER_JSON), want);
    }
}

#[test]
fn what_somebody_has_set_up_by_hand_is_left() {
    for text in [
        include_str!("../../../hooks/docker/daemon.json"),
        "{\"default-runtime\":\"traced\",\"runtimes\":{\"traced\":{\"path\":\"/usr/bin/buildwarden-crun\"}}}",
    ] {
        let mut machine = Machine::new(&[(DOCKER_JSON, text)]);
        machine.install(Engine::Docker, Others::Refuse);
        assert_eq!(machine.text(DOCKER_JSON), text);
    }
    for (text, said) in [
        ("{\"runtimes\":{\"buildwarden\":{\"path\":\"/bin/x\"}}}", "runs /bin/x, not Buildwarden"),
        ("{\n  \"debug\": true,\n}", "line 3"),
        ("[]", "expected an object"),
        ("{\"runtimes\": []}", "\"runtimes\": expected an object"),
        ("{\"default-runtime\": 1}", "\"default-runtime\": expected a string"),
        ("{\"runtimes\":{},\"runtimes\":{}}", "\"runtimes\" is there twice"),
    ] {
        let machine = Machine::new(&[(DOCKER_JSON, text)]);
        let error = machine.plan(Engine::Docker, Verb::Install, Others::Refuse).unwrap_err();
        assert!(error.to_string().contains(said), "{text}: {error}");
    }
}

#[test]
fn the_environment_of_dockerd_keeps_its_path() {
    const DROP_IN: &str = "/etc/systemd/system/docker.service.d/buildwarden.conf";
    let mut machine = Machine::new(&[
        ("/lib/systemd/system/docker.service", "[Service]\nEnvironment=PATH=/a\n"),
        (
            "/etc/systemd/system/docker.service.d/a.conf",
            "[Service]\nEnvironment=PATH=/b:/usr/bin\n",
        ),
        ("/etc/systemd/system/docker.service.d/x.conf", "[Service]\nEnvironment=PATH=/late\n"),
        ("/etc/systemd/system/docker.service.d/w.conf", "[Service]\nEnvironment=\n"),
    ]);
    let before = machine.clone();
    let plan = machine.install(Engine::Docker, Others::Refuse);
    let text = machine.text(DROP_IN).to_owned();
    assert!(text.contains("\nEnvironment=PATH=/usr/libexec/buildwarden:/late\n"), "{text}");
    assert!(
        text.contains("\nEnvironment=DOCKER_BUILDKIT_RUNC_COMMAND=/usr/bin/buildwarden-runc\n")
    );
    for note in ["x.conf: sets PATH after", "w.conf: its empty Environment= drops"] {
        assert!(plan.notes.iter().any(|said| said.contains(note)), "{:?}", plan.notes);
    }
    // Somebody's lines in our file stay.
    let found = machine.0.get_mut(Path::new(DROP_IN)).unwrap();
    found.content += "Environment=BUILDWARDEN_CONFIG=/x\n";
    machine.install(Engine::Docker, Others::Refuse);
    assert!(machine.text(DROP_IN).ends_with("CONFIG=/x\n"));
    machine.install_other(Engine::Docker);
    let text = machine.text(DROP_IN);
    assert!(text.contains("\nEnvironment=PATH=/usr/local/libexec/buildwarden:/late\n"), "{text}");
    assert!(text.contains("\nEnvironment=BUILDWARDEN_CONFIG=/x\n"), "{text}");
    assert_eq!(text.matches("DOCKER_BUILDKIT_RUNC_COMMAND").count(), 1, "{text}");
    machine.uninstall(Engine::Docker);
    assert_eq!(machine.text(DROP_IN), "[Service]\nEnvironment=BUILDWARDEN_CONFIG=/x\n");
    machine.0.remove(Path::new(DROP_IN));
    assert_eq!(machine, before);
}

#[test]
fn a_drop_in_of_our_name_keeps_what_is_there() {
    const DROP_IN: &str = "/etc/systemd/system/docker.service.d/buildwarden.conf";
    let ours = "# Written by `buildwarden install`; `buildwarden uninstall` removes it.\n# BuildKit inside of dockerd does not know the default runtime.\n# Docker 23 and newer:\nEnvironment=DOCKER_BUILDKIT_RUNC_COMMAND=/usr/bin/buildwarden-runc\n# Docker 20.10 runs the first `runc` in PATH, and this directory has a link of that name:\nEnvironment=PATH=/usr/libexec/buildwarden:/mine\n";
    for (before, want) in [
        (
            "[Service]\nEnvironment=PATH=/mine\n\n[Unit]\nAfter=x\n",
            format!("[Service]\nEnvironment=PATH=/mine\n{ours}\n[Unit]\nAfter=x\n"),
        ),
        (
            "[Unit]\nAfter=x\n",
            format!("[Unit]\nAfter=x\n[Service]\n{}", ours.replace("/mine", "/a")),
        ),
    ] {
        let unit = ("/lib/systemd/system/docker.service", "[Service]\nEnvironment=PATH=/a\n");
        let original = Machine::new(&[unit, (DROP_IN, before)]);
        let mut machine = original.clone();
        machine.install(Engine::Docker, Others::Refuse);
        assert_eq!(machine.text(DROP_IN), want);
        let mut edited = machine.clone();
        machine.uninstall(Engine::Docker);
        assert_eq!(machine, original);
        // Since then, a line of somebody's.
        let found = edited.0.get_mut(Path::new(DROP_IN)).unwrap();
        found.content += "# more\n";
        edited.uninstall(Engine::Docker);
        let text = edited.text(DROP_IN);
        let rest = text.strip_prefix(before).and_then(|rest| rest.strip_suffix("# more\n"));
        assert!(matches!(rest, Some("" | "[Service]\n")), "{text}");
    }
}

#[test]
fn one_unit_of_a_name_is_read() {
    let unit = "docker.service.d/a.conf";
    let lib = format!("/lib/systemd/system/{unit}");
    let etc = format!("/etc/systemd/system/{unit}");
    let run = format!("/run/systemd/system/{unit}");
    let late = "/run/systemd/system/docker.service.d/b.conf";
    let path = |directory: &str| format!("[Service]\nEnvironment=PATH={directory}\n");
    let (of_lib, of_run, of_etc) = (path("/lib-has"), path("/run-has"), path("/etc-has"));
    for (files, want) in [
        (vec![(lib.as_str(), of_lib.as_str())], "/lib-has"),
        (vec![(&lib, &of_lib), (&run, &of_run)], "/run-has"),
        (vec![(&lib, &of_lib), (&run, &of_run), (&etc, &of_etc)], "/etc-has"),
        // Masked.
        (vec![(&lib, &of_lib), (&etc, "")], "/usr/local/sbin"),
        // Reset by a later one.
        (vec![(&lib, &of_lib), (late, "[Service]\nEnvironment=\n")], "/usr/local/sbin"),
    ] {
        let mut machine = Machine::new(&files);
        machine.install(Engine::Docker, Others::Refuse);
        let text = machine.text("/etc/systemd/system/docker.service.d/buildwarden.conf");
        assert!(text.contains(&format!("PATH=/usr/libexec/buildwarden:{want}")), "{text}");
    }
}

#[test]
fn hook_files_name_the_program() {
    let path = format!("{HOOKS_DIR}/buildwarden-poststop.json");
    let want = include_str!("../../../hooks/buildwarden-poststop.json");
    let both = "podman, buildah and CRI-O read the same directory: this is for all of them";
    assert_eq!(check(Engine::Podman, Others::Refuse, &path, "", want).notes, [both]);
    // An older path, and a condition of somebody's.
    let old = want
        .replace("/usr/bin/build", "/opt/build")
        .replace("\"always\": true", "\"always\":false");
    let new = old.replace("/opt/build", "/usr/bin/build");
    let mut machine = Machine::new(&[(&path, &old)]);
    machine.install(Engine::Crio, Others::Refuse);
    assert_eq!(machine.text(&path), new);
    machine.uninstall(Engine::Podman);
    assert_eq!(machine, Machine::default());
    let foreign = want.replace("/usr/bin/buildwarden", "/bin/x");
    let machine = Machine::new(&[(&path, &foreign)]);
    let error = machine.plan(Engine::Podman, Verb::Install, Others::Refuse).unwrap_err();
    assert!(error.to_string().contains("runs /bin/x, not Buildwarden"), "{error}");
    assert!(machine.plan(Engine::Podman, Verb::Uninstall, Others::Refuse).unwrap().is_empty());
}

#[test]
fn a_hooks_dir_that_leaves_ours_out_is_told() {
    let conf = |path: &'static str, dirs: &str| (path, format!("[engine]\nhooks_dir = [{dirs}]\n"));
    let told = |files: &[(&str, String)]| {
        let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let plan =
            Machine::new(&files).plan(Engine::Podman, Verb::Install, Others::Refuse).unwrap();
        plan.notes.iter().any(|note| note.contains("sets hooks_dir without"))
    };
    let usual = conf("/usr/share/containers/containers.conf", &format!("{HOOKS_DIR:?}"));
    let local = conf("/etc/containers/containers.conf", "\"/etc/hooks\"");
    let late = conf("/etc/containers/containers.conf.d/z.conf", &format!("{HOOKS_DIR:?}"));
    assert!(!told(std::slice::from_ref(&usual)));
    assert!(told(&[usual.clone(), local.clone()]));
    assert!(!told(&[usual, local, late]));
}

#[test]
fn buildkitd_toml_keeps_what_is_there() {
    let check = |before: &str, want: &str| check_both(Engine::Buildkit, BUILDKIT, before, want);
    check("", "[worker.oci]\nbinary = \"/usr/bin/buildwarden-runc\"\n");
    check(
        "# ours\ndebug = true\n[worker.oci]\n\tgc = false # no\n\n[dns]\nx = 1\n",
        "# ours\ndebug = true\n[worker.oci]\n\tgc = false # no\n\tbinary = \"/usr/bin/buildwarden-runc\"\n\n[dns]\nx = 1\n",
    );
    let crun = "[worker.oci]\nbinary = \"crun\" # faster\n";
    let want = "[worker.oci]\nbinary = \"/usr/bin/buildwarden-crun\" # faster\n";
    self::check(Engine::Buildkit, Others::Refuse, BUILDKIT, crun, want);
    for (text, said) in [
        ("[worker.oci]\nbinary = \"kata\"\n", "worker.oci.binary is \"kata\""),
        ("[worker.oci]\nbinary = [\n", "line 2"),
        ("worker = 1\n", "`worker.oci`: expected a table"),
    ] {
        let machine = Machine::new(&[(BUILDKIT, text)]);
        let error = machine.plan(Engine::Buildkit, Verb::Install, Others::Refuse).unwrap_err();
        assert!(error.to_string().contains(said), "{text}: {error}");
    }
}

/// containerd's tables of `version`, with its runtimes.
fn cri(version: i64, tail: &str) -> String {
    let plugin = match version {
        2 => "plugins.\"io.containerd.grpc.v1.cri\".containerd",
        _ => "plugins.\"io.containerd.cri.v1.runtime\".containerd",
    };
    tail.replace("[cri", &format!("[{plugin}"))
}

#[test]
fn containerd_has_a_runtime_and_the_default() {
    for version in [2, 3] {
        let ours = format!(
            "[cri]\ndefault_runtime_name = \"buildwarden\"\n\n[cri.runtimes.runc]\n{RUNC_V2}\n\n\
             [cri.runtimes.buildwarden]\n{RUNC_V2}\n\n[cri.runtimes.buildwarden.options]\n\
             BinaryName = \"/usr/bin/buildwarden-runc\"\n"
        );
        let before = format!("# a\nversion = {version} # b\nroot = \"/r\"\n");
        let want = format!("{before}\n{}", cri(version, &ours));
        check_both(Engine::Containerd, CONTAINERD, &before, &want);
        // What runc has, ours has.
        let before = cri(
            version,
            &format!(
                "version = {version}\n[cri.runtimes.runc] # c\n# d\n{RUNC_V2}\n[cri.runtimes.runc.options]\nSystemdCgroup = true # e\n"
            ),
        );
        let ours = format!(
            "\n[cri.runtimes.buildwarden]\n{RUNC_V2}\n\n[cri.runtimes.buildwarden.options]\n\
             SystemdCgroup = true\nBinaryName = \"/usr/bin/buildwarden-runc\"\n\n[cri]\ndefault_runtime_name = \"buildwarden\"\n"
        );
        let mut machine = Machine::new(&[(CONTAINERD, &before)]);
        machine.install(Engine::Containerd, Others::Refuse);
        let text = machine.text(CONTAINERD).to_owned();
        for part in [&before, &cri(version, &ours)].iter().flat_map(|text| text.split("\n\n")) {
            let part = part.strip_prefix(&format!("version = {version}\n")).unwrap_or(part);
            assert!(text.contains(part.trim()), "{part}\nin\n{text}");
        }
        machine.forget();
        machine.uninstall(Engine::Containerd);
        assert_eq!(machine.text(CONTAINERD), before);
    }
}

#[test]
fn containerd_is_told_where_it_listens() {
    let drop_in = "/etc/containerd/conf.d/buildwarden.toml";
    let nvidia = "/etc/containerd/conf.d/99-nvidia.toml";
    let imports = "imports = [\"/etc/containerd/conf.d/*.toml\"]\n";
    let v3 = format!("version = 3\n{imports}");
    let v2 = format!(
        "version = 2\n{imports}[plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"x\"\n"
    );
    let section = cri(2, &format!("version = 2\n[cri.runtimes.nvidia]\n{RUNC_V2}\n"));
    for (files, home) in [
        // Merged.
        (vec![(CONTAINERD, v3.as_str())], drop_in),
        // Taken whole from the last file that has one.
        (vec![(CONTAINERD, &v2)], CONTAINERD),
        (vec![(CONTAINERD, &v2), (nvidia, &section)], nvidia),
        (vec![(CONTAINERD, "version = 3\n")], CONTAINERD),
        (vec![], CONTAINERD),
    ] {
        let original = Machine::new(&files);
        let mut machine = original.clone();
        let plan = machine.install(Engine::Containerd, Others::Refuse);
        let paths: Vec<_> = plan.edits.iter().map(|edit| edit.path.to_str().unwrap()).collect();
        assert_eq!(paths, [home], "{files:?}");
        machine.uninstall(Engine::Containerd);
        assert_eq!(machine, original, "{files:?}");
    }
    // Without a file, what containerd reads then is not lost.
    let imports = vec!["/etc/containerd/conf.d/*.toml".to_owned()];
    let containerd = Some(Hint { version: 3, imports });
    let facts = Facts { containerd, ..Facts::default() };
    let plan = plan(Engine::Containerd, &facts, &wish(Verb::Install, Others::Refuse)).unwrap();
    let text = plan.edits[0].after.as_deref().unwrap();
    assert!(text.starts_with(&v3), "{text}");
}

#[test]
fn containerd_that_cannot_be_told_is_left() {
    let kata = cri(
        2,
        "version = 2\n[cri]\ndefault_runtime_name = \"kata\"\n[cri.runtimes.kata]\nruntime_type = \"io.containerd.kata.v2\"\n",
    );
    for (text, said) in [
        ("version = 1\n", "version = 1, expected 2 or 3"),
        ("root = \"/x\"\n", "version = 1, expected 2 or 3"),
        (&kata, "default_runtime_name is \"kata\""),
        ("version = 2\n[plugins\n", "line 2"),
    ] {
        let machine = Machine::new(&[(CONTAINERD, text)]);
        let error = machine.plan(Engine::Containerd, Verb::Install, Others::Refuse).unwrap_err();
        assert!(error.to_string().contains(said), "{text}: {error}");
    }
    let mut machine = Machine::new(&[(CONTAINERD, &kata)]);
    let original = machine.clone();
    machine.install(Engine::Containerd, Others::Keep);
    assert!(machine.text(CONTAINERD).contains("default_runtime_name = \"kata\""));
    machine.uninstall(Engine::Containerd);
    assert_eq!(machine, original);
    // As Docker's package has it.
    let off = Machine::new(&[(CONTAINERD, "disabled_plugins = [\"cri\"]\n")]);
    let plan = off.plan(Engine::Containerd, Verb::Install, Others::Refuse).unwrap();
    assert!(plan.is_empty() && plan.notes[0].contains("the CRI plugin is off"), "{plan:?}");
    // A later file has the last word.
    let main = "version = 3\nimports = [\"conf.d/*.toml\"]\n";
    let late = cri(3, "version = 3\n[cri]\ndefault_runtime_name = \"runc\"\n");
    let files = [(CONTAINERD, main), ("/etc/containerd/conf.d/late.toml", &late)];
    let error = Machine::new(&files).plan(Engine::Containerd, Verb::Install, Others::Refuse);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("late.toml: sets default_runtime_name after"), "{error}");
}

#[test]
fn links_are_made_where_nothing_is() {
    let install = wish(Verb::Install, Others::Refuse);
    let mut facts = Facts::default();
    let all = |facts: &Facts, wish: &Wish| plan(Engine::Buildkit, facts, wish);
    assert_eq!(all(&facts, &install).unwrap().links[0].target, Path::new("buildwarden"));
    let path = PathBuf::from("/usr/bin/buildwarden-runc");
    for (state, there) in [
        (LinkState::To("buildwarden".into()), Some(0)),
        (LinkState::Program, Some(0)),
        (LinkState::Broken, None),
    ] {
        facts.links.insert(path.clone(), state);
        assert_eq!(all(&facts, &install).ok().map(|plan| plan.links.len()), there);
    }
    facts.links.insert(path, LinkState::To("buildwarden".into()));
    let mut uninstall = wish(Verb::Uninstall, Others::Refuse);
    assert_eq!(all(&facts, &uninstall).unwrap().unlinks, []);
    uninstall.links = true;
    assert_eq!(all(&facts, &uninstall).unwrap().unlinks.len(), 1);
    for (program, link, target) in [
        (
            "/usr/local/bin/buildwarden",
            "/usr/local/libexec/buildwarden/runc",
            "../../bin/buildwarden",
        ),
        ("/opt/x/buildwarden", "/opt/x/libexec/buildwarden/runc", "../../buildwarden"),
    ] {
        let (path, target) = (PathBuf::from(link), PathBuf::from(target));
        assert_eq!(in_path(Path::new(program)), Link { path, target });
    }
}

#[test]
fn a_program_that_no_file_can_name_is_refused() {
    for (program, said) in [
        ("buildwarden", Some("not an absolute path")),
        ("/usr/../bin/buildwarden", Some("not an absolute path")),
        ("/a:b/buildwarden", Some("cannot hold")),
        ("/a\nb/buildwarden", Some("cannot hold")),
        ("/a\"b/buildwarden", Some("cannot hold")),
        ("/a b/buildwarden", None),
    ] {
        let found = check_program(Path::new(program)).map_err(|error| error.to_string());
        match said {
            None => assert_eq!(found, Ok(()), "{program}"),
            Some(said) => assert!(found.is_err_and(|error| error.contains(said)), "{program}"),
        }
    }
}

#[test]
fn what_dockerd_would_not_start_with_is_refused() {
    for (line, said) in [
        ("ExecStart=/usr/bin/dockerd -H fd:// --default-runtime=nvidia", Some("--default-runtime")),
        ("ExecStart=/usr/bin/dockerd --add-runtime a=/b", Some("--add-runtime")),
        ("ExecStart=/usr/bin/dockerd --config-file /x.json", Some("another configuration file")),
        ("ExecStart=/usr/bin/dockerd -H fd://", None),
        ("# ExecStart=/usr/bin/dockerd --add-runtime a=/b", None),
        (
            "ExecStart=/usr/bin/dockerd -H fd:// \\\n# for GPUs\n  --add-runtime a=/b",
            Some("--add-runtime"),
        ),
        ("ExecStart = /usr/bin/dockerd --add-runtime a=/b", Some("--add-runtime")),
        // Reset.
        (
            "ExecStart=/usr/bin/dockerd --add-runtime a=/b\nExecStart=\nExecStart=/usr/bin/dockerd",
            None,
        ),
        (
            "ExecStart=/usr/bin/dockerd --add-runtime a=/b\nExecStart=\nExecStart=dockerd --config-file /x",
            Some("another configuration file"),
        ),
    ] {
        let unit = format!("[Service]\n{line}\n");
        let machine = Machine::new(&[("/lib/systemd/system/docker.service", &unit)]);
        let planned = machine.plan(Engine::Docker, Verb::Install, Others::Refuse);
        match said {
            None => assert!(planned.is_ok(), "{line}"),
            Some(said) => {
                let error = planned.unwrap_err().to_string();
                assert!(error.contains(said), "{line}: {error}");
            }
        }
    }
}

#[test]
fn the_command_line_of_dockerd_is_the_last_one() {
    const UNIT: &str = "/lib/systemd/system/docker.service";
    const DROP_INS: &str = "/etc/systemd/system/docker.service.d";
    let (one, own) = (format!("{DROP_INS}/a.conf"), format!("{DROP_INS}/buildwarden.conf"));
    let wrong = "[Service]\nExecStart=dockerd --add-runtime a=/b\n";
    let other = "[Service]\nExecStart=\nExecStart=dockerd -H fd://\n";
    for (files, refused_for) in [
        (vec![(UNIT, wrong), (one.as_str(), other)], None),
        (vec![(UNIT, other), (&one, wrong)], Some(&one)),
        // Whoever has put it into a file of our name.
        (vec![(UNIT, other), (&own, wrong)], Some(&own)),
        (vec![(UNIT, wrong), (&own, other)], None),
    ] {
        let planned = Machine::new(&files).plan(Engine::Docker, Verb::Install, Others::Refuse);
        let error = planned.err().map(|error| error.to_string());
        match refused_for {
            None => assert_eq!(error, None, "{files:?}"),
            Some(path) => assert!(error.is_some_and(|error| error.contains(path)), "{files:?}"),
        }
    }
}

#[test]
fn a_default_that_has_gone_does_not_come_back() {
    let mut machine = Machine::new(&[(DOCKER_JSON, NVIDIA)]);
    machine.install(Engine::Docker, Others::Replace);
    let found = machine.0.get_mut(Path::new(DOCKER_JSON)).unwrap();
    found.content = found.content.replace("\"nvidia\": {", "\"other\": {");
    machine.uninstall(Engine::Docker);
    let text = machine.text(DOCKER_JSON);
    assert!(text.contains("other") && !text.contains("default-runtime"), "{text}");
}

mod any_file {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z\"\\\\/\u{e9}\u{1f980}\n]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-z \u{e9}\"]{0,5}", inner), 0..4)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    /// A daemon.json: keys of its own, perhaps runtimes, in any order and layout.
    fn daemon() -> impl Strategy<Value = String> {
        let key = "[a-z]{1,3}-[a-z]{1,6}";
        let entries = prop::collection::vec((key, value()), 0..5);
        let runtimes = prop::option::of(prop::collection::vec("[a-z]{1,5}x", 0..3));
        (entries, runtimes, any::<prop::sample::Index>(), 0..3).prop_map(
            |(mut entries, runtimes, at, layout)| {
                if let Some(names) = runtimes {
                    let entry = serde_json::json!({"path": "/usr/bin/other"});
                    let table = names.into_iter().map(|name| (name, entry.clone()));
                    let table = Value::Object(table.collect());
                    let at = at.index(entries.len() + 1);
                    entries.insert(at, ("runtimes".to_owned(), table));
                }
                let object: Map<String, Value> = entries.into_iter().collect();
                match layout {
                    0 => serde_json::to_string(&object).unwrap(),
                    1 => serde_json::to_string_pretty(&object).unwrap() + "\n",
                    _ => serde_json::to_string_pretty(&object).unwrap().replace('\n', "\r\n\t"),
                }
            },
        )
    }

    fn parse(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    proptest! {
        /// Ours is added, nothing else changes; it is taken out again, with what is kept
        /// to the byte, without it to the meaning.
        #[test]
        fn daemon_json_comes_back(text in daemon(), other_first: bool) {
            let original = Machine::new(&[(DOCKER_JSON, &text)]);
            let mut machine = original.clone();
            if other_first {
                machine.install_other(Engine::Docker);
            }
            machine.install(Engine::Docker, Others::Refuse);
            let (before, mut after) = (parse(&text), parse(machine.text(DOCKER_JSON)));
            prop_assert_eq!(after.shift_remove("default-runtime"), Some("buildwarden".into()));
            let runtimes = after["runtimes"].as_object_mut().unwrap();
            prop_assert!(runtimes.shift_remove("buildwarden").is_some());
            if runtimes.is_empty() && !before.contains_key("runtimes") {
                after.shift_remove("runtimes");
            }
            prop_assert_eq!(&after, &before);
            let keys = |object: &Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
            prop_assert_eq!(keys(&after), keys(&before));

            let mut restored = machine.clone();
            restored.uninstall(Engine::Docker);
            prop_assert_eq!(&restored, &original);
            machine.forget();
            machine.uninstall(Engine::Docker);
            let left = machine.text(DOCKER_JSON);
            let mut left = if left.is_empty() { Map::new() } else { parse(left) };
            let mut before = before;
            // Whether it was there empty is not to be known.
            for object in [&mut left, &mut before] {
                if object.get("runtimes").is_some_and(|value| value == &serde_json::json!({})) {
                    object.shift_remove("runtimes");
                }
            }
            prop_assert_eq!(left, before);
        }
    }
}
