//! containerd's CRI: a runtime beside the default one, and the default.
//!
//! Which file: containerd 1.x takes a plugin's section whole from the last file that has
//! one, and a drop-in of ours would make it forget the rest of it. So there (`version =
//! 2`) the runtime goes into the file that has the section. containerd 2.x merges
//! (`version = 3`): there it is a drop-in, where the main file imports any. ctr, nerdctl
//! and dockerd have their own say about runtimes and read nothing of this.

use super::{
    Facts, Link, Others, Plan, RUNTIME, Verb, Wish, is_ours, note_of_runtime, shim, table, undo,
    wrappable,
};
use crate::install::{Found, InstallError};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use toml_edit::{Array, DocumentMut, Item, Table, TableLike};

/// containerd's configuration.
pub(in crate::install) const MAIN: &str = "/etc/containerd/config.toml";

const DROP_IN: &str = "/etc/containerd/conf.d/buildwarden.toml";

/// The type of a runtime, and that of runc and those like it.
const TYPE: &str = "runtime_type";
const RUNC: &str = "io.containerd.runc.v2";

/// What `containerd config default` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::install) struct Hint {
    /// The version of its configuration.
    pub version: i64,
    /// What it reads besides.
    pub imports: Vec<String>,
}

impl Hint {
    /// Reads a whole default configuration.
    pub(in crate::install) fn read(text: &str) -> Option<Hint> {
        let document: DocumentMut = text.parse().ok()?;
        let imports = strings(document.get("imports"));
        Some(Hint { version: document.get("version")?.as_integer()?, imports })
    }
}

/// The CRI plugin's section by the version of the configuration.
fn section(version: i64) -> Option<[&'static str; 3]> {
    match version {
        2 => Some(["plugins", "io.containerd.grpc.v1.cri", "containerd"]),
        3 => Some(["plugins", "io.containerd.cri.v1.runtime", "containerd"]),
        _ => None,
    }
}

/// The names of the CRI plugin with which it can be disabled.
const CRI: [&str; 3] = ["cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"];

fn strings(item: Option<&Item>) -> Vec<String> {
    let values = item.and_then(Item::as_array).into_iter().flatten();
    values.filter_map(|value| value.as_str()).map(str::to_owned).collect()
}

/// The files that a configuration imports: patterns, absolute.
pub(in crate::install) fn imports(path: &Path, text: &str) -> Result<Vec<PathBuf>, InstallError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let imports = strings(table::read(path, text)?.get("imports"));
    Ok(imports.iter().map(|import| directory.join(import)).collect())
}

/// A configuration file.
struct File<'a> {
    path: &'a Path,
    found: &'a Found,
    document: DocumentMut,
}

fn read<'a>((path, found): (&'a PathBuf, &'a Found)) -> Result<File<'a>, InstallError> {
    Ok(File { path, found, document: table::read(path, &found.content)? })
}

/// Those that are there, in the order in which containerd reads them.
fn files(facts: &Facts) -> Result<Vec<File<'_>>, InstallError> {
    let main = Path::new(MAIN);
    let Some(main) = facts.files.get_key_value(main) else { return Ok(Vec::new()) };
    let mut files = vec![read(main)?];
    let patterns = imports(files[0].path, &files[0].found.content)?;
    for pattern in patterns {
        for entry in facts.files.iter().filter(|(path, _)| matches(&pattern, path)) {
            if files.iter().all(|file| file.path != entry.0) {
                files.push(read(entry)?);
            }
        }
    }
    Ok(files)
}

/// Whether an import means a file: `*` in the last part stands for anything.
pub(in crate::install) fn matches(pattern: &Path, path: &Path) -> bool {
    let (Some(name), Some(other)) = (pattern.file_name(), path.file_name()) else { return false };
    let (name, other) = (name.to_string_lossy(), other.to_string_lossy());
    let matches = match name.split_once('*') {
        None => name == other,
        Some((head, tail)) => {
            other.len() >= head.len() + tail.len()
                && other.starts_with(head)
                && other.ends_with(tail)
        }
    };
    matches && pattern.parent() == path.parent()
}

