//! The head of a client's request.

use super::field::{Field, FieldId};
use super::framing::BodyFraming;
use super::head::{HeadError, HeadLimits, Progress, Span, Version};
use super::host::Host;
use super::target::BadTarget;

/// Methods that the proxy treats apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the method of that name")]
pub enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    Patch,
    /// Any other; `RequestHead::method_bytes` has it.
    Other,
}

impl Method {
    /// Whether a repetition does no more than the first one (RFC 9110 9.2.2).
    pub fn is_idempotent(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Put | Self::Delete | Self::Options)
    }
}

/// A parsed request head. One value per connection: its buffers are reused, so parsing does not allocate once warm.
///
/// All spans refer to the buffer given to [`RequestHead::parse`], counted from its first byte; accessors take that
/// buffer again (only moved as a whole, its bytes unchanged).
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// Version of the client's message.
    pub version: Version,
    /// Body that follows the head.
    pub framing: BodyFraming,
    /// The client lets the connection live on.
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body (HTTP/1.1 only).
    pub expect_continue: bool,
    /// Bytes of the head, leading empty line included: where body or next request starts.
    pub consumed: usize,
    host: Host,
    method_span: Span,
    target: Span,
    path: Span,
    query: Span,
    authority: Span,
    upgrade: Option<Span>,
    fields: Vec<Field>,
}

impl RequestHead {
    /// Parses the head at the start of `buf`. After `Partial`, call again with the same bytes and more behind them: it
    /// goes on where it stopped. After `Complete` or an error the next call starts a new head.
    pub fn parse(&mut self, buf: &[u8], limits: &HeadLimits) -> Result<Progress, HeadError> {
        let _ = (buf, limits);
        Err(HeadError::RequestLine)
    }
    /// Forgets a partly parsed head (the connection's buffer was thrown away).
    pub fn reset(&mut self) {}
    /// The validated host for routing and its port.
    pub fn host(&self) -> &Host {
        &self.host
    }
    /// The method as sent.
    pub fn method_bytes<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.method_span.of(buf)
    }
    /// The target as sent, for the access log.
    pub fn target<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.target.of(buf)
    }
    /// Path and query in origin-form (or `*`), as sent: `$request_uri` and what goes upstream.
    pub fn path_and_query<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        let _ = self.path;
        buf
    }
    /// The query without `?`; `None` when there was no `?`.
    pub fn query<'b>(&self, buf: &'b [u8]) -> Option<&'b [u8]> {
        Some(self.query.of(buf))
    }
    /// Host with port as sent (of the absolute-form target if there was one, else of Host): what goes upstream.
    pub fn authority<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.authority.of(buf)
    }
    /// The path that is routed: decoded, slashes merged, dot segments resolved. Borrowed from `buf` when there is
    /// nothing to do, else built in `scratch`.
    pub fn normalised_path<'b>(&self, buf: &'b [u8], scratch: &'b mut Vec<u8>) -> Result<&'b [u8], BadTarget> {
        super::target::normalise(self.path.of(buf), scratch)
    }
    /// The protocols asked for when the request is an upgrade to forward.
    pub fn upgrade<'b>(&self, buf: &'b [u8]) -> Option<&'b [u8]> {
        self.upgrade.map(|span| span.of(buf))
    }
    /// All field lines in the order of arrival.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }
    /// Value of the first field of that name.
    pub fn find<'b>(&self, buf: &'b [u8], id: FieldId) -> Option<&'b [u8]> {
        self.fields.iter().find(|field| field.id == id).map(|field| field.value.of(buf))
    }
}
