//! What can go wrong between us and the kernel.

use std::path::PathBuf;

/// A failure to trace, with what to do where there is something to do.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The lock or a directory for pins could not be had.
    #[error("{path}: cannot {what}: {source}")]
    Directory {
        /// What it was about.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// The system's word.
        source: nix::Error,
    },
    /// bpf(2) said no.
    #[error("cannot {what}: {reason}{}", hint(.reason))]
    Bpf {
        /// What was tried.
        what: String,
        /// libbpf's word, with the chain of its causes.
        reason: String,
    },
    /// All slots are in use.
    #[error("all {0} scopes of this host are in use: `buildwarden gc` releases stale ones")]
    Full(u32),
    /// The scope is registered already.
    #[error("cgroup id {0} is traced already")]
    Registered(u64),
    /// The scope lies too deep in the cgroup tree.
    #[error("cgroup depth {0} is too deep: at most {max} is supported", max = super::MAX_DEPTH)]
    Depth(u32),
    /// `unload` came between opening the probe set and using it.
    #[error("the probe set was unloaded meanwhile")]
    Unloaded,
    /// There is no such scope any more.
    #[error("cgroup id {0} is not traced: its scope has been released")]
    Unknown(u64),
}

impl TraceError {
    pub(super) fn bpf(what: impl Into<String>, error: impl std::error::Error) -> TraceError {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            reason = format!("{reason}: {cause}");
            source = cause.source();
        }
        if let Some(message) = super::messages::last() {
            reason = format!("{reason} ({message})");
        }
        TraceError::Bpf { what: what.into(), reason }
    }
}

fn hint(reason: &str) -> &'static str {
    if reason.contains("Operation not permitted") || reason.contains("EPERM") {
        "; this needs root with CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN) in the initial user \
         namespace: see `buildwarden doctor`"
    } else {
        ""
    }
}
