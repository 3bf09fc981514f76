//! BuildKit alone: the binary of buildkitd's OCI worker.

use super::{
    Facts, Installed, Link, Others, Plan, Wish, is_ours, note_of_runtime, plan_file, shim, table,
    wrappable,
};
use crate::install::InstallError;
use std::path::Path;

/// buildkitd's configuration.
pub(in crate::install) const PATH: &str = "/etc/buildkit/buildkitd.toml";

const WORKER: [&str; 2] = ["worker", "oci"];

pub(super) fn plan(plan: &mut Plan, facts: &Facts, wish: &Wish) -> Result<Vec<Link>, InstallError> {
    let runtime = plan_file(plan, facts, wish, Path::new(PATH), install, take_out)?;
    Ok(vec![shim(&wish.program, runtime)])
}

fn install(text: Option<&str>, wish: &Wish) -> Result<Installed, InstallError> {
    let path = Path::new(PATH);
    let mut document = table::read(path, text.unwrap_or_default())?;
    let mut notes = Vec::new();
    let containerd = table::get(&document, &["worker", "containerd"]);
    let enabled = |table: &dyn toml_edit::TableLike| table.get("enabled")?.as_bool();
    if containerd.and_then(enabled) == Some(true) {
        notes.push(
            "worker.containerd is enabled: its steps run as containerd's, where this has no say; set \
             worker.containerd.runtime there"
                .to_owned(),
        );
    }
    let worker = table::get_or_make(path, &mut document, &WORKER)?;
    let binary = table::string(path, worker, "binary")?.unwrap_or_default().to_owned();
    let mut runtime = "runc";
    if is_ours(&binary) {
        let name = Path::new(&binary).file_name().unwrap_or_default();
        let new = super::text(&wish.program.with_file_name(name));
        if new != binary {
            table::set(worker, "binary", &new);
        }
        return Ok(Installed { text: document.to_string(), runtime, notes });
    }
    match wrappable(&binary) {
        Some(found) => {
            runtime = found;
            notes.extend(note_of_runtime(&binary, found));
        }
        // What buildkitd looks for by itself.
        None if binary.is_empty() || binary == "buildkit-runc" => {}
        None => match wish.others {
            Others::Refuse => {
                return Err(InstallError::refused(
                    path,
                    format!(
                        "worker.oci.binary is \"{binary}\", which Buildwarden cannot wrap: with \
                         --replace-default runc by way of Buildwarden takes its place until uninstall"
                    ),
                ));
            }
            Others::Keep => {
                notes.push(format!("worker.oci.binary stays \"{binary}\": nothing is traced"));
                let text = text.unwrap_or_default().to_owned();
                return Ok(Installed { text, runtime, notes });
            }
            Others::Replace => notes.push(format!("worker.oci.binary was \"{binary}\"")),
        },
    }
    table::set(worker, "binary", &super::text(&shim(&wish.program, runtime).path));
    Ok(Installed { text: document.to_string(), runtime, notes })
}

fn take_out(content: &str, original: Option<&str>) -> Result<Option<String>, InstallError> {
    let path = Path::new(PATH);
    let mut document = table::read(path, content)?;
    let original = original.map(|text| table::read(path, text)).transpose()?;
    let old = match &original {
        Some(original) => match table::get(original, &WORKER) {
            Some(worker) => table::string(path, worker, "binary")?,
            None => None,
        },
        None => None,
    };
    if table::get(&document, &WORKER).is_none() {
        return Ok(Some(content.to_owned()));
    }
    let worker = table::get_or_make(path, &mut document, &WORKER)?;
    match table::string(path, worker, "binary")? {
        Some(binary) if is_ours(binary) => {}
        _ => return Ok(Some(content.to_owned())),
    }
    match old {
        Some(old) if !is_ours(old) => table::set(worker, "binary", old),
        _ => drop(worker.remove("binary")),
    }
    table::prune(&mut document, original.as_ref(), &WORKER);
    let nothing_left = document.is_empty() && original.is_none();
    Ok((!nothing_left).then(|| document.to_string()))
}
