//! What one build executed that another did not: a report compared with that of an
//! earlier build.

mod alike;
mod markdown;

use super::model::{Address, Executable, Importance, Job, Producer, Report, Tool, Verdict};
use super::{Bytes, Time, text::words};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

pub use markdown::render as markdown;

/// The version of the format.
const SCHEMA_VERSION: u32 = 1;

/// What changed between two reports.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Version of this format.
    pub schema_version: u32,
    /// The program that compared.
    pub tool: Producer,
    /// The report compared with.
    pub old: Side,
    /// The report compared.
    pub new: Side,
    /// Files that were executed.
    pub executables: Changes<Program>,
    /// Files that were executed and differ from one of the old report only in a version
    /// or a generated name: they are not counted as new.
    pub alike: Vec<Alike>,
    /// Tools with findings, or with contacts that the policy allows.
    pub tools: Changes<Used>,
    /// Addresses in the arguments of tools, those that the policy allows among them.
    pub addresses: Changes<Contact>,
    /// Why something may be missing here, or be here wrongly; empty when nothing can.
    pub caveats: Vec<String>,
}

/// What was only in one of the two.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Changes<T> {
    /// Only in the new report.
    pub new: Vec<T>,
    /// Only in the old report.
    pub gone: Vec<T>,
}

/// One of the two reports.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// The container's id.
    pub container: String,
    /// Which run of it.
    pub run: u32,
    /// The engine's name for it.
    pub name: Option<String>,
    /// The CI job it belongs to.
    pub job: Option<Job>,
    /// When recording began.
    pub started: Time,
    /// What its facts say.
    pub verdict: Verdict,
    /// Whether everything was seen and is listed: only then does an absence prove something.
    pub whole: bool,
}

/// Files that were executed whose names are alike, mostly one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Program {
    /// The path of the one that was executed most.
    pub path: Bytes,
    /// How many files they are.
    pub files: u64,
    /// How often they were executed.
    pub count: u64,
}

/// A file that has another name than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alike {
    /// Its path.
    pub path: Bytes,
    /// How often it was executed.
    pub count: u64,
    /// A path in the old report that is like it.
    pub old: Bytes,
}

/// A tool that a recipe matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Used {
    /// The tool's name.
    pub tool: String,
    /// The recipe.
    pub recipe: String,
    /// The highest importance.
    pub importance: Importance,
    /// How many findings.
    pub findings: u64,
    /// How many matches that the policy allows.
    pub allowed: u64,
}

/// An address that tools were given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Contact {
    /// The address in its canonical form.
    pub address: String,
    /// What kind of address it is.
    pub scope: String,
    /// The tools.
    pub tools: BTreeSet<String>,
    /// In how many findings.
    pub findings: u64,
    /// In how many matches that the policy allows.
    pub allowed: u64,
}

/// Which paths count as the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paths {
    /// Those that differ only in versions and generated names.
    #[default]
    Alike,
    /// Those that are the same.
    Exact,
}

/// Compares a report with that of an earlier build.
pub fn compare(old: &Report, new: &Report, paths: Paths) -> Difference {
    let (executables, alike) = executables(old, new, paths);
    let caveats = caveats(old, "old", "what seems new may not be")
        .chain(caveats(new, "new", "what is missing in it proves nothing"))
        .collect();
    Difference {
        schema_version: SCHEMA_VERSION,
        tool: Producer::this(),
        old: side(old),
        new: side(new),
        executables,
        alike,
        tools: only_in_one(tools(old), tools(new)),
        addresses: only_in_one(addresses(old), addresses(new)),
        caveats,
    }
}

impl Difference {
    /// Whether a tool was used that was not, or with an address that was not.
    pub fn has_new_contacts(&self) -> bool {
        !self.tools.new.is_empty() || !self.addresses.new.is_empty()
    }

    /// Whether this is about something that the old report does not have: the tool, or one
    /// of the addresses.
    pub fn is_new(&self, recipe: &str, tool: &Tool, addresses: &[Address]) -> bool {
        let tools = &self.tools.new;
        tools.iter().any(|used| used.tool == tool.name && used.recipe == recipe)
            || addresses.iter().any(|found| {
                self.addresses.new.iter().any(|contact| contact.address == found.address)
            })
    }
}

fn side(report: &Report) -> Side {
    Side {
        container: report.container.id.clone(),
        run: report.container.run,
        name: report.container.name.clone(),
        job: report.job.clone(),
        started: report.started,
        // Not the file's word: it may have been changed.
        verdict: report.verdict_of_facts(),
        whole: caveats(report, "", "").next().is_none(),
    }
}

/// Why a report may lack something, each with what follows from it.
fn caveats(report: &Report, which: &str, so: &str) -> impl Iterator<Item = String> {
    let shortcomings = report.completeness.shortcomings();
    let incomplete = match shortcomings.as_slice() {
        [] => None,
        [only] => Some(format!("is not complete ({only})")),
        [first, ..] => {
            Some(format!("is not complete ({first}, and {} more)", shortcomings.len() - 1))
        }
    };
    let matches = report.findings.iter().map(|finding| finding.addresses_omitted);
    let allowed = report.allowed.iter().map(|allowed| allowed.addresses_omitted);
    let addresses = matches.chain(allowed).fold(0, u64::saturating_add);
    let omitted = [
        (report.executables_omitted, "executables"),
        (report.findings_omitted, "findings"),
        (addresses, "addresses"),
    ];
    let omitted = omitted.into_iter().filter(|(count, _)| *count > 0);
    let reasons: Vec<String> = incomplete
        .into_iter()
        .chain(omitted.map(|(count, what)| format!("leaves out {count} {what}")))
        .map(|reason| format!("the {which} report {reason}: {so}"))
        .collect();
    reasons.into_iter()
}

