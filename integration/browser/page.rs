//! The pages that are looked at: each fixture as `buildwarden report` writes it.

use crate::driver::Look;
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

pub(crate) const FIXTURES: [&str; 6] =
    ["clean", "one-finding", "many", "incomplete", "findings-incomplete", "hostile"];

/// A desktop's and a telephone's window, light and dark.
pub(crate) const LOOKS: [Look; 4] = [
    Look { width: 1280, height: 800, dark: false },
    Look { width: 1280, height: 800, dark: true },
    Look { width: 390, height: 844, dark: false },
    Look { width: 390, height: 844, dark: true },
];

/// Pages in a directory that goes with the test.
pub(crate) struct Pages(TempDir);

impl Pages {
    pub(crate) fn new() -> Pages {
        let pages = Pages(TempDir::with_prefix("bw-pages-").unwrap());
        FIXTURES.iter().for_each(|name| pages.write(name));
        pages
    }

    fn write(&self, name: &str) {
        let report = root().join(format!("tests/fixtures/{name}.json"));
        let done = Command::new(env!("CARGO_BIN_EXE_buildwarden"))
            .args(["report", "--format", "html", "--output"])
            .args([self.path(name), report])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name).with_extension("html")
    }

    /// Every page with its name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        FIXTURES.into_iter().map(|name| (name, self.path(name)))
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
