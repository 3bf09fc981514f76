//! Whether the engines run Buildwarden.

use crate::doctor::{Check, Section};
use crate::host::{Docker, Executable, Facts, HOOKS_DIRS, Hook, HookFile, HooksDir, Runtime};
use std::path::{Path, PathBuf};

const SECTION: Section = Section::Hooks;

/// The engines that read hooks directories.
const READERS: [&str; 3] = ["podman", "buildah", "crio"];

pub(super) fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks: Vec<_> = facts.hooks.iter().flat_map(directory).collect();
    checks.extend(coverage(facts));
    checks.extend(docker(facts));
    checks
}

fn has(facts: &Facts, name: &str) -> bool {
    facts.programs.iter().any(|program| program.name == name)
}

/// What is wrong with, or to be said of, the files of one directory.
fn directory(dir: &HooksDir) -> Vec<Check> {
    let name = "hooks directory";
    match &dir.files {
        Err(error) => vec![Check::problem(
            SECTION,
            name,
            error.to_string(),
            "make it readable: an engine that cannot read it starts no container",
        )],
        Ok(None) => Vec::new(),
        Ok(Some(files)) => files.iter().filter_map(hook_file).collect(),
    }
}

fn hook_file(file: &HookFile) -> Option<Check> {
    match file {
        HookFile::Other => None,
        HookFile::Malformed(error) => Some(Check::problem(
            SECTION,
            "hook file",
            error.to_string(),
            "mend or remove it: podman, buildah and CRI-O start no container while it is there",
        )),
        HookFile::Ours(hook) => Some(our_hook(hook)),
    }
}

fn our_hook(hook: &Hook) -> Check {
    let name = "hook";
    let (file, program) = (hook.file.display(), hook.program.display());
    let stages = hook.stages.join(", ");
    match hook.executable {
        // podman and buildah skip such a hook without a word.
        Executable::Missing => Check::problem(
            SECTION,
            name,
            format!(
                "{file} names {program}, which is not there: nothing is traced, and no engine says so"
            ),
            format!("install the program as {program}, or name it right"),
        ),
        Executable::No => Check::problem(
            SECTION,
            name,
            format!("{file} names {program}, which cannot be executed"),
            format!("chmod 0755 {program}"),
        ),
        Executable::Yes { .. } if !hook.sets_path => Check::warning(
            SECTION,
            name,
            format!("{file} ({stages}) sets no PATH; youki runs it without any"),
            "add \"env\": [\"PATH=/usr/sbin:/usr/bin:/sbin:/bin\"] to its \"hook\"",
        ),
        Executable::Yes { this_one: true } => {
            Check::ok(SECTION, name, format!("{file} ({stages}) runs this program"))
        }
        Executable::Yes { this_one: false } => Check::ok(
            SECTION,
            name,
            format!("{file} ({stages}) runs {program}, another file than this program"),
        ),
    }
}

/// The engine whose installation is for a reader of hooks.
fn installer(reader: &str) -> &str {
    if reader == "crio" { reader } else { "podman" }
}

fn is_start(stage: &str) -> bool {
    matches!(stage, "createRuntime" | "prestart")
}

fn is_end(stage: &str) -> bool {
    stage == "poststop"
}