/// The executables of one report by what is compared of their paths.
fn by_path(report: &Report, paths: Paths) -> BTreeMap<Vec<u8>, Vec<&Executable>> {
    let mut groups: BTreeMap<Vec<u8>, Vec<&Executable>> = BTreeMap::new();
    for executable in &report.executables {
        let key = match paths {
            Paths::Alike => alike::likeness(&executable.path),
            Paths::Exact => executable.path.to_vec(),
        };
        groups.entry(key).or_default().push(executable);
    }
    groups
}

fn executables(old: &Report, new: &Report, paths: Paths) -> (Changes<Program>, Vec<Alike>) {
    let (old, new) = (by_path(old, paths), by_path(new, paths));
    let mut changes = Changes { new: Vec::new(), gone: Vec::new() };
    let mut alike = Vec::new();
    for (key, group) in &new {
        match old.get(key) {
            None => changes.new.push(program(group)),
            Some(before) => {
                let known: BTreeSet<&Bytes> = before.iter().map(|before| &before.path).collect();
                let renamed = group.iter().filter(|executable| !known.contains(&executable.path));
                alike.extend(renamed.map(|executable| Alike {
                    path: executable.path.clone(),
                    count: executable.count,
                    old: program(before).path,
                }));
            }
        }
    }
    let gone = old.iter().filter(|(key, _)| !new.contains_key(*key));
    changes.gone.extend(gone.map(|(_, group)| program(group)));
    (changes, alike)
}

fn program(group: &[&Executable]) -> Program {
    let most = group.iter().max_by_key(|executable| executable.count);
    Program {
        path: most.map(|executable| executable.path.clone()).unwrap_or_default(),
        files: group.len() as u64,
        count: group.iter().fold(0, |sum, executable| sum.saturating_add(executable.count)),
    }
}

/// Every match of a report: recipe, tool, importance, addresses, and whether the policy
/// allows it.
fn matches(report: &Report) -> impl Iterator<Item = (&str, &Tool, Importance, &[Address], bool)> {
    let findings = report
        .findings
        .iter()
        .map(|found| (&*found.recipe, &found.tool, found.importance, &*found.addresses, false));
    findings.chain(
        report
            .allowed
            .iter()
            .map(|found| (&*found.recipe, &found.tool, found.importance, &*found.addresses, true)),
    )
}

fn tools(report: &Report) -> BTreeMap<(String, String), Used> {
    let mut tools = BTreeMap::new();
    for (recipe, tool, importance, _, allowed) in matches(report) {
        let key = (tool.name.clone(), recipe.to_owned());
        let used = tools.entry(key).or_insert_with(|| Used {
            tool: tool.name.clone(),
            recipe: recipe.to_owned(),
            importance,
            findings: 0,
            allowed: 0,
        });
        used.importance = used.importance.max(importance);
        used.findings += u64::from(!allowed);
        used.allowed += u64::from(allowed);
    }
    tools
}

fn addresses(report: &Report) -> BTreeMap<String, Contact> {
    let mut contacts = BTreeMap::new();
    for (_, tool, _, addresses, allowed) in matches(report) {
        // An address that stands twice in one command line is one contact.
        let distinct: BTreeMap<&str, &Address> =
            addresses.iter().map(|address| (&*address.address, address)).collect();
        for address in distinct.into_values() {
            let contact = contacts.entry(address.address.clone()).or_insert_with(|| Contact {
                address: address.address.clone(),
                scope: address.scope.clone(),
                tools: BTreeSet::new(),
                findings: 0,
                allowed: 0,
            });
            contact.tools.insert(tool.name.clone());
            contact.findings += u64::from(!allowed);
            contact.allowed += u64::from(allowed);
        }
    }
    contacts
}

fn only_in_one<K: Ord, V>(mut old: BTreeMap<K, V>, new: BTreeMap<K, V>) -> Changes<V> {
    let new = new.into_iter().filter(|(key, _)| old.remove(key).is_none());
    let new = new.map(|(_, value)| value).collect();
    Changes { new, gone: old.into_values().collect() }
}

/// `×3`, `×3, 2 of them allowed`, `×3, allowed`
fn times(findings: u64, allowed: u64) -> String {
    let count = findings.saturating_add(allowed);
    match (findings, allowed) {
        (_, 0) => format!("×{count}"),
        (0, _) => format!("×{count}, allowed by the policy"),
        _ => format!("×{count}, {allowed} of them allowed by the policy"),
    }
}

impl Program {
    /// How often, and how many files where these are several.
    pub(super) fn times(&self) -> String {
        match self.files {
            1 => format!("×{}", self.count),
            files => format!("×{}, {files} files alike", self.count),
        }
    }
}

impl Used {
    /// How often, and how it was judged.
    pub(super) fn times(&self) -> String {
        times(self.findings, self.allowed)
    }
}

impl Contact {
    /// Its tools, the first of many, each as `write` has it.
    pub(super) fn tools(&self, write: impl Fn(&str) -> String) -> String {
        const NAMED: usize = 5;
        let mut named: Vec<String> =
            self.tools.iter().take(NAMED).map(|tool| write(tool)).collect();
        if let beyond @ 1.. = self.tools.len().saturating_sub(NAMED) as u64 {
            named.push(format!("{} more", words::number(beyond)));
        }
        named.join(", ")
    }

    /// How often, and how it was judged.
    pub(super) fn times(&self) -> String {
        times(self.findings, self.allowed)
    }
}
