//! TLS toward upstreams.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ringress_config::snapshot::{UpstreamTls, UpstreamVerify};
use rustls::client::UnbufferedClientConnection;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};

use super::choice::choose;
use super::session::{Session, TlsError};

/// Configurations kept by a core.
const CONFIGS_MAX: usize = 1024;

/// How a core speaks TLS to upstreams: as their policy says; without one, without verification and without SNI, as
/// ingress-nginx does by default for `backend-protocol: HTTPS`. Sessions are resumed per core and policy.
pub(crate) struct ClientTls {
    provider: Arc<CryptoProvider>,
    plain: Both,
    /// By identity of the policy.
    others: RefCell<HashMap<[u8; 32], Both>>,
}

/// What is offered by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alpn {
    /// Nothing, as nginx does: HTTP/1.1.
    Unsaid,
    /// HTTP/2, which gRPC needs.
    Http2,
}

/// One configuration for each offer.
#[derive(Clone)]
struct Both {
    unsaid: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl Both {
    fn new(unsaid: ClientConfig) -> Self {
        let mut http2 = unsaid.clone();
        http2.alpn_protocols = vec![b"h2".to_vec()];
        Self { unsaid: Arc::new(unsaid), http2: Arc::new(http2) }
    }

    fn with(&self, alpn: Alpn) -> Arc<ClientConfig> {
        Arc::clone(match alpn {
            Alpn::Unsaid => &self.unsaid,
            Alpn::Http2 => &self.http2,
        })
    }
}

impl ClientTls {
    /// Knows the defaults.
    ///
    /// # Errors
    /// When the provider has no usable protocol version.
    pub(crate) fn new(provider: &Arc<CryptoProvider>) -> Result<Self, rustls::Error> {
        let mut plain = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(ByPolicy::new(provider, None)))
            .with_no_client_auth();
        plain.enable_sni = false;
        Ok(Self { provider: Arc::clone(provider), plain: Both::new(plain), others: RefCell::default() })
    }

    /// A session to an endpoint.
    pub(crate) fn connect(&self, endpoint: IpAddr, tls: Option<&UpstreamTls>, alpn: Alpn) -> Result<Session, TlsError> {
        let (config, name) = match tls {
            None => (self.plain.with(alpn), None),
            Some(tls) => (self.config(tls)?.with(alpn), tls.server_name.clone()),
        };
        let name = name.unwrap_or_else(|| ServerName::IpAddress(endpoint.into()));
        Ok(Session::client(UnbufferedClientConnection::new(config, name)?))
    }

    fn config(&self, tls: &UpstreamTls) -> Result<Both, rustls::Error> {
        let mut known = self.others.borrow_mut();
        if let Some(config) = known.get(&tls.identity) {
            return Ok(config.clone());
        }
        if known.len() >= CONFIGS_MAX {
            known.clear();
        }
        let config = Both::new(self.make(tls)?);
        known.insert(tls.identity, config.clone());
        Ok(config)
    }

    fn make(&self, tls: &UpstreamTls) -> Result<ClientConfig, rustls::Error> {
        let provider = choose(&self.provider, tls.suites.as_deref(), None);
        let verifier = ByPolicy::new(&provider, tls.verify.clone());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(tls.versions.supported())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &tls.certificate {
            Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&own.key)))),
            None => builder.with_no_client_auth(),
        };
        config.enable_sni = tls.server_name.is_some();
        Ok(config)
    }
}

/// A client for tools that compare two controllers: whose certificate it is, is not the question there.
pub(crate) fn unverified_client() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let verifier = Arc::new(ByPolicy::new(&provider, None));
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Takes the certificate that the policy wants, or any without one; the handshake proves in any case that the upstream
/// holds its key.
#[derive(Debug)]
struct ByPolicy {
    provider: Arc<CryptoProvider>,
    verify: Option<UpstreamVerify>,
}

impl ByPolicy {
    fn new(provider: &Arc<CryptoProvider>, verify: Option<UpstreamVerify>) -> Self {
        Self { provider: Arc::clone(provider), verify }
    }
}

impl ServerCertVerifier for ByPolicy {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(UpstreamVerify { authorities, depth, name }) = &self.verify {
            let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
            authorities.judge_server(&chain, name, *depth, now).map_err(|distrust| {
                rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(distrust))))
            })?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
