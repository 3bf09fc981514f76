//! Reads a config.json as hook and shim do, and rewrites it.

#![no_main]

#[path = "../properties/mod.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::check("bundle", data));
