//! The head of an upstream's response.

use super::field::{Field, FieldId};
use super::framing::ResponseBody;
use super::head::{HeadError, HeadLimits, Progress, Span, Version};

/// What the framing of a response depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The request was HEAD.
    pub head: bool,
    /// The request carried Upgrade upstream: a 101 may come.
    pub upgrade: bool,
}

/// A parsed response head, final or interim; reused like [`super::request::RequestHead`]. Every refusal is a 502.
#[derive(Clone, Debug, Default)]
pub struct ResponseHead {
    /// Status code, 100 to 599 (1xx other than 101 are interim).
    pub status: u16,
    /// Version of the upstream's message.
    pub version: Version,
    /// Body that follows.
    pub body: ResponseBody,
    /// Content-Length as declared, for HEAD and 304 answers too.
    pub content_length: Option<u64>,
    /// The upstream lets the connection live on (the caller still checks that nothing is left over).
    pub keep_alive: bool,
    /// Bytes of the head.
    pub consumed: usize,
    reason: Span,
    fields: Vec<Field>,
}

impl ResponseHead {
    /// Parses the head at the start of `buf`; resumes like [`super::request::RequestHead::parse`].
    pub fn parse(&mut self, buf: &[u8], limits: &HeadLimits, asked: Asked) -> Result<Progress, HeadError> {
        let _ = (buf, limits, asked);
        Err(HeadError::StatusLine)
    }
    /// Forgets a partly parsed head.
    pub fn reset(&mut self) {}
    /// An interim response: another head follows.
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
    /// The reason phrase, may be empty.
    pub fn reason<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.reason.of(buf)
    }
    /// All field lines.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }
    /// Value of the first field of that name.
    pub fn find<'b>(&self, buf: &'b [u8], id: FieldId) -> Option<&'b [u8]> {
        self.fields.iter().find(|field| field.id == id).map(|field| field.value.of(buf))
    }
}
