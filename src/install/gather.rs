//! The facts: the engines' files in a root, and which engines are there.

use super::{
    Engine, Facts, Found, Hint, InstallError, LinkState, Root, Verb, Wish,
    plan::{
        BUILDKIT, CONTAINERD, DOCKER, HOOK_FILES, UNIT_DIRECTORIES, check_program,
        containerd_imports, containerd_matches, links,
    },
};
use crate::host;
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Where programs lie in a root.
const PROGRAMS: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// How long containerd may take to say what its defaults are.
const LIMIT: Duration = Duration::from_secs(5);

/// The engines that are there.
pub(super) fn found(root: &Root) -> Vec<Engine> {
    let is_there = |name: &&str| {
        let usual = PROGRAMS.iter().any(|dir| root.has_program(&Path::new(dir).join(name)));
        usual || (root.is_live() && host::find_program(name).is_some())
    };
    let mut engines = Engine::ALL.to_vec();
    engines.retain(|engine| engine.programs().iter().any(is_there));
    engines
}

/// Whether engines can run the program; a warning where they can and should not.
pub(super) fn check(root: &Root, wish: &Wish) -> Result<Option<String>, InstallError> {
    check_program(&wish.program)?;
    if wish.verb == Verb::Uninstall {
        return Ok(None);
    }
    let program = &wish.program;
    if !root.has_program(program) {
        return Err(InstallError::Program {
            path: root.shown(program),
            reason:
                "no program there: podman and CRI-O skip such a hook without a word, and Docker \
                     starts no container; install it first, or name another with --program"
                    .to_owned(),
        });
    }
    let passing = ["/tmp", "/var/tmp", "/home", "/root", "/run"];
    let is_built = program.components().any(|part| part.as_os_str() == "target");
    Ok((is_built || passing.iter().any(|dir| program.starts_with(dir))).then(|| {
        format!(
            "{}: not a place to stay: when it goes, Docker starts no container and podman traces none; \
             install it as /usr/bin/buildwarden",
            program.display()
        )
    }))
}

/// Reads what the plan for an engine needs.
pub(super) fn gather(root: &Root, engine: Engine, wish: &Wish) -> Result<Facts, InstallError> {
    let mut facts = Facts::default();
    for link in links(&wish.program) {
        let state = match root.link(&link.path) {
            Some(target) if target == link.target => LinkState::To(target),
            _ if root.has_program(&link.path) => LinkState::Program,
            _ if root.exists(&link.path) => LinkState::Broken,
            _ => continue,
        };
        facts.links.insert(link.path, state);
    }
    match engine {
        Engine::Podman | Engine::Crio => {
            for name in HOOK_FILES {
                read(root, &mut facts, &wish.hooks_dir.join(name))?;
            }
            for path in host::CONTAINERS_CONF {
                let path = Path::new(path);
                read(root, &mut facts, path)?;
                let directory = path.with_extension("conf.d");
                for name in root.names(&directory) {
                    if name.ends_with(".conf") {
                        read(root, &mut facts, &directory.join(name))?;
                    }
                }
            }
        }
        Engine::Docker => {
            read(root, &mut facts, Path::new(DOCKER))?;
            for directory in UNIT_DIRECTORIES {
                let unit = Path::new(directory).join("docker.service");
                let drop_ins = unit.with_extension("service.d");
                read_unit(root, &mut facts, &unit)?;
                for name in root.names(&drop_ins) {
                    if name.ends_with(".conf") {
                        read_unit(root, &mut facts, &drop_ins.join(name))?;
                    }
                }
            }
        }
        Engine::Containerd => containerd(root, &mut facts)?,
        Engine::Buildkit => drop(read(root, &mut facts, Path::new(BUILDKIT))?),
    }
    Ok(facts)
}

fn read<'a>(
    root: &Root,
    facts: &'a mut Facts,
    path: &Path,
) -> Result<Option<&'a Found>, InstallError> {
    if let Some(found) = root.read(path)? {
        facts.files.insert(path.to_owned(), found);
    }
    Ok(facts.files.get(path))
}

/// `systemctl mask` puts a link to /dev/null in the place of a unit, which an image need
/// not have.
fn read_unit(root: &Root, facts: &mut Facts, path: &Path) -> Result<(), InstallError> {
    if root.link(path).is_some_and(|target| target == Path::new("/dev/null")) {
        let empty = Found { content: String::new(), backup: None };
        facts.files.insert(path.to_owned(), empty);
        facts.masked.insert(path.to_owned());
        return Ok(());
    }
    read(root, facts, path).map(drop)
}

fn containerd(root: &Root, facts: &mut Facts) -> Result<(), InstallError> {
    let main = Path::new(CONTAINERD);
    let Some(found) = read(root, facts, main)? else {
        // An image's containerd is not ours to execute.
        if root.is_live() {
            facts.containerd = hint();
        }
        return Ok(());
    };
    for pattern in containerd_imports(main, &found.content)? {
        let directory: PathBuf = pattern.parent().unwrap_or(Path::new("/")).to_owned();
        for name in root.names(&directory) {
            let path = directory.join(name);
            if containerd_matches(&pattern, &path) {
                read(root, facts, &path)?;
            }
        }
    }
    Ok(())
}

fn hint() -> Option<Hint> {
    let containerd = host::find_program("containerd")?;
    let output = host::output(Command::new(containerd).args(["config", "default"]), LIMIT).ok()?;
    Hint::read(&String::from_utf8(output.stdout).ok()?)
}
