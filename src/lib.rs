//! Buildwarden: what did this CI build execute, and can you prove you saw it all?
//!
//! The rooms, in reading order; `ARCHITECTURE.md` draws the way through them.

pub mod cli;
pub mod detect;
pub mod event;
