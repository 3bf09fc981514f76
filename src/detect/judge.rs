//! The detector: from an exec to findings.

use super::advice::{self, Evidence};
use super::explain::{Explainer, Reading};
use super::finding::{Address, Allowed, Finding, Importance, Judgement, Shell, Signal, Tool};
use super::grammar::{Grammar, Kind, Place, Standing};
use super::options::{Flat, Piece};
use super::place::{Reader, Sink};
use super::policy::{Context, Policy, Rule};
use super::recipe::{Looks, Recipe, RecipeError};
use super::scope::{Scope, scope};
use super::tool::{Found, Program, Programs, plain_name};
use super::{builtin, grammar};
use crate::event::{Exec, Flags, base_name};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

/// Compiled recipes, grammars and policy.
#[derive(Clone, Debug)]
pub struct Detector {
    programs: Programs,
    recipes: Vec<Recipe>,
    policy: Policy,
}

/// The usual names of programs that are otherwise known by how their names begin.
const CARRIERS: [&str; 32] = [
    "busybox",
    "busybox.static",
    "busybox-extras",
    "busybox-x86_64",
    "busybox-aarch64",
    "toybox",
    "toybox-x86_64",
    "ld-linux.so.2",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
    "ld-linux-armhf.so.3",
    "ld-linux-riscv64-lp64d.so.1",
    "ld64.so.1",
    "ld64.so.2",
    "ld-musl-x86_64.so.1",
    "ld-musl-aarch64.so.1",
    "ld-musl-armhf.so.1",
    "ld-musl-i386.so.1",
    "ld-2.31.so",
    "ld-2.28.so",
    "ld-2.17.so",
    "qemu-x86_64",
    "qemu-x86_64-static",
    "qemu-aarch64",
    "qemu-aarch64-static",
    "qemu-arm",
    "qemu-arm-static",
    "qemu-i386",
    "qemu-i386-static",
    "qemu-riscv64",
    "qemu-riscv64-static",
    "qemu-s390x-static",
];

/// How many programs may carry one another (a loader that runs an emulator that runs a loader …).
const MOST_CARRIERS: usize = 4;

/// Who the tool is, and where its arguments begin.
struct Identity<'p, 'a> {
    program: &'p Program,
    signal: Signal,
    arguments: Flat<'a>,
}

impl Detector {
    /// The recipes that ship with the program, without a policy.
    ///
    /// # Panics
    ///
    /// Never in a program that passed its tests: they read the embedded files.
    pub fn builtin() -> Detector {
        let detector =
            builtin::recipes().and_then(|recipes| Detector::new(recipes, Policy::default()));
        match detector {
            Ok(detector) => detector,
            Err(error) => unreachable!("embedded recipe: {error}"),
        }
    }

    /// The recipes that ship with the program.
    pub fn builtin_recipes() -> Vec<Recipe> {
        builtin::recipes().unwrap_or_default()
    }

    /// A detector of these recipes, in the order of their findings.
    pub fn new(recipes: Vec<Recipe>, policy: Policy) -> Result<Detector, RecipeError> {
        let mut programs = builtin::programs()?;
        for extra in &policy.tools {
            let grammar = match &extra.like {
                None => Arc::new(grammar::any_argument(&extra.name)),
                Some(like) => match programs.named(like) {
                    Some(program) => Arc::clone(&program.grammar),
                    None => {
                        return Err(RecipeError::Like {
                            name: extra.name.clone(),
                            like: like.clone(),
                        });
                    }
                },
            };
            let program =
                Program { name: extra.name.as_str().into(), grammar, carries: None, applet: false };
            programs.name(extra.name.as_bytes(), Arc::new(program));
        }
        for (index, recipe) in recipes.iter().enumerate() {
            if recipes[..index].iter().any(|other| other.name == recipe.name) {
                return Err(RecipeError::Twice(recipe.name.clone()));
            }
            for tool in recipe.tools.iter().chain(&recipe.shells) {
                if programs.named(tool).is_none() {
                    return Err(RecipeError::Tool {
                        recipe: recipe.name.clone(),
                        tool: tool.clone(),
                        known: near(&programs, tool),
                    });
                }
            }
        }
        Ok(Detector { programs, recipes, policy })
    }

    /// The recipes, in the order of their findings.
    pub fn recipes(&self) -> &[Recipe] {
        &self.recipes
    }

