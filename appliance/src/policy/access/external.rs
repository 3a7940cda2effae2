//! Asking another service whether a request may pass (reference 3.13): a request without body to its URL; 2xx passes,
//! 401 and 403 go to the client, anything else is a 500.

use std::io::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use ringress_config::snapshot::{ExternalAuth, Route, Timeouts, UpstreamProtocol};

use super::super::shaping::is_framing;
use super::super::{Answer, Request, Shaping, client_certificate, template};
use crate::error::Failure;
use crate::http::field::FieldId;
use crate::http::head::Version;
use crate::http::response::{Asked, ResponseHead};
use crate::relay::{self, response};
use crate::resolve;
use crate::stream::Sink;
use crate::upstream;
use crate::worker::Core;

/// An answer's head may follow so many interim ones to nobody.
struct Nobody;

impl Sink for Nobody {
    async fn send(&mut self, buf: Vec<u8>) -> crate::io::Owned<()> {
        (Ok(()), buf)
    }

    fn deadline(&self, _after: Duration) {}

    fn clear_deadline(&self) {}
}

/// The service's URL, taken apart.
struct Url {
    protocol: UpstreamProtocol,
    authority: String,
    host: String,
    port: u16,
    target: String,
}

impl Url {
    fn parse(url: &[u8]) -> Option<Self> {
        let url = std::str::from_utf8(url).ok()?;
        let (protocol, rest, port) = if let Some(rest) = url.strip_prefix("http://") {
            (UpstreamProtocol::Http, rest, 80)
        } else {
            (UpstreamProtocol::Https, url.strip_prefix("https://")?, 443)
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let clean = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        if authority.is_empty() || authority.contains('@') || !clean(authority) || !clean(target) {
            return None;
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, digits)) if !digits.ends_with(']') => (host, digits.parse().ok()?),
            _ => (authority, port),
        };
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Self { protocol, authority: authority.to_owned(), host, port, target })
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
    let (head, bytes) = exchange(core, auth, &url, route, request).await.map_err(|failure| {
        tracing::warn!(ingress = %route.source.key, url = url.authority, error = %failure, "external authentication failed");
        Answer::status(500)
    })?;
    let cookies: Vec<_> =
        head.fields().iter().filter(|f| f.id == FieldId::SetCookie).map(|f| f.value.of(&bytes).to_vec()).collect();
    match head.status {
        200..=299 => {
            for name in &auth.response_fields {
                let found = head.fields().iter().find(|f| f.name.of(&bytes).eq_ignore_ascii_case(name.as_bytes()));
                match found {
                    Some(field) => shaping.set_request(name.as_bytes(), field.value.of(&bytes)),
                    None => shaping.remove_request(name.as_bytes()),
                }
            }
            cookies.iter().for_each(|cookie| shaping.add_response(b"Set-Cookie", cookie));
            Ok(())
        }
        401 if auth.signin.is_some() => {
            if auth.always_set_cookie {
                cookies.iter().for_each(|cookie| shaping.add_response(b"Set-Cookie", cookie));
            }
            Err(Answer { location: Some(signin(auth, route, request)), ..Answer::status(302) })
        }
        status @ (401 | 403) => {
            if auth.always_set_cookie {
                cookies.iter().for_each(|cookie| shaping.add_response(b"Set-Cookie", cookie));
            }
            let mut answer = Answer::status(status);
            if let Some(challenge) = head.find(&bytes, FieldId::WwwAuthenticate) {
                answer = answer.with_field(b"WWW-Authenticate", challenge);
            }
            Err(answer)
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
    let original = [request.scheme.as_str().as_bytes(), b"://", authority, head.path_and_query(bytes)].concat();
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
    for field in head.fields().iter().filter(|field| passes(field, auth, bytes)) {
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
fn passes(field: &crate::http::field::Field, auth: &ExternalAuth, bytes: &[u8]) -> bool {
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
fn signin(auth: &ExternalAuth, route: &Route, request: &Request<'_>) -> Vec<u8> {
    let mut location = Vec::new();
    let Some(signin) = &auth.signin else { return location };
    template::render(&signin.url, request, route, None, &mut location);
    let parameter = format!("{}=", signin.parameter);
    let has_query = location.contains(&b'?');
    let query = location.split(|b| *b == b'?').nth(1).unwrap_or_default();
    if query.split(|b| *b == b'&').any(|pair| pair.starts_with(parameter.as_bytes())) {
        return location;
    }
    location.push(if has_query { b'&' } else { b'?' });
    location.extend_from_slice(parameter.as_bytes());
    location.extend_from_slice(request.scheme.as_str().as_bytes());
    location.extend_from_slice(b"://");
    location.extend_from_slice(request.head.authority(request.bytes));
    template::escape(request.head.path_and_query(request.bytes), &mut location);
    location
}
