//! The pages that are looked at: each fixture as `buildwarden report` writes it, and jobs.

#[path = "../../tests/pages/mod.rs"]
mod made_of;

use crate::driver::Look;
use buildwarden::report::html;
use made_of::FIXTURES;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

const JOBS: [&str; 3] = ["job", "job-clean", "job-hostile"];

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
        for name in FIXTURES {
            let report = root().join(format!("tests/fixtures/{name}.json"));
            let done = Command::new(env!("CARGO_BIN_EXE_buildwarden"))
                .args(["report", "--format", "html", "--output"])
                .args([pages.path(name), report])
                .output()
                .unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        let hostile = made_of::hostile_job("<b>\u{202e}\x1b[31m&quot;");
        let jobs = [made_of::job(), made_of::clean_job(), hostile];
        for (name, job) in JOBS.into_iter().zip(jobs) {
            fs::write(pages.path(name), html::render_job(&job)).unwrap();
        }
        pages
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name).with_extension("html")
    }

    /// Every page with its name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        let names = FIXTURES.into_iter().chain(JOBS);
        names.map(|name| (name, self.path(name)))
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
