//! The head of an upstream's response.

use super::connection::ConnectionOptions;
use super::field::{self, Field, FieldId, FieldSet};
use super::framing::{Declared, ResponseBody};
use super::head::{HeadError, HeadLimits, Progress, Span, Version};
use super::scan::LineScan;

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
    /// Status code, three digits from 100 (1xx other than 101 are interim).
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
    status_and_reason: Span,
    fields: Vec<Field>,
    present: FieldSet,
    scan: LineScan,
    started: bool,
    declared: Declared,
    connection: ConnectionOptions,
}

/// Fields whose lines are read when they are met.
const READ_AT_ONCE: FieldSet = FieldSet::of(&[FieldId::ContentLength, FieldId::TransferEncoding, FieldId::Connection]);

impl ResponseHead {
    /// Parses the head at the start of `buf`; resumes like [`super::request::RequestHead::parse`]. An interim response
    /// is `Complete` too: parse again behind it.
    pub fn parse(&mut self, buf: &[u8], limits: &HeadLimits, asked: Asked) -> Result<Progress, HeadError> {
        if self.scan.is_new() {
            self.fields.clear();
            self.present = FieldSet::default();
            self.started = false;
            self.declared = Declared::default();
            self.connection = ConnectionOptions::default();
        }
        let outcome = self.parse_lines(buf, limits, asked);
        if outcome != Ok(Progress::Partial) {
            self.scan = LineScan::default();
        }
        outcome
    }

    /// Forgets a partly parsed head.
    pub fn reset(&mut self) {
        self.scan = LineScan::default();
    }

    fn parse_lines(&mut self, buf: &[u8], limits: &HeadLimits, asked: Asked) -> Result<Progress, HeadError> {
        if !self.started {
            match self.scan.next_line(buf, limits, HeadError::FieldTooLong)? {
                Some(line) => self.status_line(buf, line)?,
                None => return Ok(Progress::Partial),
            }
        }
        while let Some(line) = self.scan.next_line(buf, limits, HeadError::FieldTooLong)? {
            if line.is_empty() {
                return self.complete(buf, asked);
            }
            self.field_line(buf, line, limits)?;
        }
        Ok(Progress::Partial)
    }

    fn status_line(&mut self, buf: &[u8], line: Span) -> Result<(), HeadError> {
        let (version, rest) = line.of(buf).split_first_chunk::<9>().ok_or(HeadError::StatusLine)?;
        self.version = match version {
            b"HTTP/1.1 " => Version::Http11,
            b"HTTP/1.0 " => Version::Http10,
            _ => return Err(HeadError::StatusLine),
        };
        let (&[hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9'], [] | [b' ', ..]) =
            rest.split_first_chunk().ok_or(HeadError::StatusLine)?
        else {
            return Err(HeadError::StatusLine);
        };
        let digit = |byte: u8| u16::from(byte - b'0');
        self.status = digit(hundreds) * 100 + digit(tens) * 10 + digit(ones);
        self.status_and_reason = Span { start: line.start + 9, end: line.end };
        self.started = true;
        Ok(())
    }

    #[inline]
    fn field_line(&mut self, buf: &[u8], line: Span, limits: &HeadLimits) -> Result<(), HeadError> {
        if self.fields.len() >= limits.fields_max {
            return Err(HeadError::TooManyFields);
        }
        let field = Field::parse(buf, line)?;
        self.fields.push(field);
        self.present.insert(field.id);
        if !READ_AT_ONCE.has(field.id) {
            return Ok(());
        }
        let value = field.value.of(buf);
        match field.id {
            FieldId::ContentLength => self.declared.add_length(value),
            FieldId::TransferEncoding => self.declared.add_encoding(value),
            _ => self.connection.add(value),
        }
    }

    fn complete(&mut self, buf: &[u8], asked: Asked) -> Result<Progress, HeadError> {
        self.consumed = self.scan.consumed();
        if self.status == 101 && !asked.upgrade {
            return Err(HeadError::UpgradeUnasked);
        }
        let declared = self.declared.check(self.version)?;
        let never_has_body = matches!(self.status, 100..=199 | 204 | 304);
        self.content_length = declared.length;
        self.body = if never_has_body || asked.head { ResponseBody::None } else { declared.of_response() };
        self.keep_alive = self.connection.keeps_alive(self.version) && self.body != ResponseBody::UntilClose;
        // A 204 that announces a body may well send one: it must not be the start of the next response.
        let announced = matches!(declared.of_response(), ResponseBody::Length(1..) | ResponseBody::Chunked);
        self.keep_alive &= !(self.status == 204 && announced);
        self.connection.nominate(buf, &mut self.fields);
        Ok(Progress::Complete)
    }
}

/// What is read of a complete head.
impl ResponseHead {
    /// An interim response: another head follows.
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }

    /// The reason phrase, may be empty.
    pub fn reason<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.status_and_reason(buf).get(4..).unwrap_or_default()
    }

    /// Status and reason phrase as they stand in the status line.
    pub(super) fn status_and_reason<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.status_and_reason.of(buf)
    }

    /// All field lines in the order of arrival.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Which known fields are there.
    pub(crate) fn has(&self, id: FieldId) -> bool {
        self.present.has(id)
    }

    /// Value of the first field of that name.
    pub fn find<'b>(&self, buf: &'b [u8], id: FieldId) -> Option<&'b [u8]> {
        let fields = if self.present.has(id) { self.fields.as_slice() } else { &[] };
        fields.iter().find(|field| field.id == id).map(|field| field.value.of(buf))
    }

    /// Values of all fields of a name that the proxy may not know, in order.
    pub(crate) fn find_named<'b>(&self, buf: &'b [u8], name: &str) -> impl Iterator<Item = &'b [u8]> {
        field::named(&self.fields, buf, name)
    }
}

#[cfg(test)]
mod tests;
