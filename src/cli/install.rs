//! `buildwarden install`: lets the engines run Buildwarden.

use super::{Exit, terminal};
use crate::{
    escape,
    install::{self, Engine, InstallError, Others, Plan, Root, Verb, Wish},
};
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use similar::{ChangeTag, TextDiff};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Let container engines run Buildwarden
///
/// Changes the engines' configuration so that their containers are traced: a hooks directory for
/// podman, buildah and CRI-O, a runtime for the others. What is there stays, comments included; each file is
/// kept as it was beside it. Says what must be restarted and restarts nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  buildwarden install --dry-run              what it would change for the engines found here
  buildwarden install --engine docker        Docker, with both of its builders
  buildwarden install --root /mnt/image --engine podman --engine buildkit

Exit codes:
  0  done, or nothing to do
  1  nothing was changed, or not everything: standard error says what and why")]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// Where a default runtime cannot be wrapped (as nvidia's), leave it: containers must ask for Buildwarden's
    #[arg(long, conflicts_with = "replace_default")]
    keep_default: bool,
    /// Where a default runtime cannot be wrapped, take its place until uninstall
    #[arg(long)]
    replace_default: bool,
}

/// What both ways have in common.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// The engine, or `all`; can be repeated [default: install: those found here; uninstall: all]
    #[arg(long, value_enum, value_name = "ENGINE")]
    engine: Vec<Name>,
    /// Print what would change, as a diff, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Change the system below DIR, as an image that is being built
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// This program as the engines will find it [default: where it runs from; with --root, /usr/bin/buildwarden if that is there]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Hooks directory for podman, buildah and CRI-O [default: /usr/share/containers/oci/hooks.d, which they read by themselves]
    #[arg(long, value_name = "DIR")]
    hooks_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    Podman,
    Crio,
    Docker,
    Containerd,
    Buildkit,
    All,
}

impl Name {
    fn engines(self) -> &'static [Engine] {
        match self {
            Name::Podman => &[Engine::Podman],
            Name::Crio => &[Engine::Crio],
            Name::Docker => &[Engine::Docker],
            Name::Containerd => &[Engine::Containerd],
            Name::Buildkit => &[Engine::Buildkit],
            Name::All => &Engine::ALL,
        }
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<Exit> {
    let others = match (args.keep_default, args.replace_default) {
        (true, _) => Others::Keep,
        (_, true) => Others::Replace,
        _ => Others::Refuse,
    };
    change(args.target, Verb::Install, others)
}

/// Plans for every engine before anything is changed for one.
pub(super) fn change(target: Target, verb: Verb, others: Others) -> anyhow::Result<Exit> {
    let root = Root::open(&target.root)?;
    let mut wish = Wish {
        verb,
        program: program(&root, target.program)?,
        hooks_dir: target.hooks_dir.unwrap_or_else(|| install::usual_hooks_dir().to_owned()),
        others,
        links: false,
    };
    let mut engines: Vec<Engine> =
        target.engine.iter().flat_map(|name| name.engines()).copied().collect();
    engines.sort();
    engines.dedup();
    if engines.is_empty() {
        engines = match verb {
            Verb::Install => install::found(&root),
            Verb::Uninstall => Engine::ALL.to_vec(),
        };
    }
    if engines.is_empty() {
        return Err(InstallError::NoEngine.into());
    }
    wish.links = engines == Engine::ALL && !root.is_live();
    // The same files.
    if engines.contains(&Engine::Podman) {
        engines.retain(|engine| *engine != Engine::Crio);
    }
    if let Some(warning) = install::check(&root, &wish)? {
        terminal::say(&warning);
    }
    let facts = install::gather(&root, &engines, &wish)?;
    let mut plans = Vec::new();
    let mut failed = false;
    for engine in engines {
        match install::plan(engine, &facts, &wish) {
            Ok(plan) => plans.push(plan),
            Err(error) => {
                failed = true;
                terminal::say(&format!("{engine}: {error}"));
            }
        }
    }
    if failed {
        terminal::say("nothing was changed");
        return Ok(Exit::Failure);
    }
    without_repeats(&mut plans);
    for plan in &plans {
        let text =
            if target.dry_run { preview(&root, plan) } else { carry_out(&root, plan, verb)? };
        let mut out = anstream::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // What was asked is to be done, whoever reads of it.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
            _ => {}
        }
    }
    Ok(Exit::Success)
}

