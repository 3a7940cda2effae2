//! The head of a client's request.

use super::connection::{ConnectionOptions, is_forwardable_upgrade};
use super::field::{self, Field, FieldId, FieldSet};
use super::framing::{BodyFraming, Declared};
use super::head::{HeadError, HeadLimits, Progress, Span, Version};
use super::host::Host;
use super::scan::{LineScan, elements};
use super::target::{self, BadTarget, Shape};

/// Empty lines that are skipped before a request line (RFC 9112 2.2 asks for one).
const LEADING_EMPTY_LINES_MAX: usize = 2;

/// Methods that the proxy treats apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the method of that name")]
pub enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    Patch,
    /// Any other; `RequestHead::method_bytes` has it.
    Other,
}

impl Method {
    /// Case matters, and as with nginx a method has capitals, `-` and `_` only.
    fn parse(token: &[u8]) -> Result<Self, HeadError> {
        Ok(match token {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            b"CONNECT" => return Err(HeadError::Connect),
            b"TRACE" => return Err(HeadError::Trace),
            [] => return Err(HeadError::Method),
            _ if token.iter().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_')) => Self::Other,
            _ => return Err(HeadError::Method),
        })
    }

    /// Whether it asks for nothing to be changed (RFC 9110 9.2.1).
    pub fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options)
    }

    /// Whether a repetition does no more than the first one (RFC 9110 9.2.2).
    pub fn is_idempotent(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Put | Self::Delete | Self::Options)
    }
}

/// A parsed request head. One value per connection: its buffers are reused, so parsing does not allocate once warm.
///
/// All spans refer to the buffer given to [`RequestHead::parse`], counted from its first byte; accessors take that
/// buffer again (it may have moved as a whole, its bytes unchanged). Until `parse` says `Complete` the values mean nothing.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// Version of the client's message.
    pub version: Version,
    /// Body that follows the head.
    pub framing: BodyFraming,
    /// The client lets the connection live on.
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body (HTTP/1.1 with a body only).
    pub expect_continue: bool,
    /// Bytes of the head, leading empty lines included: where body or next request starts.
    pub consumed: usize,
    host: Host,
    line: RequestLine,
    upgrade: Option<Span>,
    fields: Vec<Field>,
    present: FieldSet,
    scan: LineScan,
    seen: Seen,
}

/// The parts of the request line.
#[derive(Clone, Copy, Debug, Default)]
struct RequestLine {
    method: Span,
    /// The whole target as sent.
    target: Span,
    /// Authority of a target in absolute-form; it wins over Host.
    authority: Option<Span>,
    path: Span,
    query: Option<Span>,
    /// The path is its own normalised form.
    path_is_normal: bool,
}

/// Lines whose meaning is settled when the head is complete.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    start_line: bool,
    host: Option<Span>,
    declared: Declared,
    connection: ConnectionOptions,
    expect_continue: bool,
    upgrades: usize,
    upgrade: Span,
}

impl RequestHead {
    /// Parses the head at the start of `buf`. After `Partial`, call again with the same bytes and more behind them: it
    /// goes on where it stopped. After `Complete` or an error the next call starts a new head.
    pub fn parse(&mut self, buf: &[u8], limits: &HeadLimits) -> Result<Progress, HeadError> {
        if self.scan.is_new() {
            self.fields.clear();
            self.present = FieldSet::default();
            self.seen = Seen::default();
        }
        let outcome = self.parse_lines(buf, limits);
        if outcome != Ok(Progress::Partial) {
            self.scan = LineScan::default();
        }
        outcome
    }

    /// Forgets a partly parsed head (the connection's buffer was thrown away).
    pub fn reset(&mut self) {
        self.scan = LineScan::default();
    }

    fn parse_lines(&mut self, buf: &[u8], limits: &HeadLimits) -> Result<Progress, HeadError> {
        while !self.seen.start_line {
            match self.scan.next_line(buf, limits, HeadError::RequestLineTooLong)? {
                Some(line) if !line.is_empty() => self.request_line(buf, line)?,
                Some(_) if self.scan.consumed() > 2 * LEADING_EMPTY_LINES_MAX => {
                    return Err(HeadError::LeadingEmptyLines);
                }
                Some(_) => {}
                None => return Ok(Progress::Partial),
            }
        }
        while let Some(line) = self.scan.next_line(buf, limits, HeadError::FieldTooLong)? {
            if line.is_empty() {
                return self.complete(buf);
            }
            self.field_line(buf, line, limits)?;
        }
        Ok(Progress::Partial)
    }

