//! Builds as they are: make, a configure script, a compiler; in a watched container and
//! without a probe set.

use super::{
    Plan,
    machine::timed,
    stand_in::Stage,
    table::{Pairs, Row},
};
use crate::harness::Dir;
use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// Enters a cgroup and executes the rest.
const ENTER: &str = r#"[ -z "$1" ] || echo 0 >"$1"; shift; exec "$@""#;
/// What a configure script does most of the time.
const CONFIGURE: &str = r##"i=0; while [ $i -lt 150 ]; do
  name=$(echo "have_func_$i" | tr a-z A-Z)
  expr "x$name" : 'x\(.*\)' >/dev/null
  echo "#define $name 1" >>config.h; sed -e "s/$name/&/" config.h >config.tmp; rm config.tmp
  i=$((i+1)); done; rm config.h"##;
const SOURCE: &str = "#include <stdio.h>\nint f(int n) { return printf(\"%d\\n\", n); }\n";

pub(super) fn measure(plan: &Plan, rows: &mut Vec<Row>) {
    if !plan.builds {
        return;
    }
    let dir = Dir::with_bpffs();
    let stage = Stage::new(&dir);
    let work = dir.path("work");
    prepare(&work);
    let builds: [(&str, &[&str]); 3] = [
        ("make, 300 recipes of two commands", &["make", "--silent", "--always-make"]),
        ("a configure-like script", &["sh", "-c", CONFIGURE]),
        ("30 compilations", &["sh", "-c", "for i in $(seq 30); do gcc -c f.c || exit 1; done"]),
    ];
    for (name, build) in builds {
        let mut number = 0;
        let pairs = Pairs::measure(
            plan.rounds,
            || {
                number += 1;
                let stand_in = stage.watched(&format!("{}-{number}", build[0]));
                let took = timed(&mut command(&work, &stand_in.procs(), build));
                stand_in.end();
                stage.unload();
                took
            },
            || timed(&mut command(&work, Path::new(""), build)),
        );
        rows.push(Row::ratio(name, "ms", &pairs, "no probe set", "≤ ×1.01"));
    }
}

fn prepare(work: &Path) {
    fs::create_dir(work).unwrap();
    let mut makefile = String::from("all:");
    (0..300).for_each(|n| write!(makefile, " out.{n}").unwrap());
    makefile += "\nout.%:\n\t@cp Makefile $@\n\t@rm $@\n";
    fs::write(work.join("Makefile"), makefile).unwrap();
    fs::write(work.join("f.c"), SOURCE).unwrap();
}

fn command(work: &Path, procs: &Path, build: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", ENTER, "enter"]).arg(procs).args(build).current_dir(work);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}
