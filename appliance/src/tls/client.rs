//! TLS toward upstreams.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};

use super::session::{Session, TlsError};

/// How a core speaks TLS to upstreams that no policy says more about: without verification and without SNI, as
/// ingress-nginx does by default for `backend-protocol: HTTPS`. Sessions are resumed per core.
pub(crate) struct ClientTls {
    unverified: Arc<ClientConfig>,
    unverified_http2: Arc<ClientConfig>,
}

/// What is offered by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alpn {
    /// Nothing, as nginx does: HTTP/1.1.
    Unsaid,
    /// HTTP/2, which gRPC needs.
    Http2,
}

impl ClientTls {
    /// The defaults.
    ///
    /// # Errors
    /// When the provider has no usable protocol version.
    pub(crate) fn new(provider: &Arc<CryptoProvider>) -> Result<Self, rustls::Error> {
        let mut unverified = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified(Arc::clone(provider))))
            .with_no_client_auth();
        unverified.enable_sni = false;
        let mut http2 = unverified.clone();
        http2.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { unverified: Arc::new(unverified), unverified_http2: Arc::new(http2) })
    }

    /// A session to an endpoint.
    pub(crate) fn connect(&self, endpoint: IpAddr, alpn: Alpn) -> Result<Session, TlsError> {
        let config = match alpn {
            Alpn::Unsaid => &self.unverified,
            Alpn::Http2 => &self.unverified_http2,
        };
        let name = ServerName::IpAddress(endpoint.into());
        Ok(Session::client(UnbufferedClientConnection::new(Arc::clone(config), name)?))
    }
}

/// Takes any certificate; the handshake still proves that the upstream holds its key.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
