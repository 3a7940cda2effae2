//! How long a body is: exactly one reading, or a refusal (RFC 9112 6.3).

use super::field::is_token;
use super::head::{HeadError, Version};
use super::scan::elements;

/// Body of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyFraming {
    /// There is none.
    #[default]
    None,
    /// So many bytes (`Content-Length`, zero included).
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// Body of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseBody {
    /// There is none, whatever the fields say (HEAD, 1xx, 204, 304).
    #[default]
    None,
    /// So many bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Everything until the upstream closes.
    UntilClose,
}

/// What a head says of its body. Each of the two fields at most once, never both.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Declared {
    /// Content-Length.
    pub(super) length: Option<u64>,
    /// Transfer-Encoding: chunked.
    pub(super) chunked: bool,
}

impl Declared {
    /// A Content-Length line. Duplicates are refused even when they are equal.
    pub(super) fn add_length(&mut self, value: &[u8]) -> Result<(), HeadError> {
        if self.length.is_some() {
            return Err(HeadError::LengthDuplicate);
        }
        self.length = Some(parse_length(value).ok_or(HeadError::LengthInvalid)?);
        Ok(())
    }

    /// A Transfer-Encoding line.
    pub(super) fn add_encoding(&mut self, value: &[u8]) -> Result<(), HeadError> {
        if self.chunked {
            return Err(HeadError::Encoding);
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(refusal_of_encoding(value));
        }
        self.chunked = true;
        Ok(())
    }

    /// What holds once all lines are known.
    pub(super) fn check(self, version: Version) -> Result<Self, HeadError> {
        if self.chunked && self.length.is_some() {
            return Err(HeadError::LengthAndEncoding);
        }
        if self.chunked && version == Version::Http10 {
            return Err(HeadError::EncodingVersion);
        }
        Ok(self)
    }

    pub(super) fn of_request(self) -> BodyFraming {
        match (self.chunked, self.length) {
            (true, _) => BodyFraming::Chunked,
            (false, Some(length)) => BodyFraming::Length(length),
            (false, None) => BodyFraming::None,
        }
    }

    pub(super) fn of_response(self) -> ResponseBody {
        match (self.chunked, self.length) {
            (true, _) => ResponseBody::Chunked,
            (false, Some(length)) => ResponseBody::Length(length),
            (false, None) => ResponseBody::UntilClose,
        }
    }
}

/// Digits without leading zeros (some read those as octal), up to what a signed 64-bit number holds.
fn parse_length(value: &[u8]) -> Option<u64> {
    let leading_zero = value.len() > 1 && value[0] == b'0';
    if value.is_empty() || value.len() > 19 || leading_zero {
        return None;
    }
    let mut length = 0_u64;
    for &byte in value {
        if !byte.is_ascii_digit() {
            return None;
        }
        length = length * 10 + u64::from(byte - b'0');
    }
    (length <= i64::MAX as u64).then_some(length)
}

/// Codings that are well formed but not served (501), or nonsense (400).
#[cold]
fn refusal_of_encoding(value: &[u8]) -> HeadError {
    let codings = || elements(value);
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let all_known_form = codings().all(is_token);
    let chunked_is_last_only =
        codings().filter(|coding| is_chunked(coding)).count() == 1 && codings().next_back().is_some_and(is_chunked);
    if all_known_form && (chunked_is_last_only || !codings().any(is_chunked)) {
        HeadError::EncodingUnsupported
    } else {
        HeadError::Encoding
    }
}

/// Appends `Content-Length: n` as a whole line.
#[inline]
pub(super) fn write_length_line(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"Content-Length: ");
    write_decimal(out, length);
    out.extend_from_slice(b"\r\n");
}

/// The only coding ever written.
pub(super) const CHUNKED_LINE: &[u8] = b"Transfer-Encoding: chunked\r\n";

/// Appends a number in decimal.
#[inline]
pub(crate) fn write_decimal(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(value: &str) -> Result<Option<u64>, HeadError> {
        let mut declared = Declared::default();
        declared.add_length(value.as_bytes())?;
        Ok(declared.length)
    }

    #[test]
    fn content_length_is_plain_digits_that_fit() {
        assert_eq!(length("0"), Ok(Some(0)));
        assert_eq!(length("9223372036854775807"), Ok(Some(i64::MAX as u64)));
        for bad in [
            "",
            "+3",
            "-0",
            "0x3",
            "3,3",
            "3, 3",
            "3 3",
            "3;",
            "003",
            "00",
            "1e3",
            "９",
            "\u{b}3",
            "3\u{a0}",
            "\"3\"",
            "9223372036854775808",
            "18446744073709551616",
            "99999999999999999999999",
        ] {
            assert_eq!(length(bad), Err(HeadError::LengthInvalid), "{bad:?}");
        }
    }

    #[test]
    fn duplicate_lengths_are_refused_even_when_equal() {
        let mut declared = Declared::default();
        declared.add_length(b"3").unwrap();
        assert_eq!(declared.add_length(b"3"), Err(HeadError::LengthDuplicate));
    }

    #[test]
    fn the_only_encoding_is_one_chunked() {
        let encoding = |value: &str| Declared::default().add_encoding(value.as_bytes());
        assert_eq!(encoding("chunked"), Ok(()));
        assert_eq!(encoding("ChUnKeD"), Ok(()));
        for unsupported in ["gzip, chunked", "identity", "xchunked", "gzip", "chunkedx"] {
            assert_eq!(encoding(unsupported), Err(HeadError::EncodingUnsupported), "{unsupported:?}");
        }
        for bad in [
            "",
            ",",
            "chunked, chunked",
            "chunked,",
            ",chunked",
            "chunked, gzip",
            "\"chunked\"",
            "chunked;q=1",
            "chunked\u{b}",
            "\u{c}chunked",
            "chunked\0",
            "\u{a0}chunked",
            "chun ked",
        ] {
            assert_eq!(encoding(bad), Err(HeadError::Encoding), "{bad:?}");
        }
        let mut twice = Declared::default();
        twice.add_encoding(b"chunked").unwrap();
        assert_eq!(twice.add_encoding(b"chunked"), Err(HeadError::Encoding));
    }

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 7, 10, 999, 18_446_744_073_709_551_615] {
            let mut out = Vec::new();
            write_decimal(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