pub(super) fn plan(plan: &mut Plan, facts: &Facts, wish: &Wish) -> Result<Vec<Link>, InstallError> {
    if wish.verb == Verb::Uninstall {
        uninstall(plan, facts, wish)?;
        return Ok(vec![shim(&wish.program, "runc")]);
    }
    let files = files(facts)?;
    let main = files.first().map(|file| &file.document);
    let is_off = |file: &File<'_>| {
        strings(file.document.get("disabled_plugins")).iter().any(|off| CRI.contains(&&**off))
    };
    if let Some(file) = files.iter().find(|file| is_off(file)) {
        plan.notes.push(format!(
            "{}: the CRI plugin is off: nothing to configure; dockerd brings its own runtime, `ctr run` \
             takes `--runc-binary {}`",
            file.path.display(),
            super::text(&shim(&wish.program, "runc").path)
        ));
        return Ok(Vec::new());
    }
    let version = match main {
        // containerd 2.x reads the older one too.
        None => facts.containerd.as_ref().map_or(2, |hint| hint.version),
        Some(main) => main.get("version").and_then(Item::as_integer).unwrap_or(1),
    };
    let Some(section) = section(version) else {
        return Err(InstallError::refused(
            MAIN,
            format!(
                "version = {version}, expected 2 or 3: `containerd config migrate` writes it anew, for \
                 you to put there"
            ),
        ));
    };
    let default = default(&files, &section)?;
    let chosen = choose(&default, wish)?;
    let Some(chosen) = chosen else { return Ok(Vec::new()) };
    plan.notes.extend(chosen.notes.clone());
    let home = home(&files, version, &section);
    if chosen.set_default {
        overridden(&files, &home, &section)?;
    }
    let file = files.iter().find(|file| file.path == home);
    let ours = match file {
        Some(file) => without_ours(file)?.is_some(),
        None => false,
    };
    let found = file.map(|file| file.found);
    let text = found.map(|found| found.content.as_str());
    let after = install(&home, text, version, facts, &section, &chosen)?;
    plan.edit(&home, found, ours, Some(after));
    Ok(vec![shim(&wish.program, chosen.runtime)])
}

/// The default runtime as it is.
struct Default {
    name: String,
    /// Its table.
    table: Option<Table>,
    /// No file names any runtime.
    is_alone: bool,
    /// Where it is said.
    path: PathBuf,
}

fn default(files: &[File<'_>], section: &[&str]) -> Result<Default, InstallError> {
    let mut name = ("runc".to_owned(), PathBuf::from(MAIN));
    for file in files {
        let Some(containerd) = table::get(&file.document, section) else { continue };
        if let Some(found) = table::string(file.path, containerd, "default_runtime_name")? {
            name = (found.to_owned(), file.path.to_owned());
        }
    }
    let (name, path) = name;
    let mut keys = section.to_vec();
    keys.extend(["runtimes", &name]);
    let tables = files.iter().rev().filter_map(|file| table::get(&file.document, &keys));
    let table = tables.map(copy).next();
    keys.pop();
    let names_any = |file: &File<'_>| {
        table::get(&file.document, &keys).is_some_and(|runtimes| !runtimes.is_empty())
    };
    let is_alone = !files.iter().any(names_any);
    Ok(Default { name, table, is_alone, path })
}

/// A table anew: without its comments, which speak of the other, and its place.
fn copy(table: &dyn TableLike) -> Table {
    let mut new = Table::new();
    for (key, item) in table.iter() {
        let item = match item.as_table_like() {
            Some(table) => Item::Table(copy(table)),
            None => {
                let mut item = item.clone();
                if let Some(value) = item.as_value_mut() {
                    value.decor_mut().clear();
                }
                item
            }
        };
        new.insert(key, item);
    }
    new
}

/// What is to be written.
struct Chosen {
    runtime: &'static str,
    /// The runtime's table; `None` where ours is there already.
    table: Option<Table>,
    /// No file names runc, which then is there by itself, but not beside another.
    name_runc: bool,
    binary: String,
    set_default: bool,
    notes: Vec<String>,
}

fn binary(table: &Table) -> Option<&str> {
    table.get("options")?.as_table_like()?.get("BinaryName")?.as_str()
}