    /// Every base name that can make an exec a tool: tools, multi-call programs,
    /// loaders and emulators. Whole names, for whoever compares whole names; what
    /// has a version or an architecture in it stands here with the usual ones.
    pub fn tool_names(&self) -> impl Iterator<Item = &str> {
        let tool = |program: &Program| {
            matches!(program.grammar.standing, Standing::Tool | Standing::Carrier)
        };
        let plain = self
            .programs
            .all()
            .filter(move |(_, program)| tool(program))
            .filter_map(|(name, _)| str::from_utf8(name).ok());
        plain.chain(CARRIERS)
    }

    /// What to do about a finding of one of these recipes.
    pub fn advice(&self, finding: &Finding, evidence: &Evidence<'_>) -> Vec<String> {
        self.recipes
            .iter()
            .find(|recipe| recipe.name == finding.recipe)
            .map_or_else(Vec::new, |recipe| advice::advice(recipe, finding, evidence))
    }

    /// Judges one exec. Allocates nothing when it is no tool.
    pub fn judge(&self, exec: &Exec<'_>, context: &Context<'_>) -> Judgement {
        let mut judgement = Judgement::default();
        let Some(identity) = self.identify(exec) else { return judgement };
        let program = identity.program;
        if program.grammar.standing == Standing::Shell && !self.may_pipe(exec, program) {
            return judgement;
        }
        let mut evidence = Collector::new(&self.policy, context, &program.name);
        Reader::new(&self.programs, &mut evidence, exec.argv.0.len())
            .arguments(&program.grammar, identity.arguments.clone());
        if evidence.addresses.is_empty()
            && evidence.allowed.is_empty()
            && evidence.shells.is_empty()
        {
            return judgement;
        }
        let tool = Tool { name: program.name.to_string(), matched_by: identity.signal };
        let mut explanation: Option<Reading> = None;
        for recipe in &self.recipes {
            if !covers(recipe, program, &self.policy) {
                continue;
            }
            let importance = match recipe.looks_for {
                Looks::Address => {
                    for (address, reason) in &evidence.allowed {
                        judgement.allowed.push(Allowed {
                            recipe: recipe.name.clone(),
                            tool: tool.clone(),
                            address: Some(address.clone()),
                            reason: reason.clone(),
                        });
                    }
                    evidence.importance
                }
                Looks::Shell if evidence.shells.is_empty() => None,
                Looks::Shell => match self.policy.allowing_tool(&program.name, context) {
                    Some(rule) => {
                        judgement.allowed.push(Allowed {
                            recipe: recipe.name.clone(),
                            tool: tool.clone(),
                            address: None,
                            reason: rule.reason.clone(),
                        });
                        None
                    }
                    None => Some(Importance::Critical),
                },
            };
            let Some(importance) = importance else { continue };
            let explanation =
                explanation.get_or_insert_with(|| self.read(&identity, exec.argv.0.len()));
            judgement.findings.push(Finding {
                recipe: recipe.name.clone(),
                description: recipe.description.clone(),
                importance: recipe.importance.fixed().unwrap_or(importance),
                category: recipe.category.clone(),
                method: recipe.method.clone(),
                tool: tool.clone(),
                addresses: evidence.addresses.clone(),
                more_addresses: evidence.more,
                shells: if recipe.looks_for == Looks::Shell {
                    evidence.shells.clone()
                } else {
                    Vec::new()
                },
                explanation: explanation.clone(),
            });
        }
        judgement
    }

    /// The tool that this exec is, if it is one.
    pub fn tool(&self, exec: &Exec<'_>) -> Option<Tool> {
        let identity = self.identify(exec)?;
        let program = identity.program;
        (program.grammar.standing == Standing::Tool)
            .then(|| Tool { name: program.name.to_string(), matched_by: identity.signal })
    }

    /// How the command line is read; empty when the exec is no tool.
    pub fn explain(&self, exec: &Exec<'_>) -> Reading {
        match self.identify(exec) {
            Some(identity) => self.read(&identity, exec.argv.0.len()),
            None => Reading::default(),
        }
    }

    fn read(&self, identity: &Identity<'_, '_>, bytes: usize) -> Reading {
        let mut explainer = Explainer::default();
        Reader::new(&self.programs, &mut explainer, bytes)
            .arguments(&identity.program.grammar, identity.arguments.clone());
        explainer.reading
    }

