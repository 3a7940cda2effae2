//! `X-Request-ID`, kept for the whole exchange.

/// An `X-Request-ID`. A new one, which is the common case, costs no allocation.
pub(super) enum RequestId {
    /// There is to be none.
    Unwanted,
    /// Made here.
    New([u8; 32]),
    /// The client's own; the codec bounds it.
    Given(Box<[u8]>),
}

impl std::ops::Deref for RequestId {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Unwanted => &[],
            Self::New(id) => id,
            Self::Given(id) => id,
        }
    }
}
