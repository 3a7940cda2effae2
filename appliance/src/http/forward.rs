//! The request head that the upstream gets, built anew from the parts of the client's.

use ringress_config::snapshot::UpstreamHop;

use super::edge::EdgeFields;
use super::field::{self, Changes, Field, FieldId, FieldSet, NEVER_RELAYED};
use super::framing::{BodyFraming, CHUNKED_LINE, write_length_line};
use super::request::RequestHead;
use super::target;

/// Longest client's X-Request-ID that is passed on.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Which client fields may pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldPolicy {
    /// Names with `_` pass (`enable-underscores-in-headers`).
    pub underscores: bool,
    /// Names that are tokens but not letters, digits and `-` pass (`ignore-invalid-headers: false`).
    pub unusual_names: bool,
    /// The client's own Forwarded, X-Original-URI and further X-Forwarded-* pass (`use-forwarded-headers`).
    pub trust_forwarded: bool,
    /// X-Original-URI is the request's target (`proxy-add-original-uri-header`).
    pub original_uri: bool,
}

/// What is added to the client's head on its way.
#[derive(Clone, Copy, Debug)]
pub struct Forward<'a> {
    /// Host for the upstream; with HTTP/1.0 clients that sent none, the endpoint's address.
    pub host: &'a [u8],
    /// X-Forwarded-Host: the believed host, normally [`RequestHead::authority`].
    pub forwarded_host: &'a [u8],
    /// Target in place of the client's (a rewrite); bytes that may not stand there are percent-encoded.
    pub target: Option<&'a [u8]>,
    /// X-Request-ID; empty for none.
    pub request_id: &'a [u8],
    /// The fields about the client.
    pub edge: &'a EdgeFields,
    /// How the body is sent. A body that was read whole may go as `Length`.
    pub framing: BodyFraming,
    /// Which client fields pass.
    pub policy: FieldPolicy,
    /// Fields written in place of the client's or beside them, and those that do not pass.
    pub changes: &'a Changes<'a>,
    /// How the connection is spoken of. With HTTP/1.0 the framing must not be `Chunked`.
    pub hop: UpstreamHop,
    /// What the upstream is told of the request's trace, in place of the client's words.
    pub trace: Option<TraceFields<'a>>,
    /// What goes on as X-Original-Forwarded-For; `None` is the client's X-Forwarded-For.
    pub address_field: Option<&'a str>,
    /// What goes on as X-Original-Forwarded-Host; `None` is the client's X-Forwarded-Host.
    pub host_field: Option<&'a str>,
}

/// The request's part in a trace.
#[derive(Clone, Copy, Debug)]
pub struct TraceFields<'a> {
    /// `traceparent`.
    pub parent: &'a [u8],
    /// `tracestate`; empty for none.
    pub state: &'a [u8],
}

/// Client fields that never pass: hop-by-hop ones (RFC 9110 7.6.1), framing and Host, which are written anew, `Proxy`
/// (CVE-2016-5385), Expect, which the proxy answers, Trailer (trailers are dropped), and all that the edge writes.
const NEVER_PASSES: FieldSet = NEVER_RELAYED.with(FieldSet::of(&[
    FieldId::Host,
    FieldId::Proxy,
    FieldId::Http2Settings,
    FieldId::Expect,
    FieldId::XForwardedFor,
    FieldId::XForwardedHost,
    FieldId::XForwardedPort,
    FieldId::XForwardedProto,
    FieldId::XForwardedScheme,
    FieldId::XScheme,
    FieldId::XRealIp,
    FieldId::XRequestId,
    FieldId::XOriginalForwardedFor,
    FieldId::XOriginalForwardedHost,
    FieldId::SslClient,
]));

/// Client fields that pass only from believed clients.
const PASSES_IF_TRUSTED: FieldSet =
    FieldSet::of(&[FieldId::XForwardedOther, FieldId::XOriginalUri, FieldId::Forwarded]);

