//! `ID|FILE`: the report that a verb is about.

use crate::store::{Run, Store, StoreError};
use std::path::{Path, PathBuf};

/// Where it is, or has to be.
pub(super) enum WhichReport {
    /// A file that was named.
    File(PathBuf),
    /// That of a run.
    Run(Store, Run),
}

impl WhichReport {
    /// What the argument means. The store is opened only for what is not clearly a path.
    pub(super) fn find(
        what: &str,
        store: impl FnOnce() -> anyhow::Result<Store>,
    ) -> anyhow::Result<WhichReport> {
        if what.contains('/') || what.ends_with(".json") {
            return Ok(WhichReport::File(what.into()));
        }
        let store = store()?;
        match store.find(what) {
            Err(StoreError::Unknown { .. }) if Path::new(what).exists() => {
                Ok(WhichReport::File(what.into()))
            }
            run => Ok(WhichReport::Run(store, run?)),
        }
    }
}
