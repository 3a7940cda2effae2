//! Fields: names that the proxy knows, and which of them may pass.

use super::head::Span;

/// A field whose name the proxy knows, found once while parsing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "each variant is the field of that name")]
pub enum FieldId {
    /// Any other name.
    #[default]
    Other,
    // Routing and framing.
    Host,
    ContentLength,
    TransferEncoding,
    // Hop by hop.
    Connection,
    KeepAlive,
    ProxyConnection,
    ProxyAuthenticate,
    ProxyAuthorization,
    Proxy,
    Te,
    Trailer,
    Upgrade,
    Expect,
    // Written by the edge.
    XForwardedFor,
    XForwardedHost,
    XForwardedPort,
    XForwardedProto,
    XForwardedScheme,
    XForwardedOther,
    XScheme,
    XRealIp,
    XRequestId,
    XOriginalForwardedFor,
    XOriginalForwardedHost,
    XOriginalUri,
    Forwarded,
    SslClient,
    // Read by policies and the access log.
    Authorization,
    Cookie,
    Accept,
    AcceptEncoding,
    Origin,
    Range,
    Referer,
    UserAgent,
    ContentType,
    ContentEncoding,
    CacheControl,
    // Of responses.
    Server,
    Date,
    SetCookie,
    Location,
    StrictTransportSecurity,
    XAccel,
    Vary,
    Etag,
    WwwAuthenticate,
}

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
    pub marks: u8,
}
