//! The response head that the client gets.

use super::forward::NewField;
use super::framing::ResponseBody;
use super::head::Version;
use super::response::ResponseHead;

/// What the client's side adds.
#[derive(Clone, Copy, Debug)]
pub struct Respond<'a> {
    /// Version of the request.
    pub version: Version,
    /// The connection may live on after this exchange.
    pub keep_alive: bool,
    /// IMF-fixdate of now (29 bytes), used when the upstream sent no Date.
    pub date: &'a [u8],
    /// Strict-Transport-Security in place of the upstream's.
    pub hsts: Option<&'a [u8]>,
    /// The upstream's Server passes.
    pub keep_server: bool,
    /// Fields written in place of the upstream's of the same name.
    pub set: &'a [NewField<'a>],
    /// Fields added beside the upstream's (Set-Cookie).
    pub add: &'a [NewField<'a>],
    /// Names of upstream fields that do not pass.
    pub remove: &'a [&'a [u8]],
}

/// How the body goes to the client and whether the connection lives on: what the head that was written says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Framing toward the client.
    pub body: ResponseBody,
    /// The client was not told to close.
    pub keep_alive: bool,
}

/// Appends the client's head of a final response or of a 101 to `out`.
pub fn write_response(out: &mut Vec<u8>, head: &ResponseHead, buf: &[u8], respond: &Respond<'_>) -> Written {
    let _ = (out, head, buf, respond);
    Written { body: ResponseBody::None, keep_alive: false }
}

/// Appends an interim response (100, 102, 103). Never for an HTTP/1.0 client.
pub fn write_interim(out: &mut Vec<u8>, head: &ResponseHead, buf: &[u8]) {
    let _ = (out, head, buf);
}

/// `HTTP/1.1 100 Continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
