use super::*;
use crate::http::field::FieldId;

fn parse(text: impl AsRef<[u8]>) -> Result<RequestHead, HeadError> {
    let mut head = RequestHead::default();
    match head.parse(text.as_ref(), &HeadLimits::default())? {
        Progress::Complete => Ok(head),
        Progress::Partial => panic!("not complete: {:?}", String::from_utf8_lossy(text.as_ref())),
    }
}

fn refusal(text: impl AsRef<[u8]>) -> Option<HeadError> {
    parse(text).err()
}

/// A GET with these further field lines.
fn get(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n")
}

/// A GET for this target.
fn of_target(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n")
}

#[test]
fn a_plain_request_is_taken_apart() {
    let text = b"POST /a/b?c=d HTTP/1.1\r\nHost: A.Test:8080\r\nUser-Agent: x\r\nContent-Length: 3\r\n\r\nabc";
    let head = parse(text).unwrap();
    assert_eq!(head.method, Method::Post);
    assert_eq!(head.method_bytes(text), b"POST");
    assert_eq!(head.target(text), b"/a/b?c=d");
    assert_eq!(head.query(text), Some(b"c=d".as_slice()));
    assert_eq!(head.normalised_path(text, &mut Vec::new()), Ok(b"/a/b".as_slice()));
    assert_eq!((head.host().name(), head.host().port()), ("a.test", Some(8080)));
    assert_eq!(head.authority(text), b"A.Test:8080");
    assert_eq!(head.framing, BodyFraming::Length(3));
    assert_eq!(head.find(text, FieldId::UserAgent), Some(b"x".as_slice()));
    assert!(head.keep_alive && !head.expect_continue && head.upgrade(text).is_none());
    assert_eq!(&text[head.consumed..], b"abc");
}

#[test]
fn a_head_may_arrive_split_anywhere() {
    let text = b"\r\nPUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nA:  b \r\n\r\nrest";
    let whole = parse(text).unwrap();
    for split in 0..whole.consumed {
        let mut head = RequestHead::default();
        assert_eq!(head.parse(&text[..split], &HeadLimits::default()), Ok(Progress::Partial), "{split}");
        assert_eq!(head.parse(text, &HeadLimits::default()), Ok(Progress::Complete), "{split}");
        assert_eq!((head.consumed, head.framing), (whole.consumed, BodyFraming::Chunked));
        assert_eq!(head.fields().len(), 3);
    }
}

#[test]
fn one_value_parses_one_head_after_the_other() {
    let mut head = RequestHead::default();
    let limits = HeadLimits::default();
    let first = get("Upgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 0\r\n");
    assert_eq!(head.parse(first.as_bytes(), &limits), Ok(Progress::Complete));
    assert_eq!(head.parse(b"GET / HTTP/1.1\r\nHost : a\r\n", &limits), Err(HeadError::FieldName));
    let last = b"HEAD /z HTTP/1.0\r\n\r\n";
    assert_eq!(head.parse(last, &limits), Ok(Progress::Complete));
    assert_eq!((head.method, head.version, head.framing), (Method::Head, Version::Http10, BodyFraming::None));
    assert_eq!((head.host().name(), head.authority(last)), ("", b"".as_slice()));
    assert!(!head.keep_alive && head.upgrade(last).is_none() && head.fields().is_empty());
}

#[test]
fn rfc9112_2_2_few_leading_empty_lines_are_skipped() {
    assert!(parse(format!("\r\n{}", get(""))).is_ok());
    assert!(parse(format!("\r\n\r\n{}", get(""))).is_ok());
    assert_eq!(refusal(format!("\r\n\r\n\r\n{}", get(""))), Some(HeadError::LeadingEmptyLines));
    assert_eq!(refusal("\n\n"), Some(HeadError::LineEnd));
}

#[test]
fn rfc9112_2_2_lines_end_with_crlf_only() {
    for text in [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\nContent-Length: 5\r\n\r\n",
    ] {
        assert_eq!(refusal(text), Some(HeadError::LineEnd), "{text:?}");
    }
    for text in [get("A: b\rc\r\n"), get("A: b\r\r\n"), get("A: \rTransfer-Encoding: chunked\r\n"), of_target("/a\rb")]
    {
        assert_eq!(refusal(&text), Some(HeadError::LineEnd), "{text:?}");
    }
}

#[test]
fn control_characters_are_refused_wherever_they_stand() {
    for control in (0..0x20_u8).chain([0x7f]).filter(|byte| !matches!(byte, b'\t' | b'\r' | b'\n')) {
        let control = control as char;
        for text in
            [get(&format!("A: b{control}c\r\n")), get(&format!("A: {control}\r\n")), of_target(&format!("/{control}"))]
        {
            assert_eq!(refusal(&text), Some(HeadError::ControlCharacter), "{text:?}");
        }
        assert_eq!(refusal(get(&format!("A{control}: b\r\n"))), Some(HeadError::ControlCharacter));
    }
    assert!(parse(get("A: b\tc\r\n")).is_ok());
    assert!(parse(get("A: b\u{e4}c\r\n")).is_ok());
}

