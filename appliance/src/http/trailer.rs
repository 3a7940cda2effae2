//! Trailer fields on their way to a client that takes them (RFC 9110 6.5).

use super::field::{FieldId, FieldSet, NEVER_RELAYED, is_listed};
use super::scan::trim;

/// What would change how a message is framed, routed or handled, were it merged into the head (RFC 9110 6.5.1).
const NEVER_PASSES: FieldSet = NEVER_RELAYED.with(FieldSet::of(&[
    FieldId::Host,
    FieldId::Date,
    FieldId::StrictTransportSecurity,
    FieldId::XAccel,
]));

/// The same, of the fields that the proxy does not know otherwise.
const NEVER_PASSES_EITHER: [&[u8]; 13] = [
    b"age",
    b"authorization",
    b"cache-control",
    b"content-encoding",
    b"content-range",
    b"content-type",
    b"expires",
    b"location",
    b"retry-after",
    b"set-cookie",
    b"vary",
    b"warning",
    b"www-authenticate",
];

/// The fields of a trailer section (whole lines, as the chunk decoder checked them) that pass.
pub(crate) fn passing(section: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    section.split(|&byte| byte == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r")?;
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
        let passes = !NEVER_PASSES.has(FieldId::of(name)) && !is_listed(NEVER_PASSES_EITHER, name);
        passes.then_some((name, value))
    })
}

/// Appends the last chunk, with the fields of `section` that pass.
pub(crate) fn write_last_chunk(out: &mut Vec<u8>, section: &[u8]) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in passing(section) {
        super::field::write_line(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_and_what_a_head_decides_never_pass() {
        let section =
            b"grpc-status: 0\r\nContent-Length: 5\r\nset-cookie: a=b\r\ntransfer-encoding:chunked\r\nX-Sum:  7 \r\n";
        let mut out = Vec::new();
        write_last_chunk(&mut out, section);
        assert_eq!(String::from_utf8_lossy(&out), "0\r\ngrpc-status: 0\r\nX-Sum: 7\r\n\r\n");
    }

    #[test]
    fn no_section_is_the_plain_last_chunk() {
        let mut out = Vec::new();
        write_last_chunk(&mut out, b"");
        assert_eq!(out, super::super::chunked::LAST_CHUNK);
    }
}
