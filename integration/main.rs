//! Buildwarden on real engines and kernels. Everything here needs root: run it
//! with `integration/root-tests [FILTER]`, which gives it a bpffs of its own.

mod argv;
mod attach;
mod collector;
mod engines;
mod evidence;
mod harness;
mod hook_input;
mod kernel;
mod run;
mod runs;
mod scope;
mod tool;
