//! What a line names and the end of a request no longer knows: noted while it runs, for those forms alone that ask.

use std::cell::RefCell;

use ringress_config::snapshot::{AccessLogSettings, LogPart, LogVariable, RequestValue};

use crate::http::client::Facts;
use crate::http::response::ResponseHead;
use crate::tls::{Secured, Suite};

/// The notes of one request.
pub(crate) struct Noted<'s> {
    settings: &'s AccessLogSettings,
    pub(crate) suite: Suite,
    pub(crate) secured: Secured,
    /// The connection's number.
    pub(crate) connection: u32,
    /// It came behind another request that was not yet answered.
    pub(crate) is_pipelined: bool,
    /// What upstreams are told as `X-Forwarded-For`.
    pub(crate) forwarded_for: Box<[u8]>,
    upstream: RefCell<Fields>,
    sent: RefCell<Fields>,
}

/// Values of fields, those of one name with `, ` between.
type Fields = Vec<(Box<str>, Vec<u8>)>;

impl<'s> Noted<'s> {
    pub(crate) fn new(
        settings: &'s AccessLogSettings,
        facts: &Facts,
        is_pipelined: bool,
        forwarded_for: &[u8],
    ) -> Box<Self> {
        Box::new(Self {
            settings,
            suite: facts.suite,
            secured: facts.secured.clone(),
            connection: facts.number,
            is_pipelined,
            forwarded_for: forwarded_for.into(),
            upstream: RefCell::default(),
            sent: RefCell::default(),
        })
    }

    /// The upstream answered with this head.
    pub(crate) fn answered(&self, head: &ResponseHead, received: &[u8]) {
        let lines = || head.fields().iter().map(|field| (field.name.of(received), field.value.of(received)));
        *self.upstream.borrow_mut() = self.wanted(|variable| match variable {
            LogVariable::UpstreamField(name) => joined(name, lines()),
            _ => None,
        });
    }

    /// The client is sent this head.
    pub(crate) fn sends(&self, head: &[u8]) {
        let lines = || head.split(|b| *b == b'\n').skip(1).map(<[u8]>::trim_ascii_end).take_while(|l| !l.is_empty());
        let fields = || {
            lines().filter_map(|line| {
                let at = line.iter().position(|b| *b == b':')?;
                Some((&line[..at], line[at + 1..].trim_ascii_start()))
            })
        };
        *self.sent.borrow_mut() = self.wanted(|variable| match variable {
            LogVariable::SentField(name) => joined(name, fields()),
            _ => None,
        });
    }

    fn wanted(&self, read: impl Fn(&LogVariable) -> Option<(Box<str>, Vec<u8>)>) -> Fields {
        let parts = self.settings.format.parts().iter();
        let variables = parts.filter_map(|part| match part {
            LogPart::Value(RequestValue::Outcome(variable)) => Some(variable),
            LogPart::Value(RequestValue::Request(_)) | LogPart::Text(_) => None,
        });
        variables.filter_map(read).collect()
    }

    /// Appends a field of the upstream's response.
    pub(super) fn upstream(&self, name: &str, out: &mut Vec<u8>) {
        find(&self.upstream.borrow(), name, out);
    }

    /// The same of the response as it was sent.
    pub(super) fn sent(&self, name: &str, out: &mut Vec<u8>) {
        find(&self.sent.borrow(), name, out);
    }
}

fn joined<'h>(name: &str, fields: impl Iterator<Item = (&'h [u8], &'h [u8])>) -> Option<(Box<str>, Vec<u8>)> {
    let values: Vec<_> =
        fields.filter(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value).collect();
    (!values.is_empty()).then(|| (name.into(), values.join(&b", "[..])))
}

fn find(fields: &Fields, name: &str, out: &mut Vec<u8>) {
    if let Some((_, value)) = fields.iter().find(|(known, _)| **known == *name) {
        out.extend_from_slice(value);
    }
}
