//! The signature: that it is of the key, and about this report.

use super::{Files, Verification};
use crate::{
    chain,
    collect::file::{REPORT, SIGNED},
    report::signed::{self, PublicKey},
};

/// Whether the signed Statement is of `key` and about the report.
pub(super) fn check(files: &Files, key: &PublicKey, found: &mut Verification) -> bool {
    let Some(bytes) = &files.signed else {
        found.problem(SIGNED, None, "it is missing: the report is not signed");
        return false;
    };
    let digests = match signed::open(bytes, key) {
        Ok(digests) => digests,
        Err(error) => {
            found.problem(SIGNED, None, error.to_string());
            return false;
        }
    };
    let digest = files.report.as_deref().map(chain::sha256);
    if digest.is_none_or(|digest| !digests.contains(&digest)) {
        found.problem(REPORT, None, "it is not the report that was signed: its SHA-256 is another");
        return false;
    }
    true
}
