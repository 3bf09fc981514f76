//! The exit report: a model, and one renderer a file over it. Pure: no clock, no
//! file, no environment.

mod bytes;
pub mod html;
pub mod json;
pub mod model;
pub mod text;
mod time;
mod verdict;

pub use bytes::Bytes;
pub use time::Time;
pub use verdict::verdict;
