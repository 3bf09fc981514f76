//! `make e2e`: every scenario of every engine, whether it is the same with us, and what we
//! add to it.

use crate::{
    equality::{ENGINES, Scenario},
    harness::{Dir, milliseconds, quantile},
};
use comfy_table::{CellAlignment, Table, presets};
use std::panic::{AssertUnwindSafe, catch_unwind};

const HEADER: [&str; 8] =
    ["ENGINE", "SCENARIO", "RESULT", "FINDINGS", "WITHOUT", "ADDED", "QUARTILES", "PAIRS"];

#[test]
#[ignore = "takes minutes, and measures: `make e2e` runs it on a release build"]
fn root_e2e() {
    let pairs: usize = std::env::var("E2E_PAIRS").map_or(5, |text| text.parse().expect("a number"));
    assert!(pairs > 0, "E2E_PAIRS = 0 measures nothing");
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(HEADER);
    let mut failed = Vec::new();
    for engine in ENGINES {
        let dir = Dir::new();
        engine.scenarios(&dir, |name, scenario| {
            eprintln!("{name}: {}", scenario.name);
            let mut row = vec![name.to_owned(), scenario.name.to_owned()];
            match measure(scenario, &dir, pairs) {
                Some(measured) => row.extend(measured),
                None => {
                    row.push("FAIL".to_owned());
                    failed.push(format!("{name}: {}", scenario.name));
                }
            }
            table.add_row(row);
        });
    }
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!(
        "\nEach scenario ran {pairs} times with us and without, in turn. Added: the median of the \
         differences.\n"
    );
    table.lines().for_each(|line| println!("{}", line.trim_end()));
    assert!(failed.is_empty(), "failed: {}", failed.join(", "));
}

/// The columns from the result on, unless a pair fails; that has said why then.
fn measure(scenario: &Scenario<'_>, dir: &Dir, pairs: usize) -> Option<Vec<String>> {
    let mut added = Vec::new();
    let mut without = Vec::new();
    for number in 0..pairs {
        let us_first = number % 2 == 0;
        let pair = catch_unwind(AssertUnwindSafe(|| scenario.pair(dir, us_first)));
        let [with_us, without_us] = pair.ok()?.map(milliseconds);
        added.push(with_us - without_us);
        without.push(without_us);
    }
    Some(vec![
        "pass".to_owned(),
        format!("{} of {0}", scenario.findings()),
        format!("{:.0} ms", quantile(&without, 0.5)),
        format!("{:+.0} ms", quantile(&added, 0.5)),
        format!("{:+.0} … {:+.0}", quantile(&added, 0.25), quantile(&added, 0.75)),
        pairs.to_string(),
    ])
}
