//! Buildwarden on real engines and kernels. Everything here needs root: run it
//! with `integration/root-tests [FILTER]`, which gives it a bpffs of its own.

mod argv;
mod bench;
mod build;
mod ci;
mod collector;
mod containerd;
mod docker;
mod e2e;
mod engines;
mod equality;
mod evidence;
mod export;
mod faults;
mod gc;
mod harness;
mod hook_input;
mod host;
mod hostile;
mod install;
mod job;
mod kernel;
mod killed;
mod lifecycle;
mod package;
mod scope;
mod shim;
mod side_by_side;
mod soak;
mod systemd;
mod tool;
mod verify;
mod watch;
