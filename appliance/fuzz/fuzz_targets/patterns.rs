//! Regular expressions: see `config/tests/strangers/checks.rs`.
#![no_main]

#[allow(dead_code)]
#[path = "../../../config/tests/strangers/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::patterns(data));