    fn request_line(&mut self, buf: &[u8], line: Span) -> Result<(), HeadError> {
        let bytes = line.of(buf);
        let space = bytes.iter().position(|&byte| byte == b' ').ok_or(HeadError::RequestLine)?;
        self.method = Method::parse(&bytes[..space])?;
        let target_bytes = match bytes[space + 1..].split_last_chunk::<9>() {
            Some((target, b" HTTP/1.1")) => {
                self.version = Version::Http11;
                target
            }
            Some((target, b" HTTP/1.0")) => {
                self.version = Version::Http10;
                target
            }
            _ => return Err(refusal_of_version(&bytes[space + 1..])),
        };
        let start = line.start + space as u32 + 1;
        let target = Span { start, end: start + target_bytes.len() as u32 };
        let method = Span { start: line.start, end: line.start + space as u32 };
        self.line = RequestLine { method, ..RequestLine::of_target(target_bytes, target, self.method)? };
        self.seen.start_line = true;
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
        if READ_AT_ONCE.has(field.id) { self.read_at_once(buf, field) } else { Ok(()) }
    }

    fn read_at_once(&mut self, buf: &[u8], field: Field) -> Result<(), HeadError> {
        let value = field.value.of(buf);
        let seen = &mut self.seen;
        match field.id {
            FieldId::Host if seen.host.is_some() => return Err(HeadError::HostDuplicate),
            FieldId::Host => seen.host = Some(field.value),
            FieldId::ContentLength => seen.declared.add_length(value)?,
            FieldId::TransferEncoding => seen.declared.add_encoding(value)?,
            FieldId::Connection => seen.connection.add(value)?,
            FieldId::Expect => {
                seen.expect_continue |= elements(value).any(|one| one.eq_ignore_ascii_case(b"100-continue"));
            }
            FieldId::Upgrade => {
                seen.upgrades += 1;
                seen.upgrade = field.value;
            }
            _ => {}
        }
        Ok(())
    }

    fn complete(&mut self, buf: &[u8]) -> Result<Progress, HeadError> {
        self.consumed = self.scan.consumed();
        let seen = self.seen;
        self.framing = seen.declared.check(self.version)?.of_request();
        let has_body = !matches!(self.framing, BodyFraming::None | BodyFraming::Length(0));
        self.keep_alive = seen.connection.keeps_alive(self.version);
        self.expect_continue = seen.expect_continue && has_body && self.version == Version::Http11;
        // A body before the switch of protocols would leave open whose bytes are whose: such an Upgrade is not forwarded.
        let may_upgrade = seen.connection.upgrade && seen.upgrades == 1 && !has_body && self.version == Version::Http11;
        self.upgrade = (may_upgrade && is_forwardable_upgrade(seen.upgrade.of(buf))).then_some(seen.upgrade);
        seen.connection.nominate(buf, &mut self.fields);
        match seen.host {
            Some(host) => self.host.set(host.of(buf))?,
            None if self.version == Version::Http11 => return Err(HeadError::HostMissing),
            None => self.host.clear(),
        }
        if let Some(authority) = self.line.authority {
            self.host.set(authority.of(buf))?;
        }
        Ok(Progress::Complete)
    }
}

/// Fields whose lines are read when they are met.
const READ_AT_ONCE: FieldSet = FieldSet::of(&[
    FieldId::Host,
    FieldId::ContentLength,
    FieldId::TransferEncoding,
    FieldId::Connection,
    FieldId::Expect,
    FieldId::Upgrade,
]);

impl RequestLine {
    /// Takes a target apart. `span` is where `bytes` are.
    fn of_target(bytes: &[u8], span: Span, method: Method) -> Result<Self, HeadError> {
        let whole = Self { target: span, path: span, path_is_normal: true, ..Self::default() };
        let (authority_start, path_start) = match bytes.first() {
            Some(b'/') => (None, 0),
            Some(b'*') if bytes.len() == 1 && method == Method::Options => return Ok(whole),
            _ => {
                let authority = behind_scheme(bytes).ok_or(HeadError::Target)?;
                let length = bytes[authority..].iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
                (Some(authority), length.map_or(bytes.len(), |length| authority + length))
            }
        };
        let Shape { path_bytes, has_query, is_normal } =
            target::shape(&bytes[path_start..]).ok_or(HeadError::Target)?;
        let at = |offset: usize| span.start + offset as u32;
        if path_bytes == 0 && has_query {
            // A query right behind the authority: legal, never seen, and read in more than one way.
            return Err(HeadError::Target);
        }
        let path_end = path_start + path_bytes;
        Ok(Self {
            authority: authority_start.map(|start| Span { start: at(start), end: at(path_start) }),
            path: Span { start: at(path_start), end: at(path_end) },
            query: has_query.then(|| Span { start: at(path_end + 1), end: span.end }),
            path_is_normal: is_normal,
            ..whole
        })
    }
}

