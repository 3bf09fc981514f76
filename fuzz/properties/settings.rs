//! What holds for buildwarden.toml.

use buildwarden::config::{OnError, Settings};
use std::fs;

pub(crate) fn check(data: &[u8]) {
    let directory = super::directory();
    let path = directory.path().join("buildwarden.toml");
    fs::write(&path, data).expect("a file in memory");
    let read = Settings::load(Some(&path));
    let whole = str::from_utf8(data).ok().and_then(|text| text.parse::<toml::Table>().ok());
    let denies = whole.is_some_and(|table| table.get("on_error") == Some(&"deny".into()));
    match read {
        Ok(settings) => {
            let ring = settings.ring_bytes;
            assert!(ring.is_power_of_two() && (64 << 10..=64 << 20).contains(&ring));
            let runtimes = &settings.runtimes;
            let optional = [&runtimes.runc, &runtimes.crun, &runtimes.youki, &settings.key];
            let paths = [&settings.run_dir, &settings.state_dir, &settings.bpffs];
            for path in paths.into_iter().chain(optional.into_iter().flatten()) {
                assert!(path.is_absolute(), "{}", path.display());
            }
            assert_eq!(settings.on_error == OnError::Deny, denies);
        }
        Err(error) => {
            super::check_shown("an error", &error.to_string());
            let fallback = error.fallback();
            assert!(!fallback.honour.trace && !fallback.honour.on_error, "a mistake unlocks");
            assert!(!denies || fallback.on_error == OnError::Deny, "a mistake allows");
        }
    }
}
