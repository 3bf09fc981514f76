//! Judges execs: is this a network tool, and does an address stand where a host
//! can stand? Pure: values in, values out.
//!
//! [`Programs`](tool::Programs) says who the tool is, a [`Grammar`](grammar::Grammar)
//! and [`options`] split its arguments, [`place`] reads each value as the tool does,
//! [`scope`] weighs the addresses, [`recipe`] and [`policy`] make findings of them.

mod address;
mod advice;
mod builtin;
mod carriers;
mod collected;
#[cfg(test)]
#[path = "../../build/grammars.rs"]
mod compile;
mod explain;
mod finding;
mod grammar;
mod judge;
mod options;
mod place;
pub mod policy;
mod recipe;
mod scope;
mod terms;
mod tool;

pub use advice::Evidence;
pub use explain::{Argument, Reading};
pub use finding::{Address, Allowed, Attack, Finding, Importance, Judgement, Shell, Signal, Tool};
pub use judge::Detector;
pub use policy::{Context, Policy, PolicyError, PolicyFile};
pub use recipe::{Looks, Recipe, RecipeError, Weight};
pub use scope::{Scope, scope};