/// Length of `http://` or `https://` at the start, whatever the case.
fn behind_scheme(target: &[u8]) -> Option<usize> {
    [b"http://".as_slice(), b"https://"]
        .into_iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
        .map(<[u8]>::len)
}

#[cold]
fn refusal_of_version(behind_method: &[u8]) -> HeadError {
    let Some(space) = behind_method.iter().rposition(|&byte| byte == b' ') else { return HeadError::Version };
    match &behind_method[space + 1..] {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            HeadError::VersionUnsupported
        }
        _ => HeadError::Version,
    }
}

/// What is read of a complete head.
impl RequestHead {
    /// The validated host for routing and its port: that of the target if it names one, else of Host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The method as sent.
    pub fn method_bytes<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.line.method.of(buf)
    }

    /// The target as sent, for the access log.
    pub fn target<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.line.target.of(buf)
    }

    /// Path and query as sent: what goes upstream. A target without a path is `/`, or `*` with OPTIONS.
    pub fn path_and_query<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        match (Span { start: self.line.path.start, end: self.line.target.end }).of(buf) {
            // RFC 9112 3.2.4: the last proxy turns an absolute-form without a path into the asterisk.
            [] if self.method == Method::Options => b"*",
            [] => b"/",
            sent => sent,
        }
    }

    /// The query without `?`; `None` when there was no `?`.
    pub fn query<'b>(&self, buf: &'b [u8]) -> Option<&'b [u8]> {
        self.line.query.map(|query| query.of(buf))
    }

    /// Host with port as sent (of the target if it names one, else of Host): what goes upstream. Empty when an HTTP/1.0
    /// request had none.
    pub fn authority<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.line.authority.or(self.seen.host).unwrap_or_default().of(buf)
    }

    /// The path that is routed: decoded, slashes merged, dot segments resolved; `/` for `OPTIONS *`. Borrowed from `buf`
    /// when there is nothing to do, else built in `scratch`.
    pub fn normalised_path<'b>(&self, buf: &'b [u8], scratch: &'b mut Vec<u8>) -> Result<&'b [u8], BadTarget> {
        match self.line.path.of(buf) {
            b"" | b"*" => Ok(b"/"),
            path if self.line.path_is_normal => Ok(path),
            path => target::normalise(path, scratch),
        }
    }

    /// The protocols asked for, when the request is an upgrade to forward: named by Connection, without a body, not `h2c`.
    pub fn upgrade<'b>(&self, buf: &'b [u8]) -> Option<&'b [u8]> {
        self.upgrade.map(|span| span.of(buf))
    }

    /// Whether the client takes trailers (RFC 9110 10.1.4).
    pub fn takes_trailers(&self, buf: &[u8]) -> bool {
        let mut codings = self.find_all(buf, FieldId::Te).flat_map(elements);
        codings.any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
    }

    /// All field lines in the order of arrival.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Value of the first field of that name.
    pub fn find<'b>(&self, buf: &'b [u8], id: FieldId) -> Option<&'b [u8]> {
        self.find_all(buf, id).next()
    }

    /// Values of all fields of a name that the proxy may not know, in order.
    pub fn find_named<'b>(&self, buf: &'b [u8], name: &str) -> impl Iterator<Item = &'b [u8]> {
        field::named(&self.fields, buf, name)
    }

    /// Values of all fields of that name, in order.
    pub fn find_all<'b>(&self, buf: &'b [u8], id: FieldId) -> impl Iterator<Item = &'b [u8]> {
        let fields = if self.present.has(id) { self.fields.as_slice() } else { &[] };
        fields.iter().filter(move |field| field.id == id).map(|field| field.value.of(buf))
    }
}

#[cfg(test)]
mod tests;
