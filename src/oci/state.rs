//! The state that a runtime gives its hooks.

use super::{ContainerId, OciError};
use std::{io::Read, path::PathBuf};

/// What of the OCI state matters here (runtime-spec, `runtime.md`, State).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The container.
    pub id: ContainerId,
    /// Its first process in the host's pid namespace; `None` at poststop.
    pub pid: Option<u32>,
    /// Its bundle, which holds config.json.
    pub bundle: PathBuf,
}

impl State {
    /// A state is some hundred bytes and the container's annotations.
    const MAX: u64 = 4 << 20;

    /// Reads a state to the end of `input`.
    ///
    /// # Errors
    /// When it is not the JSON of a state, or the id is none.
    pub fn read(input: impl Read) -> Result<State, OciError> {
        let mut bytes = Vec::new();
        input.take(Self::MAX + 1).read_to_end(&mut bytes).map_err(OciError::Read)?;
        if bytes.len() as u64 > Self::MAX {
            return Err(OciError::Huge(Self::MAX));
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(OciError::Empty);
        }
        let state: oci_spec::runtime::State =
            serde_json::from_slice(&bytes).map_err(OciError::State)?;
        Ok(State {
            id: ContainerId::new(state.id())?,
            // crun says 0 at poststop, runc and youki leave it out.
            pid: state.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0),
            bundle: state.bundle().clone(),
        })
    }

    /// The first process, which a container that is being created has.
    ///
    /// # Errors
    /// When there is none.
    pub fn require_pid(&self) -> Result<u32, OciError> {
        self.pid.ok_or_else(|| OciError::NoPid { id: self.id.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_all_runtimes_are_read_and_others_refused() {
        let read = |text: &str| State::read(text.as_bytes());
        let runc =
            r#"{"ociVersion":"1.0.2-dev","id":"c1","status":"creating","pid":7,"bundle":"/b"}"#;
        let crun = r#"{ "pid": 0, "ociVersion": "1.0", "id": "c1", "status": "stopped",
            "bundle": "/b", "root": "/r", "annotations": {"a": "b"} }"#;
        assert_eq!(read(runc).unwrap().pid, Some(7));
        assert_eq!(read(crun).unwrap().pid, None);
        assert_eq!(read(crun).unwrap().bundle, PathBuf::from("/b"));
        assert!(matches!(read(""), Err(OciError::Empty)));
        assert!(matches!(read(" \n"), Err(OciError::Empty)));
        assert!(matches!(read("{"), Err(OciError::State(_))));
        assert!(read("[]").is_err());
        assert!(matches!(read(r#"{"id":"../x","bundle":"/b"}"#), Err(OciError::Id(_))));
        assert!(matches!(State::read(std::io::repeat(b' ')), Err(OciError::Huge(_))));
    }
}
