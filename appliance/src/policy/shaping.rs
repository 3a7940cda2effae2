//! What policies change on a request's way to the upstream and on the answer's way back.

use std::borrow::Cow;

use ringress_config::snapshot::{FieldRules, Policies, Route, Template};

use super::{MirrorTarget, Request, template};
use crate::http::field::{FieldId, NewField};
use crate::http::host;

/// What the route says word by word is lent, what depends on the request is owned.
type OwnedField<'s> = (Cow<'s, [u8]>, Cow<'s, [u8]>);

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
    pub(crate) host: Option<Vec<u8>>,
    /// Where a copy of the request goes.
    pub(crate) mirror: Option<MirrorTarget>,
    request_set: Vec<OwnedField<'s>>,
    request_add: Vec<OwnedField<'s>>,
    request_remove: Vec<Cow<'s, [u8]>>,
    response_set: Vec<OwnedField<'s>>,
    response_add: Vec<OwnedField<'s>>,
    response_remove: Vec<Cow<'s, [u8]>>,
}

impl<'s> Shaping<'s> {
    /// The route's own rules whose value needs no request.
    pub(super) fn new(policies: &'s Policies) -> Self {
        let removed = |rules: &'s FieldRules| rules.remove.iter().map(|name| Cow::Borrowed(name.as_bytes())).collect();
        Self {
            request_remove: removed(&policies.request_fields),
            response_remove: removed(&policies.response_fields),
            ..Self::default()
        }
    }

    /// The route's own rules, for this request.
    pub(super) fn render(&mut self, policies: &'s Policies, request: &Request<'_>, route: &Route) {
        let text = |value| {
            let mut out = Vec::new();
            template::render(value, request, route, None, &mut out);
            out
        };
        let lent = |value: &'s Template| match value.as_literal() {
            Some(literal) => Cow::Borrowed(literal.as_bytes()),
            None => Cow::Owned(text(value)),
        };
        let mut host = policies.upstream_host.as_ref().map(&text);
        for (name, value) in &policies.request_fields.set {
            if name.eq_ignore_ascii_case("host") {
                host = host.or_else(|| Some(text(value)));
            } else {
                self.set_request(name.as_bytes(), lent(value));
            }
        }
        for (name, value) in policies.request_fields.add.iter().filter(|(name, _)| !is_framing(name.as_bytes())) {
            self.request_add.push((Cow::Borrowed(name.as_bytes()), lent(value)));
        }
        for (name, value) in &policies.response_fields.set {
            self.set_response(name.as_bytes(), lent(value));
        }
        for (name, value) in &policies.response_fields.add {
            self.add_response(name.as_bytes(), lent(value));
        }
        // A name made of what the client sent could be none: the client's own, which was checked, is taken then.
        self.host = host.filter(|host| host::split(host).is_some());
    }

    /// What an error backend is told (reference 3.6).
    pub(super) fn ask_for_page(&mut self, route: &'s Route, request: &Request<'_>, status: u16) {
        let labels = &route.labels;
        self.set_request(b"X-Code", status.to_string().into_bytes());
        self.set_request(b"X-Format", request.field("accept").unwrap_or_default().to_vec());
        self.set_request(b"X-Original-URI", request.head.path_and_query(request.bytes).to_vec());
        self.set_request(b"X-Namespace", labels.namespace.as_bytes());
        self.set_request(b"X-Ingress-Name", labels.ingress.as_bytes());
        self.set_request(b"X-Service-Name", labels.service.as_bytes());
        self.set_request(b"X-Service-Port", labels.service_port.as_bytes());
    }

    pub(super) fn set_request(&mut self, name: &'s [u8], value: impl Into<Cow<'s, [u8]>>) {
        if is_framing(name) {
            return;
        }
        self.request_set.push((Cow::Borrowed(name), value.into()));
    }

    pub(super) fn remove_request(&mut self, name: &'s [u8]) {
        self.request_remove.push(Cow::Borrowed(name));
    }

    pub(super) fn set_response(&mut self, name: &'s [u8], value: impl Into<Cow<'s, [u8]>>) {
        if is_framing(name) {
            return;
        }
        self.response_set.push((Cow::Borrowed(name), value.into()));
    }

    pub(crate) fn add_response(&mut self, name: &'s [u8], value: impl Into<Cow<'s, [u8]>>) {
        if is_framing(name) {
            return;
        }
        self.response_add.push((Cow::Borrowed(name), value.into()));
    }

    /// Fields written in place of the client's, beside them, and names that do not pass.
    pub(crate) fn request(&self) -> (Vec<NewField<'_>>, Vec<NewField<'_>>, Vec<&[u8]>) {
        (fields(&self.request_set), fields(&self.request_add), names(&self.request_remove))
    }

    /// Fields written in place of the upstream's, beside them, and names that do not pass.
    pub(crate) fn response(&self) -> (Vec<NewField<'_>>, Vec<NewField<'_>>, Vec<&[u8]>) {
        (fields(&self.response_set), fields(&self.response_add), names(&self.response_remove))
    }
}

/// Fields that say where a message ends or belong to one hop: the proxy's own, whoever asks for them.
pub(super) fn is_framing(name: &[u8]) -> bool {
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

fn fields<'a>(owned: &'a [OwnedField<'_>]) -> Vec<NewField<'a>> {
    owned.iter().map(|(name, value)| (&**name, &**value)).collect()
}

fn names<'a>(owned: &'a [Cow<'_, [u8]>]) -> Vec<&'a [u8]> {
    owned.iter().map(|name| &**name).collect()
}
