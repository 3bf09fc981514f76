//! What the tests stand on: an owned directory with a configuration of its own,
//! commands with a deadline, containers in runc, podman and
//! Docker, and a small Debian.

mod cgroups;
mod command;
mod container;
mod dir;
mod docker;
mod exec;
mod image;
mod machine;
mod podman;
mod programs;
mod wait;

pub(crate) use command::{Done, run, run_with_input, run_within};
pub(crate) use container::Container;
pub(crate) use dir::Dir;
pub(crate) use docker::{Docker, runc};
pub(crate) use exec::Exec;
pub(crate) use image::rootfs;
pub(crate) use machine::{Machine, Parts};
pub(crate) use podman::Podman;
pub(crate) use programs::{busybox, program};
pub(crate) use wait::until;