#[test]
fn bytes_that_are_no_http_are_refused_before_any_line_ends() {
    let mut head = RequestHead::default();
    let client_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    assert_eq!(head.parse(client_hello, &HeadLimits::default()), Err(HeadError::ControlCharacter));
}

#[test]
fn field_lines_that_two_parsers_read_differently_are_refused() {
    for (lines, error) in [
        (" A: b\r\n", HeadError::FieldFold),
        ("A: b\r\n c\r\n", HeadError::FieldFold),
        ("Transfer-Encoding:\r\n chunked\r\n", HeadError::Encoding),
        ("A : b\r\n", HeadError::FieldName),
        ("Transfer-Encoding\t: chunked\r\n", HeadError::FieldName),
        ("A\r\n", HeadError::FieldLine),
        (": b\r\n", HeadError::FieldLine),
        ("A b: c\r\n", HeadError::FieldName),
        ("\"A\": c\r\n", HeadError::FieldName),
        ("A\u{a0}: c\r\n", HeadError::FieldName),
        ("A\\: c\r\n", HeadError::FieldName),
    ] {
        assert_eq!(refusal(get(lines)), Some(error), "{lines:?}");
    }
    assert_eq!(refusal("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), Some(HeadError::FieldFold));
}

#[test]
fn rfc9112_3_request_lines() {
    for (line, error) in [
        ("", HeadError::RequestLine),
        ("GET", HeadError::RequestLine),
        ("GET /", HeadError::Version),
        ("GET / ", HeadError::Version),
        (" GET / HTTP/1.1", HeadError::Method),
        ("GET  / HTTP/1.1", HeadError::Target),
        ("GET /  HTTP/1.1", HeadError::Target),
        ("GET / HTTP/1.1 ", HeadError::Version),
        ("GET\t/ HTTP/1.1", HeadError::Method),
        ("GET /\tHTTP/1.1", HeadError::Version),
        ("GET / HTTP/1.1x", HeadError::Version),
        ("GET / http/1.1", HeadError::Version),
        ("GET / HTTP/11", HeadError::Version),
        ("GET / HTTP/1.", HeadError::Version),
        ("GET / HTTP/01.1", HeadError::Version),
        ("GET / HTTPS/1.1", HeadError::Version),
        ("GET / HTTP/2.0", HeadError::VersionUnsupported),
        ("GET / HTTP/0.9", HeadError::VersionUnsupported),
        ("GET / HTTP/1.2", HeadError::VersionUnsupported),
        ("PRI * HTTP/2.0", HeadError::VersionUnsupported),
        ("get / HTTP/1.1", HeadError::Method),
        ("G(T / HTTP/1.1", HeadError::Method),
        ("GET: / HTTP/1.1", HeadError::Method),
        ("G\u{c9}T / HTTP/1.1", HeadError::Method),
        ("CONNECT a:443 HTTP/1.1", HeadError::Connect),
        ("TRACE / HTTP/1.1", HeadError::Trace),
        ("GET a.test:80 HTTP/1.1", HeadError::Target),
        ("GET * HTTP/1.1", HeadError::Target),
        ("OPTIONS ** HTTP/1.1", HeadError::Target),
        ("GET a HTTP/1.1", HeadError::Target),
        ("GET ?a HTTP/1.1", HeadError::Target),
        ("GET \\a HTTP/1.1", HeadError::Target),
        ("GET /a b HTTP/1.1", HeadError::Target),
        ("GET /a\tb HTTP/1.1", HeadError::Target),
        ("GET /?a\tb HTTP/1.1", HeadError::Target),
        ("GET http://a\tb/ HTTP/1.1", HeadError::HostInvalid),
        ("GET /?a b HTTP/1.1", HeadError::Target),
        ("GET /a#b HTTP/1.1", HeadError::Target),
        ("GET /?a#b HTTP/1.1", HeadError::Target),
        ("GET ftp://a.test/ HTTP/1.1", HeadError::Target),
        ("GET http:/a.test/ HTTP/1.1", HeadError::Target),
        ("GET http:///x HTTP/1.1", HeadError::HostInvalid),
        ("GET http://u@a.test/ HTTP/1.1", HeadError::HostInvalid),
        ("GET http://a.test:x/ HTTP/1.1", HeadError::HostInvalid),
        ("GET http://a.test#x HTTP/1.1", HeadError::Target),
        ("GET http://a.test?x HTTP/1.1", HeadError::Target),
    ] {
        let text = format!("{line}\r\nHost: a.test\r\n\r\n");
        // An empty start line is a leading empty line, so the Host line is read as the request line.
        let error = if line.is_empty() { HeadError::Method } else { error };
        assert_eq!(refusal(&text), Some(error), "{line:?}");
    }
}

#[test]
fn a_version_that_is_not_served_is_505_and_other_refusals_have_their_status() {
    assert_eq!(HeadError::VersionUnsupported.status(), 505);
    assert_eq!(HeadError::RequestLineTooLong.status(), 414);
    assert_eq!(HeadError::FieldTooLong.status(), 431);
    assert_eq!(HeadError::EncodingUnsupported.status(), 501);
    assert_eq!(HeadError::HostMissing.status(), 400);
}

#[test]
fn encoded_line_ends_in_the_target_stay_encoded() {
    let text = of_target("/a%0d%0aX:%20y?b=%0A");
    let head = parse(&text).unwrap();
    assert_eq!(head.path_and_query(text.as_bytes()), b"/a%0d%0aX:%20y?b=%0A");
}

#[test]
fn rfc9112_3_2_host_is_there_once_and_valid() {
    assert_eq!(refusal("GET / HTTP/1.1\r\n\r\n"), Some(HeadError::HostMissing));
    assert_eq!(refusal(get("Host: a.test\r\n")), Some(HeadError::HostDuplicate));
    assert_eq!(refusal(get("hOST: b.test\r\n")), Some(HeadError::HostDuplicate));
    for host in ["", " ", "a b", "a/b", "u@a", "a:b", "a:99999", "[::1", "a,b", "a\\b", "a?", "a#", "a\tb", "a:80:81"] {
        assert_eq!(
            refusal(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")),
            Some(HeadError::HostInvalid),
            "{host:?}"
        );
    }
    assert!(parse("GET / HTTP/1.0\r\n\r\n").is_ok());
    assert_eq!(refusal("GET / HTTP/1.0\r\nHost: a b\r\n\r\n"), Some(HeadError::HostInvalid));
}

#[test]
fn rfc9112_3_2_2_the_authority_of_the_target_wins_over_host() {
    let text = "GET HTTP://B.test:81/x?y HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let head = parse(text).unwrap();
    assert_eq!((head.host().name(), head.host().port()), ("b.test", Some(81)));
    assert_eq!(head.authority(text.as_bytes()), b"B.test:81");
    assert_eq!(head.path_and_query(text.as_bytes()), b"/x?y");
    assert_eq!(refusal("GET http://b.test/ HTTP/1.1\r\n\r\n"), Some(HeadError::HostMissing));
    assert_eq!(refusal("GET http://b.test/ HTTP/1.1\r\nHost: a b\r\n\r\n"), Some(HeadError::HostInvalid));
}

#[test]
fn targets_without_a_path_get_one() {
    for (method, target, origin_form) in [
        ("GET", "http://b.test", "/"),
        ("OPTIONS", "http://b.test", "*"),
        ("OPTIONS", "*", "*"),
        ("OPTIONS", "/x", "/x"),
    ] {
        let text = format!("{method} {target} HTTP/1.1\r\nHost: b.test\r\n\r\n");
        let head = parse(&text).unwrap();
        assert_eq!(head.path_and_query(text.as_bytes()), origin_form.as_bytes(), "{method} {target}");
        let mut scratch = Vec::new();
        let routed = head.normalised_path(text.as_bytes(), &mut scratch).unwrap();
        assert_eq!(routed, if target == "/x" { b"/x".as_slice() } else { b"/" });
    }
}

#[test]
fn rfc9112_6_a_body_has_exactly_one_framing() {
    for (lines, error) in [
        ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", HeadError::LengthAndEncoding),
        ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", HeadError::LengthAndEncoding),
        ("Content-Length: 3\r\nContent-Length: 3\r\n", HeadError::LengthDuplicate),
        ("Content-Length: 3\r\nContent-Length: 4\r\n", HeadError::LengthDuplicate),
        ("Content-Length: 3, 3\r\n", HeadError::LengthInvalid),
        ("Content-Length:\r\n", HeadError::LengthInvalid),
        ("Content-Length: +3\r\n", HeadError::LengthInvalid),
        ("Content-Length: 3 3\r\n", HeadError::LengthInvalid),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", HeadError::Encoding),
        ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", HeadError::EncodingUnsupported),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", HeadError::Encoding),
        ("Transfer-Encoding: chunked, chunked\r\n", HeadError::Encoding),
        ("Transfer-Encoding: chunked, identity\r\n", HeadError::Encoding),
        ("Transfer-Encoding: gzip, chunked\r\n", HeadError::EncodingUnsupported),
        ("Transfer-Encoding: \u{a0}chunked\r\n", HeadError::Encoding),
        ("Transfer-Encoding:\r\n", HeadError::Encoding),
    ] {
        assert_eq!(refusal(get(lines)), Some(error), "{lines:?}");
    }
    for (lines, framing) in [
        ("", BodyFraming::None),
        ("Content-Length: 0\r\n", BodyFraming::Length(0)),
        ("content-length:7 \t\r\n", BodyFraming::Length(7)),
        ("TRANSFER-ENCODING:\t CHUNKED\r\n", BodyFraming::Chunked),
        // Neither of them: names that only look like framing are ordinary fields, and are dropped on the way.
        ("Content_Length: 7\r\n", BodyFraming::None),
    ] {
        assert_eq!(parse(get(lines)).map(|head| head.framing), Ok(framing), "{lines:?}");
    }
    let http10 = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(refusal(http10), Some(HeadError::EncodingVersion));
}

#[test]
fn rfc9110_10_1_1_continue_is_expected_only_with_a_body_in_1_1() {
    let expects = |text: &str| parse(text).map(|head| head.expect_continue);
    assert_eq!(expects(&get("Expect: 100-Continue\r\nContent-Length: 1\r\n")), Ok(true));
    assert_eq!(expects(&get("Expect: 100-continue\r\n")), Ok(false));
    assert_eq!(expects(&get("Expect: something\r\nContent-Length: 1\r\n")), Ok(false));
    assert_eq!(expects("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"), Ok(false));
}

#[test]
fn an_upgrade_is_one_only_when_connection_names_it() {
    let upgrade = |lines: &str| {
        let text = get(lines);
        parse(&text).unwrap().upgrade(text.as_bytes()).map(<[u8]>::to_vec)
    };
    assert_eq!(upgrade("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"), Some(b"websocket".to_vec()));
    for lines in [
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\n",
        "Connection: upgrade\r\nUpgrade: h2c\r\n",
        "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n",
    ] {
        assert_eq!(upgrade(lines), None, "{lines:?}");
    }
}

#[test]
fn limits_hold_at_the_limit_and_refuse_one_past_it() {
    let limits = HeadLimits { line_bytes_max: 60, head_bytes_max: 200, fields_max: 4 };
    let outcome = |text: &str| RequestHead::default().parse(text.as_bytes(), &limits);
    let complete = Ok(Progress::Complete);

    let request_line = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(bytes - 14));
    assert_eq!(outcome(&request_line(60)), complete);
    assert_eq!(outcome(&request_line(61)), Err(HeadError::RequestLineTooLong));
    assert_eq!(outcome(&request_line(62)[..61]), Err(HeadError::RequestLineTooLong), "before the line ends");
    assert_eq!(outcome(&request_line(60)[..61]), Ok(Progress::Partial), "the CR does not count");
    assert_eq!(outcome(&format!("\r\n{}", request_line(61))), Err(HeadError::RequestLineTooLong));

    let field_line = |bytes: usize| get(&format!("A: {}\r\n", "x".repeat(bytes - 3)));
    assert_eq!(outcome(&field_line(60)), complete);
    assert_eq!(outcome(&field_line(61)), Err(HeadError::FieldTooLong));

    assert_eq!(outcome(&get("A: b\r\nC: d\r\nE: f\r\n")), complete);
    assert_eq!(outcome(&get("A: b\r\nC: d\r\nE: f\r\nG: h\r\n")), Err(HeadError::TooManyFields));

    let head = |bytes: usize| {
        let line = format!("A: {}\r\n", "x".repeat(55));
        let rest = bytes - get("").len() - 2 * line.len();
        get(&format!("{line}{line}B: {}\r\n", "x".repeat(rest - 5)))
    };
    assert_eq!((head(200).len(), outcome(&head(200))), (200, complete));
    assert_eq!(outcome(&head(201)), Err(HeadError::HeadTooLarge));
}

#[test]
fn ordinary_sizes_pass_the_default_limits() {
    let limits = HeadLimits::default();
    let text = format!("GET /{} HTTP/1.1\r\nHost: a\r\nCookie: {}\r\n\r\n", "x".repeat(8000 - 14), "c".repeat(4096));
    assert_eq!(RequestHead::default().parse(text.as_bytes(), &limits), Ok(Progress::Complete));
}

#[test]
fn connection_marks_the_fields_it_names_but_not_the_protected_ones() {
    let text = get("Connection: x-a, HOST, authorization, x-forwarded-for, content-length\r\nX-A: 1\r\nX-B: 2\r\n\
                    Authorization: z\r\nX-Forwarded-For: q\r\nContent-Length: 0\r\n");
    let head = parse(&text).unwrap();
    let nominated: Vec<_> =
        head.fields().iter().filter(|field| field.is_nominated()).map(|field| field.name.of(text.as_bytes())).collect();
    assert_eq!(nominated, [b"X-A"]);
    assert_eq!(head.framing, BodyFraming::Length(0));
}