    /// A shell is looked into only for a pipe that a recipe asks about.
    fn may_pipe(&self, exec: &Exec<'_>, program: &Program) -> bool {
        memchr::memchr(b'|', exec.argv.0).is_some()
            && self.recipes.iter().any(|recipe| recipe.shells.contains(&*program.name))
    }

    fn identify<'a>(&self, exec: &Exec<'a>) -> Option<Identity<'_, 'a>> {
        let mut arguments = Flat::new(exec.argv.0);
        let argv0 = arguments.next().map_or(&[][..], |piece| piece.bytes);
        // A script's name and argv[0] are not the interpreter's: what the script
        // executes is judged when it does.
        let script = exec.flags.contains(Flags::SCRIPT);
        let names = [
            (Signal::ResolvedFile, exec.path),
            (Signal::InvokedName, exec.name),
            (Signal::Argv0, argv0),
        ];
        let names = if script { &names[..1] } else { &names[..] };
        for (signal, name) in names.iter().copied() {
            match self.programs.find(name) {
                None => {}
                Some(Found::MultiCall) => return self.applet(argv0, arguments, None),
                Some(Found::Program(program)) => match program.carries {
                    Some(carried) => return self.carried(program, carried, arguments, script),
                    None if program.grammar.standing == Standing::Wrapper => {}
                    None => return Some(Identity { program, signal, arguments }),
                },
            }
        }
        None
    }

    /// The applet of a multi-call program: by `argv[0]`, or by its first argument
    /// when `argv[0]` is the program itself, or `otherwise` is.
    fn applet<'a>(
        &self,
        argv0: &[u8],
        arguments: Flat<'a>,
        otherwise: Option<&[u8]>,
    ) -> Option<Identity<'_, 'a>> {
        let by_name = |name: &[u8]| self.programs.applet(plain_name(name));
        let mut name = argv0;
        let mut rest = arguments.clone();
        if let Some(program) = by_name(name) {
            return Some(Identity { program, signal: Signal::Applet, arguments: rest });
        }
        if !matches!(self.programs.find(name), Some(Found::MultiCall)) {
            name = otherwise?;
        }
        while matches!(self.programs.find(name), Some(Found::MultiCall)) {
            name = rest.next()?.bytes;
        }
        by_name(name).map(|program| Identity { program, signal: Signal::Applet, arguments: rest })
    }

    /// The program that a loader or an emulator runs in its own process.
    fn carried<'a>(
        &self,
        carrier: &Program,
        signal: Signal,
        mut arguments: Flat<'a>,
        binfmt: bool,
    ) -> Option<Identity<'_, 'a>> {
        let mut grammar = Arc::clone(&carrier.grammar);
        for _ in 0..MOST_CARRIERS {
            let Carried { program, argv0, arguments: rest } = carried_program(&grammar, arguments)?;
            arguments = rest;
            // With binfmt_misc's P flag, argv[0] stands between the program and its arguments.
            if binfmt {
                let mut skipped = arguments.clone();
                if skipped.next().is_some_and(|piece| base_name(piece.bytes) == base_name(program))
                {
                    arguments = skipped;
                }
            }
            match self.programs.find(program)? {
                Found::MultiCall => {
                    return self
                        .applet(argv0.unwrap_or(program), arguments, Some(program))
                        .map(|identity| Identity { signal, ..identity });
                }
                Found::Program(found) if found.carries.is_some() => {
                    grammar = Arc::clone(&found.grammar)
                }
                Found::Program(found) => {
                    return Some(Identity { program: found, signal, arguments });
                }
            }
        }
        None
    }
}

/// What a carrier runs.
struct Carried<'a> {
    program: &'a [u8],
    /// As the carrier was told to set it.
    argv0: Option<&'a [u8]>,
    arguments: Flat<'a>,
}

/// The program after a carrier's own options.
fn carried_program<'a>(grammar: &Grammar, arguments: Flat<'a>) -> Option<Carried<'a>> {
    use super::options::{Item, Options};
    let mut argv0 = None;
    let mut options = Options::new(grammar, arguments);
    while let Some(item) = options.next() {
        match item {
            Item::Value(value, rule, _) if rule.place.kind == Kind::ProgramName => {
                argv0 = Some(value.bytes)
            }
            Item::Operand(program) => {
                return Some(Carried { program: program.bytes, argv0, arguments: options.args });
            }
            // `--list`, `--help`: nothing is run.
            Item::Flag(_, Some(rule)) if rule.sets != 0 => return None,
            _ => {}
        }
    }
    None
}

