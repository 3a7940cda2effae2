//! Random messages and random bytes through all checks.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{checks, messages, openings};

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests_go_up_as_one_plain_request_or_not_at_all(data in messages::request()) {
        checks::request_head(&data);
    }

    #[test]
    fn responses_come_down_as_one_plain_response_or_not_at_all(data in messages::response()) {
        checks::response_head(&data);
    }

    #[test]
    fn chunked_bodies_are_read_alike_however_they_are_split(data in messages::chunked()) {
        checks::chunked(&data);
    }

    #[test]
    fn paths_are_read_as_nginx_reads_them_or_refused(data in messages::path()) {
        checks::target(&data);
    }

    #[test]
    fn any_bytes_are_refused_or_understood(data in vec(any::<u8>(), 0..200)) {
        checks::request_head(&data);
        checks::response_head(&data);
        checks::chunked(&data);
        checks::target(&data);
        openings::proxy(&data);
        openings::hello(&data);
    }

    #[test]
    fn what_begins_like_a_proxy_header_is_refused_or_understood(
        signed in any::<bool>(),
        data in vec(any::<u8>(), 0..120),
    ) {
        let start: &[u8] = if signed { b"\r\n\r\n\0\r\nQUIT\n" } else { b"PROXY TCP" };
        openings::proxy(&[start, &data].concat());
    }

    #[test]
    fn what_begins_like_a_client_hello_is_refused_or_understood(
        data in vec(any::<u8>(), 0..300),
        extensions in vec((0u16..60, vec(any::<u8>(), 0..40)), 0..6),
    ) {
        openings::hello(&[&[22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3][..], &data].concat());
        openings::hello(&messages::client_hello(&extensions));
    }
}