/// `None` where everything is as it should be, by somebody's own doing.
fn choose(default: &Default, wish: &Wish) -> Result<Option<Chosen>, InstallError> {
    let program = |runtime| super::text(&shim(&wish.program, runtime).path);
    let table = default.table.clone().unwrap_or_default();
    let found = binary(&table).unwrap_or("runc");
    if is_ours(found) {
        if default.name != RUNTIME {
            return Ok(None);
        }
        let name = Path::new(found).file_name().unwrap_or_default();
        let binary = super::text(&wish.program.with_file_name(name));
        let runtime = wrappable(&binary.replace("buildwarden-", "")).unwrap_or("runc");
        let notes = Vec::new();
        return Ok(Some(Chosen {
            runtime,
            table: None,
            name_runc: false,
            binary,
            set_default: true,
            notes,
        }));
    }
    let runtime_type = table.get(TYPE).and_then(Item::as_str);
    let is_runc = runtime_type.is_none_or(|name| name == RUNC)
        && (default.name == "runc" || default.table.is_some());
    if let Some(runtime) = wrappable(found).filter(|_| is_runc) {
        let notes = note_of_runtime(found, runtime).into_iter().collect();
        let binary = program(runtime);
        return Ok(Some(Chosen {
            runtime,
            table: Some(table),
            name_runc: default.is_alone,
            binary,
            set_default: true,
            notes,
        }));
    }
    let name = &default.name;
    let mut notes = Vec::new();
    let set_default = match wish.others {
        Others::Refuse => {
            return Err(InstallError::refused(
                &default.path,
                format!(
                    "default_runtime_name is \"{name}\", which Buildwarden cannot wrap: with --keep-default \
                     it stays, and only pods of a runtime class with handler {RUNTIME} are traced; with \
                     --replace-default \"{RUNTIME}\" (runc) takes its place until uninstall"
                ),
            ));
        }
        Others::Keep => {
            notes.push(format!(
                "default_runtime_name stays \"{name}\": only pods of a runtime class with handler \
                 {RUNTIME} are traced"
            ));
            false
        }
        Others::Replace => {
            notes.push(format!("default_runtime_name was \"{name}\""));
            true
        }
    };
    let binary = program("runc");
    Ok(Some(Chosen {
        runtime: "runc",
        table: Some(Table::new()),
        name_runc: default.is_alone,
        binary,
        set_default,
        notes,
    }))
}

