//! TLS of the server, with authorities that come and go.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A client that is slower than this with its handshake is none.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);

/// Who signs the server's certificate.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// When no key can be had.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate of its own").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// What a client has to trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A server on loopback with a new certificate.
    pub(super) fn certify(&self) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
        let certificate: CertificateDer<'static> = params.signed_by(&key, &self.issuer).expect("it is signed").into();
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key just made");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("the defaults fit").with_no_client_auth();
        Arc::new(config.with_single_cert(vec![certificate], key).expect("they fit"))
    }
}

/// Accepts who comes through the handshake.
pub(super) struct SecureListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl SecureListener {
    pub(super) fn new(listener: TcpListener, config: Arc<ServerConfig>) -> Self {
        Self { listener, acceptor: config.into() }
    }
}

impl Listener for SecureListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    /// One handshake after the other: the clients of a test are few.
    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, self.acceptor.accept(stream)).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
