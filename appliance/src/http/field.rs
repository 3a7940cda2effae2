//! Fields: names that the proxy knows, how a line is read, and how lines that pass are written again.

use super::head::{HeadError, Span};
use super::lanes::{LANES, Lanes, block};
use super::scan::is_control;

/// A field whose name the proxy knows, found once while parsing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "each variant is the field of that name")]
pub enum FieldId {
    /// Any other name.
    #[default]
    Other,
    // Routing and framing.
    Host,
    ContentLength,
    TransferEncoding,
    // Hop by hop.
    Connection,
    KeepAlive,
    ProxyConnection,
    ProxyAuthenticate,
    ProxyAuthorization,
    Proxy,
    Te,
    Trailer,
    Upgrade,
    Http2Settings,
    Expect,
    // Written by the edge.
    XForwardedFor,
    XForwardedHost,
    XForwardedPort,
    XForwardedProto,
    XForwardedScheme,
    /// Any further name that starts with `X-Forwarded-`.
    XForwardedOther,
    XScheme,
    XRealIp,
    XRequestId,
    XOriginalForwardedFor,
    XOriginalForwardedHost,
    XOriginalUri,
    Forwarded,
    /// Any name that starts with `ssl-client-`.
    SslClient,
    // Read by policies and the access log.
    Authorization,
    Cookie,
    Accept,
    AcceptEncoding,
    Origin,
    Range,
    Referer,
    UserAgent,
    ContentType,
    ContentEncoding,
    CacheControl,
    // Of responses.
    Server,
    Date,
    SetCookie,
    Location,
    StrictTransportSecurity,
    /// Any name that starts with `X-Accel-`: orders of the upstream to the proxy.
    XAccel,
    Vary,
    Etag,
    WwwAuthenticate,
}

impl FieldId {
    /// The field of that name, whatever its case. `name` must be a token.
    pub fn of(name: &[u8]) -> Self {
        Self::of_start(name, lower_start(name))
    }

    /// As [`FieldId::of`]; `start` is the first eight bytes with bit 5 set, zero behind the end of a shorter name. Nearly
    /// all names are told apart by length and start.
    #[inline(always)]
    fn of_start(name: &[u8], start: u64) -> Self {
        /// The first name that is equal; all of an arm have the same length.
        macro_rules! one_of {
            ($($known:literal => $id:ident),+ $(,)?) => {{
                $(if start == const { start_of($known) } && is_rest(name, $known) { return Self::$id; })+
            }};
        }
        match name.len() {
            2 => one_of!(b"te" => Te),
            4 => one_of!(b"host" => Host, b"date" => Date, b"vary" => Vary, b"etag" => Etag),
            5 => one_of!(b"proxy" => Proxy, b"range" => Range),
            6 => one_of!(
                b"accept" => Accept, b"cookie" => Cookie, b"origin" => Origin, b"server" => Server, b"expect" => Expect,
            ),
            7 => one_of!(b"referer" => Referer, b"upgrade" => Upgrade, b"trailer" => Trailer),
            8 => one_of!(b"location" => Location, b"x-scheme" => XScheme),
            9 => one_of!(b"x-real-ip" => XRealIp, b"forwarded" => Forwarded),
            10 => one_of!(
                b"connection" => Connection, b"user-agent" => UserAgent, b"set-cookie" => SetCookie,
                b"keep-alive" => KeepAlive,
            ),
            12 => one_of!(b"content-type" => ContentType, b"x-request-id" => XRequestId),
            13 => one_of!(b"cache-control" => CacheControl, b"authorization" => Authorization),
            14 => one_of!(
                b"content-length" => ContentLength, b"x-original-uri" => XOriginalUri, b"http2-settings" => Http2Settings,
            ),
            15 => one_of!(b"accept-encoding" => AcceptEncoding, b"x-forwarded-for" => XForwardedFor),
            16 => one_of!(
                b"content-encoding" => ContentEncoding, b"x-forwarded-host" => XForwardedHost,
                b"x-forwarded-port" => XForwardedPort, b"proxy-connection" => ProxyConnection,
                b"www-authenticate" => WwwAuthenticate,
            ),
            17 => one_of!(b"transfer-encoding" => TransferEncoding, b"x-forwarded-proto" => XForwardedProto),
            18 => one_of!(b"x-forwarded-scheme" => XForwardedScheme, b"proxy-authenticate" => ProxyAuthenticate),
            19 => one_of!(b"proxy-authorization" => ProxyAuthorization),
            24 => one_of!(b"x-original-forwarded-for" => XOriginalForwardedFor),
            25 => one_of!(
                b"strict-transport-security" => StrictTransportSecurity,
                b"x-original-forwarded-host" => XOriginalForwardedHost,
            ),
            _ => {}
        }
        match start {
            X_FORWAR if starts_with(name, b"x-forwarded-") => Self::XForwardedOther,
            X_ACCEL if starts_with(name, b"x-accel-") => Self::XAccel,
            SSL_CLIE if starts_with(name, b"ssl-client-") => Self::SslClient,
            _ => Self::Other,
        }
    }
}

