//! Answers that the proxy makes itself: errors and redirects, head and small page in one piece.

use super::forward::NewField;
use super::head::Version;

/// A self-made answer.
#[derive(Clone, Copy, Debug)]
pub struct Synthetic<'a> {
    /// Its status.
    pub status: u16,
    /// Location, for redirects.
    pub location: Option<&'a [u8]>,
    /// Version of the request (1.1 when it could not be read).
    pub version: Version,
    /// The connection may live on.
    pub keep_alive: bool,
    /// The request was HEAD: no body.
    pub head: bool,
    /// IMF-fixdate of now.
    pub date: &'a [u8],
    /// Strict-Transport-Security.
    pub hsts: Option<&'a [u8]>,
    /// Further fields.
    pub add: &'a [NewField<'a>],
}

/// Appends the whole answer to `out`; returns the number of body bytes.
pub fn write_synthetic(out: &mut Vec<u8>, answer: &Synthetic<'_>) -> usize {
    let _ = (out, answer);
    0
}

/// Reason phrase of a status; empty for unknown ones.
pub fn reason(status: u16) -> &'static str {
    let _ = status;
    ""
}