/// Whether the working hooks together trace a container from start to end, for
/// each engine that reads these directories.
fn coverage(facts: &Facts) -> Vec<Check> {
    let readers: Vec<_> = READERS.into_iter().filter(|name| has(facts, name)).collect();
    let working: Vec<(&HooksDir, &Hook)> = facts
        .hooks
        .iter()
        .flat_map(|dir| dir.files.iter().flatten().flatten().map(move |file| (dir, file)))
        .filter_map(|(dir, file)| match file {
            HookFile::Ours(hook) if matches!(hook.executable, Executable::Yes { .. }) => {
                Some((dir, hook))
            }
            _ => None,
        })
        .collect();
    let covers = |stage: fn(&str) -> bool, dirs: &[&Path]| {
        working.iter().any(|(dir, hook)| {
            dirs.contains(&dir.path.as_path()) && hook.stages.iter().any(|name| stage(name))
        })
    };
    if readers.is_empty() {
        return Vec::new();
    }
    let name = "hook stages";
    let engines = readers.join(", ");
    let [usual, local] = HOOKS_DIRS;
    let conf = facts.engines.containers_conf.hooks_dirs.as_ref();
    let podmans: Vec<&Path> = match conf {
        Some((_, dirs)) => dirs.iter().map(PathBuf::as_path).collect(),
        None => vec![usual.as_ref()],
    };
    let mut all: Vec<&Path> = HOOKS_DIRS.iter().map(Path::new).collect();
    if has(facts, "podman") {
        all.extend(&podmans);
    }
    let check = match (covers(is_start, &all), covers(is_end, &all)) {
        (false, false) => Check::warning(
            SECTION,
            name,
            format!("no working hook in {usual} or {local}: nothing is traced under {engines}"),
            format!("run `buildwarden install --engine {}`", installer(readers[0])),
        ),
        (false, true) => Check::problem(
            SECTION,
            name,
            format!("no working hook at createRuntime: nothing is traced under {engines}"),
            format!("run `buildwarden install --engine {}`", installer(readers[0])),
        ),
        (true, false) => Check::warning(
            SECTION,
            name,
            "no working hook at poststop: a container whose collector died gets its report from `buildwarden gc` only",
            format!("run `buildwarden install --engine {}`", installer(readers[0])),
        ),
        (true, true) if has(facts, "podman") && !covers(is_start, &podmans) => match conf {
            Some((file, _)) => Check::problem(
                SECTION,
                name,
                format!(
                    "hooks_dir in {} leaves out the directory of the hooks: `podman run` is not traced",
                    file.display()
                ),
                format!("add {usual} to hooks_dir there"),
            ),
            // podman run's default is the first directory alone.
            None => Check::warning(
                SECTION,
                name,
                format!("only in {local}, which `podman run` does not read by itself"),
                format!(
                    "move the hook files to {usual}, or name {local} as hooks_dir in containers.conf"
                ),
            ),
        },
        (true, true) => Check::ok(SECTION, name, format!("start and end, for {engines}")),
    };
    vec![check]
}

fn docker(facts: &Facts) -> Vec<Check> {
    let name = "Docker runtime";
    let advice = "run `buildwarden install --engine docker`";
    match &facts.docker {
        Err(error) => vec![Check::problem(
            SECTION,
            name,
            error.to_string(),
            "mend it: dockerd does not start with it",
        )],
        Ok(Some(docker)) if !docker.runtimes.is_empty() => {
            docker.runtimes.iter().map(|runtime| our_runtime(docker, runtime)).collect()
        }
        Ok(_) if has(facts, "dockerd") => vec![Check::warning(
            SECTION,
            name,
            "no runtime of Buildwarden's: Docker's containers are not traced",
            advice,
        )],
        Ok(_) => Vec::new(),
    }
}

fn our_runtime(docker: &Docker, runtime: &Runtime) -> Check {
    let name = "Docker runtime";
    let (label, program) = (&runtime.name, runtime.program.display());
    match runtime.executable {
        Executable::Missing => Check::problem(
            SECTION,
            name,
            format!("{label} names {program}, which is not there: no container starts with it"),
            format!(
                "install the program as {program}, or name it right in /etc/docker/daemon.json"
            ),
        ),
        Executable::No => Check::problem(
            SECTION,
            name,
            format!("{label} names {program}, which cannot be executed"),
            format!("chmod 0755 {program}"),
        ),
        Executable::Yes { .. } if docker.default_runtime.as_deref() == Some(label) => Check::ok(
            SECTION,
            name,
            format!("{label} ({program}), for every container but BuildKit's"),
        ),
        Executable::Yes { .. } => Check::warning(
            SECTION,
            name,
            format!("{label} ({program}), only for containers that ask for it"),
            format!(
                "set \"default-runtime\": \"{label}\" in /etc/docker/daemon.json to trace every container"
            ),
        ),
    }
}
