//! `buildwarden install`: lets the engines run Buildwarden.

use super::{Exit, terminal};
use crate::{
    escape,
    install::{Change, Done, Engine, Others, Plan, Request, Root, Verb},
};
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use similar::{ChangeTag, TextDiff};
use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::PathBuf,
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

/// What `install` and `uninstall` have in common.
pub(super) fn change(target: Target, verb: Verb, others: Others) -> anyhow::Result<Exit> {
    let root = Root::open(&target.root)?;
    let request = Request {
        verb,
        engines: target.engine.iter().flat_map(|name| name.engines()).copied().collect(),
        program: target.program,
        hooks_dir: target.hooks_dir,
        others,
    };
    let mut change = Change::plan(&root, request)?;
    if !target.dry_run {
        change.check_writable();
    }
    change.warning.iter().for_each(|warning| terminal::say(warning));
    let mut exit = Exit::Success;
    for (engine, error) in &change.failed {
        exit = Exit::Failure;
        terminal::say(&format!("{engine}: {error}"));
    }
    if !change.failed.is_empty() && change.plans.is_empty() {
        terminal::say("nothing was changed");
    }
    // What was asked is to be done, whoever reads of it.
    let mut written = Ok(());
    let mut print = |text: String| {
        let mut out = anstream::stdout().lock();
        let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        if printed.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe) {
            written = printed;
        }
    };
    if target.dry_run {
        change.plans.iter().for_each(|plan| print(preview(&root, plan)));
    } else {
        change.carry_out(|plan, done| match done {
            Ok(done) => print(report(plan, &done)),
            Err(error) => {
                exit = Exit::Failure;
                terminal::say(&format!("{}: {error}", plan.engine));
            }
        });
    }
    written?;
    Ok(exit)
}

const NOTHING: &str = " nothing to do";

fn report(plan: &Plan, done: &[Done]) -> String {
    let mut out = String::new();
    line(&mut out, format_args!("{}:{}", plan.engine, if done.is_empty() { NOTHING } else { "" }));
    for done in done {
        line(&mut out, format_args!("  {done}"));
    }
    remarks(&mut out, plan, "  ");
    out
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
    remarks(&mut out, plan, "# ");
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
fn remarks(out: &mut String, plan: &Plan, indent: &str) {
    for note in &plan.notes {
        line(out, format_args!("{indent}note: {}", escape::prose(note)));
    }
    for engine in &plan.restarts {
        line(out, format_args!("{indent}restart: {}", engine.restart()));
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}
