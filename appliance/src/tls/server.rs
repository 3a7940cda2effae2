//! The server side's configuration: certificates of the adopted snapshot, resumption shared by all cores.

use std::sync::Arc;

use ringress_config::snapshot::{Certificates, Snapshot, TlsSettings};
use rustls::crypto::CryptoProvider;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, UnbufferedServerConnection,
};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::session::{Session, TlsError};

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
    config: Arc<ServerConfig>,
    settings: TlsSettings,
}

impl ServerTls {
    /// The configuration of a snapshot.
    pub(crate) fn new(shared: SharedTls, snapshot: &Snapshot) -> Result<Self, rustls::Error> {
        let settings = snapshot.settings.tls.clone();
        let http2 = snapshot.settings.client.http2;
        let config = server_config(&shared, &settings, http2, snapshot.certificates.clone())?;
        Ok(Self { shared, config, settings })
    }

    /// Follows a new snapshot. Sessions that exist keep what they have.
    pub(crate) fn adopt(&mut self, snapshot: &Snapshot) -> Result<(), rustls::Error> {
        self.settings = snapshot.settings.tls.clone();
        let http2 = snapshot.settings.client.http2;
        self.config = server_config(&self.shared, &self.settings, http2, snapshot.certificates.clone())?;
        Ok(())
    }

    /// A session for a fresh connection.
    pub(crate) fn accept(&self) -> Result<Session, TlsError> {
        Ok(Session::server(UnbufferedServerConnection::new(Arc::clone(&self.config))?))
    }
}

fn server_config(
    shared: &SharedTls,
    settings: &TlsSettings,
    http2: bool,
    certificates: Certificates,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&shared.provider))
        .with_protocol_versions(versions(settings))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(BySni(certificates)));
    config.alpn_protocols = if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Arc::clone(&shared.tickets);
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// The versions that are switched on; `config` never compiles settings with none.
fn versions(settings: &TlsSettings) -> &'static [&'static SupportedProtocolVersion] {
    static ONLY_12: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
    static ONLY_13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
    match (settings.tls12, settings.tls13) {
        (true, false) => &ONLY_12,
        (false, true) => &ONLY_13,
        _ => rustls::ALL_VERSIONS,
    }
}

/// The certificate of the name that the client asks for, as of the snapshot.
#[derive(Debug)]
struct BySni(Certificates);

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        Some(Arc::clone(&self.0.present(name.as_deref().map(|n| n.trim_end_matches('.'))).key))
    }
}
