//! Reads a recipe and a policy of which everything may be wrong.

#![no_main]

use buildwarden::detect::{Detector, Policy, PolicyFile, Recipe};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(recipe) = Recipe::read(text) {
        let _ = Detector::new(vec![recipe], Policy::default());
    }
    if let Ok(Ok(policy)) = toml::from_str::<PolicyFile>(text).map(Policy::resolve) {
        let _ = Detector::new(Vec::new(), policy);
    }
});
