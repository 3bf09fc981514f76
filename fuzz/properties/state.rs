//! What holds for the state on a hook's standard input.

use buildwarden::oci::State;

pub(crate) fn check(data: &[u8]) {
    let Ok(state) = State::read(data) else { return };
    let id = state.id.as_str();
    // It becomes the name of a directory, with the number of a run behind it.
    assert!(!id.starts_with('.') && !id.contains(['/', '\0']) && (1..=200).contains(&id.len()));
    assert_ne!(state.pid, Some(0), "a process that nobody is");
    let written = serde_json::json!({
        "ociVersion": "1.0.2",
        "id": id,
        "status": "created",
        "pid": state.pid.unwrap_or_default(),
        "bundle": state.bundle,
    });
    assert_eq!(State::read(written.to_string().as_bytes()).expect("a state"), state);
}
