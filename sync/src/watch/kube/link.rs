//! The way to the API server: one client after the other.
//!
//! Tokens, certificates and authorities are files that others replace. The client reads a token file and the service
//! account's authority again after a minute, and what a kubeconfig names never. A refusal or a broken handshake is the
//! occasion to read everything at once: a new client, for whatever is asked next.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use kube::Client;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tracing::{debug, info, warn};

use super::client::{Connected, connect};
use crate::{KubeSettings, SyncError};

/// Files are read, and plugins run, no more often than this, however many requests fail.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// Credentials that say when they expire are read again so long before.
const RENEW_BEFORE: Duration = Duration::from_secs(60);

/// The server, for all that ask it.
#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    settings: KubeSettings,
    url: String,
    connected: ArcSwap<Connected>,
    /// When the client was last made anew; locked while that goes on.
    renewed: Arc<Mutex<Option<Instant>>>,
}

impl Link {
    /// Makes the first client. The server may be away. To be called inside the runtime that the clients are used in.
    pub(crate) async fn connect(settings: &KubeSettings) -> Result<Self, SyncError> {
        let connected = connect(settings).await?;
        let url = connected.url.clone();
        let connected = ArcSwap::from_pointee(connected);
        Ok(Self(Arc::new(Inner { settings: settings.clone(), url, connected, renewed: Arc::default() })))
    }

    /// The server's address.
    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    /// For the next request. Not to be kept beyond it.
    pub(crate) fn client(&self) -> Client {
        let connected = self.0.connected.load();
        if connected.expires.is_some_and(|at| SystemTime::now() + RENEW_BEFORE >= at) {
            self.renew();
        }
        connected.client.clone()
    }

    /// A request has failed. If new credentials might help, they are read, off this thread; whoever tries again finds a
    /// new client.
    pub(crate) fn failed(&self, cause: &kube::Error) {
        if is_mistrust(cause) {
            self.renew();
        }
    }

    fn renew(&self) {
        let Ok(mut renewed) = Arc::clone(&self.0.renewed).try_lock_owned() else { return };
        if renewed.is_some_and(|before| before.elapsed() < RENEW_EVERY) {
            return;
        }
        let inner = Arc::clone(&self.0);
        // A credential plugin may take its time.
        tokio::task::spawn_blocking(move || {
            inner.renew();
            *renewed = Some(Instant::now());
        });
    }
}

impl Inner {
    fn renew(&self) {
        match Handle::current().block_on(connect(&self.settings)) {
            Ok(connected) if connected.url == self.url => {
                debug!(url = self.url, "the credentials for the API server are read again");
                self.connected.store(Arc::new(connected));
            }
            Ok(Connected { url, .. }) => {
                info!(url, known = self.url, "another API server is named now: it is not used before the next start");
            }
            // A file may be half written: the next failure is the next occasion.
            Err(cause) => warn!("the credentials for the API server cannot be read again: {cause}"),
        }
    }
}

/// Whether one of the two did not believe who the other one is.
fn is_mistrust(cause: &kube::Error) -> bool {
    match cause {
        kube::Error::Api(status) => status.code == 401,
        kube::Error::Auth(_) => true,
        cause => is_of_tls(cause),
    }
}

fn is_of_tls(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<rustls::Error>() {
            return true;
        }
        // What an IO error wraps is not its source, but the source of that is.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16) -> kube::Error {
        kube::Error::Api(Box::new(kube::core::Status::failure("", "").with_code(code)))
    }

    #[test]
    fn credentials_are_read_again_when_somebody_is_not_believed_and_not_for_every_failure() {
        assert!(is_mistrust(&answer(401)));
        assert!(!is_mistrust(&answer(403)) && !is_mistrust(&answer(500)));
        let broken = io::Error::other(io::Error::other(rustls::Error::General("of a handshake".to_owned())));
        assert!(is_mistrust(&kube::Error::Service(Box::new(broken))));
        assert!(is_mistrust(&kube::Error::ReadEvents(io::Error::other(rustls::Error::DecryptError))));
        assert!(!is_mistrust(&kube::Error::Service(Box::new(io::Error::from(io::ErrorKind::ConnectionRefused)))));
    }
}
