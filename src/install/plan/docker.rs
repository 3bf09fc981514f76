//! dockerd: the runtime in daemon.json, and the environment for its BuildKit.

use super::{
    Facts, Installed, Link, Others, Plan, RUNTIME, Verb, Wish, in_path, is_ours,
    json::{self, Document},
    note_of_runtime, plan_file, shim, systemd, wrappable,
};
use crate::install::InstallError;
use jsonc_parser::cst::{CstInputValue, CstObject};
use std::path::Path;

/// dockerd's configuration.
pub(in crate::install) const DAEMON: &str = "/etc/docker/daemon.json";

/// What is written where there is none.
const EMPTY: &str = "{\n}\n";

pub(super) fn plan(plan: &mut Plan, facts: &Facts, wish: &Wish) -> Result<Vec<Link>, InstallError> {
    if wish.verb == Verb::Install {
        systemd::check_command_line(facts)?;
    }
    let runtime = plan_file(plan, facts, wish, Path::new(DAEMON), install, take_out)?;
    // A container's configuration keeps the name of its runtime.
    let remembered = match wish.verb {
        Verb::Install => {
            "containers that are there keep their runtime: create them anew to have them traced"
                .to_owned()
        }
        Verb::Uninstall => format!(
            "containers that were created with the runtime {RUNTIME} do not start again after the \
             restart: create them anew"
        ),
    };
    if !plan.edits.is_empty() {
        plan.notes.push(remembered);
    }
    systemd::plan(plan, facts, wish)?;
    let mut shims = vec![shim(&wish.program, "runc"), in_path(&wish.program)];
    if runtime != "runc" {
        shims.push(shim(&wish.program, runtime));
    }
    Ok(shims)
}

