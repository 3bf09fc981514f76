mod any_file;
mod containerd;
mod docker;

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
fn hook_files_name_the_program() {
    let path = format!("{HOOKS_DIR}/buildwarden-poststop.json");
    let want = include_str!("../../../../hooks/buildwarden-poststop.json");
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
