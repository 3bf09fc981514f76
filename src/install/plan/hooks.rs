//! The hooks directory of podman, buildah and CRI-O.

use super::{Facts, Link, Plan, Verb, Wish, is_ours, json, text};
use crate::{
    host,
    install::{Engine, InstallError},
};
use std::path::Path;

/// The directory that podman reads without being told to.
pub(in crate::install) const USUAL: &str = "/usr/share/containers/oci/hooks.d";

/// The hook files, and what they hold.
const FILES: [(&str, &str); 2] = [
    (NAMES[0], include_str!("../../../hooks/buildwarden-createRuntime.json")),
    (NAMES[1], include_str!("../../../hooks/buildwarden-poststop.json")),
];

/// Their names.
pub(in crate::install) const NAMES: [&str; 2] =
    ["buildwarden-createRuntime.json", "buildwarden-poststop.json"];

pub(super) fn plan(plan: &mut Plan, facts: &Facts, wish: &Wish) -> Result<Vec<Link>, InstallError> {
    for (name, content) in FILES {
        let path = wish.hooks_dir.join(name);
        let found = facts.files.get(&path);
        let program = text(&wish.program);
        let install = |text: Option<&str>| with_program(&path, text.unwrap_or(content), &program);
        let after = match (wish.verb, found) {
            (Verb::Install, found) => Some(install(found.map(|found| found.content.as_str()))?),
            (Verb::Uninstall, None) => continue,
            (Verb::Uninstall, Some(found)) if !runs_us(&path, &found.content)? => continue,
            // Ours whole, whatever was changed in it; and what it was before was ours too.
            (Verb::Uninstall, Some(_)) => None,
        };
        let ours = match found {
            Some(found) => runs_us(&path, &found.content)?,
            None => false,
        };
        plan.edit(&path, found, ours, after);
    }
    if plan.edits.is_empty() {
        return Ok(Vec::new());
    }
    let both = "podman, buildah and CRI-O read the same directory: this is for all of them";
    plan.notes.push(both.to_owned());
    if wish.verb == Verb::Install {
        plan.notes.extend(left_out(plan.engine, facts, &wish.hooks_dir)?);
    }
    Ok(Vec::new())
}

/// A hook file that runs `program`; what else it says stays.
fn with_program(path: &Path, text: &str, program: &str) -> Result<String, InstallError> {
    let document = json::Document::read(path, text)?;
    let hook = json::get_object(path, &document.object, "hook")?
        .ok_or_else(|| InstallError::malformed(path, "\"hook\": missing"))?;
    match json::get_string(path, &hook, "path")? {
        Some(old) if old == program => return Ok(text.to_owned()),
        Some(old) if !is_ours(&old) => {
            let reason = format!("runs {old}, not Buildwarden, by Buildwarden's name: rename it");
            return Err(InstallError::refused(path, reason));
        }
        _ => json::set_string(path, &hook, "path", program)?,
    }
    Ok(document.text())
}

fn runs_us(path: &Path, text: &str) -> Result<bool, InstallError> {
    let document = json::Document::read(path, text)?;
    let Some(hook) = json::get_object(path, &document.object, "hook")? else { return Ok(false) };
    Ok(json::get_string(path, &hook, "path")?.is_some_and(|program| is_ours(&program)))
}

/// What keeps podman from reading the directory.
fn left_out(engine: Engine, facts: &Facts, dir: &Path) -> Result<Option<String>, InstallError> {
    if engine != Engine::Podman {
        return Ok(None);
    }
    let mut named = None;
    // In the order in which podman reads them.
    for file in host::CONTAINERS_CONF.map(Path::new) {
        let directory = file.with_extension("conf.d");
        let files = facts
            .files
            .iter()
            .filter(|(path, _)| path.as_path() == file || path.parent() == Some(&directory));
        for (path, found) in files {
            let dirs = host::hooks_dirs(&found.content)
                .map_err(|error| InstallError::malformed(path, error))?;
            named = dirs.map(|dirs| (path, dirs)).or(named);
        }
    }
    Ok(match named {
        Some((path, dirs)) if !dirs.iter().any(|named| named == dir) => Some(format!(
            "{} sets hooks_dir without {}: podman does not read it until it is added there",
            path.display(),
            dir.display()
        )),
        None if dir != Path::new(USUAL) => Some(format!(
            "podman reads {} only when hooks_dir in containers.conf or --hooks-dir names it",
            dir.display()
        )),
        _ => None,
    })
}
