//! Redirects that the proxy makes itself (reference 3.4, 3.9).

use ringress_config::snapshot::{HttpsRedirect, Redirect, Route, Snapshot};

use super::{Answer, Request, template};
use crate::http::edge::Scheme;
use crate::http::host;

/// The route's own redirect: its target as it is, without a final slash where that is asked for.
pub(super) fn to(redirect: &Redirect, request: &Request<'_>, route: &Route) -> Answer {
    let mut location = Vec::new();
    template::render(&redirect.location, request, route, None, &mut location);
    if redirect.cut_slash && location.ends_with(b"/") {
        location.pop();
    }
    Answer::redirect(redirect.status, location)
}

/// Plain http to https: `https://host` as believed, with a port only where that is asked for, then the target, by default
/// without one final slash, query kept. Whether there is a certificate is a matter of the host that was asked.
pub(super) fn to_https(snapshot: &Snapshot, route: &Route, request: &Request<'_>) -> Option<Answer> {
    if request.scheme == Scheme::Https {
        return None;
    }
    let status = match route.https_redirect {
        HttpsRedirect::Never => return None,
        HttpsRedirect::IfCertificate(status) => {
            snapshot.certificates.covers(request.head.host().name()).then_some(status)?
        }
        HttpsRedirect::Always(status) => status,
    };
    let host = match request.host {
        own if own == request.head.authority(request.bytes) => request.head.host().name(),
        believed => host::split(believed).map_or("", |(name, _)| name),
    };
    let target = request.head.path_and_query(request.bytes);
    if host.is_empty() || !target.starts_with(b"/") {
        return Some(Answer::status(400)); // HTTP/1.0 without Host, or `OPTIONS *`: there is no place to send it to.
    }
    let mut location = Vec::with_capacity(8 + host.len() + target.len());
    location.extend_from_slice(b"https://");
    location.extend_from_slice(host.as_bytes());
    if let Some(port) = route.policies.as_ref().and_then(|policies| policies.https_port) {
        location.extend_from_slice(format!(":{port}").as_bytes());
    }
    let cut = if route.redirect_keeps_slash { None } else { target.strip_suffix(b"/") };
    location.extend_from_slice(cut.unwrap_or(target));
    Some(Answer::redirect(status, location))
}

/// A path written with a final slash, asked for without it: 301, scheme and host of the connection, query kept. The port is
/// left out unless `use-port-in-redirects` asks for one, as with nginx' `port_in_redirect off`.
pub(super) fn add_slash(request: &Request<'_>, route: &Route) -> Answer {
    let target = request.head.path_and_query(request.bytes);
    let path_len = memchr::memchr(b'?', target).unwrap_or(target.len());
    let (path, query) = target.split_at(path_len);
    let mut location = Vec::with_capacity(target.len() + 64);
    // A path that begins with two slashes would be another host when it stands alone.
    let relative =
        route.policies.as_ref().is_some_and(|policies| policies.relative_redirects) && !path.starts_with(b"//");
    if !relative {
        location.extend_from_slice(request.own_scheme().as_str().as_bytes());
        location.extend_from_slice(b"://");
        let with_port = route.policies.as_ref().is_some_and(|policies| policies.https_port.is_some());
        let host = request.head.host().name().as_bytes();
        location.extend_from_slice(if with_port { request.head.authority(request.bytes) } else { host });
    }
    location.extend_from_slice(path);
    location.push(b'/');
    location.extend_from_slice(query);
    Answer::redirect(301, location)
}
