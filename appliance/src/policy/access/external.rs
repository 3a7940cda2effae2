//! Asking another service whether a request may pass (reference 3.13): a request without body to its URL; 2xx passes,
//! 401 and 403 go to the client, anything else is a 500.

mod cache;

use std::io::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use ringress_config::snapshot::{AuthCache, ExternalAuth, Route, Timeouts};

use super::super::shaping::is_framing;
use super::super::url::Url;
use super::super::{Answer, Request, Shaping, client_certificate, template};
use crate::error::Failure;
use crate::http::field::{Field, FieldId};
use crate::http::head::Version;
use crate::http::response::{Asked, ResponseHead};
use crate::relay::{self, response};
use crate::resolve;
use crate::stream::Nobody;
use crate::upstream;
use crate::worker::Core;
pub(crate) use cache::AuthAnswers;

/// What the service said, as far as it matters.
#[derive(Clone, Debug, Default)]
struct Decision {
    status: u16,
    /// Values of the fields that go on, in the order in which they are named.
    fields: Vec<Option<Vec<u8>>>,
    cookies: Vec<Vec<u8>>,
    challenge: Option<Vec<u8>>,
}

impl Decision {
    #[cfg(test)]
    fn of_status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    fn read(auth: &ExternalAuth, head: &ResponseHead, bytes: &[u8]) -> Self {
        let named = |name: &str| {
            let found = head.fields().iter().find(|f| f.name.of(bytes).eq_ignore_ascii_case(name.as_bytes()));
            found.map(|field| field.value.of(bytes).to_vec())
        };
        let cookies = head.fields().iter().filter(|field| field.id == FieldId::SetCookie);
        Self {
            status: head.status,
            fields: auth.response_fields.iter().map(|name| named(name)).collect(),
            cookies: cookies.map(|field| field.value.of(bytes).to_vec()).collect(),
            challenge: head.find(bytes, FieldId::WwwAuthenticate).map(<[u8]>::to_vec),
        }
    }

    /// What keeping it costs.
    fn bytes(&self) -> usize {
        let fields = self.fields.iter().flatten().chain(&self.challenge).map(Vec::len);
        size_of::<Self>() + 64 + self.fields.len() * size_of::<Option<Vec<u8>>>() + fields.sum::<usize>()
    }

    /// How long it may be kept, milliseconds: as the service says, else as the operator says. Never when it brings
    /// cookies, which are one client's.
    fn lifetime_ms(&self, cache: &AuthCache, head: &ResponseHead, bytes: &[u8]) -> u64 {
        if !self.cookies.is_empty() || !matches!(self.status, 200..=299 | 401 | 403) {
            return 0;
        }
        let orders = head.fields().iter().filter(|field| field.id == FieldId::CacheControl);
        let mut said = None;
        for word in orders.flat_map(|field| field.value.of(bytes).split(|b| *b == b',')).map(<[u8]>::trim_ascii) {
            let word = word.to_ascii_lowercase();
            match &*word {
                b"no-store" | b"no-cache" | b"private" => return 0,
                word => {
                    let age = word.strip_prefix(b"max-age=").and_then(|age| std::str::from_utf8(age).ok());
                    said = age.map(|age| age.parse::<u64>().unwrap_or(0).saturating_mul(1000)).or(said);
                }
            }
        }
        let by_status = cache.durations.iter().find(|(status, _)| *status == self.status);
        said.or_else(|| u64::try_from(by_status?.1.as_millis()).ok()).unwrap_or(0)
    }
}

/// Asks; what the answer brings along goes into `shaping`.
pub(super) async fn ask<'s>(
    core: &Rc<Core>,
    auth: &'s ExternalAuth,
    route: &Route,
    request: &Request<'_>,
    shaping: &mut Shaping<'s>,
) -> Result<(), Answer> {
    let mut url = Vec::new();
    template::render(&auth.url, request, route, None, &mut url);
    let Some(url) = Url::parse(&url) else { return Err(Answer::status(500)) };
    let key = auth.cache.as_ref().map(|cache| (cache, cache::key(auth, cache, &url, route, request)));
    if let Some((_, key)) = &key
        && let Some(decision) = core.auth_answers.find(key, core.auth_answers.now_ms())
    {
        core.metrics.auth_cached.increment();
        return carry_out(&decision, auth, shaping);
    }
    // Nothing is kept of a service that could not be asked.
    let (head, bytes) = exchange(core, auth, &url, route, request).await.map_err(|failure| {
        tracing::warn!(ingress = %route.source.key, url = url.authority, error = %failure, "external authentication failed");
        Answer::status(500)
    })?;
    let decision = Arc::new(Decision::read(auth, &head, &bytes));
    let outcome = carry_out(&decision, auth, shaping);
    if let Some((cache, key)) = key {
        let ms = decision.lifetime_ms(cache, &head, &bytes);
        core.auth_answers.keep(key, decision, (core.auth_answers.now_ms(), ms));
    }
    outcome
}

