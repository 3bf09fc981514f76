//! A Debian whose cgroups systemd manages, in an emulator: the driver that podman and crun have by
//! default, where an init is theirs to ask.

use crate::{
    harness::{Dir, image, run_within},
    kernel::boot,
};
use buildwarden::report::model::Verdict;
use std::{fs, path::Path, process::Command, time::Duration};

/// Fetching it, once.
const FETCH: Duration = Duration::from_secs(1800);
const BOOT: Duration = Duration::from_secs(900);

#[test]
fn root_systemd_s_cgroups_are_traced() {
    let dir = Dir::new();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/systemd");
    let disk = run_within(FETCH, &mut Command::new(ours.join("fetch"))).expect_code(0).stdout();
    // The kernel of that Debian.
    let options = ["--disk", disk.trim(), "--memory", "1024"];
    let mut boot = boot(&dir, &options, "6.12", &ours.join("check.sh"));
    boot.arg(format!("{}:/image.tar", image(&dir).display()));
    let done = run_within(BOOT, &mut boot).expect_code(0);

    let text = |name: &str| fs::read_to_string(dir.path(name)).unwrap();
    assert_eq!(text("engine"), "systemd v2 crun\n", "{done}");
    let [build, stopped] = ["build", "stopped"].map(|name| text(name).trim().to_owned());
    let scope = |id: &str| format!("/machine.slice/libpod-{id}.scope");
    assert!(text("scope").contains(&format!("ControlGroup={}\n", scope(&stopped))), "{done}");

    for id in [&build, &stopped] {
        let report = dir.report(id);
        // crun puts the container into a cgroup below the one that systemd makes.
        let cgroup = format!("{}/container", scope(id));
        assert_eq!(report.container.cgroup.as_bytes(), cgroup.as_bytes());
        assert_eq!(report.container.engine.as_deref(), Some("podman"));
        assert_eq!(report.completeness.reasons, [""; 0], "{report:?}");
        assert!(report.completeness.attached_before_first_exec, "{report:?}");
        assert!(report.completeness.programs_attached, "{report:?}");
    }
    let report = dir.report(&build);
    let [finding] = &report.findings[..] else { panic!("{report:?}") };
    assert_eq!(finding.addresses[0].address, "198.51.100.21");
    assert_eq!(report.verdict, Verdict::Findings);
    assert_eq!(report.completeness.execs, 2);
    assert_eq!(dir.report(&stopped).verdict, Verdict::Clean);
    let sleep = dir.report(&stopped).processes.pop().unwrap();
    assert!(sleep.outcome.is_some(), "{sleep:?}");
}