/// Appends the upstream's request head to `out`.
pub fn write_request(out: &mut Vec<u8>, head: &RequestHead, buf: &[u8], forward: &Forward<'_>) {
    out.reserve(head.consumed + forward.edge.lines().len() + 512);
    write_request_line(out, head, buf, forward);
    out.extend_from_slice(forward.host);
    out.extend_from_slice(b"\r\n");
    write_client_fields(out, head, buf, forward);
    if !forward.request_id.is_empty() {
        out.extend_from_slice(b"X-Request-ID: ");
        out.extend_from_slice(forward.request_id);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"X-Forwarded-Host: ");
    out.extend_from_slice(forward.forwarded_host);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(forward.edge.lines());
    if forward.policy.original_uri {
        out.extend_from_slice(b"X-Original-URI: ");
        out.extend_from_slice(head.path_and_query(buf));
        out.extend_from_slice(b"\r\n");
    }
    if let Some(trace) = forward.trace {
        write_trace(out, trace, forward.changes);
    }
    write_originals(out, head, buf, forward);
    match forward.framing {
        BodyFraming::None => {}
        BodyFraming::Length(length) => write_length_line(out, length),
        BodyFraming::Chunked => out.extend_from_slice(CHUNKED_LINE),
    }
    if let Some(word) = forward.hop.connection {
        field::write_new(out, &[(b"Connection", word.as_str().as_bytes())]);
    }
    if let Some(protocols) = head.upgrade(buf).filter(|_| forward.hop.passes_upgrades()) {
        out.extend_from_slice(b"Connection: upgrade\r\nUpgrade: ");
        out.extend_from_slice(protocols);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(forward.changes.lines());
    out.extend_from_slice(b"\r\n");
}

/// Appends everything up to the value of Host.
fn write_request_line(out: &mut Vec<u8>, head: &RequestHead, buf: &[u8], forward: &Forward<'_>) {
    out.extend_from_slice(head.method_bytes(buf));
    out.push(b' ');
    match forward.target {
        Some(rewritten) => {
            if rewritten.first() != Some(&b'/') {
                out.push(b'/');
            }
            target::write_escaped(out, rewritten);
        }
        None => out.extend_from_slice(head.path_and_query(buf)),
    }
    out.extend_from_slice(if forward.hop.http_1_0 { b" HTTP/1.0\r\nHost: " } else { b" HTTP/1.1\r\nHost: " });
}

fn write_client_fields(out: &mut Vec<u8>, head: &RequestHead, buf: &[u8], forward: &Forward<'_>) {
    let policy = forward.policy;
    let mut dropped = if policy.trust_forwarded { NEVER_PASSES } else { NEVER_PASSES.with(PASSES_IF_TRUSTED) };
    if policy.original_uri {
        dropped.insert(FieldId::XOriginalUri);
    }
    if forward.trace.is_some() {
        dropped.insert(FieldId::TraceParent);
        dropped.insert(FieldId::TraceState);
    }
    let is_known_to_pass = |field: &Field| !dropped.has(field.id) && field.is_ordinary();
    let changes = forward.changes;
    if changes.let_all_pass() {
        field::write_passing(out, buf, head.fields(), |field| {
            is_known_to_pass(field) || (!field.is_ordinary() && may_pass(field, buf, dropped, policy))
        });
    } else {
        field::write_passing(out, buf, head.fields(), |field| {
            may_pass(field, buf, dropped, policy) && !changes.stop(field.name.of(buf))
        });
    }
}

/// Appends the fields of a trace, unless the operator sets others or takes them out.
#[inline(never)]
fn write_trace(out: &mut Vec<u8>, trace: TraceFields<'_>, changes: &Changes<'_>) {
    if changes.stop(b"traceparent") {
        return;
    }
    field::write_new(out, &[(b"traceparent", trace.parent)]);
    if !trace.state.is_empty() && !changes.stop(b"tracestate") {
        field::write_new(out, &[(b"tracestate", trace.state)]);
    }
}

/// The whole rule for one client field.
fn may_pass(field: &Field, buf: &[u8], dropped: FieldSet, policy: FieldPolicy) -> bool {
    if dropped.has(field.id) || field.is_nominated() || (field.has_unusual_name() && !policy.unusual_names) {
        return false;
    }
    if !field.has_underscore() {
        return true;
    }
    // Behind a CGI-like upstream `X_Real_IP` is `X-Real-IP`: the twin of a field that is dropped is dropped too.
    let twin = || field.name.of(buf).iter().map(|&byte| if byte == b'_' { b'-' } else { byte }).collect::<Vec<u8>>();
    policy.underscores && !dropped.has(FieldId::of(&twin()))
}

/// Appends what the client said in the fields that were replaced.
#[inline]
fn write_originals(out: &mut Vec<u8>, head: &RequestHead, buf: &[u8], forward: &Forward<'_>) {
    const ADDRESS: &[u8] = b"X-Original-Forwarded-For: ";
    const HOST: &[u8] = b"X-Original-Forwarded-Host: ";
    match forward.address_field {
        None => write_original(out, head.find_all(buf, FieldId::XForwardedFor), ADDRESS),
        Some(name) => write_original(out, head.find_named(buf, name), ADDRESS),
    }
    match forward.host_field {
        None => write_original(out, head.find_all(buf, FieldId::XForwardedHost), HOST),
        Some(name) => write_original(out, head.find_named(buf, name), HOST),
    }
}

/// Appends the lines of a field, joined.
#[inline]
fn write_original<'b>(out: &mut Vec<u8>, values: impl Iterator<Item = &'b [u8]>, start_of_line: &[u8]) {
    let mut values = values.filter(|value| !value.is_empty());
    let Some(first) = values.next() else { return };
    out.extend_from_slice(start_of_line);
    out.extend_from_slice(first);
    for value in values {
        out.extend_from_slice(b", ");
        out.extend_from_slice(value);
    }
    out.extend_from_slice(b"\r\n");
}

