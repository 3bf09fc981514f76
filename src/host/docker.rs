//! Docker's configuration, as far as it names runtimes.

use super::error::{HostError, read_bounded};
use super::executable::{Executable, executable};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

const MAX_BYTES: u64 = 1 << 20;

/// What `daemon.json` says about runtimes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Docker {
    /// The runtimes that are Buildwarden, by name.
    pub runtimes: Vec<Runtime>,
    /// The runtimes that are not.
    pub others: Vec<String>,
    /// The default runtime, where one is named.
    pub default_runtime: Option<String>,
}

/// A runtime of Docker's that is Buildwarden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// Its name, as in `docker run --runtime`.
    pub name: String,
    /// The program it names.
    pub program: PathBuf,
    /// What that path leads to.
    pub executable: Executable,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Written {
    #[serde(default)]
    runtimes: BTreeMap<String, WrittenRuntime>,
    default_runtime: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenRuntime {
    path: Option<PathBuf>,
    #[serde(default)]
    runtime_args: Vec<String>,
}

/// Reads a `daemon.json`; `None` when there is none.
pub(super) fn docker(path: &Path) -> Result<Option<Docker>, HostError> {
    match read_bounded(path, MAX_BYTES) {
        Err(HostError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
        Ok(bytes) => {
            parse(&bytes).map(Some).map_err(|error| HostError::malformed(path, error.to_string()))
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Docker, serde_json::Error> {
    let written: Written = serde_json::from_slice(bytes)?;
    let (mut runtimes, mut others) = (Vec::new(), Vec::new());
    for (name, runtime) in written.runtimes {
        match runtime.path.filter(|program| is_ours(program, &runtime.runtime_args)) {
            Some(program) => {
                let executable = executable(&program);
                runtimes.push(Runtime { name, program, executable });
            }
            None => others.push(name),
        }
    }
    Ok(Docker { runtimes, others, default_runtime: written.default_runtime })
}

/// The program is Buildwarden under its own name, under one that says so (the
/// shim is a link, as in `buildwarden-runc`), or is told to run it.
pub(super) fn is_ours(program: &Path, args: &[String]) -> bool {
    let named = |path: &Path| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"buildwarden"))
    };
    named(program)
        || std::fs::canonicalize(program).is_ok_and(|program| named(&program))
        || args.iter().any(|arg| named(Path::new(arg)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_runtimes_are_listed() {
        let docker = parse(
            br#"{"default-runtime":"traced","log-level":"info","runtimes":{
                "traced":{"path":"/nonexistent/buildwarden-runc","runtimeArgs":[]},
                "nvidia":{"path":"/usr/bin/nvidia-container-runtime"},
                "shimv2":{"runtimeType":"io.containerd.runsc.v1"}}}"#,
        )
        .expect("well-formed");
        assert_eq!(
            docker,
            Docker {
                runtimes: vec![Runtime {
                    name: "traced".to_owned(),
                    program: PathBuf::from("/nonexistent/buildwarden-runc"),
                    executable: Executable::Missing,
                }],
                others: vec!["nvidia".to_owned(), "shimv2".to_owned()],
                default_runtime: Some("traced".to_owned()),
            }
        );
        let documented = include_bytes!("../../hooks/docker/daemon.json");
        let documented = parse(documented).expect("well-formed");
        assert_eq!(documented.runtimes.len(), 1);
        assert_eq!(documented.default_runtime.as_ref(), Some(&documented.runtimes[0].name));
        assert!(parse(b"{}").is_ok_and(|docker| docker.runtimes.is_empty()));
        assert!(parse(b"[").is_err());
    }
}
