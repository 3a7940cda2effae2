//! What heads of requests and responses share: limits, spans, versions and the error.

use thiserror::Error;

/// Bounds of one head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of one line, its CRLF not counted.
    pub line_bytes_max: usize,
    /// Bytes of the whole head, start line and final CRLF included.
    pub head_bytes_max: usize,
    /// Number of fields.
    pub fields_max: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { line_bytes_max: 8 << 10, head_bytes_max: 32 << 10, fields_max: 256 }
    }
}

/// Whether a head is all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is parsed; `consumed` says where it ends.
    Complete,
    /// More bytes are needed behind those already there.
    Partial,
}

/// A range of the caller's buffer, counted from the start of the head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The bytes; empty when the buffer is not the one that was parsed.
    #[inline]
    pub fn of(self, head: &[u8]) -> &[u8] {
        head.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Number of bytes.
    #[inline]
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// No bytes.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }
}

/// Version of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

/// Why a head is refused. The connection is closed after the answer: what follows in the buffer is not trusted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum HeadError {
    /// More empty lines before the start line than RFC 9112 2.2 asks to tolerate.
    #[error("empty lines before the start line")]
    LeadingEmptyLines,
    /// CR without LF, LF without CR.
    #[error("a line does not end with CRLF")]
    LineEnd,
    /// NUL, another control character, or bytes that are no HTTP at all.
    #[error("control character in the head")]
    ControlCharacter,
    /// The request line is not method SP target SP version.
    #[error("malformed request line")]
    RequestLine,
    /// The method is no token of capital letters.
    #[error("malformed method")]
    Method,
    /// CONNECT: this is no forward proxy.
    #[error("method CONNECT is not served")]
    Connect,
    /// TRACE: refused as nginx does, it shows a client's credentials to scripts.
    #[error("method TRACE is not allowed")]
    Trace,
    /// The target is neither origin-form, absolute-form nor `OPTIONS *`, or holds a blank or a fragment.
    #[error("malformed request target")]
    Target,
    /// The version token is malformed, or absent (HTTP/0.9).
    #[error("malformed version")]
    Version,
    /// A well-formed version other than 1.0 and 1.1.
    #[error("HTTP version is not supported")]
    VersionUnsupported,
    /// A field line without a colon, or with an empty name.
    #[error("malformed field line")]
    FieldLine,
    /// The name of a field is no token; also white space before the colon.
    #[error("malformed field name")]
    FieldName,
    /// White space at the start of a line: a folded field, or blanks before the first one.
    #[error("folded field line")]
    FieldFold,
    /// HTTP/1.1 without Host.
    #[error("no Host")]
    HostMissing,
    /// More than one Host.
    #[error("more than one Host")]
    HostDuplicate,
    /// Host or authority is no host name or address with an optional port.
    #[error("invalid Host")]
    HostInvalid,
    /// Content-Length is no plain number that fits.
    #[error("invalid Content-Length")]
    LengthInvalid,
    /// More than one Content-Length.
    #[error("more than one Content-Length")]
    LengthDuplicate,
    /// Content-Length beside Transfer-Encoding.
    #[error("Content-Length and Transfer-Encoding")]
    LengthAndEncoding,
    /// Transfer-Encoding is not exactly one `chunked`.
    #[error("invalid Transfer-Encoding")]
    Encoding,
    /// Transfer-Encoding names a coding that is not served.
    #[error("Transfer-Encoding is not supported")]
    EncodingUnsupported,
    /// Transfer-Encoding in HTTP/1.0.
    #[error("Transfer-Encoding in HTTP/1.0")]
    EncodingVersion,
    /// Connection names more fields than anybody would.
    #[error("too many connection options")]
    ConnectionOptions,
    /// The request line is over `line_bytes_max`.
    #[error("request line too long")]
    RequestLineTooLong,
    /// A field line is over `line_bytes_max`.
    #[error("field line too long")]
    FieldTooLong,
    /// The head is over `head_bytes_max`.
    #[error("head too large")]
    HeadTooLarge,
    /// More fields than `fields_max`.
    #[error("too many fields")]
    TooManyFields,
    /// The status line of a response is malformed.
    #[error("malformed status line")]
    StatusLine,
    /// A 101 that no Upgrade asked for.
    #[error("101 without a request to upgrade")]
    UpgradeUnasked,
}

impl HeadError {
    /// Status of the answer to the client when its request is refused. A response that is refused is a 502 always.
    pub fn status(self) -> u16 {
        match self {
            Self::RequestLineTooLong => 414,
            Self::FieldTooLong | Self::HeadTooLarge | Self::TooManyFields => 431,
            Self::Connect | Self::EncodingUnsupported => 501,
            Self::Trace => 405,
            Self::VersionUnsupported => 505,
            Self::LeadingEmptyLines
            | Self::LineEnd
            | Self::ControlCharacter
            | Self::RequestLine
            | Self::Method
            | Self::Target
            | Self::Version
            | Self::FieldLine
            | Self::FieldName
            | Self::FieldFold
            | Self::HostMissing
            | Self::HostDuplicate
            | Self::HostInvalid
            | Self::LengthInvalid
            | Self::LengthDuplicate
            | Self::LengthAndEncoding
            | Self::Encoding
            | Self::EncodingVersion
            | Self::ConnectionOptions
            | Self::StatusLine
            | Self::UpgradeUnasked => 400,
        }
    }

    /// Stable word for logs and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::LeadingEmptyLines => "leading_empty_lines",
            Self::LineEnd => "line_end",
            Self::ControlCharacter => "control_character",
            Self::RequestLine => "request_line",
            Self::Method => "method",
            Self::Connect => "connect",
            Self::Trace => "trace",
            Self::Target => "target",
            Self::Version => "version",
            Self::VersionUnsupported => "version_unsupported",
            Self::FieldLine => "field_line",
            Self::FieldName => "field_name",
            Self::FieldFold => "field_fold",
            Self::HostMissing => "host_missing",
            Self::HostDuplicate => "host_duplicate",
            Self::HostInvalid => "host_invalid",
            Self::LengthInvalid => "length_invalid",
            Self::LengthDuplicate => "length_duplicate",
            Self::LengthAndEncoding => "length_and_encoding",
            Self::Encoding => "encoding",
            Self::EncodingUnsupported => "encoding_unsupported",
            Self::EncodingVersion => "encoding_version",
            Self::ConnectionOptions => "connection_options",
            Self::RequestLineTooLong => "request_line_too_long",
            Self::FieldTooLong => "field_too_long",
            Self::HeadTooLarge => "head_too_large",
            Self::TooManyFields => "too_many_fields",
            Self::StatusLine => "status_line",
            Self::UpgradeUnasked => "upgrade_unasked",
        }
    }
}
