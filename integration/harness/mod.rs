//! What the tests stand on: an owned directory with a configuration of its own,
//! commands with a deadline, containers in runc, podman, Docker and containerd, of this
//! Debian and of the next, and a small Debian.

mod cgroups;
mod command;
mod container;
mod containerd;
mod dir;
mod docker;
mod exec;
mod figures;
mod image;
mod machine;
mod podman;
mod programs;
mod release;
mod wait;

pub(crate) use command::{Done, run, run_with_input, run_within};
pub(crate) use container::{Container, cgroup2_only};
pub(crate) use containerd::Containerd;
pub(crate) use dir::{Dir, in_path};
pub(crate) use docker::Docker;
pub(crate) use exec::Exec;
pub(crate) use figures::{milliseconds, quantile};
pub(crate) use image::{rootfs, tar as image};
pub(crate) use machine::{Machine, Parts};
pub(crate) use podman::Podman;
pub(crate) use programs::{busybox, program};
pub(crate) use release::{Release, youki};
pub(crate) use wait::until;
