//! What makes a finding the same one in the next run.

use super::model::Finding;
use crate::chain;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

/// A fingerprint for each finding: 32 hexadecimal digits, the same in every run in which
/// the same tool is called with the same addresses, and different within one report or job.
///
/// Process numbers, times, whole command lines and the container are left out, because
/// they change from run to run.
pub(super) fn fingerprints<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Vec<String> {
    let mut seen: HashMap<[u8; 32], u64> = HashMap::new();
    findings
        .into_iter()
        .map(|finding| {
            let mut hash = Sha256::new();
            let mut part = |bytes: &[u8]| {
                hash.update((bytes.len() as u64).to_le_bytes());
                hash.update(bytes);
            };
            part(finding.recipe.as_bytes());
            part(finding.tool.name.as_bytes());
            let mut addresses: Vec<&str> =
                finding.addresses.iter().map(|found| found.address.as_str()).collect();
            addresses.sort_unstable();
            addresses.dedup();
            addresses.iter().for_each(|address| part(address.as_bytes()));
            finding.shells.iter().for_each(|shell| part(&shell.text));
            let same: [u8; 32] = hash.clone().finalize().into();
            // The second of the same kind is another one, and again so in the next run.
            let ordinal = seen.entry(same).or_insert(0);
            *ordinal += 1;
            hash.update(ordinal.to_le_bytes());
            chain::hex(&hash.finalize()[..16])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Time, json};

    #[test]
    fn the_next_run_has_the_same_fingerprints() {
        let text = include_bytes!("../../tests/fixtures/many.json");
        let findings = json::parse(text).unwrap().findings;
        let before = fingerprints(&findings);
        let mut unique = before.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), findings.len());

        let mut next = findings.clone();
        for finding in &mut next {
            finding.exec.pid += 7;
            finding.exec.time = Time::from_unix_ns(0);
            finding.exec.argv.push("--more".into());
        }
        assert_eq!(fingerprints(&next), before);
        next[0].addresses[0].address = "192.0.2.1".to_owned();
        assert_ne!(fingerprints(&next)[0], before[0]);
    }
}
