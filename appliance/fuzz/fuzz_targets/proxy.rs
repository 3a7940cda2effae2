//! PROXY headers: see `appliance/tests/codec/openings.rs`.
#![no_main]

#[allow(dead_code)]
#[path = "../../tests/codec/openings.rs"]
mod openings;

libfuzzer_sys::fuzz_target!(|data: &[u8]| openings::proxy(data));
