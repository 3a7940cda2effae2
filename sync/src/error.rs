//! What can go wrong on the control thread in a way that its caller has to know.
//!
//! A bad object is never an error here: it is a finding in [`SyncStatus::rejected`](crate::SyncStatus::rejected).

use std::path::PathBuf;
use std::time::Duration;

/// Why the control thread could not be started, or could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The folder of a `dir:` source cannot be read when the appliance starts. Later on it is an outage, not an error.
    #[error("the source folder {path:?} cannot be read: {cause}")]
    Folder {
        /// The folder as it was given.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// No usable way to an API server follows from the settings.
    #[error("no API server can be reached with these settings: {0}")]
    KubeSettings(String),
    /// An API server that was to be read once was not.
    #[error("the API server {server} cannot be read: {why}")]
    Unread {
        /// Its address, with the namespace if only one was to be read.
        server: String,
        /// What it refused, or that it took too long.
        why: String,
    },
    /// The default certificate could not be made.
    #[error("the built-in default certificate cannot be made: {0}")]
    DefaultCertificate(String),
    /// The validating webhook cannot listen, or its certificate cannot be used.
    #[error("the validating webhook cannot listen on {address}: {cause}")]
    Webhook {
        /// Where it should.
        address: std::net::SocketAddr,
        /// What is wrong.
        cause: std::io::Error,
    },
    /// The operating system refused the thread.
    #[error("the control thread cannot be started: {0}")]
    Thread(std::io::Error),
    /// The source has not been listed, or a worker has not taken over the snapshot, in time.
    #[error("not served by every worker within {} s: {waiting_for}", waited.as_secs())]
    Timeout {
        /// How long the call waited.
        waited: Duration,
        /// What was still missing: the source's first list, or the workers by number.
        waiting_for: String,
    },
    /// The control thread has ended.
    #[error("the control thread has ended")]
    Ended,
}
