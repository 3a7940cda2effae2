//! The webhook's certificate: read from its two files, and again when they change, or from the Secret that the leader
//! keeps. A pair that does not fit or cannot be read leaves the one before in place.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use ringress_config::model::Secret;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::regular;

/// How often the files are looked at. They are small, and mounted Secrets change by a rename that no watch of a file
/// sees.
const LOOK: Duration = Duration::from_secs(5);

/// Larger files are no certificates.
const MEBIBYTES_MAX: u64 = 1;

/// The two files and what was last read from them.
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    read: (Vec<u8>, Vec<u8>),
    shown: Arc<Shown>,
}

/// What handshakes show; nothing before there is a certificate, and then there is no handshake.
#[derive(Debug, Default)]
pub(super) struct Shown(ArcSwapOption<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

impl Shown {
    /// Whether there is a certificate to show.
    pub(super) fn is_some(&self) -> bool {
        self.0.load().is_some()
    }

    /// TLS that always shows the newest usable pair.
    pub(super) fn server_config(self: &Arc<Self>) -> io::Result<Arc<ServerConfig>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let mut config = config.with_no_client_auth().with_cert_resolver(Arc::clone(self) as _);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Shows the pair of a Secret from now on.
    pub(super) fn take(&self, secret: &Secret) {
        let value = |name: &str| secret.data.get(name).map_or(&[][..], |value| value);
        // As it is made: empty, until the leader comes to it.
        if value("tls.crt").is_empty() {
            return;
        }
        match parse(value("tls.crt"), value("tls.key")) {
            Ok(certified) => {
                info!(secret = %secret.meta.key, "the webhook shows another certificate");
                self.0.store(Some(Arc::new(certified)));
            }
            Err(cause) => warn!(secret = %secret.meta.key, "the webhook keeps its certificate: {cause}"),
        }
    }
}

impl Files {
    /// What is shown.
    pub(super) fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown)
    }

    /// Reads both.
    pub(super) fn read(certificate: &Path, key: &Path) -> io::Result<Self> {
        let of_flag = |flag: &str, path| {
            load(path).map_err(|cause| io::Error::new(cause.kind(), format!("--validating-webhook-{flag}={cause}")))
        };
        let read = (of_flag("certificate", certificate)?, of_flag("key", key)?);
        let shown = Arc::new(Shown(ArcSwapOption::from_pointee(parse(&read.0, &read.1)?)));
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), read, shown })
    }

    /// Looks at the files from time to time and whenever it is told to, for ever.
    pub(super) async fn follow(mut self, at_once: &Notify) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = at_once.notified() => {}
            }
            self.look();
        }
    }

    fn look(&mut self) {
        // While one of them is being replaced there may be none.
        let (Ok(certificate), Ok(key)) = (load(&self.certificate), load(&self.key)) else { return };
        let read = (certificate, key);
        if read == self.read {
            return;
        }
        match parse(&read.0, &read.1) {
            Ok(certified) => {
                info!(certificate = %self.certificate.display(), "the webhook shows another certificate");
                self.shown.0.store(Some(Arc::new(certified)));
            }
            Err(cause) => {
                warn!(certificate = %self.certificate.display(), "the webhook keeps its certificate: {cause}");
            }
        }
        self.read = read;
    }
}

fn load(path: &Path) -> io::Result<Vec<u8>> {
    let named = |cause: io::Error| io::Error::new(cause.kind(), format!("{}: {cause}", path.display()));
    regular::open(path).and_then(|mut file| regular::read(&mut file, MEBIBYTES_MAX)).map_err(named)
}

fn parse(certificate: &[u8], key: &[u8]) -> io::Result<CertifiedKey> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .map_err(|_| bad("the certificate is no PEM"))?;
    if chain.is_empty() {
        return Err(bad("the certificate file holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| bad("the key file holds no usable key"))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
        let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
        std::fs::write(&certificate, made.cert.pem()).expect("writable");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("writable");
        (certificate, key)
    }

    #[test]
    fn another_pair_is_shown_and_a_bad_one_is_not() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let (certificate, key) = write(folder.path(), "one.test");
        let mut files = Files::read(&certificate, &key).expect("a pair");
        let shown = |files: &Files| files.shown.0.load_full().expect("a pair").cert[0].to_vec();
        let one = shown(&files);
        files.look();
        assert_eq!(shown(&files), one);
        write(folder.path(), "two.test");
        files.look();
        let two = shown(&files);
        assert_ne!(two, one);
        // A key that is not of the certificate, as between two writes.
        let other = rcgen::KeyPair::generate().expect("a key");
        std::fs::write(&key, other.serialize_pem()).expect("writable");
        files.look();
        assert_eq!(shown(&files), two);
        std::fs::write(&certificate, "").expect("writable");
        files.look();
        assert_eq!(shown(&files), two);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let cause = Files::read(Path::new("/nonexistent/tls.crt"), Path::new("/nonexistent/tls.key")).err();
        assert!(cause.expect("there is none").to_string().contains("/nonexistent/tls.crt"));
    }
}
