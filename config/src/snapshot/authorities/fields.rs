//! DER, field by field: nothing is passed over, and nothing may be left.

use rustls_pki_types::UnixTime;
use x509_parser::asn1_rs::Any;
use x509_parser::prelude::{ASN1Time, FromDer as _};

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;

/// It is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no DER, or not all of it")]
pub(super) struct Malformed;

/// What is not read yet of a structure.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    /// What comes next.
    pub(super) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next field, which must be such a one: all of it, and its content.
    pub(super) fn next(&mut self, tag: u8) -> Result<(&'a [u8], &'a [u8]), Malformed> {
        if self.peek() != Some(tag) {
            return Err(Malformed);
        }
        let (rest, field) = Any::from_der(self.0).map_err(|_| Malformed)?;
        let whole = &self.0[..self.0.len() - rest.len()];
        self.0 = rest;
        Ok((whole, field.data))
    }

    pub(super) fn take(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        self.next(tag).map(|(_, content)| content)
    }

    pub(super) fn is_time(&self) -> bool {
        matches!(self.peek(), Some(UTC_TIME | GENERALIZED_TIME))
    }

    pub(super) fn time(&mut self) -> Result<UnixTime, Malformed> {
        let tag = self.peek().filter(|_| self.is_time()).ok_or(Malformed)?;
        let (whole, _) = self.next(tag)?;
        let (_, time) = ASN1Time::from_der(whole).map_err(|_| Malformed)?;
        let seconds = u64::try_from(time.timestamp()).map_err(|_| Malformed)?;
        Ok(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }

    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// A BIT STRING of whole bytes.
pub(super) fn bits(content: &[u8]) -> Result<&[u8], Malformed> {
    content.split_first().filter(|(unused, _)| **unused == 0).map(|(_, bytes)| bytes).ok_or(Malformed)
}

/// DER of a SEQUENCE: the engine keeps names without their outer layer and tells them with it.
pub(super) fn sequence(content: &[u8]) -> Box<[u8]> {
    let mut der = vec![SEQUENCE];
    match u8::try_from(content.len()) {
        Ok(short @ 0..=0x7f) => der.push(short),
        _ => {
            let length: Vec<u8> = content.len().to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            // Eight bytes of length at most.
            der.push(0x80 | u8::try_from(length.len()).unwrap_or(8));
            der.extend(length);
        }
    }
    der.extend_from_slice(content);
    der.into()
}
