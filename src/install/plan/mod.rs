//! What is to be changed, from the files as they are. Pure, so that machines other than
//! this one can be planned for in tests.
//!
//! Uninstalling needs no record of what was installed but the file as it was before, kept
//! beside it: where installing into that gives what is there now, nobody else has
//! changed it, and it is put back to the byte. Else what is ours is taken out.

mod buildkit;
mod containerd;
mod docker;
mod hooks;
mod json;
mod systemd;
mod table;

#[cfg(test)]
mod tests;

pub(super) use buildkit::PATH as BUILDKIT;
pub(super) use containerd::Hint;
pub(super) use containerd::{
    MAIN as CONTAINERD, imports as containerd_imports, matches as containerd_matches,
};
pub(super) use docker::DAEMON as DOCKER;
pub(super) use hooks::{NAMES as HOOK_FILES, USUAL as HOOKS_DIR};
pub(super) use systemd::UNIT_DIRECTORIES;

use super::{Engine, Found, InstallError};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    path::{Component, Path, PathBuf},
};

/// The runtime's name in the configuration of Docker and containerd.
const RUNTIME: &str = "buildwarden";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Let the engine run Buildwarden.
    Install,
    /// As it was before.
    Uninstall,
}

/// What to do with a default runtime that cannot be wrapped, as nvidia's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Others {
    /// Change nothing, and say so.
    #[default]
    Refuse,
    /// Leave it; ours is there to be asked for.
    Keep,
    /// Ours in its place.
    Replace,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// In or out.
    pub verb: Verb,
    /// This program, as the engines will find it: absolute.
    pub program: PathBuf,
    /// The hooks directory of podman, buildah and CRI-O.
    pub hooks_dir: PathBuf,
    /// Somebody else's default runtime.
    pub others: Others,
    /// Uninstalling takes the links to the program too. Where containers may run they
    /// stay: those are stopped by way of them.
    pub links: bool,
}

/// The files that matter, as the engines find them, and what else must be known.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// What is there, by path.
    pub files: BTreeMap<PathBuf, Found>,
    /// Those of them, units and drop-ins, that systemd is told to take for empty.
    pub masked: BTreeSet<PathBuf>,
    /// Where a link to the program is wanted and something is already.
    pub links: BTreeMap<PathBuf, LinkState>,
    /// What containerd says of itself, where it could be asked.
    pub containerd: Option<Hint>,
}

/// What is where a link is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LinkState {
    /// A symbolic link, and where it leads.
    To(PathBuf),
    /// A program, by whatever way.
    Program,
    /// Something that cannot be executed.
    Broken,
}

/// Everything to be changed for one engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The engine.
    pub engine: Engine,
    /// Files that change.
    pub edits: Vec<Edit>,
    /// Links to be made.
    pub links: Vec<Link>,
    /// Links to be removed.
    pub unlinks: Vec<Link>,
    /// What somebody has to know.
    pub notes: Vec<String>,
    /// The engines that have to read their configuration again.
    pub restarts: Vec<Engine>,
}

/// A file that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// As the engine finds it.
    pub path: PathBuf,
    /// What it holds; `None` where there is none.
    pub before: Option<String>,
    /// Whether something of ours is in that already, so that it is not what to go back to.
    pub ours: bool,
    /// What it will hold; `None` where there will be none.
    pub after: Option<String>,
}

/// A symbolic link to the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub target: PathBuf,
}

impl Plan {
    fn new(engine: Engine) -> Plan {
        Plan {
            engine,
            edits: Vec::new(),
            links: Vec::new(),
            unlinks: Vec::new(),
            notes: Vec::new(),
            restarts: Vec::new(),
        }
    }

    /// Whether everything is as it should be.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty() && self.links.is_empty() && self.unlinks.is_empty()
    }

    fn edit(&mut self, path: &Path, found: Option<&Found>, ours: bool, after: Option<String>) {
        let before = found.map(|found| found.content.clone());
        if before != after {
            self.edits.push(Edit { path: path.to_owned(), before, ours, after });
        }
    }
}

/// Plans the change of one engine's configuration.
pub(super) fn plan(engine: Engine, facts: &Facts, wish: &Wish) -> Result<Plan, InstallError> {
    let mut plan = Plan::new(engine);
    let shims = match engine {
        Engine::Podman | Engine::Crio => hooks::plan(&mut plan, facts, wish)?,
        Engine::Docker => docker::plan(&mut plan, facts, wish)?,
        Engine::Containerd => containerd::plan(&mut plan, facts, wish)?,
        Engine::Buildkit => buildkit::plan(&mut plan, facts, wish)?,
    };
    if wish.verb == Verb::Uninstall && !wish.links && !shims.is_empty() && !plan.edits.is_empty() {
        let note = "the links to the program stay: containers that run are stopped by way of them";
        plan.notes.push(note.to_owned());
    }
    if wish.verb == Verb::Uninstall && wish.links {
        let ours =
            |link: &Link| facts.links.get(&link.path) == Some(&LinkState::To(link.target.clone()));
        plan.unlinks = links(&wish.program).into_iter().filter(ours).collect();
    }
    if wish.verb == Verb::Install {
        for link in shims {
            match facts.links.get(&link.path) {
                None => plan.links.push(link),
                Some(LinkState::To(_) | LinkState::Program) => {}
                Some(LinkState::Broken) => {
                    let reason = "in the way of a link to the program, and no program: remove it";
                    return Err(InstallError::refused(link.path, reason));
                }
            }
        }
    }
    Ok(plan)
}