// Starts of the families of names that are known by their beginning.
const X_FORWAR: u64 = start_of(b"x-forwar");
const X_ACCEL: u64 = start_of(b"x-accel-");
const SSL_CLIE: u64 = start_of(b"ssl-clie");

/// The first eight bytes of a name in lower case.
const fn start_of(name: &[u8]) -> u64 {
    let mut start = [0; 8];
    let mut index = 0;
    while index < 8 && index < name.len() {
        start[index] = name[index];
        index += 1;
    }
    u64::from_le_bytes(start)
}

/// The first eight bytes of a name with bit 5 set.
fn lower_start(name: &[u8]) -> u64 {
    let mut start = [0; 8];
    for (lower, byte) in start.iter_mut().zip(name) {
        *lower = byte | 0x20;
    }
    u64::from_le_bytes(start)
}

/// Equal behind the first eight bytes, but for case. Among the characters of tokens, only letters and their capitals
/// become equal by setting bit 5 to a letter, and only `-` to `-`.
#[inline(always)]
fn is_rest<const N: usize>(name: &[u8], known: &[u8; N]) -> bool {
    let Ok(name) = <&[u8; N]>::try_from(name) else { return false };
    let mut difference = 0;
    for index in 8..N {
        difference |= (name[index] | 0x20) ^ known[index];
    }
    difference == 0
}

fn starts_with(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// A set of known fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldSet(u64);

impl FieldSet {
    /// The set of these fields.
    pub const fn of(ids: &[FieldId]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < ids.len() {
            bits |= 1 << ids[index] as u8;
            index += 1;
        }
        Self(bits)
    }

    /// Both sets together.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the field is in it.
    #[inline]
    pub const fn has(self, id: FieldId) -> bool {
        self.0 >> id as u8 & 1 == 1
    }

    /// Adds a field.
    #[inline]
    pub(super) fn insert(&mut self, id: FieldId) {
        self.0 |= 1 << id as u8;
    }
}

/// Fields that Connection cannot take away from a message: framing and routing, what the edge writes, and credentials,
/// whose loss could open a door behind the proxy.
pub(super) const NOT_NOMINABLE: FieldSet = FieldSet::of(&[
    FieldId::Host,
    FieldId::ContentLength,
    FieldId::TransferEncoding,
    FieldId::XForwardedFor,
    FieldId::XForwardedHost,
    FieldId::XForwardedPort,
    FieldId::XForwardedProto,
    FieldId::XForwardedScheme,
    FieldId::XForwardedOther,
    FieldId::XScheme,
    FieldId::XRealIp,
    FieldId::XRequestId,
    FieldId::XOriginalForwardedFor,
    FieldId::XOriginalForwardedHost,
    FieldId::XOriginalUri,
    FieldId::Forwarded,
    FieldId::SslClient,
    FieldId::Authorization,
    FieldId::Cookie,
    FieldId::Origin,
    FieldId::ContentType,
    FieldId::ContentEncoding,
    FieldId::CacheControl,
    FieldId::SetCookie,
    FieldId::Location,
    FieldId::StrictTransportSecurity,
    FieldId::WwwAuthenticate,
]);

/// One field line, as spans of the buffer that was parsed.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name as sent.
    pub name: Span,
    /// The value without white space around it.
    pub value: Span,
    /// Which field it is.
    pub id: FieldId,
    /// What was seen in passing.
    pub(super) marks: u8,
}