/// The default runtime as it is.
enum Default {
    /// Ours, by this name.
    Ours(String),
    /// One that can be wrapped, with its program where that is told.
    Wrappable { runtime: &'static str, program: Option<String>, entry: Option<CstObject> },
    /// Another.
    Other(String),
}

fn default(path: &Path, daemon: &CstObject) -> Result<Default, InstallError> {
    let name = json::get_string(path, daemon, "default-runtime")?;
    let Some(name) = name else {
        return Ok(Default::Wrappable { runtime: "runc", program: None, entry: None });
    };
    if ["runc", "io.containerd.runc.v2"].contains(&name.as_str()) {
        return Ok(Default::Wrappable { runtime: "runc", program: None, entry: None });
    }
    let runtimes = json::get_object(path, daemon, "runtimes")?;
    let entry = match &runtimes {
        Some(runtimes) => json::get_object(path, runtimes, &name)?,
        None => None,
    };
    let Some(entry) = entry else { return Ok(Default::Other(name)) };
    Ok(match json::get_string(path, &entry, "path")? {
        Some(program) if is_ours(&program) => Default::Ours(name),
        Some(program) => match wrappable(&program) {
            Some(runtime) => {
                Default::Wrappable { runtime, program: Some(program), entry: Some(entry) }
            }
            None => Default::Other(name),
        },
        None => Default::Other(name),
    })
}

fn install(text: Option<&str>, wish: &Wish) -> Result<Installed, InstallError> {
    let path = Path::new(DAEMON);
    let document = Document::read(path, text.unwrap_or(EMPTY))?;
    let daemon = &document.object;
    let mut notes = Vec::new();
    let mut runtime = "runc";
    let mut entry = None;
    let mut set_default = true;
    match default(path, daemon)? {
        // By another name it is somebody's own doing, and right.
        Default::Ours(name) if name != RUNTIME => {
            let text = text.unwrap_or(EMPTY).to_owned();
            return Ok(Installed { text, runtime, notes });
        }
        Default::Ours(_) => set_default = false,
        Default::Wrappable { runtime: found, program, entry: old } => {
            runtime = found;
            notes.extend(program.and_then(|program| note_of_runtime(&program, found)));
            entry = old;
        }
        Default::Other(name) => match wish.others {
            Others::Refuse => {
                return Err(InstallError::refused(
                    path,
                    format!(
                        "default-runtime is \"{name}\", which Buildwarden cannot wrap: with \
                         --keep-default it stays, and only containers started with `--runtime \
                         {RUNTIME}` are traced; with --replace-default \"{RUNTIME}\" (runc) takes its \
                         place until uninstall"
                    ),
                ));
            }
            Others::Keep => {
                set_default = false;
                notes.push(format!(
                    "default-runtime stays \"{name}\": only containers started with `--runtime \
                     {RUNTIME}` are traced, and image builds by BuildKit"
                ));
            }
            Others::Replace => notes.push(format!(
                "default-runtime was \"{name}\": containers that need it must ask for it with `--runtime {name}`"
            )),
        },
    }
    let runtimes = match json::get_object(path, daemon, "runtimes")? {
        Some(runtimes) => runtimes,
        None => daemon.object_value_or_set("runtimes"),
    };
    let program = super::text(&shim(&wish.program, runtime).path);
    match json::get_object(path, &runtimes, RUNTIME)? {
        Some(ours) => match json::get_string(path, &ours, "path")? {
            Some(old) if !is_ours(&old) => {
                let reason = format!("runtimes.{RUNTIME} runs {old}, not Buildwarden: rename it");
                return Err(InstallError::refused(path, reason));
            }
            // The runtime that it wraps may be another one than runc.
            Some(old) => {
                let name = Path::new(&old).file_name().unwrap_or_default();
                let new = super::text(&wish.program.with_file_name(name));
                if new != old {
                    json::set_string(path, &ours, "path", &new)?;
                }
            }
            None => json::set_string(path, &ours, "path", &program)?,
        },
        None => {
            let mut properties = vec![("path".to_owned(), CstInputValue::String(program))];
            if let Some(args) = entry.and_then(|entry| entry.get("runtimeArgs")?.array_value()) {
                let args = args.elements().into_iter().filter_map(|arg| arg.as_string_lit());
                let args = args.filter_map(|arg| arg.decoded_value().ok());
                let args = args.map(CstInputValue::String).collect();
                properties.push(("runtimeArgs".to_owned(), CstInputValue::Array(args)));
            }
            runtimes.append(RUNTIME, CstInputValue::Object(properties));
        }
    }
    if set_default {
        json::set_string(path, daemon, "default-runtime", RUNTIME)?;
    }
    Ok(Installed { text: document.text(), runtime, notes })
}

/// Takes our runtime out, and the default that was there back in.
fn take_out(content: &str, original: Option<&str>) -> Result<Option<String>, InstallError> {
    let path = Path::new(DAEMON);
    let document = Document::read(path, content)?;
    let original = original.map(|text| Document::read(path, text)).transpose()?;
    let daemon = &document.object;
    let Some(runtimes) = json::get_object(path, daemon, "runtimes")? else {
        return Ok(Some(content.to_owned()));
    };
    let Some(ours) = json::get_object(path, &runtimes, RUNTIME)? else {
        return Ok(Some(content.to_owned()));
    };
    let is_there = |name: &String| {
        ["runc", "io.containerd.runc.v2"].contains(&name.as_str()) || runtimes.get(name).is_some()
    };
    if !json::get_string(path, &ours, "path")?.is_some_and(|program| is_ours(&program)) {
        return Ok(Some(content.to_owned()));
    }
    if json::get_string(path, daemon, "default-runtime")?.as_deref() == Some(RUNTIME) {
        let old = match &original {
            Some(original) => json::get_string(path, &original.object, "default-runtime")?,
            None => None,
        };
        // dockerd does not start with one that has gone meanwhile.
        match old.filter(is_there) {
            Some(old) => json::set_string(path, daemon, "default-runtime", &old)?,
            None => {
                if let Some(property) = json::get(path, daemon, "default-runtime")? {
                    property.remove();
                }
            }
        }
    }
    let was_there = match &original {
        Some(original) => json::get(path, &original.object, "runtimes")?.is_some(),
        None => false,
    };
    if runtimes.properties().len() == 1 && !was_there {
        if let Some(property) = json::get(path, daemon, "runtimes")? {
            property.remove();
        }
    } else if let Some(property) = json::get(path, &runtimes, RUNTIME)? {
        property.remove();
    }
    let nothing_left = daemon.properties().is_empty() && original.is_none();
    Ok((!nothing_left).then(|| document.text()))
}