/// The client's X-Request-ID if it is fit to pass on (1 to 128 visible characters).
pub fn client_request_id<'b>(head: &RequestHead, buf: &'b [u8]) -> Option<&'b [u8]> {
    head.find(buf, FieldId::XRequestId)
        .filter(|id| !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.iter().all(u8::is_ascii_graphic))
}

/// A new X-Request-ID: 32 hex digits.
pub fn new_request_id(random: &mut fastrand::Rng) -> [u8; 32] {
    let mut id = [0; 32];
    for (half, word) in id.chunks_exact_mut(16).zip([random.u64(..), random.u64(..)]) {
        half.copy_from_slice(&hex_digits(word));
    }
    id
}

/// The 16 hex digits of a word, all at once: spread to one nibble a byte, then add what makes a digit of each.
fn hex_digits(word: u64) -> [u8; 16] {
    const EACH: u128 = 0x0101_0101_0101_0101_0101_0101_0101_0101;
    let mut nibbles = u128::from(word);
    nibbles = (nibbles | nibbles << 32) & 0x0000_0000_FFFF_FFFF_0000_0000_FFFF_FFFF;
    nibbles = (nibbles | nibbles << 16) & 0x0000_FFFF_0000_FFFF_0000_FFFF_0000_FFFF;
    nibbles = (nibbles | nibbles << 8) & 0x00FF_00FF_00FF_00FF_00FF_00FF_00FF_00FF;
    nibbles = (nibbles | nibbles << 4) & (EACH * 0x0F);
    let is_letter = ((nibbles + EACH * 6) >> 4) & EACH;
    (nibbles + EACH * u128::from(b'0') + is_letter * u128::from(b'a' - b'0' - 10)).to_be_bytes()
}

#[cfg(test)]
mod tests;