/// The name has an underscore.
const UNDERSCORE: u8 = 1 << 1;
/// The name has a token character other than letters, digits, `-` and `_`.
const UNUSUAL: u8 = 1 << 2;
/// Connection names the field.
const NOMINATED: u8 = 1 << 3;
/// The line is exactly name, colon, SP, value, CRLF, so that it can be written again as it stands.
const PLAIN_LINE: u8 = 1 << 4;

/// 0 for what is no token character; else 1, `UNDERSCORE` or `UNUSUAL`.
const NAME_CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => 1,
            b'_' => UNDERSCORE,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'.' | b'^' | b'`' | b'|' | b'~' => UNUSUAL,
            _ => 0,
        };
        byte += 1;
    }
    table
};

/// Whether `byte` may stand in a token (RFC 9110 5.6.2).
#[inline]
pub(super) fn is_token_character(byte: u8) -> bool {
    NAME_CLASS[usize::from(byte)] != 0
}

/// Whether these bytes are a token.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_character(byte))
}

/// The name of a field line.
struct Name {
    /// Its length: where the colon is.
    colon: usize,
    marks: u8,
    /// As [`FieldId::of_start`] wants it.
    start: u64,
}

/// The name when it is letters, digits and `-` only, read sixteen bytes at a time. `None` when it is not, and near the
/// end of the buffer.
#[inline(always)]
fn ordinary_name(buf: &[u8], line: Span) -> Option<Name> {
    let first = block(buf, line.start as usize)?;
    let mut colon = Lanes::name_characters(first).leading();
    if colon == LANES {
        colon = long_ordinary_name(buf, line)?;
    } else if first[colon] != b':' {
        return None;
    }
    let start = u128::from_le_bytes(*first) as u64 | u64::from_ne_bytes([0x20; 8]);
    let start = if colon < 8 { start & ((1 << (8 * colon)) - 1) } else { start };
    (colon > 0 && colon < line.len()).then_some(Name { colon, marks: 0, start })
}

/// Where the colon is behind a name of more than fifteen characters.
fn long_ordinary_name(buf: &[u8], line: Span) -> Option<usize> {
    let mut at = LANES;
    loop {
        let bytes = block(buf, line.start as usize + at)?;
        let leading = Lanes::name_characters(bytes).leading();
        if leading < LANES {
            return (bytes[leading] == b':').then_some(at + leading);
        }
        at += LANES;
    }
}

/// The name whatever it is made of.
#[cold]
fn any_name(line: &[u8]) -> Result<Name, HeadError> {
    let mut marks = 0;
    let colon = line.iter().position(|&byte| {
        let class = NAME_CLASS[usize::from(byte)];
        marks |= class;
        class == 0
    });
    match colon {
        Some(colon) if colon > 0 && line[colon] == b':' => {
            Ok(Name { colon, marks, start: lower_start(&line[..colon]) })
        }
        _ => Err(Field::refusal(line)),
    }
}

#[inline]
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[inline]
fn begins_or_ends_blank(value: &[u8]) -> bool {
    matches!((value.first(), value.last()), (Some(b' ' | b'\t'), _) | (_, Some(b' ' | b'\t')))
}

