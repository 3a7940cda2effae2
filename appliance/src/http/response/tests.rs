use super::*;

const PLAIN: Asked = Asked { head: false, upgrade: false };
const HEAD: Asked = Asked { head: true, upgrade: false };

fn parse(text: impl AsRef<[u8]>, asked: Asked) -> Result<ResponseHead, HeadError> {
    let mut head = ResponseHead::default();
    match head.parse(text.as_ref(), &HeadLimits::default(), asked)? {
        Progress::Complete => Ok(head),
        Progress::Partial => panic!("not complete: {:?}", String::from_utf8_lossy(text.as_ref())),
    }
}

fn of_status(status: u16, lines: &str) -> String {
    format!("HTTP/1.1 {status} x\r\n{lines}\r\n")
}

fn body(status: u16, lines: &str, asked: Asked) -> Result<ResponseBody, HeadError> {
    parse(of_status(status, lines), asked).map(|head| head.body)
}

#[test]
fn a_plain_response_is_taken_apart() {
    let text = b"HTTP/1.1 200 All is well\r\nContent-Length: 2\r\nA: b\r\n\r\nhi";
    let head = parse(text, PLAIN).unwrap();
    assert_eq!((head.status, head.version, head.reason(text)), (200, Version::Http11, b"All is well".as_slice()));
    assert_eq!((head.body, head.content_length, head.keep_alive), (ResponseBody::Length(2), Some(2), true));
    assert_eq!(&text[head.consumed..], b"hi");
}

#[test]
fn rfc9112_4_status_lines() {
    for line in ["HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.1 200 OK", "HTTP/1.0 299 \u{e4}", "HTTP/1.1 999 x"] {
        assert!(parse(format!("{line}\r\n\r\n"), PLAIN).is_ok(), "{line:?}");
    }
    for line in [
        "",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 20",
        "HTTP/1.1 2000 x",
        "HTTP/1.1 200x",
        "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK",
        "HTTP/1.1 099 x",
        "HTTP/1.1 +20 x",
        "HTTP/2 200 OK",
        "HTTP/2.0 200 OK",
        "http/1.1 200 OK",
        " HTTP/1.1 200 OK",
        "ICY 200 OK",
        "HTTP/1.2 200 OK",
        "200 OK",
        "SSH-2.0-OpenSSH_9",
    ] {
        assert_eq!(parse(format!("{line}\r\n\r\n"), PLAIN).err(), Some(HeadError::StatusLine), "{line:?}");
    }
}

#[test]
fn rfc9112_6_3_framing_follows_request_and_status() {
    let length = "Content-Length: 5\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    assert_eq!(body(200, length, PLAIN), Ok(ResponseBody::Length(5)));
    assert_eq!(body(200, chunked, PLAIN), Ok(ResponseBody::Chunked));
    assert_eq!(body(200, "", PLAIN), Ok(ResponseBody::UntilClose));
    for lines in [length, chunked, ""] {
        assert_eq!(body(200, lines, HEAD), Ok(ResponseBody::None));
        for status in [100, 103, 204, 304] {
            assert_eq!(body(status, lines, PLAIN), Ok(ResponseBody::None), "{status} {lines:?}");
        }
    }
    assert_eq!(parse(of_status(200, length), HEAD).unwrap().content_length, Some(5));
    assert_eq!(parse(of_status(304, length), PLAIN).unwrap().content_length, Some(5));
}

#[test]
fn conflicting_or_invalid_framing_is_refused() {
    for (lines, error) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", HeadError::LengthAndEncoding),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", HeadError::LengthDuplicate),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", HeadError::LengthDuplicate),
        ("Content-Length: 5,5\r\n", HeadError::LengthInvalid),
        ("Content-Length: -5\r\n", HeadError::LengthInvalid),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", HeadError::Encoding),
        ("Transfer-Encoding: chunked, gzip\r\n", HeadError::Encoding),
        ("Transfer-Encoding: gzip, chunked\r\n", HeadError::EncodingUnsupported),
        ("A: b\r\n c\r\n", HeadError::FieldFold),
        ("A : b\r\n", HeadError::FieldName),
        ("A\r\n", HeadError::FieldLine),
        ("A: b\nB: c\r\n", HeadError::LineEnd),
        ("A: b\rc\r\n", HeadError::LineEnd),
        ("A: \0\r\n", HeadError::ControlCharacter),
    ] {
        assert_eq!(body(200, lines, PLAIN), Err(error), "{lines:?}");
    }
    let http10 = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(parse(http10, PLAIN).err(), Some(HeadError::EncodingVersion));
}

#[test]
fn a_101_counts_only_when_it_was_asked_for() {
    let text = of_status(101, "Upgrade: websocket\r\nConnection: Upgrade\r\n");
    assert_eq!(parse(&text, PLAIN).err(), Some(HeadError::UpgradeUnasked));
    let head = parse(&text, Asked { upgrade: true, ..PLAIN }).unwrap();
    assert!(!head.is_interim());
    assert_eq!(head.find(text.as_bytes(), FieldId::Upgrade), Some(b"websocket".as_slice()));
}

#[test]
fn interim_responses_are_told_apart_and_the_final_one_follows() {
    let text = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let mut head = ResponseHead::default();
    let limits = HeadLimits::default();
    assert_eq!(head.parse(text, &limits, PLAIN), Ok(Progress::Complete));
    assert!(head.is_interim());
    let rest = &text[head.consumed..];
    assert_eq!(head.parse(rest, &limits, PLAIN), Ok(Progress::Complete));
    assert_eq!((head.status, head.is_interim(), head.body), (200, false, ResponseBody::Length(0)));
}

#[test]
fn the_connection_lives_on_only_when_both_version_and_fields_say_so() {
    let keeps = |text: &str| parse(text, PLAIN).unwrap().keep_alive;
    assert!(keeps("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    assert!(!keeps("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
    assert!(!keeps("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
    assert!(keeps("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"));
    assert!(!keeps("HTTP/1.1 200 OK\r\n\r\n"), "the close ends the body");
}

#[test]
fn a_head_may_arrive_split_anywhere() {
    let text = b"HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n";
    let whole = parse(text, PLAIN).unwrap();
    for split in 0..whole.consumed {
        let mut head = ResponseHead::default();
        assert_eq!(head.parse(&text[..split], &HeadLimits::default(), PLAIN), Ok(Progress::Partial), "{split}");
        assert_eq!(head.parse(text, &HeadLimits::default(), PLAIN), Ok(Progress::Complete), "{split}");
        assert_eq!((head.consumed, head.body, head.fields().len()), (whole.consumed, ResponseBody::Chunked, 2));
    }
}

#[test]
fn size_and_number_of_fields_are_bounded() {
    let limits = HeadLimits { line_bytes_max: 40, head_bytes_max: 120, fields_max: 3 };
    let outcome = |lines: &str| ResponseHead::default().parse(of_status(200, lines).as_bytes(), &limits, PLAIN);
    assert_eq!(outcome("A: 1\r\nB: 2\r\nC: 3\r\n"), Ok(Progress::Complete));
    assert_eq!(outcome("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n"), Err(HeadError::TooManyFields));
    assert_eq!(outcome(&format!("A: {}\r\n", "x".repeat(38))), Err(HeadError::FieldTooLong));
    let line = format!("A: {}\r\n", "x".repeat(35));
    assert_eq!(outcome(&format!("{line}{line}{line}")), Err(HeadError::HeadTooLarge));
}
