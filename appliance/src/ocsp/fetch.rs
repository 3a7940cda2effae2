//! The way to a responder: one POST over plain http, bounded in every respect. The address comes out of a certificate,
//! which anyone may have written who may write a Secret: this machine and its link are not asked for them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{Uri, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Of the whole exchange, the name look-up included.
const EXCHANGE: Duration = Duration::from_secs(10);
/// Opening a connection to one address.
const CONNECT: Duration = Duration::from_secs(3);
/// Addresses of one responder that are tried.
const ADDRESSES_MAX: usize = 4;
/// Bytes of an answer; those of known responders have less than 4 KiB.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0} is no http URL with a host")]
    Url(String),
    #[error("the name of the responder is not known: {0}")]
    Name(std::io::Error),
    #[error("the responder is on this machine or its link, which --ocsp-allow-local would allow")]
    Local,
    #[error("the responder cannot be reached: {0}")]
    Connect(std::io::Error),
    #[error("the exchange broke: {0}")]
    Exchange(Box<dyn std::error::Error + Send + Sync>),
    #[error("the responder answered with status {0}")]
    Status(u16),
    #[error("the responder did not answer within 10 s")]
    Timeout,
}

/// Posts a request. `local` allows addresses of this machine and its link.
pub(super) async fn post(url: &str, request: Vec<u8>, local: bool) -> Result<Bytes, FetchError> {
    timeout(EXCHANGE, exchange(url, request, local)).await.unwrap_or(Err(FetchError::Timeout))
}

async fn exchange(url: &str, request: Vec<u8>, local: bool) -> Result<Bytes, FetchError> {
    let broken = |error: hyper::Error| FetchError::Exchange(error.into());
    let bad_url = || FetchError::Url(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| bad_url())?;
    let authority = uri.authority().filter(|a| !a.as_str().contains('@')).ok_or_else(bad_url)?;
    if uri.scheme_str() != Some("http") || authority.host().is_empty() {
        return Err(bad_url());
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let found = lookup_host((host, authority.port_u16().unwrap_or(80))).await.map_err(FetchError::Name)?;
    let stream = connect(found.filter(|address| local || is_remote(address.ip()))).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ends with this function.
    let mut running = JoinSet::new();
    running.spawn(connection);
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let posted = http::Request::post(target)
        .header(header::HOST, authority.as_str())
        .header(header::CONTENT_TYPE, "application/ocsp-request")
        .header(header::ACCEPT, "application/ocsp-response")
        .header(header::CONNECTION, "close")
        .body(Body::from(request))
        .map_err(|_| bad_url())?;
    let response = sender.send_request(posted).await.map_err(broken)?;
    if response.status() != http::StatusCode::OK {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    let body = axum::body::to_bytes(Body::new(response.into_body()), ANSWER_BYTES_MAX).await;
    body.map_err(|error| FetchError::Exchange(error.into()))
}

async fn connect(addresses: impl Iterator<Item = SocketAddr>) -> Result<TcpStream, FetchError> {
    let mut fault = FetchError::Local;
    for address in addresses.take(ADDRESSES_MAX) {
        fault = match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => FetchError::Connect(error),
            Err(_) => FetchError::Connect(std::io::ErrorKind::TimedOut.into()),
        };
    }
    Err(fault)
}

/// Whether an address is neither of this machine nor of its link, where metadata services of clouds listen. Private
/// networks are asked: responders of companies are there.
fn is_remote(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            !(v4.is_loopback() || v4.is_link_local() || v4.is_broadcast() || v4.is_multicast() || v4.octets()[0] == 0)
        }
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_and_its_link_are_not_asked() {
        for own in ["127.0.0.1", "127.9.9.9", "0.0.0.0", "169.254.169.254", "::1", "::", "fe80::1", "::ffff:127.0.0.1"]
        {
            assert!(!is_remote(own.parse().unwrap()), "{own}");
        }
        for remote in ["192.0.2.1", "10.0.0.1", "2001:db8::1", "fd00::1"] {
            assert!(is_remote(remote.parse().unwrap()), "{remote}");
        }
    }

    #[tokio::test]
    async fn only_http_is_spoken() {
        for url in ["https://a.test/", "ftp://a.test/", "http://user@a.test/", "http:///x", "/x", "a.test"] {
            assert!(matches!(post(url, Vec::new(), true).await, Err(FetchError::Url(_))), "{url}");
        }
        assert!(matches!(post("http://127.0.0.1:1/", Vec::new(), false).await, Err(FetchError::Local)));
        assert!(matches!(post("http://[::1]:1/", Vec::new(), false).await, Err(FetchError::Local)));
    }
}
