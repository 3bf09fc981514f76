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
