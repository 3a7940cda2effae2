//! The request head that the upstream gets.

use super::edge::EdgeFields;
use super::framing::BodyFraming;
use super::request::RequestHead;

/// Which client fields may pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldPolicy {
    /// Names with `_` pass (`enable-underscores-in-headers`).
    pub underscores: bool,
    /// Names that are tokens but not letters, digits and `-` pass (`ignore-invalid-headers: false`).
    pub unusual_names: bool,
    /// The client's own Forwarded, X-Original-URI and further X-Forwarded-* pass (`use-forwarded-headers`).
    pub trust_forwarded: bool,
}

/// A field to write: name and value.
pub type NewField<'a> = (&'a [u8], &'a [u8]);

/// What is added to the client's head on its way.
#[derive(Clone, Copy, Debug)]
pub struct Forward<'a> {
    /// Host for the upstream; with HTTP/1.0 clients that sent none, the endpoint's address.
    pub host: &'a [u8],
    /// X-Forwarded-Host: the believed host, normally [`RequestHead::authority`].
    pub forwarded_host: &'a [u8],
    /// Target in place of the client's (a rewrite); bytes that may not stand there are percent-encoded.
    pub target: Option<&'a [u8]>,
    /// X-Request-ID.
    pub request_id: &'a [u8],
    /// The fields about the client.
    pub edge: &'a EdgeFields,
    /// How the body is sent. A body that was read whole may go as `Length`.
    pub framing: BodyFraming,
    /// Which client fields pass.
    pub policy: FieldPolicy,
    /// Fields written in place of the client's of the same name. Control characters become blanks.
    pub set: &'a [NewField<'a>],
    /// Names of client fields that do not pass.
    pub remove: &'a [&'a [u8]],
}

/// Appends the upstream's request head to `out`.
pub fn write_request(out: &mut Vec<u8>, head: &RequestHead, buf: &[u8], forward: &Forward<'_>) {
    let _ = (out, head, buf, forward);
}

/// The client's X-Request-ID if it is fit to pass on (1 to 128 visible characters).
pub fn client_request_id<'b>(head: &RequestHead, buf: &'b [u8]) -> Option<&'b [u8]> {
    let _ = (head, buf);
    None
}

/// A new X-Request-ID: 32 hex digits.
pub fn new_request_id(random: &mut fastrand::Rng) -> [u8; 32] {
    let _ = random;
    [b'0'; 32]
}
