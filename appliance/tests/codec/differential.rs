//! Valid messages mean the same to monoio-http's decoders and to httparse.

use bytes::BytesMut;
use monoio_codec::{Decoded, Decoder};
use monoio_http::h1::codec::decoder::{ChunkedBodyDecoder, RequestHeadDecoder, ResponseHeadDecoder};
use proptest::collection::vec;
use proptest::prelude::*;

use super::checks::decode;
use ringress::http::head::{HeadLimits, Progress};
use ringress::http::request::RequestHead;
use ringress::http::response::{Asked, ResponseHead};

fn fields() -> impl Strategy<Value = Vec<(String, String)>> {
    vec(("[A-Za-z][A-Za-z0-9-]{0,20}", "[!-~]([ -~]{0,40}[!-~])?"), 0..12).prop_map(|fields| {
        let is_special = |name: &str| {
            ["host", "content-length", "transfer-encoding", "connection"].contains(&name.to_ascii_lowercase().as_str())
        };
        fields.into_iter().filter(|(name, _)| !is_special(name)).collect()
    })
}

fn lines(fields: &[(String, String)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

/// Names in lower case with their values, sorted: their map keeps the order of the values of one name only.
fn sorted<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut sorted: Vec<_> = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())).collect();
    sorted.sort();
    sorted
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn request_heads(method in "GET|POST|DELETE|PURGE", path in "/[a-z0-9/]{0,30}(\\?[a-z=&]{0,20})?", fields in fields()) {
        let text = format!("{method} {path} HTTP/1.1\r\nHost: a.test\r\n{}\r\nrest", lines(&fields));
        let mut ours = RequestHead::default();
        prop_assert_eq!(ours.parse(text.as_bytes(), &HeadLimits::default()), Ok(Progress::Complete));
        let mut bytes = BytesMut::from(text.as_bytes());
        let Ok(Decoded::Some(theirs)) = RequestHeadDecoder.decode(&mut bytes) else { panic!("refused {text:?}") };
        prop_assert_eq!(bytes.as_ref(), b"rest");
        prop_assert_eq!(ours.consumed, text.len() - 4);
        prop_assert_eq!(ours.method_bytes(text.as_bytes()), theirs.method.as_str().as_bytes());
        let uri = theirs.uri.to_string();
        prop_assert_eq!(ours.path_and_query(text.as_bytes()), uri.as_bytes());
        let buf = text.as_bytes();
        let our_fields = sorted(ours.fields().iter().map(|field| (field.name.of(buf), field.value.of(buf))));
        let their_fields = sorted(theirs.headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())));
        prop_assert_eq!(our_fields, their_fields);
    }

    #[test]
    fn response_heads(status in 200..600_u16, fields in fields()) {
        let text = format!("HTTP/1.1 {status} Some Reason\r\n{}Content-Length: 4\r\n\r\nrest", lines(&fields));
        let mut ours = ResponseHead::default();
        prop_assert_eq!(ours.parse(text.as_bytes(), &HeadLimits::default(), Asked::default()), Ok(Progress::Complete));
        let mut bytes = BytesMut::from(text.as_bytes());
        let Ok(Decoded::Some(theirs)) = ResponseHeadDecoder.decode(&mut bytes) else { panic!("refused {text:?}") };
        prop_assert_eq!(bytes.as_ref(), b"rest");
        prop_assert_eq!((ours.consumed, ours.status), (text.len() - 4, theirs.status.as_u16()));
        let buf = text.as_bytes();
        let our_fields = sorted(ours.fields().iter().map(|field| (field.name.of(buf), field.value.of(buf))));
        let their_fields = sorted(theirs.headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())));
        prop_assert_eq!(our_fields, their_fields);
    }

    #[test]
    fn chunked_bodies(pieces in vec(vec(any::<u8>(), 1..300), 0..6), split in 1..50_usize) {
        let mut body = Vec::new();
        for piece in &pieces {
            body.extend_from_slice(format!("{:X}\r\n", piece.len()).as_bytes());
            body.extend_from_slice(piece);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        let mut theirs = Vec::new();
        let mut bytes = BytesMut::from(body.as_slice());
        let mut decoder = ChunkedBodyDecoder::default();
        while let Ok(Decoded::Some(Some(data))) = decoder.decode(&mut bytes) {
            theirs.extend_from_slice(&data);
        }
        prop_assert!(bytes.is_empty());
        prop_assert_eq!(decode(&body, split), Ok((theirs, Some(body.len()))));
    }

    #[test]
    fn whatever_we_accept_httparse_accepts_too(data in super::messages::request()) {
        let mut ours = RequestHead::default();
        if ours.parse(&data, &HeadLimits::default()) == Ok(Progress::Complete) {
            let mut fields = [httparse::EMPTY_HEADER; 64];
            let mut theirs = httparse::Request::new(&mut fields);
            prop_assert_eq!(theirs.parse(&data), Ok(httparse::Status::Complete(ours.consumed)));
            prop_assert_eq!(theirs.headers.len(), ours.fields().len());
        }
    }
}
