//! What a process of ours gives up once it has opened what it needs. One way: nothing here
//! can be taken back.
//!
//! It is the calling *thread* that gives it up, and those that it starts afterwards. What the
//! kernel does not have is left out and said; what is not allowed fails with an error that is
//! handled like any other, so that a call that was forgotten costs what it was for, never the
//! process and with it the report.

mod calls;
mod privileges;
mod reach;
#[cfg(test)]
mod tests;

pub use calls::Calls;
pub use privileges::{Kept, Privileges};
pub use reach::Reach;

use std::{fmt::Display, thread};

/// A layer of confinement, in the order in which they are put on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// No executable gives more than its caller has.
    NoNewPrivs,
    /// Files and network by what is named, and nothing else: Landlock, Linux 5.13.
    Landlock,
    /// No capability.
    Capabilities,
    /// System calls by a list: a seccomp filter.
    Seccomp,
}

impl Layer {
    /// All of them.
    pub const ALL: [Layer; 4] =
        [Layer::NoNewPrivs, Layer::Landlock, Layer::Capabilities, Layer::Seccomp];

    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Layer::NoNewPrivs => "no_new_privs",
            Layer::Landlock => "landlock",
            Layer::Capabilities => "capabilities",
            Layer::Seccomp => "seccomp",
        }
    }
}

/// What was put on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confined {
    /// The layers that hold.
    pub layers: Vec<Layer>,
    /// The others, each with why.
    pub missing: Vec<(Layer, String)>,
}

impl Confined {
    /// The names of the layers that hold.
    pub fn names(&self) -> Vec<String> {
        self.layers.iter().map(|layer| layer.as_str().to_owned()).collect()
    }

    fn note(&mut self, layer: Layer, result: Result<(), impl Display>) {
        match result {
            Ok(()) => self.layers.push(layer),
            Err(error) => self.missing.push((layer, error.to_string())),
        }
    }
}

/// Confines the calling thread to the files of `reach` and to `calls`.
pub fn confine(reach: Reach<'_>, calls: Calls) -> Confined {
    let mut confined = Confined::default();
    confined.note(Layer::NoNewPrivs, nix::sys::prctl::set_no_new_privs());
    // Before the filter, which forbids what these two do.
    confined.note(Layer::Landlock, reach.restrict());
    confined.note(Layer::Capabilities, privileges::drop_all());
    confined.note(Layer::Seccomp, calls.restrict());
    confined
}

/// What this kernel has of all that, found by putting it on a thread that ends.
pub fn available() -> Confined {
    let confined = thread::spawn(|| confine(Reach::default(), Calls::COLLECTOR)).join();
    confined.unwrap_or_default()
}
