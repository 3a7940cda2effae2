//! Names that the proxy knows, told apart once while parsing, and sets of them.

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
    Http2Settings,
    Expect,
    // Written by the edge.
    XForwardedFor,
    XForwardedHost,
    XForwardedPort,
    XForwardedProto,
    XForwardedScheme,
    /// Any further name that starts with `X-Forwarded-`.
    XForwardedOther,
    XScheme,
    XRealIp,
    XRequestId,
    XOriginalForwardedFor,
    XOriginalForwardedHost,
    XOriginalUri,
    Forwarded,
    /// Any name that starts with `ssl-client-`.
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
    // Of the trace that a request is part of.
    TraceParent,
    TraceState,
    // Of responses.
    Server,
    Date,
    SetCookie,
    Location,
    Refresh,
    StrictTransportSecurity,
    /// Any name that starts with `X-Accel-`: orders of the upstream to the proxy.
    XAccel,
    Vary,
    Etag,
    WwwAuthenticate,
}

impl FieldId {
    /// The field of that name, whatever its case. `name` must be a token.
    pub fn of(name: &[u8]) -> Self {
        Self::of_start(name, lower_start(name))
    }

    /// As [`FieldId::of`]; `start` is the first eight bytes with bit 5 set, zero behind the end of a shorter name. Nearly
    /// all names are told apart by length and start.
    #[inline(always)]
    pub(super) fn of_start(name: &[u8], start: u64) -> Self {
        /// The first name that is equal; all of an arm have the same length.
        macro_rules! one_of {
            ($($known:literal => $id:ident),+ $(,)?) => {{
                $(if start == const { start_of($known) } && is_rest(name, $known) { return Self::$id; })+
            }};
        }
        match name.len() {
            2 => one_of!(b"te" => Te),
            4 => one_of!(b"host" => Host, b"date" => Date, b"vary" => Vary, b"etag" => Etag),
            5 => one_of!(b"proxy" => Proxy, b"range" => Range),
            6 => one_of!(
                b"accept" => Accept, b"cookie" => Cookie, b"origin" => Origin, b"server" => Server, b"expect" => Expect,
            ),
            7 => one_of!(
                b"referer" => Referer, b"upgrade" => Upgrade, b"trailer" => Trailer, b"refresh" => Refresh,
            ),
            8 => one_of!(b"location" => Location, b"x-scheme" => XScheme),
            9 => one_of!(b"x-real-ip" => XRealIp, b"forwarded" => Forwarded),
            10 => one_of!(
                b"connection" => Connection, b"user-agent" => UserAgent, b"set-cookie" => SetCookie,
                b"keep-alive" => KeepAlive, b"tracestate" => TraceState,
            ),
            11 => one_of!(b"traceparent" => TraceParent),
            12 => one_of!(b"content-type" => ContentType, b"x-request-id" => XRequestId),
            13 => one_of!(b"cache-control" => CacheControl, b"authorization" => Authorization),
            14 => one_of!(
                b"content-length" => ContentLength, b"x-original-uri" => XOriginalUri, b"http2-settings" => Http2Settings,
            ),
            15 => one_of!(b"accept-encoding" => AcceptEncoding, b"x-forwarded-for" => XForwardedFor),
            16 => one_of!(
                b"content-encoding" => ContentEncoding, b"x-forwarded-host" => XForwardedHost,
                b"x-forwarded-port" => XForwardedPort, b"proxy-connection" => ProxyConnection,
                b"www-authenticate" => WwwAuthenticate,
            ),
            17 => one_of!(b"transfer-encoding" => TransferEncoding, b"x-forwarded-proto" => XForwardedProto),
            18 => one_of!(b"x-forwarded-scheme" => XForwardedScheme, b"proxy-authenticate" => ProxyAuthenticate),
            19 => one_of!(b"proxy-authorization" => ProxyAuthorization),
            24 => one_of!(b"x-original-forwarded-for" => XOriginalForwardedFor),
            25 => one_of!(
                b"strict-transport-security" => StrictTransportSecurity,
                b"x-original-forwarded-host" => XOriginalForwardedHost,
            ),
            _ => {}
        }
        match start {
            X_FORWAR if starts_with(name, b"x-forwarded-") => Self::XForwardedOther,
            X_ACCEL if starts_with(name, b"x-accel-") => Self::XAccel,
            SSL_CLIE if starts_with(name, b"ssl-client-") => Self::SslClient,
            _ => Self::Other,
        }
    }
}

// Starts of the families of names that are known by their beginning.
const X_FORWAR: u64 = start_of(b"x-forwar");
const X_ACCEL: u64 = start_of(b"x-accel-");
const SSL_CLIE: u64 = start_of(b"ssl-clie");

