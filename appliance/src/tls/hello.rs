//! The server name of a ClientHello, before any session exists: which host's handshake it is going to be.
//!
//! Only a look: nothing is consumed, and what cannot be read is left to the engine, which says so to the client. Who may
//! pass is never decided by the name alone (`policy/client_certificate.rs`).

use std::borrow::Cow;

/// Bytes of a ClientHello with its records, at most. With every post-quantum share that is known it is below 4 KiB.
pub const HELLO_BYTES_MAX: usize = 16 << 10;
/// The type of handshake records.
const HANDSHAKE: u8 = 22;
/// The type of the first handshake message.
const CLIENT_HELLO: u8 = 1;
/// Content of one record, at most.
const RECORD_BYTES_MAX: usize = 1 << 14;

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub enum Hello {
    /// More is needed.
    Partial,
    /// A whole ClientHello; the name is in lower case, without its final dot.
    Whole {
        /// What the client asks for.
        name: Option<Box<str>>,
    },
    /// No ClientHello, or one that is too large.
    Unreadable,
}

/// Looks at what a client sent first. What follows the message, such as early data, is not looked at.
pub fn look(received: &[u8]) -> Hello {
    let mut message: Cow<'_, [u8]> = Cow::Borrowed(&[]);
    let mut left = received;
    while let Some((header, rest)) = left.split_first_chunk::<5>() {
        let [kind, major, _, high, low] = *header;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if kind != HANDSHAKE || major != 3 || length == 0 || length > RECORD_BYTES_MAX {
            return Hello::Unreadable;
        }
        let here = &rest[..length.min(rest.len())];
        match message.is_empty() {
            true => message = Cow::Borrowed(here),
            false => message.to_mut().extend_from_slice(here),
        }
        match body(&message) {
            Err(Unreadable) => return Hello::Unreadable,
            Ok(Some(body)) => return server_name(body).map_or(Hello::Unreadable, |name| Hello::Whole { name }),
            Ok(None) => left = &rest[here.len()..],
        }
    }
    // The header that has just begun must not be that of anything else.
    let is_other = left.first().is_some_and(|kind| *kind != HANDSHAKE);
    if is_other || received.len() >= HELLO_BYTES_MAX { Hello::Unreadable } else { Hello::Partial }
}

struct Unreadable;

/// The body of the first message, once it is whole.
fn body(message: &[u8]) -> Result<Option<&[u8]>, Unreadable> {
    let Some((header, rest)) = message.split_first_chunk::<4>() else {
        return if message.first().is_none_or(|kind| *kind == CLIENT_HELLO) { Ok(None) } else { Err(Unreadable) };
    };
    let [kind, length @ ..] = *header;
    let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
    if kind != CLIENT_HELLO || length > HELLO_BYTES_MAX { Err(Unreadable) } else { Ok(rest.get(..length)) }
}

/// The name of a ClientHello's body; `None` when the body is broken.
fn server_name(body: &[u8]) -> Option<Option<Box<str>>> {
    // Version and random.
    let mut body = Cursor(body.get(34..)?);
    let (_session, _suites, _compressions) = (body.vector(1)?, body.vector(2)?, body.vector(1)?);
    if body.0.is_empty() {
        return Some(None);
    }
    let mut extensions = Cursor(body.vector(2)?);
    while !extensions.0.is_empty() {
        let kind = extensions.number(2)?;
        let content = extensions.vector(2)?;
        if kind == 0 {
            let mut names = Cursor(Cursor(content).vector(2)?);
            if names.number(1)? != 0 {
                return None;
            }
            return Some(Some(normalised(names.vector(2)?)?));
        }
    }
    Some(None)
}

fn normalised(name: &[u8]) -> Option<Box<str>> {
    let text = std::str::from_utf8(name).ok().filter(|text| text.is_ascii() && !text.is_empty())?;
    let text = text.strip_suffix('.').unwrap_or(text);
    Some(text.to_ascii_lowercase().into())
}

/// Reads what TLS writes: big-endian numbers, and vectors with their length before them.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn number(&mut self, bytes: usize) -> Option<usize> {
        let (number, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(number.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    }

    fn vector(&mut self, length_bytes: usize) -> Option<&'a [u8]> {
        let length = self.number(length_bytes)?;
        let (content, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }
}

#[cfg(test)]
mod tests;
