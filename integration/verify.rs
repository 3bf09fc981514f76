//! What a real container left behind, checked again: as it was, and tampered with.

use crate::harness::{Container, Dir, run};
use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

/// Waits in the middle, so that a second collector goes on with the chains.
const BUILD: &str = "for i in 1 2 3; do busybox true; done; echo >/sync/ready; read _ </sync/go; wget http://198.51.100.13/x; :";

#[test]
fn root_a_real_report_holds_and_one_changed_byte_does_not() {
    let dir = Dir::new();
    let (key, public) = (dir.path("key.pem"), dir.path("key.pub"));
    let openssl = |args: &[&str]| run(Command::new("openssl").args(args)).expect_code(0);
    let (private, shown) = (key.to_str().unwrap(), public.to_str().unwrap());
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", private]);
    openssl(&["pkey", "-in", private, "-pubout", "-out", shown]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    dir.configure(&format!("report.key = '{private}'"));
    let verify = |id: &str| run(&mut dir.buildwarden(["verify", id, "--public-key", shown]));

    for (id, killed) in [("whole", false), ("taken-over", true)] {
        let container =
            Container::new(&dir, id).script(BUILD).hooks(&["createRuntime", "poststop"]);
        let mut running = container.start();
        running.ready();
        // While it runs, there is no end yet.
        let now = run(&mut dir.buildwarden(["verify", id]));
        assert!(now.code == 0 && now.stdout().contains("no end is written down"), "{now}");
        if killed {
            dir.until_recorded(id, "{\"drained\":");
            dir.kill_collector(id);
        }
        running.go();
        running.finish().expect_code(0);
        // Whoever finishes the run may be at its last lines.
        dir.expect_nothing_live();
        let done = verify(id);
        assert!(done.code == 0 && done.stdout().contains("of the given key"), "{done}");
        // Two collectors may have judged by other recipes.
        assert!(!killed || done.stdout().contains("judged again differently"), "{done}");
    }

    let directory = dir.state().join("containers/whole");
    let events = directory.join("execs.jsonl");
    let written = fs::read(&events).unwrap();
    let at = memchr::memmem::find(&written, b"198.51.100.13").unwrap();
    let mut changed = written.clone();
    changed[at] = b'2';
    fs::write(&events, &changed).unwrap();
    let line = 1 + memchr::memchr_iter(b'\n', &written[..at]).count();
    let done = verify("whole");
    assert_eq!(done.code, 13, "{done}");
    assert!(done.stdout().contains("execs.jsonl: changed: its SHA-256"), "{done}");
    let batch = done.stdout().lines().find_map(|line| {
        let (lines, _) = line.trim().strip_prefix("execs.jsonl lines ")?.split_once(": changed")?;
        let (first, last) = lines.split_once(" to ")?;
        Some(first.parse::<usize>().ok()?..=last.parse().ok()?)
    });
    assert!(batch.as_ref().is_some_and(|batch| batch.contains(&line)), "line {line}: {done}");

    fs::write(&events, &written).unwrap();
    verify("whole").expect_code(0);
    dir.expect_nothing_live();
}
