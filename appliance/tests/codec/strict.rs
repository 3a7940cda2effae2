//! A second reader of HTTP/1 heads, written apart from the codec and as simple as can be: split at CRLF, compare, refuse.
//! What the proxy writes must be exactly one message to it.

use std::collections::BTreeMap;

/// A head as this reader understands it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StrictHead {
    /// The start line.
    pub(crate) start: Vec<u8>,
    /// Names as written, values as written.
    pub(crate) fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes of the head.
    pub(crate) length: usize,
}

/// How the body behind a head is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StrictBody {
    /// Nothing says so.
    Undeclared,
    /// Content-Length.
    Length(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
}

const TOKEN_MARKS: &[u8] = b"!#$%&'*+-.^_`|~";

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || TOKEN_MARKS.contains(byte))
}

impl StrictHead {
    /// Reads the head at the start of `bytes`; the reason when it is not one.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").ok_or("no end of the head")?;
        let head = &bytes[..end];
        let text: Vec<&[u8]> = split_lines(head);
        for line in &text {
            if line.iter().any(|&byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f) {
                return Err(format!("control character in {:?}", String::from_utf8_lossy(line)));
            }
        }
        let (start, lines) = text.split_first().ok_or("no start line")?;
        let mut fields = Vec::new();
        for line in lines {
            let colon = line.iter().position(|&byte| byte == b':').ok_or("no colon")?;
            let (name, rest) = (&line[..colon], &line[colon + 1..]);
            if !is_token(name) {
                return Err(format!("name {:?}", String::from_utf8_lossy(name)));
            }
            let value = rest.strip_prefix(b" ").ok_or("no blank behind the colon")?;
            if value.first().is_some_and(u8::is_ascii_whitespace) || value.last().is_some_and(u8::is_ascii_whitespace) {
                return Err(format!("white space round {:?}", String::from_utf8_lossy(value)));
            }
            fields.push((name.to_vec(), value.to_vec()));
        }
        Ok(Self { start: start.to_vec(), fields, length: end + 4 })
    }

    /// Values of all fields of that name.
    pub(crate) fn all(&self, name: &str) -> Vec<&[u8]> {
        let is_it = |field: &&(Vec<u8>, Vec<u8>)| field.0.eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(is_it).map(|(_, value)| value.as_slice()).collect()
    }

    /// The one framing; the reason when it is not one.
    pub(crate) fn body(&self) -> Result<StrictBody, String> {
        match (self.all("Content-Length").as_slice(), self.all("Transfer-Encoding").as_slice()) {
            ([], []) => Ok(StrictBody::Undeclared),
            ([], [b"chunked"]) => Ok(StrictBody::Chunked),
            ([digits], []) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
                let text = std::str::from_utf8(digits).map_err(|error| error.to_string())?;
                text.parse().map(StrictBody::Length).map_err(|error| error.to_string())
            }
            (lengths, encodings) => Err(format!("framing {lengths:?} {encodings:?}")),
        }
    }

    /// How often each name occurs, in lower case.
    pub(crate) fn names(&self) -> BTreeMap<Vec<u8>, usize> {
        let mut names = BTreeMap::new();
        for (name, _) in &self.fields {
            *names.entry(name.to_ascii_lowercase()).or_default() += 1;
        }
        names
    }
}

fn split_lines(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        lines.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    lines.push(rest);
    lines
}

/// Reads a whole chunked body without extensions: the data and its length in bytes, `None` when it is none.
pub(crate) fn read_chunked(body: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut data = Vec::new();
    let mut at = 0;
    loop {
        let line_end = at + body[at..].windows(2).position(|window| window == b"\r\n")?;
        let digits = std::str::from_utf8(&body[at..line_end]).ok()?;
        let size = u64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))? as usize;
        at = line_end + 2;
        if size == 0 {
            return body[at..].starts_with(b"\r\n").then_some((data, at + 2));
        }
        data.extend_from_slice(body.get(at..at.checked_add(size)?)?);
        at += size;
        if !body[at..].starts_with(b"\r\n") {
            return None;
        }
        at += 2;
    }
}