/// Does what was decided.
fn carry_out<'s>(decision: &Decision, auth: &'s ExternalAuth, shaping: &mut Shaping<'s>) -> Result<(), Answer> {
    let passes = matches!(decision.status, 200..=299);
    if auth.always_set_cookie {
        decision.cookies.iter().for_each(|cookie| shaping.response.add(b"Set-Cookie", cookie));
    } else if passes || auth.signin.is_some() {
        shaping.cookies.extend(decision.cookies.iter().cloned());
    }
    match decision.status {
        200..=299 => {
            for (name, value) in auth.response_fields.iter().zip(&decision.fields) {
                match value {
                    Some(value) => shaping.set_request(name.as_bytes(), value),
                    None => shaping.request.remove(name.as_bytes()),
                }
            }
            Ok(())
        }
        status @ (401 | 403) => {
            let answer = Answer::status(status);
            Err(match &decision.challenge {
                Some(challenge) => answer.with_field(b"WWW-Authenticate", challenge),
                None => answer,
            })
        }
        _ => Err(Answer::status(500)),
    }
}

async fn exchange(
    core: &Rc<Core>,
    auth: &ExternalAuth,
    url: &Url,
    route: &Route,
    request: &Request<'_>,
) -> Result<(ResponseHead, Vec<u8>), Failure> {
    let timeouts = Timeouts::default();
    let address = resolve::first(core, &url.host).await.ok_or(Failure::NoEndpoint)?;
    let address = SocketAddr::new(address, url.port);
    let mut connection = upstream::connect(core, address, url.protocol.into(), &timeouts).await?;
    let out = question(auth, url, route, request);
    let (sent, _) = relay::send(&mut connection.stream, out, timeouts.send).await;
    sent.map_err(|error| Failure::sending(&error))?;
    let mut head = ResponseHead::default();
    let patience = || timeouts.read;
    let bytes = response::read_head(
        core,
        (&mut connection.stream, patience),
        &mut Nobody,
        (Version::Http10, Asked::default(), response::limits(route)),
        &mut head,
    )
    .await?;
    Ok((head, bytes))
}

