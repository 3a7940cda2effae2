//! One request to one controller, on a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{HOST, USER_AGENT};
use axum::http::{HeaderMap, Request};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::record::Recorded;
use crate::cli::Peer;
use crate::tls;

/// What a controller answered.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) fields: HeaderMap,
}

/// How both controllers are asked.
#[derive(Clone)]
pub(super) struct Sender {
    tls: Arc<ClientConfig>,
    timeout: Duration,
}

impl Sender {
    pub(super) fn new(timeout: Duration) -> Result<Self, String> {
        let tls = tls::unverified_client().map_err(|error| error.to_string())?;
        Ok(Self { tls: Arc::new(tls), timeout })
    }

    /// The head of the answer, or why there is none. The body is not waited for.
    pub(super) async fn send(&self, peer: &Peer, host: &str, recorded: &Recorded) -> Result<Reply, String> {
        match tokio::time::timeout(self.timeout, self.exchange(peer, host, recorded)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(format!("no answer within {:?}", self.timeout)),
        }
    }

    async fn exchange(&self, peer: &Peer, host: &str, recorded: &Recorded) -> Result<Reply, String> {
        let request = request(host, recorded)?;
        let stream = TcpStream::connect((peer.host.as_str(), peer.port)).await.map_err(|error| error.to_string())?;
        if !peer.https {
            return answer(stream, request).await;
        }
        let name = ServerName::try_from(name_of(host).to_owned()).map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
        answer(stream, request).await
    }
}

/// A host without its port.
fn name_of(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or(inner),
        None => host.split(':').next().unwrap_or(host),
    }
}

fn request(host: &str, recorded: &Recorded) -> Result<Request<Body>, String> {
    let mut request = Request::builder().method(recorded.method.as_str()).uri(recorded.target.as_str());
    let own_host = recorded.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
    request = request.header(HOST, own_host.map_or(host, |(_, value)| value));
    for (name, value) in recorded.fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")) {
        request = request.header(name, value);
    }
    if !recorded.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
        request = request.header(USER_AGENT, "ringress-shadow");
    }
    request.body(Body::empty()).map_err(|error| error.to_string())
}

async fn answer<S>(stream: S, request: Request<Body>) -> Result<Reply, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    // Ends when the sender goes; what goes wrong on it is seen there.
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| error.to_string());
    connection.abort();
    let (head, _) = response?.into_parts();
    Ok(Reply { status: head.status.as_u16(), fields: head.headers })
}