impl Field {
    /// Reads one line, its CRLF cut off.
    #[inline(always)]
    pub(super) fn parse(buf: &[u8], line: Span) -> Result<Self, HeadError> {
        let bytes = line.of(buf);
        let Name { colon, mut marks, start } = match ordinary_name(buf, line) {
            Some(name) => name,
            None => any_name(bytes)?,
        };
        let id = FieldId::of_start(&bytes[..colon], start);
        let at = |offset: usize| line.start + offset as u32;
        let value = match &bytes[colon + 1..] {
            [b' ', value @ ..] if !begins_or_ends_blank(value) => {
                marks |= PLAIN_LINE;
                Span { start: at(colon + 2), end: line.end }
            }
            padded => {
                let value_start = padded.iter().position(|byte| !is_blank(*byte)).unwrap_or(padded.len());
                let value_end = padded.iter().rposition(|byte| !is_blank(*byte)).map_or(value_start, |last| last + 1);
                Span { start: at(colon + 1 + value_start), end: at(colon + 1 + value_end) }
            }
        };
        Ok(Self { name: Span { start: line.start, end: at(colon) }, value, id, marks })
    }

    fn refusal(line: &[u8]) -> HeadError {
        match line {
            [b' ' | b'\t', ..] => HeadError::FieldFold,
            [b':', ..] => HeadError::FieldLine,
            _ if !line.contains(&b':') => HeadError::FieldLine,
            _ => HeadError::FieldName,
        }
    }

    /// Whether the name has an underscore.
    pub fn has_underscore(&self) -> bool {
        self.marks & UNDERSCORE != 0
    }

    /// Whether the name has a character that is neither letter, digit, `-` nor `_`.
    pub fn has_unusual_name(&self) -> bool {
        self.marks & UNUSUAL != 0
    }

    /// Whether Connection names the field.
    pub fn is_nominated(&self) -> bool {
        self.marks & NOMINATED != 0
    }

    pub(super) fn nominate(&mut self) {
        if !NOT_NOMINABLE.has(self.id) {
            self.marks |= NOMINATED;
        }
    }

    /// Whether nothing about the name asks for a closer look.
    #[inline]
    pub(super) fn is_ordinary(&self) -> bool {
        self.marks & (UNDERSCORE | UNUSUAL | NOMINATED) == 0
    }
}

/// Appends the lines of the fields that `passes` picks. Neighbours whose lines are in plain form are copied in one piece:
/// each of those lines was read as name, `: `, value, CRLF and would be written as the same bytes.
#[inline]
pub(super) fn write_passing(out: &mut Vec<u8>, buf: &[u8], fields: &[Field], mut passes: impl FnMut(&Field) -> bool) {
    let mut run = Span::default();
    for field in fields {
        if !passes(field) {
            continue;
        }
        if field.marks & PLAIN_LINE != 0 {
            let line_end = field.value.end + 2;
            if field.name.start != run.end {
                out.extend_from_slice(run.of(buf));
                run.start = field.name.start;
            }
            run.end = line_end;
        } else {
            out.extend_from_slice(run.of(buf));
            run = Span::default();
            write_line(out, field.name.of(buf), field.value.of(buf));
        }
    }
    out.extend_from_slice(run.of(buf));
}

/// Appends one field line of parts that were parsed.
#[inline]
pub(super) fn write_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// A field to write: name and value.
pub type NewField<'a> = (&'a [u8], &'a [u8]);

