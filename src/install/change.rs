//! The change of several engines: all of them are looked at before the first is changed.

use super::{
    Done, Engine, InstallError, Others, Plan, Root, Verb, Wish,
    apply::{apply, check_writable},
    gather::{check, found, gather},
    plan::{HOOKS_DIR, plan},
};
use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
};

/// Where the package has the program.
const USUAL_PROGRAM: &str = "/usr/bin/buildwarden";

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// In or out.
    pub verb: Verb,
    /// The engines; none to install for those that are there, and to uninstall from all.
    pub engines: Vec<Engine>,
    /// This program as the engines will find it; where none is named, this one.
    pub program: Option<PathBuf>,
    /// The hooks directory of podman, buildah and CRI-O, where it is not the usual one.
    pub hooks_dir: Option<PathBuf>,
    /// Somebody else's default runtime.
    pub others: Others,
}

/// What is to be done for each engine, and for which nothing can be.
#[derive(Debug)]
pub struct Change<'a> {
    root: &'a Root,
    verb: Verb,
    /// What is better done otherwise.
    pub warning: Option<String>,
    /// Engine by engine.
    pub plans: Vec<Plan>,
    /// Why others are left as they are. To install, all are then.
    pub failed: Vec<(Engine, InstallError)>,
}

impl Change<'_> {
    /// Plans for every engine.
    pub fn plan(root: &Root, request: Request) -> Result<Change<'_>, InstallError> {
        let verb = request.verb;
        let engines = engines(root, verb, request.engines)?;
        let wish = Wish {
            verb,
            program: program(root, request.program)?,
            hooks_dir: request.hooks_dir.unwrap_or_else(|| HOOKS_DIR.into()),
            others: request.others,
            links: engines == Engine::ALL && !root.is_live(),
        };
        let warning = check(root, &wish)?;
        let mut change = Change { root, verb, warning, plans: Vec::new(), failed: Vec::new() };
        for (engine, readers) in by_files(&engines) {
            match gather(root, engine, &wish).and_then(|facts| plan(engine, &facts, &wish)) {
                Ok(mut plan) => {
                    // In an image nothing runs.
                    if root.is_live() && !plan.edits.is_empty() {
                        plan.restarts = readers;
                    }
                    change.plans.push(plan);
                }
                Err(error) => change.failed.push((engine, error)),
            }
        }
        change.plans = without_repeats(change.plans);
        change.without_failed();
        Ok(change)
    }

    /// Sorts out what cannot be written, as far as that can be told without trying.
    pub fn check_writable(&mut self) {
        for plan in std::mem::take(&mut self.plans) {
            match check_writable(self.root, &plan) {
                Ok(()) => self.plans.push(plan),
                Err(error) => self.failed.push((plan.engine, error)),
            }
        }
        self.without_failed();
    }

    /// To install is all or nothing. To uninstall is as much as can be; an engine that
    /// still has the program in its configuration needs the links to it.
    fn without_failed(&mut self) {
        if self.failed.is_empty() {
            return;
        }
        match self.verb {
            Verb::Install => self.plans.clear(),
            Verb::Uninstall => self.plans.iter_mut().for_each(|plan| plan.unlinks.clear()),
        }
    }

    /// Carries the plans out and tells of each. After an error nothing more is installed,
    /// but everything else uninstalled.
    pub fn carry_out(self, mut tell: impl FnMut(&Plan, Result<Vec<Done>, InstallError>)) {
        let mut is_whole = true;
        for mut plan in self.plans {
            if !is_whole {
                plan.unlinks.clear();
            }
            let done = apply(self.root, &plan, self.verb);
            is_whole &= done.is_ok();
            tell(&plan, done);
            if !is_whole && self.verb == Verb::Install {
                break;
            }
        }
    }
}

/// Those that are meant, each once.
fn engines(root: &Root, verb: Verb, named: Vec<Engine>) -> Result<Vec<Engine>, InstallError> {
    let engines = match (named.is_empty(), verb) {
        (false, _) => named.into_iter().collect::<BTreeSet<_>>().into_iter().collect(),
        (true, Verb::Install) => found(root),
        (true, Verb::Uninstall) => Engine::ALL.to_vec(),
    };
    if engines.is_empty() { Err(InstallError::NoEngine) } else { Ok(engines) }
}

/// Those to plan for, with all that read the same files: podman and CRI-O do.
fn by_files(engines: &[Engine]) -> Vec<(Engine, Vec<Engine>)> {
    let mut groups: Vec<(Engine, Vec<Engine>)> = Vec::new();
    for engine in engines {
        match groups.last_mut() {
            Some((Engine::Podman, readers)) if *engine == Engine::Crio => readers.push(*engine),
            _ => groups.push((*engine, vec![*engine])),
        }
    }
    groups
}

/// The program by the path that the engines will have for it.
fn program(root: &Root, named: Option<PathBuf>) -> Result<PathBuf, InstallError> {
    match named {
        Some(named) => Ok(named),
        None if !root.is_live() && root.has_program(Path::new(USUAL_PROGRAM)) => {
            Ok(USUAL_PROGRAM.into())
        }
        None => env::current_exe().map_err(|error| InstallError::file("/proc/self/exe", error)),
    }
}

/// Two engines may want the same link: it is made for the first and removed after the
/// last.
fn without_repeats(mut plans: Vec<Plan>) -> Vec<Plan> {
    let mut seen = BTreeSet::new();
    for plan in &mut plans {
        plan.links.retain(|link| seen.insert(link.path.clone()));
    }
    for plan in plans.iter_mut().rev() {
        plan.unlinks.retain(|link| seen.insert(link.path.clone()));
    }
    plans
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt as _};

    #[test]
    fn after_an_error_nothing_more_is_installed_and_everything_uninstalled() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let request = |verb| Request {
            verb,
            engines: Engine::ALL.to_vec(),
            program: Some(USUAL_PROGRAM.into()),
            hooks_dir: None,
            others: Others::Refuse,
        };
        let program = dir.path().join("usr/bin/buildwarden");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::write(&program, "").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let json = dir.path().join("etc/docker/daemon.json");
        fs::create_dir_all(json.parent().unwrap()).unwrap();
        let carry_out = |verb, meanwhile: &str| {
            let mut change = Change::plan(&root, request(verb)).unwrap();
            change.check_writable();
            assert!(change.failed.is_empty(), "{:?}", change.failed);
            fs::write(&json, meanwhile).unwrap();
            let mut told = Vec::new();
            change.carry_out(|plan, done| told.push((plan.engine, done.is_ok())));
            told
        };
        let (podman, docker) = ((Engine::Podman, true), (Engine::Docker, false));
        assert_eq!(carry_out(Verb::Install, "{}"), [podman, docker]);
        fs::remove_file(&json).unwrap();
        let others = [(Engine::Containerd, true), (Engine::Buildkit, true)];
        let mut change = Change::plan(&root, request(Verb::Install)).unwrap();
        change.check_writable();
        change.carry_out(|_, done| drop(done.unwrap()));
        let installed = fs::read_to_string(&json).unwrap();
        let told = carry_out(Verb::Uninstall, "{}");
        assert_eq!(told, [&[podman, docker][..], &others].concat());
        let link = dir.path().join("usr/bin/buildwarden-runc");
        assert!(link.is_symlink());
        fs::write(&json, &installed).unwrap();
        let told = carry_out(Verb::Uninstall, &installed);
        assert!(told.iter().all(|(_, is_ok)| *is_ok), "{told:?}");
        assert!(!link.is_symlink() && !json.exists());
    }
}
