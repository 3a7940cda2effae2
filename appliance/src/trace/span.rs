//! The span of one request, as its core leaves it: numbers, and all its texts in one piece of memory.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Active;
use crate::access_log::Entry;
use crate::http::edge::Scheme;
use crate::http::field::FieldId;
use crate::limits::SPAN_WORD_BYTES_MAX;

/// A request that is over.
#[derive(Debug)]
pub(crate) struct Span {
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    pub(super) parent: Option<[u8; 8]>,
    /// Since 1970.
    pub(super) begun: Duration,
    pub(super) duration: Duration,
    pub(super) status: u16,
    /// As `$server_protocol` has it.
    pub(super) protocol: &'static str,
    pub(super) is_https: bool,
    /// As far as it is believed.
    pub(super) client: IpAddr,
    pub(super) peer: SocketAddr,
    /// That the client asked.
    pub(super) port: u16,
    /// The last one that was asked.
    pub(super) upstream: Option<SocketAddr>,
    pub(super) body_bytes_sent: u64,
    text: Vec<u8>,
    /// Where each word ends in `text`.
    ends: [u32; Word::ALL.len()],
}

/// The texts of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Name,
    State,
    Method,
    /// As sent.
    Target,
    /// Of the target, as sent.
    Path,
    Query,
    /// That was asked for, without port.
    Host,
    /// The Host field as sent.
    HostField,
    UserAgent,
    Namespace,
    Ingress,
    Service,
    ServicePort,
    /// Host of the rule.
    ServerName,
    /// Path of the rule.
    Route,
}

impl Word {
    const ALL: [Self; 15] = [
        Self::Name,
        Self::State,
        Self::Method,
        Self::Target,
        Self::Path,
        Self::Query,
        Self::Host,
        Self::HostField,
        Self::UserAgent,
        Self::Namespace,
        Self::Ingress,
        Self::Service,
        Self::ServicePort,
        Self::ServerName,
        Self::Route,
    ];
}

impl Span {
    /// What is to be told of a request. Words are cut at [`SPAN_WORD_BYTES_MAX`].
    pub(super) fn new(active: &Active, name: &[u8], entry: &Entry<'_>) -> Self {
        let request = entry.request.ok();
        let label =
            |read: fn(&ringress_config::snapshot::RouteLabels) -> &str| entry.labels.map_or("", read).as_bytes();
        let target = request.map_or(&b""[..], |request| request.head.path_and_query(request.bytes));
        let query = request.and_then(|request| request.head.query(request.bytes)).unwrap_or_default();
        let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
        let mut text = Vec::with_capacity(512);
        let ends = Word::ALL.map(|word| {
            let bytes = match word {
                Word::Name => name,
                Word::State => &active.state,
                Word::Method => request.map_or(&b""[..], |request| request.head.method_bytes(request.bytes)),
                Word::Target => target,
                Word::Path => path,
                Word::Query => query,
                Word::Host => request.map_or("", |request| request.head.host().name()).as_bytes(),
                Word::HostField => request.map_or(&b""[..], |request| request.head.authority(request.bytes)),
                Word::UserAgent => {
                    request.and_then(|request| request.head.find(request.bytes, FieldId::UserAgent)).unwrap_or_default()
                }
                Word::Namespace => label(|labels| &labels.namespace),
                Word::Ingress => label(|labels| &labels.ingress),
                Word::Service => label(|labels| &labels.service),
                Word::ServicePort => label(|labels| &labels.service_port),
                Word::ServerName => label(|labels| &labels.host),
                Word::Route => label(|labels| &labels.path),
            };
            let most = if word == Word::State { bytes.len() } else { SPAN_WORD_BYTES_MAX };
            text.extend_from_slice(&bytes[..bytes.len().min(most)]);
            u32::try_from(text.len()).unwrap_or(u32::MAX)
        });
        Self {
            trace_id: active.trace_id,
            span_id: active.span_id,
            parent: active.parent,
            begun: active.begun,
            duration: entry.duration,
            status: entry.status,
            protocol: entry.protocol,
            is_https: request.is_some_and(|request| request.scheme == Scheme::Https),
            client: request.map_or(entry.peer.ip(), |request| request.client).to_canonical(),
            peer: entry.peer,
            port: request.map_or(0, |request| request.port),
            upstream: entry.trail.last(),
            body_bytes_sent: entry.body_bytes_sent,
            text,
            ends,
        }
    }

    /// A word, with what is no UTF-8 replaced.
    pub(super) fn word(&self, word: Word) -> String {
        let at = word as usize;
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        String::from_utf8_lossy(&self.text[begin..self.ends[at] as usize]).into_owned()
    }

    #[cfg(test)]
    pub(super) fn example() -> Self {
        let entry = Entry {
            request: Err(b""),
            peer: "192.0.2.1:4711".parse().expect("an address"),
            labels: None,
            client_auth: None,
            noted: None,
            protocol: "HTTP/1.1",
            connection_requests: 1,
            status: 503,
            bytes_sent: 200,
            body_bytes_sent: 100,
            bytes_received: 10,
            duration: Duration::from_millis(5),
            alternative: None,
            trail: &crate::access_log::Trail::default(),
            trace: None,
        };
        Self::new(&Active::example(), &[b'n'; 2000], &entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_where_their_numbers_say_and_are_cut() {
        for (at, word) in Word::ALL.into_iter().enumerate() {
            assert_eq!(word as usize, at, "{word:?}");
        }
        let span = Span::example();
        assert_eq!(span.word(Word::Name), "n".repeat(SPAN_WORD_BYTES_MAX));
        assert_eq!((span.word(Word::State).as_str(), span.word(Word::Route).as_str()), ("a=1", ""));
    }
}
