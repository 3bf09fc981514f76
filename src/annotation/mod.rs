//! The annotation log of a container: what was found while it ran, a line of
//! JSON each, appended and never changed.
//!
//! A line is `{"time", "container", "key", "value"}`; the [`Key`] says what the
//! value is, and [`Line::entry`] reads it.

mod changes;
mod entry;
mod key;
mod line;
mod log;
mod tail;

pub use changes::{Change, Changes, Watch};
pub use entry::{Attached, Entry, FindingCounts, Finished, Gap, NamedJob};
pub use key::Key;
pub use line::{Line, Malformed};
pub use log::Log;
pub use tail::{LINE_MAX, Tail, is_finished, last_line};
