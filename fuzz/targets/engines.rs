//! Reads what engines keep of their containers, and podman's configuration.

#![no_main]

#[path = "../properties/mod.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::check("engines", data));