/// The program by the path that the engines will have for it.
fn program(root: &Root, named: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(named) = named {
        return Ok(named);
    }
    let usual = Path::new("/usr/bin/buildwarden");
    if !root.is_live() && root.has_program(usual) {
        return Ok(usual.to_owned());
    }
    Ok(std::env::current_exe()?)
}

const NOTHING: &str = " nothing to do";

/// Two engines may want the same link: it is made for the first and removed after the
/// last.
fn without_repeats(plans: &mut [Plan]) {
    let mut seen = BTreeSet::new();
    for plan in plans.iter_mut() {
        plan.links.retain(|link| seen.insert(link.path.clone()));
    }
    for plan in plans.iter_mut().rev() {
        plan.unlinks.retain(|link| seen.insert(link.path.clone()));
    }
}

fn carry_out(root: &Root, plan: &Plan, verb: Verb) -> anyhow::Result<String> {
    let done = install::apply(root, plan, verb)?;
    let mut out = String::new();
    line(&mut out, format_args!("{}:{}", plan.engine, if done.is_empty() { NOTHING } else { "" }));
    for done in done {
        line(&mut out, format_args!("  {done}"));
    }
    remarks(&mut out, root, plan, "  ");
    Ok(out)
}

/// A diff that `patch` would take, too.
fn preview(root: &Root, plan: &Plan) -> String {
    let mut out = String::new();
    line(
        &mut out,
        format_args!("# {}:{}", plan.engine, if plan.is_empty() { NOTHING } else { "" }),
    );
    for link in &plan.links {
        let (path, target) = (root.shown(&link.path), link.target.display());
        line(&mut out, format_args!("# link {} → {target}", path.display()));
    }
    for link in &plan.unlinks {
        line(&mut out, format_args!("# remove link {}", root.shown(&link.path).display()));
    }
    for edit in &plan.edits {
        let path = root.shown(&edit.path);
        let name = |content: &Option<String>| match content {
            Some(_) => path.display().to_string(),
            None => "/dev/null".to_owned(),
        };
        diff(
            &mut out,
            (&name(&edit.before), edit.before.as_deref().unwrap_or_default()),
            (&name(&edit.after), edit.after.as_deref().unwrap_or_default()),
        );
    }
    remarks(&mut out, root, plan, "# ");
    out
}

fn diff(out: &mut String, before: (&str, &str), after: (&str, &str)) {
    let bold = Style::new().bold();
    line(out, format_args!("{bold}--- {}{bold:#}", before.0));
    line(out, format_args!("{bold}+++ {}{bold:#}", after.0));
    let diff = TextDiff::from_lines(before.1, after.1);
    for hunk in diff.unified_diff().iter_hunks() {
        let cyan = AnsiColor::Cyan.on_default();
        line(out, format_args!("{cyan}{}{cyan:#}", hunk.header().to_string().trim_end()));
        for change in hunk.iter_changes() {
            let (sign, style) = match change.tag() {
                ChangeTag::Delete => ('-', AnsiColor::Red.on_default()),
                ChangeTag::Insert => ('+', AnsiColor::Green.on_default()),
                ChangeTag::Equal => (' ', Style::new()),
            };
            // A file may hold what a terminal would obey.
            let text = change.value().trim_end_matches(['\n', '\r']);
            let text: Vec<_> = text.split('\t').map(escape::prose).collect();
            line(out, format_args!("{style}{sign}{}{style:#}", text.join("\t")));
            if change.missing_newline() {
                line(out, format_args!("\\ No newline at end of file"));
            }
        }
    }
}

/// What somebody has to know and do.
fn remarks(out: &mut String, root: &Root, plan: &Plan, indent: &str) {
    for note in &plan.notes {
        line(out, format_args!("{indent}note: {}", escape::prose(note)));
    }
    // In an image nothing runs.
    if !plan.edits.is_empty() && root.is_live() {
        line(out, format_args!("{indent}restart: {}", plan.engine.restart()));
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}
