//! Reads a configuration file of which everything may be wrong.

#![no_main]

#[path = "../properties/mod.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::check("settings", data));
