//! From a judgement to a finding as the log and the report have it.

use super::{CollectError, directory::Directory, step};
use crate::{
    annotation::Attached,
    chain,
    config::Settings,
    detect::{self, Argument, Detector, Judgement, Policy, Reading, Recipe},
    event::Exec,
    redact::{Place, Redactor},
    report::{
        Bytes, Time,
        model::{self, Allowed, Ancestor, Class, Finding, Importance, Shell, Span, Tool},
    },
    trace::Rank,
};
use std::{fs::File, io::Read as _, path::Path};

/// Bytes of argv that a finding keeps at least.
const ARGV_LEAST: usize = 4 << 10;

/// The detector of the configuration: the recipes that ship, those that it names,
/// and its policy.
pub fn detector(settings: &Settings) -> Result<Detector, String> {
    Rules::of(settings).map(|rules| rules.detector)
}

/// What judges, and which that is.
pub struct Rules {
    /// The recipes that ship, those that the configuration names, and its policy.
    pub detector: Detector,
    /// The SHA-256 of this program's version, those recipes' files and the policy, in lower
    /// case hexadecimal digits: where it is the same, an exec is judged the same.
    pub digest: String,
}

impl Rules {
    /// Those of the configuration.
    ///
    /// # Errors
    /// When a recipe cannot be read, or they do not go together.
    pub fn of(settings: &Settings) -> Result<Rules, String> {
        let mut texts = Vec::new();
        let detector = read(settings, &mut texts)?;
        Ok(Rules { detector, digest: Rules::digest(&texts, &settings.policy) })
    }

    /// Those that ship.
    pub(super) fn builtin() -> Rules {
        Rules { detector: Detector::builtin(), digest: Rules::digest(&[], &Policy::default()) }
    }

    fn digest(recipes: &[String], policy: &Policy) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let digests: Vec<String> = [version, policy.written()]
            .into_iter()
            .chain(recipes.iter().map(String::as_str))
            .map(|text| chain::sha256(text.as_bytes()))
            .collect();
        chain::sha256(digests.concat().as_bytes())
    }
}

fn read(settings: &Settings, texts: &mut Vec<String>) -> Result<Detector, String> {
    let mut recipes = Detector::builtin_recipes();
    for path in &settings.recipes {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
        recipes.push(Recipe::read(&text).map_err(|error| named(&error))?);
        texts.push(text);
    }
    Detector::new(recipes, settings.policy.clone()).map_err(|error| error.to_string())
}

/// The names that the kernel side is to know, with their ranks.
pub(super) fn names(detector: &Detector) -> Vec<(String, Rank)> {
    let ranked = |name: &str, rank| (name.to_owned(), rank);
    let carriers = detector.carrier_names().map(|name| ranked(name, Rank::Carrier));
    carriers.chain(detector.tool_names().map(|name| ranked(name, Rank::Tool))).collect()
}

/// Those of them that the configuration adds to what a probe set is loaded with.
pub(super) fn configured_names(settings: &Settings, detector: &Detector) -> Vec<(String, Rank)> {
    if settings.policy.added_tools().next().is_none() {
        return Vec::new();
    }
    let is_added = |name: &str| settings.policy.added_tools().any(|added| added == name);
    names(detector).into_iter().filter(|(name, _)| is_added(name)).collect()
}

/// What the detector says of an exec.
pub(super) fn judge(
    detector: &Detector,
    exec: &Exec<'_>,
    attached: &Attached,
    now: Time,
) -> Judgement {
    let job = attached.job.as_ref().map(|job| job.id.as_str());
    detector.judge(exec, &detect::Context { now: now.0, job })
}

/// The salt of this host's redactions, made at the first use: equal secrets are
/// recognisable across its reports, and cannot be looked up elsewhere.
pub(super) fn salt(settings: &Settings) -> Result<Vec<u8>, CollectError> {
    const NAME: &str = "redaction.salt";
    let path = &settings.state_dir;
    let directory = Directory::open(path)?
        .ok_or_else(|| CollectError::io(path, "open", std::io::ErrorKind::NotFound.into()))?;
    if let Some(salt) = directory.content(NAME)? {
        return Ok(salt);
    }
    let mut salt = vec![0; 32];
    let source = Path::new("/dev/urandom");
    File::open(source)
        .and_then(|mut random| random.read_exact(&mut salt))
        .map_err(|error| CollectError::io(source, "read", error))?;
    directory.put_new(NAME, &salt)?;
    // Somebody may have been faster: one salt for all.
    Ok(directory.content(NAME)?.unwrap_or(salt))
}

