use super::*;

/// Decodes `body` in pieces of `piece` bytes: the data, and how many bytes the body took if it is complete.
fn decode(body: &[u8], piece: usize) -> Result<(Vec<u8>, Option<usize>), ChunkError> {
    let mut decoder = ChunkDecoder::default();
    let mut data = Vec::new();
    let mut taken = 0;
    for piece in body.chunks(piece) {
        let mut rest = piece;
        while !rest.is_empty() && !decoder.is_complete() {
            let step = decoder.decode(rest)?;
            assert!(step.consumed > 0, "a call gets on");
            data.extend_from_slice(&rest[step.data.clone()]);
            taken += step.consumed;
            rest = &rest[step.consumed..];
        }
    }
    Ok((data, decoder.is_complete().then_some(taken)))
}

fn refusal(body: &str) -> Option<ChunkError> {
    let whole = decode(body.as_bytes(), usize::MAX).err();
    assert_eq!(decode(body.as_bytes(), 1).err(), whole, "byte by byte: {body:?}");
    whole
}

#[test]
fn data_comes_out_however_the_body_is_split() {
    let body = b"5;a=b;c=\"d \\\" e\"\r\nhello\r\n1\r\n \r\n00000A\r\n0123456789\r\n0\r\nX-Trailer: y\r\n\r\nGET /";
    for piece in 1..=body.len() {
        let (data, taken) = decode(body, piece).unwrap();
        assert_eq!(data, b"hello 0123456789", "{piece}");
        assert_eq!(taken, Some(body.len() - 5), "what follows is left alone ({piece})");
    }
}

#[test]
fn a_body_that_stops_early_is_not_complete() {
    let body = b"5\r\nhello\r\n0\r\n\r\n";
    for length in 0..body.len() {
        let (_, taken) = decode(&body[..length], 3).unwrap();
        assert_eq!(taken, None, "{length}");
    }
}

#[test]
fn data_is_a_span_of_the_input() {
    let mut decoder = ChunkDecoder::default();
    let step = decoder.decode(b"3\r\nabc\r\n2\r\nde").unwrap();
    assert_eq!(step, Step { consumed: 11, data: 3..6, complete: false });
    let step = decoder.decode(b"de").unwrap();
    assert_eq!(step, Step { consumed: 2, data: 0..2, complete: false });
    assert_eq!(decoder.decode(b"\r\n0\r\n\r\n").unwrap(), Step { consumed: 7, data: 0..0, complete: true });
}

#[test]
fn rfc9112_7_1_sizes_are_plain_hex_that_fits() {
    for body in [
        "\r\n",
        "+1\r\na",
        "-1\r\na",
        " 1\r\na",
        "1 \r\na",
        "0x1\r\na",
        "1g\r\na",
        "g\r\n",
        ";a\r\n",
        "1\u{b}\r\n",
        "1_0\r\n",
        "\"1\"\r\n",
        "8000000000000000\r\n",
        "FFFFFFFFFFFFFFFF\r\n",
        "10000000000000000\r\n",
        "00000000000000001\r\n",
        "1,1\r\n",
    ] {
        assert_eq!(refusal(body), Some(ChunkError::Size), "{body:?}");
    }
    assert_eq!(refusal("7fffffffffffffff\r\n"), None);
    assert_eq!(refusal("0000000000000001\r\na\r\n"), None);
}

#[test]
fn every_line_ends_with_crlf() {
    for body in [
        "1\na\r\n",
        "1\r a",
        "1\r\nab\r\n",
        "1\r\na\n0\r\n\r\n",
        "1\r\na\r0",
        "1\r\naXX",
        "1;a\na",
        "0\r\n\n",
        "0\r\n\rx",
        "0\r\nA: b\n\r\n",
        "0\r\nA: b\rx",
        "1;a\ra\r\n",
    ] {
        assert_eq!(refusal(body), Some(ChunkError::LineEnd), "{body:?}");
    }
}

#[test]
fn rfc9112_7_1_1_extensions_are_checked_and_bounded() {
    assert_eq!(refusal("1;a;b=c;d=\"e;\\\"\u{e4}\"; f\r\na\r\n0\r\n\r\n"), None);
    for body in ["1;a=\"b\r\na", "1;a=\"b\n\"\r\na", "1;\0\r\na", "1;a=\"\u{7f}\"\r\na", "1;a=\"\\\r\n", "1;(a)\r\na"] {
        assert_eq!(refusal(body), Some(ChunkError::Extension), "{body:?}");
    }
    let line = |length: usize| format!("1;{}\r\na\r\n", "x".repeat(length - 1));
    assert_eq!(refusal(&line(EXTENSION_LINE_BYTES_MAX as usize)), None, "the CR counts");
    assert_eq!(refusal(&line(EXTENSION_LINE_BYTES_MAX as usize + 1)), Some(ChunkError::Extension));
    let lines = (EXTENSION_BYTES_MAX / EXTENSION_LINE_BYTES_MAX) as usize;
    let many = line(EXTENSION_LINE_BYTES_MAX as usize).repeat(lines);
    assert_eq!(refusal(&many), None);
    assert_eq!(refusal(&format!("{many}{}", line(2))), Some(ChunkError::Extension));
}

#[test]
fn rfc9112_7_1_2_trailers_are_checked_bounded_and_dropped() {
    let (data, taken) = decode(b"0\r\nContent-Length: 5\r\nHost: evil\r\n\r\n", 1).unwrap();
    assert_eq!((data.len(), taken.is_some()), (0, true));
    for body in [
        "0\r\n a: b\r\n\r\n",
        "0\r\na : b\r\n\r\n",
        "0\r\nab\r\n\r\n",
        "0\r\n: b\r\n\r\n",
        "0\r\na: \0\r\n\r\n",
        "0\r\na: b\r\n c\r\n\r\n",
    ] {
        assert_eq!(refusal(body), Some(ChunkError::Trailer), "{body:?}");
    }
    let section = |bytes: usize| format!("0\r\nA: {}\r\n\r\n", "x".repeat(bytes));
    assert_eq!(refusal(&section(8000)), None);
    assert_eq!(refusal(&section(TRAILER_BYTES_MAX)), Some(ChunkError::Trailer));
}

#[test]
fn what_is_written_is_read_back() {
    for length in [1_usize, 15, 16, 17, 255, 256, 4096, 65_535] {
        let mut body = Vec::new();
        write_chunk_header(&mut body, length);
        assert_eq!(body, format!("{length:x}\r\n").as_bytes());
        body.resize(body.len() + length, b'x');
        body.extend_from_slice(CHUNK_END);
        body.extend_from_slice(LAST_CHUNK);
        assert_eq!(decode(&body, 7), Ok((vec![b'x'; length], Some(body.len()))));
    }
}

#[test]
fn an_empty_piece_does_not_end_the_body() {
    let mut out = Vec::new();
    write_chunk_header(&mut out, 0);
    assert!(out.is_empty());
}
