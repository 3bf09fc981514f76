//! What holds whatever comes from outside: bounded here, and as long as wanted by `make fuzz`.

#[path = "../../fuzz/properties/mod.rs"]
mod properties;

mod detect;
mod seeds;
