//! How long a body is: exactly one reading, or a refusal.

/// Body of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyFraming {
    /// There is none.
    #[default]
    None,
    /// So many bytes (`Content-Length`, zero included).
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// Body of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseBody {
    /// There is none, whatever the fields say (HEAD, 1xx, 204, 304).
    #[default]
    None,
    /// So many bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Everything until the upstream closes.
    UntilClose,
}
