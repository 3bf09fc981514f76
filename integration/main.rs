//! Buildwarden on real engines and kernels. Everything here needs root: run it
//! with `integration/root-tests [FILTER]`, which gives it a bpffs of its own.

mod argv;
mod collector;
mod containerd;
mod docker;
mod engines;
mod evidence;
mod harness;
mod hook_input;
mod host;
mod job;
mod kernel;
mod lifecycle;
mod scope;
mod shim;
mod tool;