/// The file that the runtime is in, or goes to.
fn home(files: &[File<'_>], version: i64, section: &[&str]) -> PathBuf {
    let mut runtime = section.to_vec();
    runtime.extend(["runtimes", RUNTIME]);
    let has = |keys: &[&str]| {
        let mut files = files.iter().rev();
        files.find(|file| table::get(&file.document, keys).is_some()).map(|file| file.path)
    };
    if let Some(path) = has(&runtime) {
        return path.to_owned();
    }
    let main = Path::new(MAIN);
    let drops_in = files.first().is_some_and(|main| {
        let imports = imports(main.path, &main.found.content).unwrap_or_default();
        imports.iter().any(|pattern| matches(pattern, Path::new(DROP_IN)))
    });
    match version {
        3 if drops_in => PathBuf::from(DROP_IN),
        // The whole plugin's section counts, whichever of its tables is there.
        2 => has(&section[..2]).unwrap_or(main).to_owned(),
        _ => main.to_owned(),
    }
}

/// A file that is read after `home` and says otherwise.
fn overridden(files: &[File<'_>], home: &Path, section: &[&str]) -> Result<(), InstallError> {
    let at = files.iter().position(|file| file.path == home);
    let later = match at {
        Some(at) => &files[at + 1..],
        None => files,
    };
    for file in later.iter().filter(|file| at.is_some() || file.path > home) {
        let says = table::get(&file.document, section)
            .is_some_and(|containerd| containerd.contains_key("default_runtime_name"));
        if says {
            return Err(InstallError::refused(
                file.path,
                format!("sets default_runtime_name after {}: remove it there", home.display()),
            ));
        }
    }
    Ok(())
}

fn install(
    path: &Path,
    text: Option<&str>,
    version: i64,
    facts: &Facts,
    section: &[&str],
    chosen: &Chosen,
) -> Result<String, InstallError> {
    let begin = || {
        let mut begin = format!("version = {version}\n");
        // A file of ours must not keep containerd from reading what it reads without one.
        let hint = facts.containerd.as_ref().filter(|_| path == Path::new(MAIN));
        if let Some(imports) = hint.map(|hint| &hint.imports).filter(|imports| !imports.is_empty())
        {
            begin += &format!("imports = {}\n", imports.iter().collect::<Array>());
        }
        begin
    };
    let mut document = table::read(path, &text.map_or_else(begin, str::to_owned))?;
    let mut keys = section.to_vec();
    keys.extend(["runtimes", RUNTIME]);
    let containerd = table::get_or_make(path, &mut document, section)?;
    if chosen.set_default {
        table::set(containerd, "default_runtime_name", RUNTIME);
    }
    if chosen.name_runc {
        let keys = [section, &["runtimes", "runc"]].concat();
        table::set(table::get_or_make(path, &mut document, &keys)?, TYPE, RUNC);
    }
    let containerd = table::get_or_make(path, &mut document, section)?;
    if let Some(new) = chosen.table.as_ref().filter(|_| !has_ours(containerd)) {
        let runtime = table::get_or_make(path, &mut document, &keys)?;
        for (key, item) in new.iter() {
            runtime.insert(key, item.clone());
        }
        if !runtime.contains_key(TYPE) {
            table::set(runtime, TYPE, RUNC);
        }
    }
    keys.push("options");
    let options = table::get_or_make(path, &mut document, &keys)?;
    if table::string(path, options, "BinaryName")? != Some(&chosen.binary) {
        table::set(options, "BinaryName", &chosen.binary);
    }
    Ok(document.to_string())
}

fn has_ours(containerd: &dyn TableLike) -> bool {
    let runtimes = containerd.get("runtimes").and_then(Item::as_table_like);
    runtimes.is_some_and(|runtimes| runtimes.contains_key(RUNTIME))
}

fn uninstall(plan: &mut Plan, facts: &Facts, wish: &Wish) -> Result<(), InstallError> {
    let mut originals = BTreeMap::new();
    let files = files(facts)?;
    for file in &files {
        let found = file.found;
        let Some(after) = without_ours(file)? else { continue };
        // What installing would have made of the others as they are is not to be known;
        // so the same is planned with this file as it was.
        let before = undo(
            found,
            |text, others| {
                let mut facts = facts.clone();
                match text {
                    Some(text) => {
                        let found = Found { content: text.to_owned(), backup: None };
                        facts.files.insert(file.path.to_owned(), found);
                    }
                    None => drop(facts.files.remove(file.path)),
                }
                let wish = Wish { verb: Verb::Install, others, ..wish.clone() };
                let mut again = Plan::new(plan.engine);
                self::plan(&mut again, &facts, &wish)?;
                let edit = again.edits.into_iter().find(|edit| edit.path == file.path);
                edit.and_then(|edit| edit.after).ok_or_else(|| {
                    InstallError::refused(file.path, "is not what install would write")
                })
            },
            |_| Ok(after),
        )?;
        originals.insert(file.path, before);
    }
    for (path, after) in originals {
        plan.edit(path, facts.files.get(path), true, after);
    }
    if !plan.edits.is_empty() {
        plan.notes.push(format!("pods that run with {RUNTIME} keep it until they are made anew"));
    }
    Ok(())
}

/// The file without our runtime, `Some(None)` when nothing is left of it; `None` when it is
/// not there.
fn without_ours(file: &File<'_>) -> Result<Option<Option<String>>, InstallError> {
    let original = file.found.backup.as_deref();
    let original = original.map(|text| table::read(file.path, text)).transpose()?;
    let mut document = file.document.clone();
    let mut changed = false;
    for section in [2, 3].into_iter().filter_map(section) {
        let mut runtimes = section.to_vec();
        runtimes.push("runtimes");
        let ours = [&runtimes[..], &[RUNTIME]].concat();
        let Some(runtime) = table::get(&document, &ours) else { continue };
        if !binary(&copy(runtime)).is_some_and(is_ours) {
            continue;
        }
        changed = true;
        let all = table::get_or_make(file.path, &mut document, &runtimes)?;
        all.remove(RUNTIME);
        // Named by us, and there without being named.
        let runc = all.get("runc").and_then(Item::as_table_like);
        let is_plain = runc.is_some_and(|runc| {
            runc.len() == 1 && runc.get(TYPE).and_then(Item::as_str) == Some(RUNC)
        });
        let was_there = original.as_ref().is_some_and(|original| {
            table::get(original, &[&runtimes[..], &["runc"]].concat()).is_some()
        });
        if is_plain && !was_there && all.len() == 1 {
            all.remove("runc");
        }
        let containerd = table::get_or_make(file.path, &mut document, &section)?;
        if table::string(file.path, containerd, "default_runtime_name")? == Some(RUNTIME) {
            let old = match original.as_ref().and_then(|original| table::get(original, &section)) {
                Some(old) => table::string(file.path, old, "default_runtime_name")?,
                None => None,
            };
            match old {
                Some(old) => table::set(containerd, "default_runtime_name", old),
                None => drop(containerd.remove("default_runtime_name")),
            }
        }
        table::prune(&mut document, original.as_ref(), &runtimes);
        table::without_header(&mut document, original.as_ref(), &section);
    }
    if !changed {
        return Ok(None);
    }
    let nothing_left =
        original.is_none() && document.iter().all(|(key, _)| ["version", "imports"].contains(&key));
    Ok(Some((!nothing_left).then(|| document.to_string())))
}
