//! The control thread: objects from a folder or from the Kubernetes API in, snapshots to the workers out.
//!
//! The way of a change: [`watch`] (what differs at the source) → [`thread`] (when to build) →
//! `ringress_config::compile` (what it means) → [`publish`] (to every worker, and who serves it).
//! Workers never wait for any of it, and nothing of it is on the request path.

#![forbid(unsafe_code)]

mod default_certificate;
mod error;
mod handle;
mod names;
mod once;
mod pace;
mod publish;
mod reading;
mod regular;
mod settings;
mod state;
mod status;
#[cfg(feature = "testkit")]
pub mod testkit;
mod thread;
mod watch;
mod webhook;
mod write;

pub use error::SyncError;
pub use handle::SyncHandle;
pub use once::{ClusterObjects, read_cluster};
pub use publish::{Publisher, WorkerLink};
pub use settings::{
    KubeSettings, PodIdentity, ResolverSettings, SourceSettings, StatusAddresses, StatusSettings, SyncSettings,
    WebhookAuthority, WebhookCertificate, WebhookSettings, WebhookSocket, WriteSettings,
};
pub use status::{Builds, Changed, Propagation, Reviews, SyncStatus};
pub use thread::spawn;
pub use webhook::webhook_connections_closed;
