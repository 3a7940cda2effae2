//! The server side's configurations: certificates of the adopted snapshot, resumption shared by all cores, client
//! certificates of the hosts that ask for them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use ringress_config::snapshot::{AuthContext, Certificates, ClientAuth, Hosts, Snapshot, TlsSettings};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, NoClientAuth, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, UnbufferedServerConnection,
};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};

use super::choice::choose;
use super::session::{Session, TlsError};
use super::tickets::BoundTickets;

/// What is offered to clients by ALPN, best first.
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];
/// The same where `use-http2` is off.
const PROTOCOLS_WITHOUT_HTTP2: &[&[u8]] = &[b"http/1.1"];
/// Of a TLS record.
const RECORD_HEADER_BYTES: usize = 5;
/// Configurations of hosts that ask for certificates, kept by a core.
const GUARDED_MAX: usize = 1024;

/// What all cores share: a session may be resumed on any of them.
#[derive(Clone, Debug)]
pub(crate) struct SharedTls {
    provider: Arc<CryptoProvider>,
    tickets: Arc<dyn ProducesTickets>,
}

impl SharedTls {
    /// A fresh ring of ticket keys, rotated by the engine.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(crate) fn new() -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Ok(Self { provider, tickets: rustls::crypto::aws_lc_rs::Ticketer::new()? })
    }

    /// The process's one provider.
    pub(crate) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }
}

/// The server side as of one snapshot.
pub(crate) struct ServerTls {
    shared: SharedTls,
    parts: Parts,
    /// For hosts that ask for no certificate.
    open: Arc<ServerConfig>,
    /// For the others, by what they ask for; made when it is first needed.
    guarded: RefCell<HashMap<AuthContext, Arc<ServerConfig>>>,
}

/// What every configuration is made of.
struct Parts {
    settings: TlsSettings,
    protocols: &'static [&'static [u8]],
    certificates: Arc<BySni>,
}

impl ServerTls {
    /// The configuration of a snapshot.
    pub(crate) fn new(shared: SharedTls, snapshot: &Snapshot) -> Result<Self, rustls::Error> {
        let parts = Parts::of(snapshot);
        let open = parts.config(&shared, Arc::new(NoClientAuth), [0; 32])?;
        Ok(Self { shared, parts, open, guarded: RefCell::default() })
    }

    /// Follows a new snapshot. Sessions that exist keep what they have.
    pub(crate) fn adopt(&mut self, snapshot: &Snapshot) -> Result<(), rustls::Error> {
        let parts = Parts::of(snapshot);
        self.open = parts.config(&self.shared, Arc::new(NoClientAuth), [0; 32])?;
        self.parts = parts;
        self.guarded.get_mut().clear();
        Ok(())
    }

    /// A session for a fresh connection, of a host that asks for what `auth` says.
    pub(crate) fn accept(&self, auth: Option<&ClientAuth>) -> Result<Session, TlsError> {
        let config = match auth {
            None => Arc::clone(&self.open),
            Some(auth) => self.guarded(auth)?,
        };
        Ok(Session::server(UnbufferedServerConnection::new(config)?))
    }

    fn guarded(&self, auth: &ClientAuth) -> Result<Arc<ServerConfig>, rustls::Error> {
        let (context, mut known) = (auth.context(), self.guarded.borrow_mut());
        if let Some(config) = known.get(&context) {
            return Ok(Arc::clone(config));
        }
        if known.len() >= GUARDED_MAX {
            known.clear();
        }
        let config = self.parts.config(&self.shared, Arc::new(AnyClient::new(&self.shared.provider, auth)), context)?;
        known.insert(context, Arc::clone(&config));
        Ok(config)
    }
}

impl Parts {
    fn of(snapshot: &Snapshot) -> Self {
        let rejecting = snapshot.settings.tls.reject_unknown.then(|| snapshot.hosts.clone());
        let certificates = Arc::new(BySni { certificates: snapshot.certificates.clone(), rejecting });
        let protocols = if snapshot.settings.client.http2 { PROTOCOLS } else { PROTOCOLS_WITHOUT_HTTP2 };
        Self { settings: snapshot.settings.tls.clone(), protocols, certificates }
    }

    fn config(
        &self,
        shared: &SharedTls,
        clients: Arc<dyn ClientCertVerifier>,
        context: AuthContext,
    ) -> Result<Arc<ServerConfig>, rustls::Error> {
        let certificates: Arc<dyn ResolvesServerCert> = Arc::<BySni>::clone(&self.certificates);
        let TlsSettings { suites, groups, .. } = &self.settings;
        let provider = choose(&shared.provider, suites.as_deref(), groups.as_deref());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(self.settings.versions.supported())?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(certificates);
        config.alpn_protocols = self.protocols.iter().map(|name| name.to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // An operator who orders suites means the order.
        config.ignore_client_order = suites.is_some();
        // The engine counts the record's header in.
        config.max_fragment_size = Some(usize::from(self.settings.record_bytes_max) + RECORD_HEADER_BYTES);
        config.send_tls13_tickets = 0;
        if self.settings.resume {
            let timeout = self.settings.session_timeout;
            config.ticketer = Arc::new(BoundTickets::new(Arc::clone(&shared.tickets), context, timeout));
            config.send_tls13_tickets = 1;
        }
        Ok(Arc::new(config))
    }
}

/// The certificate of the name that the client asks for, as of the snapshot.
struct BySni {
    certificates: Certificates,
    /// The hosts, where others get no handshake.
    rejecting: Option<Hosts>,
}

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let name = name.as_deref().map(|name| name.trim_end_matches('.'));
        if self.rejecting.as_ref().is_some_and(|hosts| !name.is_some_and(|name| hosts.knows(name))) {
            return None;
        }
        // The engine left out the schemes that go with none of the client's suites.
        let schemes = hello.signature_schemes();
        let presented = self.certificates.present_to(name, |own| own.key.key.choose_scheme(schemes).is_some());
        Some(Arc::clone(&presented.key))
    }
}

impl fmt::Debug for BySni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BySni").finish_non_exhaustive()
    }
}

/// Asks for a certificate and lets any pass, or none, once the client has proven that it holds its key: whether it is
/// accepted is judged after the handshake, so that a client is answered in HTTP as nginx does, not by an alert.
#[derive(Debug)]
struct AnyClient {
    provider: Arc<CryptoProvider>,
    authorities: Vec<DistinguishedName>,
}

impl AnyClient {
    fn new(provider: &Arc<CryptoProvider>, auth: &ClientAuth) -> Self {
        let subjects = auth.authorities.subjects().iter();
        let authorities = subjects.map(|name| DistinguishedName::from(name.to_vec())).collect();
        Self { provider: Arc::clone(provider), authorities }
    }
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.authorities
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