/// The head of the question: the client's fields, and what the reference adds.
fn question(auth: &ExternalAuth, url: &Url, route: &Route, request: &Request<'_>) -> Vec<u8> {
    let (head, bytes) = (request.head, request.bytes);
    let mut out = Vec::with_capacity(1024);
    let mut line = |name: &[u8], value: &[u8]| {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend(value.iter().map(|b| if b.is_ascii_control() { b' ' } else { *b }));
        out.extend_from_slice(b"\r\n");
    };
    let authority = head.authority(bytes);
    let original = [request.own_scheme().as_str().as_bytes(), b"://", authority, head.path_and_query(bytes)].concat();
    line(b"Host", url.authority.as_bytes());
    line(b"X-Original-URL", &original);
    line(b"X-Original-Method", head.method_bytes(bytes));
    line(b"X-Sent-From", b"nginx-ingress-controller");
    let client = request.client.to_string();
    line(b"X-Real-IP", client.as_bytes());
    line(b"X-Forwarded-For", request.forwarded_for);
    if !request.request_id.is_empty() {
        line(b"X-Request-ID", request.request_id);
    }
    let mut redirect = Vec::new();
    match &auth.request_redirect {
        Some(text) => template::render(text, request, route, None, &mut redirect),
        None => redirect.extend_from_slice(head.path_and_query(bytes)),
    }
    line(b"X-Auth-Request-Redirect", &redirect);
    if auth.method.is_some() {
        line(b"X-Original-URI", head.path_and_query(bytes));
        line(b"X-Scheme", request.scheme.as_str().as_bytes());
    }
    for (name, value) in auth.request_fields.iter().filter(|(name, _)| !is_framing(name.as_bytes())) {
        let mut text = Vec::new();
        template::render(value, request, route, None, &mut text);
        line(name.as_bytes(), &text);
    }
    if let Some(client_auth) = route.policies.as_ref().and_then(|policies| policies.client_auth.as_ref()) {
        client_certificate::tell(client_auth, request, &mut line);
    }
    if let Some(trace) = request.trace {
        line(b"traceparent", trace.parent);
        if !trace.state.is_empty() {
            line(b"tracestate", trace.state);
        }
    }
    let of_trace = |id| matches!(id, FieldId::TraceParent | FieldId::TraceState);
    let is_client_s = |field: &&Field| !(request.trace.is_some() && of_trace(field.id));
    for field in head.fields().iter().filter(is_client_s).filter(|field| passes(field, auth, bytes)) {
        line(field.name.of(bytes), field.value.of(bytes));
    }
    line(b"Connection", b"close");
    out.extend_from_slice(b"\r\n");
    let mut whole = Vec::with_capacity(out.len() + url.target.len() + 32);
    let method = auth.method.as_deref().unwrap_or("GET");
    // Writing to a Vec cannot fail.
    let _ = write!(whole, "{method} {} HTTP/1.1\r\n", url.target);
    whole.extend_from_slice(&out);
    whole
}

/// Client fields that the question carries: no framing, nothing hop-by-hop, nothing that is written above.
fn passes(field: &Field, auth: &ExternalAuth, bytes: &[u8]) -> bool {
    let written = |name: &[u8]| {
        let own: [&[u8]; 7] = [
            b"X-Original-URL",
            b"X-Original-Method",
            b"X-Sent-From",
            b"X-Auth-Request-Redirect",
            b"X-Original-URI",
            b"X-Scheme",
            b"X-Request-ID",
        ];
        own.iter().any(|own| own.eq_ignore_ascii_case(name))
            || auth.request_fields.iter().any(|(own, _)| own.as_bytes().eq_ignore_ascii_case(name))
    };
    !matches!(
        field.id,
        FieldId::Host
            | FieldId::ContentLength
            | FieldId::TransferEncoding
            | FieldId::Connection
            | FieldId::KeepAlive
            | FieldId::ProxyConnection
            | FieldId::ProxyAuthorization
            | FieldId::Proxy
            | FieldId::Te
            | FieldId::Trailer
            | FieldId::Upgrade
            | FieldId::Expect
            | FieldId::XForwardedFor
            | FieldId::XForwardedHost
            | FieldId::XForwardedPort
            | FieldId::XForwardedProto
            | FieldId::XForwardedScheme
            | FieldId::XForwardedOther
            | FieldId::XOriginalForwardedFor
            | FieldId::XOriginalForwardedHost
            | FieldId::XOriginalUri
            | FieldId::Forwarded
            | FieldId::XRealIp
            | FieldId::XRequestId
            | FieldId::SslClient
    ) && !field.has_underscore()
        && !field.is_nominated()
        && !written(field.name.of(bytes))
}

/// The page to sign in at, with the original URL as a parameter.
pub(super) fn signin(auth: &ExternalAuth, route: &Route, request: &Request<'_>) -> Option<Vec<u8>> {
    let mut location = Vec::new();
    let signin = auth.signin.as_ref()?;
    template::render(&signin.url, request, route, None, &mut location);
    let parameter = format!("{}=", signin.parameter);
    let has_query = location.contains(&b'?');
    let query = location.split(|b| *b == b'?').nth(1).unwrap_or_default();
    if query.split(|b| *b == b'&').any(|pair| pair.starts_with(parameter.as_bytes())) {
        return Some(location);
    }
    location.push(if has_query { b'&' } else { b'?' });
    location.extend_from_slice(parameter.as_bytes());
    location.extend_from_slice(request.scheme.as_str().as_bytes());
    location.extend_from_slice(b"://");
    location.extend_from_slice(request.head.authority(request.bytes));
    template::escape(request.head.path_and_query(request.bytes), &mut location);
    Some(location)
}