/// What surrounds a finding.
pub(super) struct Context<'a> {
    pub(super) attached: &'a Attached,
    pub(super) detector: &'a Detector,
    pub(super) redactor: Option<&'a Redactor>,
    pub(super) lineage: &'a [Ancestor],
    /// Bytes of argv that may be kept.
    pub(super) argv_kept: usize,
}

impl Context<'_> {
    /// The `n`th finding.
    pub(super) fn finding(&self, n: u64, exec: &Exec<'_>, found: &detect::Finding) -> Finding {
        let mut addresses: Vec<model::Address> = found.addresses.iter().map(address).collect();
        let kept = self.exec(exec, &mut addresses);
        Finding {
            n,
            recipe: found.recipe.clone(),
            title: found.description.clone(),
            importance: found.importance.into(),
            category: class(&found.category),
            method: class(&found.method),
            tool: tool(&found.tool),
            addresses,
            addresses_omitted: found.more_addresses as u64,
            shells: found.shells.iter().map(|shell| self::shell(shell, exec, &kept)).collect(),
            explanation: explanation(&found.explanation, exec, &kept),
            exec: kept,
            ancestry: self.lineage.to_vec(),
            outcome: None,
            advice: self.advice(found),
        }
    }

    /// A match that the policy allows; `None` when its recipe is none of ours.
    pub(super) fn allowed(&self, exec: &Exec<'_>, found: &detect::Allowed) -> Option<Allowed> {
        let recipe = self.detector.recipes().iter().find(|recipe| recipe.name == found.recipe)?;
        let mut addresses: Vec<model::Address> = found.address.iter().map(address).collect();
        let kept = self.exec(exec, &mut addresses);
        let importance = found.address.as_ref().map(|address| address.importance);
        Some(Allowed {
            recipe: recipe.name.clone(),
            title: recipe.description.clone(),
            importance: importance.unwrap_or(detect::Importance::Critical).into(),
            category: class(&recipe.category),
            method: class(&recipe.method),
            tool: tool(&found.tool),
            addresses,
            addresses_omitted: 0,
            shells: Vec::new(),
            explanation: explanation(&self.detector.explain(exec), exec, &kept),
            exec: kept,
            ancestry: self.lineage.to_vec(),
            outcome: None,
            reason: found.reason.clone(),
        })
    }

    fn exec(&self, exec: &Exec<'_>, addresses: &mut [model::Address]) -> model::Exec {
        let (argv, argv_omitted) = self.argv(exec, addresses);
        model::Exec {
            sequence: exec.sequence,
            time: Time::from_boot(exec.time, self.attached.boot_to_unix_ns),
            pid: exec.process.pid,
            container_pid: exec.container_pid,
            uid: exec.uid,
            path: exec.path.into(),
            name: exec.name.into(),
            argv,
            argv_omitted,
            flags: exec.flags.names().map(str::to_owned).collect(),
        }
    }

    fn advice(&self, found: &detect::Finding) -> Vec<String> {
        // A shell is known by what it runs.
        let name = |ancestor| script(ancestor).unwrap_or(&ancestor.path);
        let parents: Vec<&[u8]> = self.lineage.iter().map(name).collect();
        let script = self.lineage.iter().find_map(script);
        let job = self.attached.job.as_ref().map(|job| job.id.as_bytes());
        let step = self.attached.container.step.as_ref().map(step::in_words);
        let evidence = detect::Evidence { step: step.as_deref(), script, parents: &parents, job };
        self.detector.advice(found, &evidence)
    }

    /// The arguments as they are kept: secrets replaced, and cut where all findings
    /// of a container together have taken too much; with how many bytes were cut off.
    fn argv(&self, exec: &Exec<'_>, addresses: &mut [model::Address]) -> (Vec<Bytes>, u64) {
        let (places, owners): (Vec<Place>, Vec<usize>) = addresses
            .iter()
            .enumerate()
            .filter_map(|(i, address)| {
                let range = address.span.map(|span| span.start..span.end)?;
                Some((Place { argument: address.argument, range }, i))
            })
            .unzip();
        let redacted =
            self.redactor.and_then(|redactor| redactor.argv(exec.path, exec.argv.iter(), &places));
        let mut argv: Vec<Bytes> = match redacted {
            None => exec.argv.iter().map(Bytes::from).collect(),
            Some(redacted) => {
                for (owner, kept) in owners.into_iter().zip(&redacted.kept) {
                    addresses[owner].span =
                        Some(Span { start: kept.range.start, end: kept.range.end });
                }
                redacted.argv.into_iter().map(Bytes::from).collect()
            }
        };
        let size = |argv: &[Bytes]| argv.iter().map(|argument| argument.len() as u64).sum::<u64>();
        let whole = size(&argv);
        cut(&mut argv, addresses, self.argv_kept.max(ARGV_LEAST));
        let omitted = whole - size(&argv);
        (argv, omitted)
    }
}

