//! Whatever a hook is given, it says what is wrong and harms no container.

use crate::harness::{Dir, run_with_input};
use serde_json::json;
use std::process::{Child, Command, Stdio};

/// A process that stands for a container's first.
struct Init(Child);

impl Init {
    fn new() -> Init {
        Init(Command::new("cat").stdin(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn root_bad_input_is_told_and_harms_nothing() {
    let init = Init::new();
    let dir = Dir::new();
    let bundle = dir.path("bundle");
    std::fs::create_dir(&bundle).unwrap();
    std::fs::write(bundle.join("config.json"), "{\"ociVersion\":\"1.0.2\"}").unwrap();
    let state = |id: &str, pid: Option<u32>, bundle: &std::path::Path| {
        let mut state = json!({
            "ociVersion": "1.0.2", "id": id, "status": "creating", "bundle": bundle,
        });
        if let Some(pid) = pid {
            state["pid"] = pid.into();
        }
        state.to_string().into_bytes()
    };
    let pid = Some(init.0.id());
    let missing = dir.path("missing");
    let cases: [(&str, Vec<u8>); 13] = [
        ("empty", Vec::new()),
        ("garbage", b"\xff\0{]".to_vec()),
        ("another type", b"[]".to_vec()),
        ("cut", state("cut", pid, &bundle)[..40].to_vec()),
        ("huge", vec![b' '; 64 << 20]),
        ("deep", vec![b'['; 1 << 20]),
        ("escaping id", state("../../escaped", pid, &bundle)),
        ("empty id", state("", pid, &bundle)),
        ("long id", state(&"x".repeat(100_000), pid, &bundle)),
        ("missing pid", state("no-pid", None, &bundle)),
        ("dead pid", state("dead", Some(0x3f_ffff), &bundle)),
        ("missing bundle", state("no-bundle", pid, &missing)),
        // The process is in a cgroup with others: not a container's.
        ("shared cgroup", state("shared", pid, &bundle)),
    ];
    for (on_error, code) in [("allow", 0), ("deny", 1)] {
        dir.configure(&format!("on_error = \"{on_error}\""));
        for (name, input) in &cases {
            check(&dir, &format!("{name}, {on_error}"), input, code);
        }
    }
    let kept: Vec<_> =
        std::fs::read_dir(dir.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    for name in kept {
        let expected = ["buildwarden.toml", "bundle", "run", "state"];
        assert!(expected.iter().any(|known| name == *known), "{name:?} appeared");
    }
}

/// Gives createRuntime some input that it cannot attach by.
#[track_caller]
fn check(dir: &Dir, name: &str, input: &[u8], code: i32) {
    let done = run_with_input(&mut dir.buildwarden(["hook", "createRuntime"]), input);
    assert_eq!(done.code, code, "{name}: {done}");
    let said = done.stderr();
    assert!(said.starts_with("buildwarden: "), "{name}: {done}");
    assert!(said.len() < 4096 && !said.contains("panicked"), "{name}: {done}");
    assert!(said.trim_end().lines().count() <= 3, "{name}: {done}");

    // The end of a container is never refused.
    let done = run_with_input(&mut dir.buildwarden(["hook", "poststop"]), input);
    assert_eq!(done.code, 0, "{name}: poststop: {done}");
    assert_eq!(dir.live(), [""; 0], "{name}");
}
