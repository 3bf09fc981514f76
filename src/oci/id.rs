//! Container ids.

use super::OciError;
use std::fmt;

/// An id that is safe as a file name: it came from outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId(String);

impl ContainerId {
    /// Longest id; with a run's suffix it still is a file name.
    const MAX: usize = 200;

    /// Checks an id.
    ///
    /// # Errors
    /// When it is empty, too long, or has characters that runtimes do not allow.
    pub fn new(id: &str) -> Result<ContainerId, OciError> {
        let first = id.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
        let all = id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.+-".contains(&b));
        if first && all && id.len() <= Self::MAX {
            Ok(ContainerId(id.to_owned()))
        } else {
            // What is shown of a hostile id is bounded too.
            Err(OciError::Id(id.chars().take(Self::MAX).collect()))
        }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Takes `id.<n>`, the name of an id's second and later runs, apart. An id may itself
/// end so.
pub fn split_run(name: &str) -> Option<(&str, u32)> {
    let (id, number) = name.rsplit_once('.')?;
    let parsed: u32 = number.parse().ok()?;
    (!id.is_empty() && parsed > 0 && parsed.to_string() == number).then_some((id, parsed))
}

/// Whether this is an id, or one with the number of a run.
pub fn could_be_a_run(name: &str) -> bool {
    let id = split_run(name).map_or(name, |(id, _)| id);
    ContainerId::new(id).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_be_paths_are_refused() {
        let long = "x".repeat(201);
        for id in ["", ".", "..", "../x", "a/b", "/a", "-a", ".a", "a b", "a\n", "ä", "a\0", &long]
        {
            assert!(ContainerId::new(id).is_err(), "{id:?}");
        }
        for id in ["a", "_x", "0f3e", "buildah-buildah1", "a.b+c_d-e", &long[1..]] {
            assert!(ContainerId::new(id).is_ok(), "{id:?}");
        }
    }
}