/// Every link that an engine may need.
pub(super) fn links(program: &Path) -> Vec<Link> {
    let mut links: Vec<Link> =
        ["runc", "crun", "youki"].iter().map(|runtime| shim(program, runtime)).collect();
    links.push(in_path(program));
    links
}

/// The shim of a runtime: this program by another name.
fn shim(program: &Path, runtime: &str) -> Link {
    let path = program.with_file_name(format!("buildwarden-{runtime}"));
    Link { path, target: program.file_name().unwrap_or_default().into() }
}

/// The shim as `runc`, in a directory of its own for a PATH.
fn in_path(program: &Path) -> Link {
    let directory = program.parent().unwrap_or(Path::new("/"));
    let name = Path::new(program.file_name().unwrap_or_default());
    let is_bin = matches!(directory.file_name().and_then(OsStr::to_str), Some("bin" | "sbin"));
    let (prefix, target) = match directory.parent() {
        Some(prefix) if is_bin => {
            (prefix, Path::new(directory.file_name().unwrap_or_default()).join(name))
        }
        _ => (directory, name.to_owned()),
    };
    let path = prefix.join("libexec/buildwarden/runc");
    Link { path, target: Path::new("../..").join(target) }
}

/// A path as a configuration file has it. [`check_program`] has seen to it.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Whether a path can stand in every configuration file.
pub(super) fn check_program(program: &Path) -> Result<(), InstallError> {
    let refuse = |reason: &str| {
        Err(InstallError::Program { path: program.to_owned(), reason: reason.to_owned() })
    };
    let plain =
        program.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    match program.to_str() {
        _ if !program.is_absolute() || !plain => {
            refuse("not an absolute path: the engines need one")
        }
        None => refuse("not UTF-8, which the engines' configuration files need"),
        // A PATH is made of it.
        Some(text) if text.contains([':', '"', '\'', '\\']) || text.contains(char::is_control) => {
            refuse("a character that PATH or a configuration file cannot hold")
        }
        Some(_) => Ok(()),
    }
}

/// The runtime that a program is, of those that can be wrapped.
fn wrappable(program: &str) -> Option<&'static str> {
    let name = Path::new(program).file_name()?.to_str()?;
    ["runc", "crun", "youki"].into_iter().find(|runtime| *runtime == name)
}

/// Whether a program is Buildwarden, by its name.
fn is_ours(program: &str) -> bool {
    let name = Path::new(program).file_name().and_then(OsStr::to_str).unwrap_or_default();
    name == "buildwarden" || name.starts_with("buildwarden-")
}

/// The shim must run the runtime that ran before; it looks in PATH.
fn note_of_runtime(program: &str, runtime: &str) -> Option<String> {
    let usual = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let directory = Path::new(program).parent()?;
    let found =
        directory.as_os_str().is_empty() || usual.iter().any(|usual| directory == Path::new(usual));
    (!found).then(|| {
        format!(
            "{runtime} was run from {program}: set `runtime.{runtime} = \"{program}\"` in \
             /etc/buildwarden/buildwarden.toml, or the first {runtime} in PATH is run"
        )
    })
}

/// What the file becomes that says which runtime an engine runs.
struct Installed {
    text: String,
    /// The runtime that the shim wraps.
    runtime: &'static str,
    notes: Vec<String>,
}

/// Plans the change of that file; the runtime that the shim wraps.
fn plan_file(
    plan: &mut Plan,
    facts: &Facts,
    wish: &Wish,
    path: &Path,
    install: fn(Option<&str>, &Wish) -> Result<Installed, InstallError>,
    take_out: fn(&str, Option<&str>) -> Result<Option<String>, InstallError>,
) -> Result<&'static str, InstallError> {
    let found = facts.files.get(path);
    match (wish.verb, found) {
        (Verb::Install, _) => {
            let installed = install(found.map(|found| found.content.as_str()), wish)?;
            plan.notes.extend(installed.notes);
            let ours = match found.map(|found| &found.content) {
                Some(content) => take_out(content, None)?.as_ref() != Some(content),
                None => false,
            };
            plan.edit(path, found, ours, Some(installed.text));
            return Ok(installed.runtime);
        }
        (Verb::Uninstall, None) => {}
        (Verb::Uninstall, Some(found)) => {
            let after = undo(
                found,
                |text, others| Ok(install(text, &Wish { others, ..wish.clone() })?.text),
                |text| take_out(text, found.backup.as_deref()),
            )?;
            plan.edit(path, Some(found), true, after);
        }
    }
    Ok("runc")
}

/// What a file was before: as kept, where installing into that gives what is there now;
/// else what `take_out` makes of it.
fn undo(
    found: &Found,
    install: impl Fn(Option<&str>, Others) -> Result<String, InstallError>,
    take_out: impl FnOnce(&str) -> Result<Option<String>, InstallError>,
) -> Result<Option<String>, InstallError> {
    let original = found.backup.as_deref();
    let untouched = [Others::Replace, Others::Keep]
        .into_iter()
        .any(|others| install(original, others).is_ok_and(|installed| installed == found.content));
    if untouched { Ok(original.map(str::to_owned)) } else { take_out(&found.content) }
}
