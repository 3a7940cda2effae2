//! `X-Request-ID`, kept for the whole exchange without an allocation.

/// An `X-Request-ID` held inline: ids of clients are bounded by the codec.
pub(super) struct RequestId {
    bytes: [u8; 128],
    len: usize,
}

impl From<&[u8]> for RequestId {
    fn from(id: &[u8]) -> Self {
        let mut bytes = [0; 128];
        let len = id.len().min(bytes.len());
        bytes[..len].copy_from_slice(&id[..len]);
        Self { bytes, len }
    }
}

impl std::ops::Deref for RequestId {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
