//! The exit report: a model, and one renderer a file over it. Pure: no clock, no
//! file, no environment.

pub mod baseline;
mod bytes;
mod codequality;
mod fingerprint;
pub mod format;
mod github;
pub mod html;
pub mod in_toto;
pub mod json;
mod junit;
mod lineage;
mod markdown;
pub mod model;
mod ocsf;
mod phrase;
pub mod place;
mod sarif;
pub mod signed;
pub mod text;
mod time;
mod tree;
mod verdict;
mod view;

pub use bytes::Bytes;
pub use time::Time;
