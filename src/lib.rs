//! Buildwarden: what did this CI build execute, and can you prove you saw it all?
//!
//! The rooms; `ARCHITECTURE.md` has them in reading order and draws the way through.

pub mod annotation;
#[cfg(test)]
mod btf_layout;
pub mod cgroup;
pub mod chain;
pub mod cli;
pub mod collect;
pub mod config;
pub mod confine;
pub mod detect;
pub mod doctor;
pub mod escape;
pub mod event;
pub mod execlog;
pub mod export;
pub mod host;
pub mod install;
pub mod oci;
pub mod pattern;
pub mod redact;
pub mod report;
pub mod runtime;
pub mod store;
#[allow(unsafe_code)]
pub mod trace;
pub mod verify;
pub mod wire;
