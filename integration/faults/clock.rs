//! The wall clock is set, to the past and to the future, while a container runs. In an emulator:
//! this machine's clock is others' too.

use super::{Outcome, came_to};
use crate::{
    harness::{Dir, run_within},
    kernel,
};
use buildwarden::report::model::Report;
use std::fs;

/// Runs a build in whose middle the clock is set to `$1`, then `gc` with the clock at that.
const SCRIPT: &str = "
for to in 946684800 4102444800; do
  buildwarden run --report /tmp/report.json -- sh -c \"
      true; date -s @$to >&2; wget http://198.51.100.13/x; true\" || exit
  echo == report
  cat /tmp/report.json
  id=$(grep -o 'run-[0-9]*-[0-9]*' /tmp/report.json | head -n 1)
  buildwarden verify $id >&2 || exit
  [ -z \"$(buildwarden gc --keep-age 365d)\" ] || exit
  [ -e /var/lib/buildwarden/containers/$id/report.json ] || exit
  rm -r /tmp/report.json /var/lib/buildwarden/containers/$id
done
";

#[test]
pub(super) fn root_a_clock_that_is_set_changes_no_account() {
    let dir = Dir::new();
    let script = dir.path("script");
    fs::write(&script, SCRIPT).unwrap();
    let mut boot = kernel::boot(&dir, &[], "6.12", &script);
    let done = run_within(kernel::BOOT, &mut boot).expect_code(0);
    let output = done.stdout();
    let mut reports = output.split("== report\n").skip(1);
    for to in ["the past", "the future"] {
        let json = reports.next().unwrap_or_else(|| panic!("{done}"));
        let mut values = serde_json::Deserializer::from_str(json).into_iter();
        let report: Report = values.next().unwrap().unwrap_or_else(|e| panic!("{e}: {done}"));
        assert_eq!(report.findings.len(), 1, "{to}: {report:?}");
        // By one clock from beginning to end, the one of the beginning.
        let lasted = report.finished.0.duration_since(report.started.0);
        assert!(!lasted.is_negative() && lasted.as_secs() < 3600, "{to}: {report:?}");
        let outcome = Outcome::of(&report);
        assert_eq!(outcome, Outcome::Complete, "{to}");
        came_to(&format!("the clock is set to {to} while a container runs"), outcome);
    }
}
