//! The detector: from an exec to findings.

use super::advice::{self, Evidence};
use super::builtin;
use super::carriers::CARRIERS;
use super::collected::Collected;
use super::explain::Reading;
use super::finding::{Address, Allowed, Finding, Importance, Judgement, Signal, Tool};
use super::grammar::{ANY_ARGUMENT, Grammar, Kind, Standing};
use super::options::{Flat, Item, Options};
use super::place::Reader;
use super::policy::{Context, Policy};
use super::recipe::{Looks, Recipe, RecipeError};
use super::tool::{Found, Program, Programs, plain_name};
use crate::event::{Exec, Flags, base_name};

/// Compiled recipes, grammars and policy.
#[derive(Clone, Debug)]
pub struct Detector {
    programs: Programs,
    recipes: Vec<Recipe>,
    policy: Policy,
}

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
        let mut programs = Programs::builtin();
        for extra in &policy.tools {
            let grammar = match &extra.like {
                None => &ANY_ARGUMENT,
                Some(like) => match programs.named(like.as_bytes()) {
                    Some(program) => program.grammar,
                    None => {
                        return Err(RecipeError::Like {
                            name: extra.name.clone(),
                            like: like.clone(),
                        });
                    }
                },
            };
            programs.add(&extra.name, grammar);
        }
        for (index, recipe) in recipes.iter().enumerate() {
            if recipes[..index].iter().any(|other| other.name == recipe.name) {
                return Err(RecipeError::Twice(recipe.name.clone()));
            }
            for tool in recipe.tools.iter().chain(&recipe.shells) {
                if programs.named(tool.as_bytes()).is_none() {
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

    /// The base names of tools.
    pub fn tool_names(&self) -> impl Iterator<Item = &str> {
        self.names(Standing::Tool)
    }

    /// The base names of what runs tools: multi-call programs, loaders and emulators. Whole
    /// names, for whoever compares whole names; what has a version or an architecture
    /// in it stands here with the usual ones.
    pub fn carrier_names(&self) -> impl Iterator<Item = &str> {
        self.names(Standing::Carrier).chain(CARRIERS)
    }

    fn names(&self, standing: Standing) -> impl Iterator<Item = &str> {
        self.programs
            .all()
            .filter(move |program| program.grammar.standing == standing)
            .map(|program| &*program.name)
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
        let mut collected = self.read(&identity, exec, context);
        if collected.addresses.is_empty()
            && collected.allowed.is_empty()
            && collected.shells.is_empty()
        {
            return judgement;
        }
        collected.addresses.sort_by_key(|address| address.argument);
        let tool = Tool { name: program.name.to_string(), matched_by: identity.signal };
        for recipe in self.recipes.iter().filter(|recipe| covers(recipe, program, &self.policy)) {
            let Some(importance) =
                self.importance(recipe, &tool, &collected, context, &mut judgement)
            else {
                continue;
            };
            judgement.findings.push(Finding {
                recipe: recipe.name.clone(),
                description: recipe.description.clone(),
                importance: recipe.importance.fixed().unwrap_or(importance),
                category: recipe.category.clone(),
                method: recipe.method.clone(),
                tool: tool.clone(),
                addresses: collected.addresses.clone(),
                more_addresses: collected.more,
                shells: if recipe.looks_for == Looks::Shell {
                    collected.shells.clone()
                } else {
                    Vec::new()
                },
                explanation: Reading::default(),
            });
        }
        if let Some((last, others)) = judgement.findings.split_last_mut() {
            last.explanation = collected.reading(exec.argv.0);
            others.iter_mut().for_each(|finding| finding.explanation.clone_from(&last.explanation));
        }
        judgement
    }

    /// What was collected weighs this much for a recipe; none when it is no finding.
    /// What the policy allows goes into the judgement.
    fn importance(
        &self,
        recipe: &Recipe,
        tool: &Tool,
        collected: &Collected<'_>,
        context: &Context<'_>,
        judgement: &mut Judgement,
    ) -> Option<Importance> {
        let mut allow = |address: Option<&Address>, reason: &str| {
            judgement.allowed.push(Allowed {
                recipe: recipe.name.clone(),
                tool: tool.clone(),
                address: address.cloned(),
                reason: reason.to_owned(),
            });
        };
        match recipe.looks_for {
            Looks::Address => {
                collected.allowed.iter().for_each(|(address, reason)| allow(Some(address), reason));
                collected.importance
            }
            Looks::Shell if collected.shells.is_empty() => None,
            Looks::Shell => match self.policy.allowing_tool(&tool.name, context) {
                Some(rule) => {
                    allow(None, &rule.reason);
                    None
                }
                None => Some(Importance::Critical),
            },
        }
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
        // The policy has no say in how a command line is read.
        let context = Context { now: jiff::Timestamp::UNIX_EPOCH, job: None };
        match self.identify(exec) {
            Some(identity) => self.read(&identity, exec, &context).reading(exec.argv.0),
            None => Reading::default(),
        }
    }

    fn read<'r>(
        &'r self,
        identity: &Identity<'r, '_>,
        exec: &Exec<'_>,
        context: &'r Context<'r>,
    ) -> Collected<'r> {
        let program = identity.program;
        let collected = Collected::new(&self.policy, context, &program.name);
        let mut reader = Reader::new(&self.programs, collected, exec.argv.0.len());
        reader.arguments(program.grammar, identity.arguments.clone());
        reader.sink
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
        let mut last: &[u8] = b"/";
        for (signal, name) in names.iter().copied() {
            // Usually all three are one name.
            if base_name(name) == base_name(last) {
                continue;
            }
            last = name;
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
        let mut grammar = carrier.grammar;
        for _ in 0..MOST_CARRIERS {
            let Carried { program, argv0, arguments: rest } = carried_program(grammar, arguments)?;
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
                Found::Program(found) if found.carries.is_some() => grammar = found.grammar,
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
    let mut names: Vec<(f64, &str)> = programs
        .all()
        .filter(|known| known.grammar.standing == Standing::Tool)
        .map(|known| (strsim::jaro_winkler(name, &known.name), &*known.name))
        .collect();
    names.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    names.truncate(5);
    names.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(", ")
}
