//! What policies change on a request's way to the upstream and on the answer's way back.

use std::borrow::Cow;

use ringress_config::snapshot::{FieldRules, Policies, Route, Template};

use super::{MirrorTarget, Request, Words, template};
use crate::http::field::{Changes, FieldId};
use crate::http::framing::write_decimal;
use crate::http::host;

/// An answer that the proxy makes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Where to, for redirects.
    pub(crate) location: Option<Vec<u8>>,
    /// One more field.
    pub(crate) field: Option<(&'static [u8], Vec<u8>)>,
    /// The connection ends with it: only another one can be answered otherwise.
    pub(crate) closes: bool,
}

impl Answer {
    /// An answer with nothing but a status.
    pub(crate) fn status(status: u16) -> Self {
        Self { status, location: None, field: None, closes: false }
    }

    /// A redirect.
    pub(crate) fn redirect(status: u16, location: Vec<u8>) -> Self {
        Self { location: Some(location), ..Self::status(status) }
    }

    /// The last one of its connection.
    pub(crate) fn closing(self) -> Self {
        Self { closes: true, ..self }
    }

    /// With one more field.
    pub(crate) fn with_field(self, name: &'static [u8], value: &[u8]) -> Self {
        Self { field: Some((name, value.to_vec())), ..self }
    }
}

/// Changes to both heads. Empty and without allocation for a route without policies.
#[derive(Debug, Default)]
pub(crate) struct Shaping<'s> {
    /// The request's target in place of the client's.
    pub(crate) target: Option<Vec<u8>>,
    /// `Host` toward the upstream in place of the client's.
    pub(crate) host: Option<Cow<'s, [u8]>>,
    /// Where a copy of the request goes. Boxed as it is rare, and large.
    pub(crate) mirror: Option<Box<MirrorTarget>>,
    /// To the request's fields.
    pub(crate) request: Changes<'s>,
    /// To the response's fields.
    pub(crate) response: Changes<'s>,
    /// What an upstream's words are replaced by, where that depends on the request.
    pub(crate) words: Option<Box<Words<'s>>>,
    /// `Set-Cookie` of the authentication service, for answers of the statuses that nginx' `add_header` is for.
    pub(crate) cookies: Vec<Vec<u8>>,
}

impl<'s> Shaping<'s> {
    /// The route's own rules, for this request.
    pub(super) fn render(&mut self, policies: &'s Policies, request: &Request<'_>, route: &Route) {
        let render = |value: &Template, out: &mut Vec<u8>| template::render(value, request, route, None, out);
        let Policies { request_fields, response_fields, .. } = policies;
        apply(request_fields, &mut self.request, render);
        apply(response_fields, &mut self.response, render);
        if let Some(words) = policies.upstream_words.as_deref().filter(|words| words.has_variables()) {
            self.words = Some(Box::new(Words::of(words, render)));
        }
        let is_host = |(name, _): &&(Box<str>, Template)| name.eq_ignore_ascii_case("host");
        let among_fields = || request_fields.set.iter().find(is_host).map(|(_, value)| value);
        let host = policies.upstream_host.as_ref().or_else(among_fields).map(|value| match value.as_literal() {
            Some(literal) => Cow::Borrowed(literal.as_bytes()),
            None => {
                let mut text = Vec::new();
                render(value, &mut text);
                Cow::Owned(text)
            }
        });
        // A name made of what the client sent could be none: the client's own, which was checked, is taken then.
        self.host = host.filter(|host| host::is_authority(host));
    }

    /// Adds the cookies to an answer of a status that may have them.
    pub(crate) fn add_cookies(&self, status: u16, response: &mut Changes<'_>) {
        if matches!(status, 200 | 201 | 204 | 206 | 301 | 302 | 303 | 304 | 307 | 308) {
            self.cookies.iter().for_each(|cookie| response.add(b"Set-Cookie", cookie));
        }
    }

    /// What an error backend is told (reference 3.6).
    pub(super) fn ask_for_page(&mut self, route: &Route, request: &Request<'_>, status: u16) {
        let labels = &route.labels;
        let told = &mut self.request;
        told.set_with(b"X-Code", |out| write_decimal(out, u64::from(status)));
        told.set(b"X-Format", request.field("accept").unwrap_or_default());
        told.set(b"X-Original-URI", request.head.path_and_query(request.bytes));
        told.set(b"X-Namespace", labels.namespace.as_bytes());
        told.set(b"X-Ingress-Name", labels.ingress.as_bytes());
        told.set(b"X-Service-Name", labels.service.as_bytes());
        told.set(b"X-Service-Port", labels.service_port.as_bytes());
    }

    /// Sets a field that configuration names and another service fills.
    pub(super) fn set_request(&mut self, name: &'s [u8], value: &[u8]) {
        if !is_framing(name) {
            self.request.set(name, value);
        }
    }
}

/// Changes what the rules say, but for the fields that are the proxy's own. What a policy has set for this very request
/// stays, as with nginx, where the fields of CORS are set behind those of `custom-headers`.
fn apply<'s>(rules: &'s FieldRules, changes: &mut Changes<'s>, render: impl Fn(&Template, &mut Vec<u8>)) {
    let before = changes.mark();
    for (name, value) in rules.set.iter().filter(|(name, _)| !is_framing(name.as_bytes())) {
        if !changes.had_set(before, name.as_bytes()) {
            changes.set_new_token_with(name.as_bytes(), |out| render(value, out));
        }
    }
    for (name, value) in rules.add.iter().filter(|(name, _)| !is_framing(name.as_bytes())) {
        changes.add_token_with(name.as_bytes(), |out| render(value, out));
    }
    rules.remove.iter().for_each(|name| changes.remove(name.as_bytes()));
}

/// Fields that say where a message ends or belong to one hop: the proxy's own, whoever asks for them.
pub(super) fn is_framing(name: &[u8]) -> bool {
    // By their lengths most names are none of them.
    const LENGTHS: u32 = 1 << 2 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 14 | 1 << 16 | 1 << 17;
    name.len() < 32 && LENGTHS >> name.len() & 1 == 1 && is_named_framing(name)
}

fn is_named_framing(name: &[u8]) -> bool {
    matches!(
        FieldId::of(name),
        FieldId::Host
            | FieldId::ContentLength
            | FieldId::TransferEncoding
            | FieldId::Connection
            | FieldId::KeepAlive
            | FieldId::ProxyConnection
            | FieldId::Te
            | FieldId::Trailer
            | FieldId::Upgrade
            | FieldId::Expect
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxys_own_fields_are_told_by_name_in_any_case() {
        let own =
            "Host Content-Length Transfer-Encoding Connection Keep-Alive Proxy-Connection TE Trailer Upgrade Expect";
        for name in own.split(' ') {
            assert!(is_framing(name.as_bytes()) && is_framing(name.to_ascii_lowercase().as_bytes()), "{name}");
        }
        for other in ["X-Tenant", "Via", "Date", "Server", "Location", "Cache-Control", ""] {
            assert!(!is_framing(other.as_bytes()), "{other}");
        }
    }
}
