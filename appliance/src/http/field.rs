//! Fields: how a line is read, and how lines that pass are written again.

mod changes;
mod id;

pub use self::changes::Changes;
pub(super) use self::id::NEVER_RELAYED;
pub use self::id::{FieldId, FieldSet};
use self::id::{NOT_NOMINABLE, lower_start};

use super::head::{HeadError, Span};
use super::lanes::{LANES, Lanes, block};
use super::scan::is_control;

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

/// Values of all fields of a name that the proxy may not know, in order.
pub(super) fn named<'b>(fields: &[Field], buf: &'b [u8], name: &str) -> impl Iterator<Item = &'b [u8]> {
    let is_same = move |field: &&Field| field.name.of(buf).eq_ignore_ascii_case(name.as_bytes());
    fields.iter().filter(is_same).map(|field| field.value.of(buf))
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
    // Nearly always they are: all are looked at, without a branch for each.
    !bytes.is_empty() && bytes.iter().fold(true, |is, &byte| is & is_token_character(byte))
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
    write_mended(out, |out| out.extend_from_slice(value));
}

/// Appends what `value` appends, control characters become blanks.
fn write_mended(out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    value(out);
    // Nearly always there is nothing to mend.
    if out[start..].iter().fold(false, |found, &byte| found | is_control(byte)) {
        out[start..].iter_mut().filter(|byte| is_control(**byte)).for_each(|byte| *byte = b' ');
    }
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