fn covers(recipe: &Recipe, program: &Program, policy: &Policy) -> bool {
    if program.grammar.standing == Standing::Shell {
        return recipe.shells.contains(&*program.name);
    }
    if program.applet {
        return recipe.applets.contains(&*program.name) || recipe.tools.contains(&*program.name);
    }
    recipe.tools.contains(&*program.name)
        || policy.tools.iter().any(|extra| *extra.name == *program.name)
}

/// Names that are spelled like this one, or some that are known.
fn near(programs: &Programs, name: &str) -> String {
    let mut names: Vec<(f64, String)> = programs
        .all()
        .filter(|(_, program)| program.grammar.standing == Standing::Tool)
        .map(|(known, _)| String::from_utf8_lossy(known).into_owned())
        .map(|known| (strsim::jaro_winkler(name, &known), known))
        .collect();
    names.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    names.truncate(5);
    names.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(", ")
}

/// Collects what a judgement needs.
struct Collector<'c> {
    policy: &'c Policy,
    context: &'c Context<'c>,
    tool: &'c str,
    addresses: Vec<Address>,
    more: usize,
    importance: Option<Importance>,
    allowed: Vec<(Address, String)>,
    shells: Vec<Shell>,
}

impl<'c> Collector<'c> {
    fn new(policy: &'c Policy, context: &'c Context<'c>, tool: &'c str) -> Collector<'c> {
        Collector {
            policy,
            context,
            tool,
            addresses: Vec::new(),
            more: 0,
            importance: None,
            allowed: Vec::new(),
            shells: Vec::new(),
        }
    }
}

fn span(piece: Piece<'_>) -> Option<Range<usize>> {
    piece.start.map(|start| start..start + piece.bytes.len())
}

/// How many of the last addresses are compared with, so that one that is read
/// twice is told once.
const RECENT: usize = 16;

/// The longest text of an address or a shell that a finding carries, in bytes.
const LONGEST: usize = 4096;

fn text(piece: Piece<'_>) -> Vec<u8> {
    piece.bytes[..piece.bytes.len().min(LONGEST)].to_vec()
}

impl Sink for Collector<'_> {
    fn address(&mut self, address: IpAddr, piece: Piece<'_>, role: &str, within: &str) {
        if self.policy.ignores(role) {
            return;
        }
        let Scope { name, importance } = scope(address);
        let importance = self.policy.raise(importance, address, self.tool, self.context);
        let rule: Option<&Rule> = self.policy.allowing(address, self.tool, self.context);
        if rule.is_none() {
            self.importance = self.importance.max(Some(importance));
            if self.addresses.len() >= Finding::MOST {
                self.more += 1;
                return;
            }
        } else if self.allowed.len() >= Finding::MOST {
            return;
        }
        let found = Address {
            address: address.to_string(),
            text: text(piece),
            argument: piece.argument,
            span: span(piece),
            role: if within.is_empty() { role.to_owned() } else { format!("{role} ({within})") },
            scope: name.to_owned(),
            importance,
        };
        match rule {
            Some(rule) => self.allowed.push((found, rule.reason.clone())),
            None if self.addresses.iter().rev().take(RECENT).any(|other| *other == found) => {}
            None => self.addresses.push(found),
        }
    }

    fn shell(&mut self, piece: Piece<'_>, role: &str) {
        if self.shells.len() < Finding::MOST {
            self.shells.push(Shell {
                text: text(piece),
                argument: piece.argument,
                span: span(piece),
                role: role.to_owned(),
            });
        }
    }

    fn place(&mut self, _: Piece<'_>, _: Option<&Place>, _: Option<&[u8]>, _: usize) {}

    fn note(&mut self, _: &'static str) {}
}

impl Sink for Explainer {
    fn address(&mut self, address: IpAddr, _: Piece<'_>, role: &str, _: &str) {
        Explainer::address(self, address, role);
    }

    fn shell(&mut self, _: Piece<'_>, _: &str) {
        Explainer::note(self, "a shell that serves the other side");
    }

    fn place(
        &mut self,
        piece: Piece<'_>,
        place: Option<&Place>,
        option: Option<&[u8]>,
        depth: usize,
    ) {
        Explainer::place(self, piece, place, option, depth);
    }

    fn note(&mut self, note: &'static str) {
        Explainer::note(self, note);
    }
}
