//! Builds as they are: make, a configure script, a compiler; in a watched container, beside
//! each peer, and with nothing.

use super::{
    Plan,
    machine::{timed, worked},
    peers,
    rounds::{Compared, Took, With, in_turn},
    stand_in::Stage,
    table::Row,
};
use crate::harness::Dir;
use std::{
    cell::Cell,
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// Rounds in which all processors work for more than a second.
const ROUNDS: usize = 4;
/// Enters a cgroup and executes the rest.
const ENTER: &str = r#"echo 0 >"$1"; shift; exec "$@""#;
/// What a configure script does most of the time.
const CONFIGURE: &str = r##"i=0; while [ $i -lt "$1" ]; do
  name=$(echo "have_func_$i" | tr a-z A-Z)
  expr "x$name" : 'x\(.*\)' >/dev/null
  echo "#define $name 1" >>config.h; sed -e "s/$name/&/" config.h >config.tmp; rm config.tmp
  i=$((i+1)); done; rm config.h"##;
const COMPILE: &str = r#"for i in $(seq "$1"); do gcc -O2 -c f.c || exit 1; done"#;
const SOURCE: &str = "#include <stdio.h>\nint f(int n) { return printf(\"%d\\n\", n); }\n";

pub(super) fn measure(plan: &Plan, rows: &mut Vec<Row>) {
    let dir = Dir::like_a_host();
    let stage = Stage::new(&dir);
    let work = dir.path("work");
    let [recipes, checks, compilations] = [200, 50, 13].map(|n: u32| n / plan.builds.part);
    prepare(&work, recipes);
    let builds = [
        ("make", format!("{recipes} recipes of 2 commands"), words("make --silent --always-make")),
        ("configure", format!("{checks} checks"), script(CONFIGURE, checks)),
        ("gcc", format!("{compilations} compilations"), script(COMPILE, compilations)),
    ];
    for (name, what, build) in builds {
        rows.push(Row::single(&format!("{name}, {what}"), "", ""));
        one(plan, &stage, name, &|procs| command(&work, procs, &build), rows);
    }
}

/// A build, given what it enters a cgroup by.
type Build<'a> = &'a dyn Fn(&Path) -> Command;

fn one(plan: &Plan, stage: &Stage<'_>, name: &str, build: Build<'_>, rows: &mut Vec<Row>) {
    // In a cgroup of its own whoever watches: that is what a container has without us.
    let others = Cell::new(0);
    let unwatched = || {
        others.set(others.get() + 1);
        stage.stand_in(&format!("{name}-other-{}", others.get()))
    };
    let alone = || {
        let stand_in = unwatched();
        took(&mut build(&stand_in.procs()))
    };
    let ours = |round: usize| {
        let stand_in = stage.watched(&format!("{name}-{round}"));
        let took = took(&mut build(&stand_in.procs()));
        stand_in.end();
        stage.unload();
        vec![took]
    };
    let peer = |_: &peers::Peer, running: peers::Running<'_>| {
        let stand_in = unwatched();
        took(&mut running.watch(build(&stand_in.procs())))
    };
    let (able, unable) = match plan.builds.peers {
        Some(every) => peers::with_each(stage, every, &peer),
        None => Default::default(),
    };
    let (able, mut with): (Vec<_>, Vec<_>) = able.into_iter().unzip();
    with.insert(0, With::new(1, ours));
    let builds = &plan.builds;
    let compared = in_turn(builds.rounds, builds.at_most, alone, &mut with);
    let row = |with: &str, compared: &Compared, goal| {
        let what = format!("{name}, {with}");
        let row = Row::ratio(&what, "ms", &compared.wall, "no probe set", goal);
        row.remark(format!("all processors {}", compared.processors_over(ROUNDS).times()))
    };
    let [ours, compared @ ..] = &compared[..] else { unreachable!("there are ours") };
    rows.push(row("in scope", &ours[0], "≤ ×1.01"));
    for (peer, compared) in able.iter().zip(compared) {
        rows.push(match &compared[..] {
            [compared] => row(peer.name, compared, ""),
            _ => peer.unable(name, "not again".to_owned()),
        });
    }
    rows.extend(unable.into_iter().map(|(peer, said)| peer.unable(name, said)));
}

#[track_caller]
fn took(build: &mut Command) -> Took {
    let before = worked();
    let wall = timed(build);
    Took { wall, processors: worked() - before }
}

fn prepare(work: &Path, recipes: u32) {
    fs::create_dir(work).unwrap();
    let mut makefile = String::from("all:");
    (0..recipes).for_each(|n| write!(makefile, " out.{n}").unwrap());
    makefile += "\nout.%:\n\t@cp f.c $@\n\t@rm $@\n";
    fs::write(work.join("Makefile"), makefile).unwrap();
    fs::write(work.join("f.c"), SOURCE).unwrap();
}

fn words(command: &str) -> Vec<String> {
    command.split(' ').map(str::to_owned).collect()
}

fn script(text: &str, count: u32) -> Vec<String> {
    ["sh", "-c", text, "sh", &count.to_string()].map(str::to_owned).into()
}

fn command(work: &Path, procs: &Path, build: &[String]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", ENTER, "enter"]).arg(procs).args(build).current_dir(work);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}
