//! Keeps web pages away from the admin listener.
//!
//! A page whose name its owner points at 127.0.0.1 (DNS rebinding) reaches the listener with that name as `Host`. Such
//! a name has a dot, as names of the public DNS have; addresses, `localhost` and names without a dot cannot be owned by
//! a stranger. Requests that a page sends across origins carry `Origin`, which must then be the listener itself. No
//! CORS header is ever sent.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Refuses what a web page of somebody else may have sent.
pub(super) async fn check(request: Request, next: Next) -> Response {
    if request.version() == Version::HTTP_11 && !request.headers().contains_key(header::HOST) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let named = request.uri().host().unwrap_or_default();
    match refusal(named, request.headers()) {
        None => next.run(request).await,
        Some(reason) => (StatusCode::FORBIDDEN, format!("refused: {reason}\n")).into_response(),
    }
}

/// `named` is the host of a target in absolute-form.
fn refusal(named: &str, headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().unwrap_or_default(),
        // HTTP/1.0 without Host comes from scripts, never from browsers.
        (None, _) => "",
        _ => return Some("more than one Host header"),
    };
    if !is_local_name(host_name(host)) || !is_local_name(host_name(named)) {
        return Some("the Host header names neither an address, nor localhost, nor a name without dots");
    }
    match headers.get(header::ORIGIN) {
        Some(origin) if origin.to_str().ok().and_then(|o| o.split_once("://")).is_none_or(|(_, o)| o != host) => {
            Some("the request comes from a web page of another origin")
        }
        _ => None,
    }
}

/// The host without port and brackets.
fn host_name(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    }
}

fn is_local_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.parse::<IpAddr>().is_ok() || name.to_ascii_lowercase().ends_with(".localhost") || !name.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn local_names_pass() {
        for host in
            ["127.0.0.1:10280", "[::1]:10280", "localhost", "LOCALHOST:1", "a.localhost:1", "10.0.0.7", "edge-7:80", ""]
        {
            assert_eq!(refusal("", &headers(&[("host", host)])), None, "{host}");
        }
        assert_eq!(refusal("", &headers(&[])), None);
    }

    #[test]
    fn names_that_a_stranger_may_own_are_refused() {
        for host in [
            "evil.example",
            "evil.example:10280",
            "127.0.0.1.evil.example",
            "localhost.evil.example.",
            "[evil.example]",
        ] {
            assert!(refusal("", &headers(&[("host", host)])).is_some(), "{host}");
        }
        assert!(refusal("", &headers(&[("host", "localhost"), ("host", "localhost")])).is_some());
    }

    #[test]
    fn the_target_may_name_a_stranger_too() {
        let headers = headers(&[("host", "localhost")]);
        assert_eq!(refusal("localhost", &headers), None);
        assert_eq!(refusal("[::1]", &headers), None);
        assert!(refusal("evil.example", &headers).is_some());
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let from = |origin: &str| refusal("", &headers(&[("host", "localhost:1"), ("origin", origin)]));
        assert_eq!(from("http://localhost:1"), None);
        for origin in ["http://evil.example", "null", "http://localhost:2"] {
            assert!(from(origin).is_some(), "{origin}");
        }
    }
}
