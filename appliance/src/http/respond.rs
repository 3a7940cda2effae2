//! The response head that the client gets, built anew from the parts of the upstream's.

use super::field::{self, Changes, Field, FieldId, FieldSet, NEVER_RELAYED};
use super::framing::{CHUNKED_LINE, ResponseBody, write_length_line};
use super::head::Version;
use super::response::ResponseHead;

/// What the client's side adds.
#[derive(Clone, Copy, Debug)]
pub struct Respond<'a> {
    /// Version of the request.
    pub version: Version,
    /// The connection may live on after this exchange.
    pub keep_alive: bool,
    /// The client takes trailers.
    pub trailers: bool,
    /// IMF-fixdate of now (29 bytes), used when the upstream sent no Date.
    pub date: &'a [u8],
    /// [`HSTS`] in place of the upstream's.
    pub hsts: Option<&'a [u8]>,
    /// The upstream's Server passes.
    pub keep_server: bool,
    /// The body goes on in another coding: its length is not known.
    pub recoded: bool,
    /// Fields written in place of the upstream's or beside them, and those that do not pass: what the route says, and
    /// what this response is in need of.
    pub changes: [&'a Changes<'a>; 2],
}

/// How the body goes to the client and whether the connection lives on: what the head that was written says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Framing toward the client.
    pub body: ResponseBody,
    /// The client was not told to close.
    pub keep_alive: bool,
    /// The last chunk may carry trailers.
    pub trailers: bool,
}

/// What the route says of it comes before what is said on every host.
pub(super) const HSTS: &[u8] = b"Strict-Transport-Security";

/// Upstream fields that never pass, with orders to the proxy.
const NEVER_PASSES: FieldSet = NEVER_RELAYED.with(FieldSet::of(&[FieldId::XAccel]));

/// Appends the client's head of a final response or of a 101 to `out`.
///
/// The upstream's Date passes (RFC 9110 6.6.1: it dates the message, caches count from it); nginx writes its own.
pub fn write_response(out: &mut Vec<u8>, head: &ResponseHead, buf: &[u8], respond: &Respond<'_>) -> Written {
    let written = framing_for(head, respond);
    out.reserve(head.consumed + 256);
    write_status_line(out, head, buf);
    write_upstream_fields(out, head, buf, respond);
    let says = |name: &[u8]| respond.changes.iter().any(|changes| changes.sets(name));
    if !head.has(FieldId::Date) && !says(b"Date") {
        write_date(out, respond.date);
    }
    write_framing(out, head, written.body);
    if head.status == 101 {
        write_switch(out, head, buf);
    } else {
        write_connection(out, respond.version, written.keep_alive);
    }
    if let Some(hsts) = respond.hsts.filter(|_| !says(HSTS)) {
        field::write_new(out, &[(HSTS, hsts)]);
    }
    respond.changes.iter().for_each(|changes| out.extend_from_slice(changes.lines()));
    out.extend_from_slice(b"\r\n");
    written
}

/// Appends an interim response (100, 102, 103). Never for an HTTP/1.0 client.
pub fn write_interim(out: &mut Vec<u8>, head: &ResponseHead, buf: &[u8]) {
    write_status_line(out, head, buf);
    field::write_passing(out, buf, head.fields(), |field| !NEVER_PASSES.has(field.id) && !field.is_nominated());
    out.extend_from_slice(b"\r\n");
}

/// `HTTP/1.1 100 Continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A body whose end only the close shows is chunked for HTTP/1.1; for HTTP/1.0, chunked bodies end with the close.
fn framing_for(head: &ResponseHead, respond: &Respond<'_>) -> Written {
    let body = match (head.body, respond.version) {
        (ResponseBody::Length(_), Version::Http11) if respond.recoded => ResponseBody::Chunked,
        (ResponseBody::UntilClose | ResponseBody::Chunked, Version::Http11) => ResponseBody::Chunked,
        (ResponseBody::UntilClose | ResponseBody::Chunked, Version::Http10) => ResponseBody::UntilClose,
        (framed, _) => framed,
    };
    Written {
        body,
        keep_alive: respond.keep_alive && body != ResponseBody::UntilClose,
        trailers: respond.trailers && body == ResponseBody::Chunked,
    }
}

fn write_status_line(out: &mut Vec<u8>, head: &ResponseHead, buf: &[u8]) {
    let status_and_reason = head.status_and_reason(buf);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status_and_reason);
    // RFC 9112 4: the blank stands even before an empty reason phrase.
    out.extend_from_slice(if status_and_reason.len() == 3 { b" \r\n" } else { b"\r\n" });
}

fn write_upstream_fields(out: &mut Vec<u8>, head: &ResponseHead, buf: &[u8], respond: &Respond<'_>) {
    let mut dropped = NEVER_PASSES;
    if !respond.keep_server {
        dropped.insert(FieldId::Server);
    }
    if respond.hsts.is_some() {
        dropped.insert(FieldId::StrictTransportSecurity);
    }
    let passes = |field: &Field| !dropped.has(field.id) && !field.is_nominated();
    let [route, own] = respond.changes;
    if route.let_all_pass() && own.let_all_pass() {
        field::write_passing(out, buf, head.fields(), passes);
    } else {
        field::write_passing(out, buf, head.fields(), |field| {
            let name = field.name.of(buf);
            passes(field) && !route.stop(name) && !own.stop(name)
        });
    }
}

fn write_framing(out: &mut Vec<u8>, head: &ResponseHead, body: ResponseBody) {
    match (body, head.content_length) {
        (ResponseBody::Length(length), _) => write_length_line(out, length),
        (ResponseBody::Chunked, _) => out.extend_from_slice(CHUNKED_LINE),
        // What a GET would have got (RFC 9110 8.6). 1xx and 204 never carry it.
        (ResponseBody::None, Some(length)) if !matches!(head.status, 100..=199 | 204) => {
            write_length_line(out, length);
        }
        (ResponseBody::None | ResponseBody::UntilClose, _) => {}
    }
}

fn write_switch(out: &mut Vec<u8>, head: &ResponseHead, buf: &[u8]) {
    out.extend_from_slice(b"Connection: upgrade\r\n");
    if let Some(protocol) = head.find(buf, FieldId::Upgrade) {
        field::write_line(out, b"Upgrade", protocol);
    }
}

/// Appends Date.
#[inline]
pub(super) fn write_date(out: &mut Vec<u8>, date: &[u8]) {
    out.extend_from_slice(b"Date: ");
    out.extend_from_slice(date);
    out.extend_from_slice(b"\r\n");
}

/// Appends Connection where it says more than the version does.
#[inline]
pub(super) fn write_connection(out: &mut Vec<u8>, version: Version, keep_alive: bool) {
    match (version, keep_alive) {
        (_, false) => out.extend_from_slice(b"Connection: close\r\n"),
        (Version::Http10, true) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (Version::Http11, true) => {}
    }
}

#[cfg(test)]
mod tests;
