//! The server side's configurations: certificates of the adopted snapshot, resumption shared by all cores, client
//! certificates of the hosts that ask for them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use ringress_config::snapshot::{AuthContext, Certificates, ClientAuth, HostCiphers, Hosts, Snapshot, TlsSettings};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, NoClientAuth, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, UnbufferedServerConnection,
};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};

use super::choice::choose;
use super::ring::SharedRing;
use super::session::{Session, TlsError};
use super::tickets::BoundTickets;
use crate::ocsp::Staples;

/// What is offered to clients by ALPN, best first.
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];
/// The same where `use-http2` is off.
const PROTOCOLS_WITHOUT_HTTP2: &[&[u8]] = &[b"http/1.1"];
/// Of a TLS record.
const RECORD_HEADER_BYTES: usize = 5;
/// Configurations of hosts with wishes of their own, kept by a core.
const SPECIAL_MAX: usize = 1024;

/// What all cores share: a session may be resumed on any of them.
#[derive(Clone, Debug)]
pub(crate) struct SharedTls {
    provider: Arc<CryptoProvider>,
    tickets: Arc<dyn ProducesTickets>,
    staples: Staples,
}

impl SharedTls {
    /// A fresh ring of ticket keys, rotated by the engine, and answers of responders.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(crate) fn new(staples: Staples) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Ok(Self { provider, tickets: rustls::crypto::aws_lc_rs::Ticketer::new()?, staples })
    }

    /// The same with the tickets of a ring.
    fn with(&self, ring: Option<&Arc<SharedRing>>) -> Self {
        match ring {
            Some(ring) => Self { tickets: Arc::clone(ring) as _, ..self.clone() },
            None => self.clone(),
        }
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
    /// Of the snapshot, when it has keys that other processes have as well.
    ring: Option<Arc<SharedRing>>,
    /// For hosts that ask for no certificate and for no suites of their own.
    open: Arc<ServerConfig>,
    /// For the others, by what they ask for; made when it is first needed.
    special: RefCell<HashMap<Asked, Arc<ServerConfig>>>,
}

/// What a host asks for that others do not.
type Asked = (Option<AuthContext>, Option<Arc<HostCiphers>>);

/// What every configuration is made of.
struct Parts {
    settings: TlsSettings,
    protocols: &'static [&'static [u8]],
    certificates: Arc<BySni>,
}

impl ServerTls {
    /// The configuration of a snapshot.
    pub(crate) fn new(shared: SharedTls, snapshot: &Snapshot) -> Result<Self, rustls::Error> {
        let parts = Parts::of(snapshot, &shared.staples);
        let ring = ring(&shared, snapshot, None)?;
        let open = parts.config(&shared.with(ring.as_ref()), None, None)?;
        Ok(Self { shared, parts, ring, open, special: RefCell::default() })
    }

    /// Follows a new snapshot. Sessions that exist keep what they have.
    pub(crate) fn adopt(&mut self, snapshot: &Snapshot) -> Result<(), rustls::Error> {
        let parts = Parts::of(snapshot, &self.shared.staples);
        let ring = ring(&self.shared, snapshot, self.ring.as_ref())?;
        self.open = parts.config(&self.shared.with(ring.as_ref()), None, None)?;
        (self.parts, self.ring) = (parts, ring);
        self.special.get_mut().clear();
        Ok(())
    }

    /// A session for a fresh connection, of a host that asks for what `auth` says and offers what `ciphers` says.
    pub(crate) fn accept(
        &self,
        auth: Option<&ClientAuth>,
        ciphers: Option<&Arc<HostCiphers>>,
    ) -> Result<Session, TlsError> {
        let config = match (auth, ciphers) {
            (None, None) => Arc::clone(&self.open),
            _ => self.special(auth, ciphers)?,
        };
        Ok(Session::server(UnbufferedServerConnection::new(config)?))
    }

    fn special(
        &self,
        auth: Option<&ClientAuth>,
        ciphers: Option<&Arc<HostCiphers>>,
    ) -> Result<Arc<ServerConfig>, rustls::Error> {
        let (asked, mut known) = ((auth.map(ClientAuth::context), ciphers.cloned()), self.special.borrow_mut());
        if let Some(config) = known.get(&asked) {
            return Ok(Arc::clone(config));
        }
        if known.len() >= SPECIAL_MAX {
            known.clear();
        }
        let config = self.parts.config(&self.shared.with(self.ring.as_ref()), auth, ciphers)?;
        known.insert(asked, Arc::clone(&config));
        Ok(config)
    }
}

/// The ring of a snapshot's keys; the one before where they are the same.
fn ring(
    shared: &SharedTls,
    snapshot: &Snapshot,
    before: Option<&Arc<SharedRing>>,
) -> Result<Option<Arc<SharedRing>>, rustls::Error> {
    let Some(keys) = &snapshot.tickets else { return Ok(None) };
    if let Some(before) = before.filter(|ring| Arc::ptr_eq(ring.keys(), keys)) {
        return Ok(Some(Arc::clone(before)));
    }
    let ring = SharedRing::new(Arc::clone(keys), Arc::clone(&shared.tickets));
    let ring = ring.ok_or_else(|| rustls::Error::General("the shared ticket keys cannot be used".to_owned()))?;
    Ok(Some(Arc::new(ring)))
}

impl Parts {
    fn of(snapshot: &Snapshot, staples: &Staples) -> Self {
        let rejecting = snapshot.settings.tls.reject_unknown.then(|| snapshot.hosts.clone());
        let staples = snapshot.settings.tls.ocsp.then(|| staples.clone());
        let certificates = Arc::new(BySni { certificates: snapshot.certificates.clone(), rejecting, staples });
        let protocols = if snapshot.settings.client.http2 { PROTOCOLS } else { PROTOCOLS_WITHOUT_HTTP2 };
        Self { settings: snapshot.settings.tls.clone(), protocols, certificates }
    }

    fn config(
        &self,
        shared: &SharedTls,
        auth: Option<&ClientAuth>,
        ciphers: Option<&Arc<HostCiphers>>,
    ) -> Result<Arc<ServerConfig>, rustls::Error> {
        let certificates: Arc<dyn ResolvesServerCert> = Arc::<BySni>::clone(&self.certificates);
        let clients: Arc<dyn ClientCertVerifier> = match auth {
            None => Arc::new(NoClientAuth),
            Some(auth) => Arc::new(AnyClient::new(&shared.provider, auth)),
        };
        let context = auth.map_or([0; 32], ClientAuth::context);
        let TlsSettings { suites, groups, .. } = &self.settings;
        let suites = ciphers.and_then(|ciphers| ciphers.suites.as_ref()).or(suites.as_ref());
        let provider = choose(&shared.provider, suites.map(|suites| &**suites), groups.as_deref());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(self.settings.versions.supported())?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(certificates);
        config.alpn_protocols = self.protocols.iter().map(|name| name.to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // Who orders suites means the order, unless they say otherwise.
        config.ignore_client_order = ciphers.and_then(|ciphers| ciphers.prefer_own).unwrap_or(suites.is_some());
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
    /// Answers of responders, where they are sent along.
    staples: Option<Staples>,
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
        let stapled = self.staples.as_ref().and_then(|staples| staples.find(&presented.key));
        Some(stapled.unwrap_or_else(|| Arc::clone(&presented.key)))
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
