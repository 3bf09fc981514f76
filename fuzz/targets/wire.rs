//! Reads a ring's records, and takes what is one as far as the event file.

#![no_main]

#[path = "../properties/mod.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::check("wire", data));
