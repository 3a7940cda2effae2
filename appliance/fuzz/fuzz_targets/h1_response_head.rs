//! Response heads: see `appliance/tests/codec/checks.rs`.
#![no_main]

#[allow(dead_code)]
#[path = "../../tests/codec/checks.rs"]
mod checks;
#[allow(dead_code)]
#[path = "../../tests/codec/strict.rs"]
mod strict;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::response_head(data));