/// Appends fields that come from configuration or other services: a name that is no token is left out, control
/// characters in values become blanks, so that nothing written here can end the line.
pub(super) fn write_new(out: &mut Vec<u8>, fields: &[NewField<'_>]) {
    for &(name, value) in fields {
        if is_token(name) {
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            write_value(out, value);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Appends a value that was not parsed by this codec.
pub(super) fn write_value(out: &mut Vec<u8>, value: &[u8]) {
    out.extend(value.iter().map(|&byte| if is_control(byte) { b' ' } else { byte }));
}

/// Whether one of `names` is `name`, whatever the case.
pub(super) fn is_listed<'a>(names: impl IntoIterator<Item = &'a [u8]>, name: &[u8]) -> bool {
    names.into_iter().any(|listed| listed.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<(String, String, Field), HeadError> {
        let field = Field::parse(line.as_bytes(), Span { start: 0, end: line.len() as u32 })?;
        let text = |span: Span| String::from_utf8_lossy(span.of(line.as_bytes())).into_owned();
        Ok((text(field.name), text(field.value), field))
    }

    #[test]
    fn known_names_are_found_in_any_case() {
        for (name, id) in [
            ("Host", FieldId::Host),
            ("CONTENT-LENGTH", FieldId::ContentLength),
            ("transfer-Encoding", FieldId::TransferEncoding),
            ("X-Original-Forwarded-For", FieldId::XOriginalForwardedFor),
            ("x-original-forwarded-host", FieldId::XOriginalForwardedHost),
            ("Strict-Transport-Security", FieldId::StrictTransportSecurity),
            ("X-Forwarded-Prefix", FieldId::XForwardedOther),
            ("SSL-Client-Verify", FieldId::SslClient),
            ("X-Accel-Redirect", FieldId::XAccel),
            ("TE", FieldId::Te),
        ] {
            assert_eq!(FieldId::of(name.as_bytes()), id, "{name}");
        }
    }

    #[test]
    fn names_that_differ_in_one_character_are_not_known() {
        for name in ["Hosts", "Hos~", "Content_Length", "X-Forwarded", "X-Forwarded-", "Transfer-Encodin", "H0st"] {
            let id = FieldId::of(name.as_bytes());
            assert!(matches!(id, FieldId::Other | FieldId::XForwardedOther), "{name}: {id:?}");
        }
    }

    #[test]
    fn reading_a_block_at_a_time_finds_the_same_name() {
        for length in 1..35 {
            for place in 0..length {
                for byte in 0..=255_u8 {
                    let mut line = b"Content-Encoding-Xz9-abcdefghijklmnop"[..length].to_vec();
                    line[place] = byte;
                    line.extend_from_slice(b": value\r\n and some more");
                    let span = Span { start: 0, end: length as u32 + 7 };
                    let slow = any_name(span.of(&line)).ok();
                    let fast = ordinary_name(&line, span);
                    let ordinary = slow.as_ref().is_some_and(|name| name.marks & (UNDERSCORE | UNUSUAL) == 0);
                    assert_eq!(fast.is_some(), ordinary, "{byte:#x} at {place} of {length}");
                    if let (Some(fast), Some(slow)) = (fast, slow) {
                        assert_eq!((fast.colon, fast.start), (slow.colon, slow.start));
                    }
                }
            }
        }
    }

    #[test]
    fn white_space_round_the_value_is_no_part_of_it() {
        let (name, value, _) = parse("A: \t b c \t").unwrap();
        assert_eq!((name.as_str(), value.as_str()), ("A", "b c"));
        assert_eq!(parse("A:").unwrap().1, "");
        assert_eq!(parse("A:  ").unwrap().1, "");
    }

    #[test]
    fn lines_that_are_no_field_are_refused() {
        for (line, error) in [
            (" a: b", HeadError::FieldFold),
            ("\ta: b", HeadError::FieldFold),
            (": b", HeadError::FieldLine),
            ("ab", HeadError::FieldLine),
            ("a : b", HeadError::FieldName),
            ("a b: c", HeadError::FieldName),
            ("a\u{b}: c", HeadError::FieldName),
            ("ä: c", HeadError::FieldName),
            ("a(b): c", HeadError::FieldName),
        ] {
            assert_eq!(parse(line).map(|_| ()), Err(error), "{line:?}");
        }
    }

    #[test]
    fn configured_fields_cannot_end_their_line() {
        let mut out = Vec::new();
        write_new(&mut out, &[(b"A", b"b\r\nEvil: 1\0"), (b"B\r\nC", b"d")]);
        assert_eq!(out, b"A: b  Evil: 1 \r\n");
    }
}
