//! What holds for whatever comes from outside, a reader each: shared by the fuzz targets
//! and `tests/properties`.
//!
//! A check panics where something does not hold. What is refused holds by being refused.

mod bundle;
mod engines;
mod events;
pub(crate) mod exec;
mod install;
mod log;
mod recipe;
mod redact;
mod report;
mod run;
mod settings;
mod state;
mod wire;

use std::path::Path;
use tempfile::TempDir;

/// A reader: its name, which its target and its seeds have too, and what holds for it.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All of them.
pub(crate) const TARGETS: [Target; 13] = [
    ("bundle", bundle::check),
    ("engines", engines::check),
    ("events", events::check),
    ("exec", exec::check),
    ("install", install::check),
    ("log", log::check),
    ("recipe", recipe::check),
    ("redact", redact::check),
    ("report", report::check),
    ("run", run::check),
    ("settings", settings::check),
    ("state", state::check),
    ("wire", wire::check),
];

/// Checks what one of them makes of `data`.
pub(crate) fn check(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(target, _)| *target == name);
    target.unwrap_or_else(|| panic!("no target is called {name}")).1(data);
}

/// A directory for what can be read from files only: in memory, where there is one.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a directory")
}

/// Several files in one input: what a line of `%%` alone parts; at most `N`, the rest empty.
fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    const BETWEEN: &[u8] = b"\n%%\n";
    let mut rest = data;
    std::array::from_fn(|_| {
        let end = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN);
        let part = &rest[..end.unwrap_or(rest.len())];
        rest = end.map_or(b"", |end| &rest[end + BETWEEN.len()..]);
        part
    })
}

/// Panics at a character that a terminal would hide or obey. Line ends are none.
#[track_caller]
fn check_shown(what: &str, text: &str) {
    let hidden = text.chars().find(|c| *c != '\n' && buildwarden::escape::is_hidden(*c));
    assert_eq!(hidden, None, "{what}: {}", text.escape_debug());
}
