//! The fuzzers' seeds, and every one-byte change of them, on stable.

use std::path::PathBuf;

use super::{checks, openings};

/// Runs `check` on each seed of a target, and with each of its bytes left out, doubled or replaced.
#[expect(clippy::disallowed_methods, reason = "a test reads its seeds")]
fn run(target: &str, check: fn(&[u8])) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the seeds are committed") {
        let seed = std::fs::read(entry.expect("readable").path()).expect("readable");
        count += 1;
        check(&seed);
        for place in 0..seed.len().min(400) {
            let (before, behind) = seed.split_at(place);
            check(&[before, &behind[1..]].concat());
            check(&[before, &behind[..1], behind].concat());
            for other in b"\r\n\t\0 :;,\"%/.0a_-\x7f\xff" {
                check(&[before, &[*other], &behind[1..]].concat());
            }
        }
    }
    assert!(count >= 4, "{target} has seeds");
}

#[test]
fn seeds_of_request_heads() {
    run("h1_request_head", checks::request_head);
}

#[test]
fn seeds_of_response_heads() {
    run("h1_response_head", checks::response_head);
}

#[test]
fn seeds_of_chunked_bodies() {
    run("chunked", checks::chunked);
}

#[test]
fn seeds_of_targets() {
    run("target", checks::target);
}

#[test]
fn seeds_of_proxy_headers() {
    run("proxy", openings::proxy);
}

#[test]
fn seeds_of_client_hellos() {
    run("hello", openings::hello);
}
