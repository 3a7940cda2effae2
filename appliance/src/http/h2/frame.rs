//! What the first bytes of a frame say (RFC 9113 4.1, 6).

pub(super) const HEADER_BYTES: usize = 9;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;

/// What the beginning of a frame says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// Of a WINDOW_UPDATE that is as long as one: what its payload says.
    pub(super) grant: u32,
}

impl Frame {
    /// The frame that begins here; nothing when more of it must be seen.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let &[high, middle, low, kind, flags, ref stream @ ..] = bytes.first_chunk::<HEADER_BYTES>()?;
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        let grant = match kind == WINDOW_UPDATE && length == 4 {
            true => u32::from_be_bytes(*bytes.get(HEADER_BYTES..)?.first_chunk()?),
            false => 0,
        };
        Some(Self { length, kind, flags, stream: low_31(u32::from_be_bytes(*stream)), grant: low_31(grant) })
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// A DATA frame that says nothing. Without a byte there is no room for what [`PADDED`] announces: an error.
    pub(super) fn is_nothing(&self) -> bool {
        self.kind == DATA && self.length == 0 && !self.has(END_STREAM | PADDED)
    }
}

/// The highest bit of ids and increments says nothing (RFC 9113 4.1, 6.9).
fn low_31(number: u32) -> u32 {
    number & (u32::MAX >> 1)
}