/// The first eight bytes of a name in lower case.
const fn start_of(name: &[u8]) -> u64 {
    let mut start = [0; 8];
    let mut index = 0;
    while index < 8 && index < name.len() {
        start[index] = name[index];
        index += 1;
    }
    u64::from_le_bytes(start)
}

/// The first eight bytes of a name with bit 5 set.
pub(super) fn lower_start(name: &[u8]) -> u64 {
    let mut start = [0; 8];
    for (lower, byte) in start.iter_mut().zip(name) {
        *lower = byte | 0x20;
    }
    u64::from_le_bytes(start)
}

/// Equal behind the first eight bytes, but for case. Among the characters of tokens, only letters and their capitals
/// become equal by setting bit 5 to a letter, and only `-` to `-`.
#[inline(always)]
fn is_rest<const N: usize>(name: &[u8], known: &[u8; N]) -> bool {
    let Ok(name) = <&[u8; N]>::try_from(name) else { return false };
    let mut difference = 0;
    for index in 8..N {
        difference |= (name[index] | 0x20) ^ known[index];
    }
    difference == 0
}

fn starts_with(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// A set of known fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldSet(u64);

impl FieldSet {
    /// The set of these fields.
    pub const fn of(ids: &[FieldId]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < ids.len() {
            bits |= 1 << ids[index] as u8;
            index += 1;
        }
        Self(bits)
    }

    /// Both sets together.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the field is in it.
    #[inline]
    pub const fn has(self, id: FieldId) -> bool {
        self.0 >> id as u8 & 1 == 1
    }

    /// Adds a field.
    #[inline]
    pub(in crate::http) fn insert(&mut self, id: FieldId) {
        self.0 |= 1 << id as u8;
    }
}

/// What belongs to one connection or frames one message and is written anew on the next (RFC 9110 7.6.1), with Trailer, as
/// what it names may be held back.
pub(in crate::http) const NEVER_RELAYED: FieldSet = FieldSet::of(&[
    FieldId::ContentLength,
    FieldId::TransferEncoding,
    FieldId::Connection,
    FieldId::KeepAlive,
    FieldId::ProxyConnection,
    FieldId::ProxyAuthenticate,
    FieldId::ProxyAuthorization,
    FieldId::Te,
    FieldId::Trailer,
    FieldId::Upgrade,
]);

/// Fields that Connection cannot take away from a message: framing and routing, what the edge writes, and credentials,
/// whose loss could open a door behind the proxy.
pub(super) const NOT_NOMINABLE: FieldSet = FieldSet::of(&[
    FieldId::Host,
    FieldId::ContentLength,
    FieldId::TransferEncoding,
    FieldId::XForwardedFor,
    FieldId::XForwardedHost,
    FieldId::XForwardedPort,
    FieldId::XForwardedProto,
    FieldId::XForwardedScheme,
    FieldId::XForwardedOther,
    FieldId::XScheme,
    FieldId::XRealIp,
    FieldId::XRequestId,
    FieldId::XOriginalForwardedFor,
    FieldId::XOriginalForwardedHost,
    FieldId::XOriginalUri,
    FieldId::Forwarded,
    FieldId::SslClient,
    FieldId::Authorization,
    FieldId::Cookie,
    FieldId::Origin,
    FieldId::ContentType,
    FieldId::ContentEncoding,
    FieldId::CacheControl,
    FieldId::SetCookie,
    FieldId::Location,
    FieldId::StrictTransportSecurity,
    FieldId::WwwAuthenticate,
]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_found_in_any_case() {
        for (name, id) in [
            ("Host", FieldId::Host),
            ("CONTENT-LENGTH", FieldId::ContentLength),
            ("transfer-Encoding", FieldId::TransferEncoding),
            ("X-Original-Forwarded-For", FieldId::XOriginalForwardedFor),
            ("x-original-forwarded-host", FieldId::XOriginalForwardedHost),
            ("Strict-Transport-Security", FieldId::StrictTransportSecurity),
            ("X-Forwarded-Prefix", FieldId::XForwardedOther),
            ("SSL-Client-Verify", FieldId::SslClient),
            ("X-Accel-Redirect", FieldId::XAccel),
            ("TE", FieldId::Te),
        ] {
            assert_eq!(FieldId::of(name.as_bytes()), id, "{name}");
        }
    }

    #[test]
    fn names_that_differ_in_one_character_are_not_known() {
        for name in ["Hosts", "Hos~", "Content_Length", "X-Forwarded", "X-Forwarded-", "Transfer-Encodin", "H0st"] {
            let id = FieldId::of(name.as_bytes());
            assert!(matches!(id, FieldId::Other | FieldId::XForwardedOther), "{name}: {id:?}");
        }
    }
}