/// Cuts arguments to `room` bytes in all, and a little more for those that an address
/// stands in: they are what a finding is about.
fn cut(argv: &mut Vec<Bytes>, addresses: &[model::Address], mut room: usize) {
    let last = addresses.iter().map(|address| address.argument).max().unwrap_or(0);
    for (index, argument) in argv.iter_mut().enumerate() {
        let end = |address: &model::Address| address.span.map_or(0, |span| span.end);
        let own = addresses.iter().filter(|address| address.argument == index).map(end).max();
        let kept = room.max(own.map_or(0, |end| end.min(ARGV_LEAST)));
        argument.0.truncate(kept);
        room = room.saturating_sub(argument.len());
    }
    // What is left of those behind them are empty places, and the number of those counts too.
    if room == 0 {
        let end = argv.iter().rposition(|argument| !argument.is_empty()).unwrap_or(0);
        argv.truncate(end.max(last) + 1);
    }
}

/// The script that an ancestor runs: the first argument of a shell that is no option.
fn script(ancestor: &Ancestor) -> Option<&[u8]> {
    let name = crate::event::base_name(&ancestor.path);
    let is_shell = [&b"sh"[..], b"bash", b"dash", b"ash", b"zsh", b"busybox"].contains(&name);
    let mut operands = ancestor.argv.iter().skip(1).skip_while(|argument| &***argument == b"sh");
    let first = operands.next().filter(|argument| is_shell && !argument.starts_with(b"-"));
    first.map(|argument| &**argument)
}

/// How the command line was read. What stands in an argument that had a secret is
/// shown as the argument is kept.
fn explanation(reading: &Reading, exec: &Exec<'_>, kept: &model::Exec) -> Vec<String> {
    let mut reading = reading.clone();
    for argument in &mut reading.arguments {
        if let Some(redacted) = redacted(argument.argument, exec, kept) {
            argument.text = redacted[..redacted.len().min(Argument::LONGEST)].to_vec();
            argument.span = None;
        }
    }
    reading.lines()
}

fn shell(found: &detect::Shell, exec: &Exec<'_>, kept: &model::Exec) -> Shell {
    let redacted = redacted(found.argument, exec, kept);
    let span = found.span.clone().filter(|_| redacted.is_none());
    Shell {
        text: redacted.unwrap_or(&found.text).into(),
        argument: found.argument,
        role: found.role.clone(),
        span: span.map(|span| Span { start: span.start, end: span.end }),
    }
}

/// The argument as it is kept, where that is not as it was.
fn redacted<'a>(index: usize, exec: &Exec<'_>, kept: &'a model::Exec) -> Option<&'a [u8]> {
    let kept = kept.argv.get(index)?;
    (exec.argv.iter().nth(index) != Some(&**kept)).then_some(&**kept)
}

fn tool(found: &detect::Tool) -> Tool {
    Tool { name: found.name.clone(), matched_by: found.matched_by.name().to_owned() }
}

fn address(found: &detect::Address) -> model::Address {
    model::Address {
        address: found.address.clone(),
        text: found.text.clone().into(),
        argument: found.argument,
        role: found.role.clone(),
        scope: found.scope.clone(),
        span: found.span.clone().map(|span| Span { start: span.start, end: span.end }),
    }
}

fn class(attack: &detect::Attack) -> Class {
    Class { id: attack.id.clone(), name: attack.name.clone() }
}

impl From<detect::Importance> for Importance {
    fn from(importance: detect::Importance) -> Self {
        match importance {
            detect::Importance::Medium => Importance::Medium,
            detect::Importance::Critical => Importance::Critical,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_argv_keeps_the_argument_with_the_address() {
        let address = |argument, end| model::Address {
            address: "8.8.8.8".to_owned(),
            text: "8.8.8.8".into(),
            argument,
            role: String::new(),
            scope: String::new(),
            span: Some(Span { start: 0, end }),
        };
        let check = |argv: &[&str], addresses: &[model::Address], room, want: &[&str]| {
            let mut argv: Vec<Bytes> = argv.iter().map(Bytes::from).collect();
            cut(&mut argv, addresses, room);
            assert_eq!(argv, want.iter().map(Bytes::from).collect::<Vec<_>>());
        };
        let argv = ["curl", "-Axxxxxxxx", "8.8.8.8/long", "y", "z"];
        check(&argv, &[], 99, &argv);
        check(&argv, &[], 6, &["curl", "-A"]);
        check(&argv, &[address(2, 7)], 6, &["curl", "-A", "8.8.8.8"]);
        check(&["nc", "-h", ""], &[], 4, &["nc", "-h"]);
    }
}
