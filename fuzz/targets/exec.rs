//! Judges an exec of which everything is hostile.

#![no_main]

#[path = "../properties.rs"]
mod properties;

use buildwarden::detect::Detector;
use std::sync::LazyLock;

static DETECTOR: LazyLock<Detector> = LazyLock::new(Detector::builtin);

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::check(&DETECTOR, data));
