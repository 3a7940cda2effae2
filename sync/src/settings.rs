//! What the control thread is told at its start.

use std::path::PathBuf;
use std::time::Duration;

use ringress_config::model::ObjectKey;
use ringress_config::options::Options;

pub use crate::webhook::{WebhookCertificate, WebhookSettings, WebhookSocket};

/// Where objects come from.
#[derive(Clone, Debug)]
pub enum SourceSettings {
    /// A folder of manifests (`--source=dir:PATH`).
    Dir(PathBuf),
    /// A Kubernetes API server (`--source=kube`).
    Kube(KubeSettings),
}

/// How to reach the API server, by ingress-nginx's flag names.
///
/// The first that is set wins: [`apiserver_host`](Self::apiserver_host), [`kubeconfig`](Self::kubeconfig), the
/// `KUBECONFIG` environment variable, the service account of the pod.
#[derive(Clone, Debug, Default)]
pub struct KubeSettings {
    /// `--kubeconfig`.
    pub kubeconfig: Option<PathBuf>,
    /// `--apiserver-host`, `http://host:port` or `https://host:port`.
    pub apiserver_host: Option<String>,
    /// `--certificate-authority`: PEM file that signs the API server's certificate, used with `apiserver_host`.
    pub certificate_authority: Option<PathBuf>,
    /// `--watch-namespace`: only this namespace is read (Roles are enough then); `None` is the whole cluster.
    pub namespace: Option<String>,
    /// What is written back; `None` is nothing at all (`--disable-leader-election`).
    pub write: Option<Box<WriteSettings>>,
}

/// What the leader of all replicas writes to the API server.
#[derive(Clone, Debug)]
pub struct WriteSettings {
    /// The Pod that this process is in; `None` outside the cluster.
    pub pod: Option<PodIdentity>,
    /// `--election-id`: name of the Lease, in the namespace of the Pod.
    pub lease: String,
    /// `--election-ttl`, whole seconds.
    pub ttl: Duration,
    /// `--update-status`; `None` is off.
    pub status: Option<StatusSettings>,
    /// The webhook's certificate that is made here; `None` where it is given, or where there is no webhook.
    pub webhook: Option<WebhookAuthority>,
    /// `--ticket-secret`: the Secret with the keys of session tickets; `None` keeps none.
    pub tickets: Option<ObjectKey>,
}

/// Where the leader keeps the webhook's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookAuthority {
    /// `--webhook-secret`: certificate and key.
    pub secret: ObjectKey,
    /// `--webhook-configuration`: name of the ValidatingWebhookConfiguration that is told whom to trust.
    pub configuration: String,
}

/// The Pod of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodIdentity {
    /// `POD_NAMESPACE`.
    pub namespace: String,
    /// `POD_NAME`.
    pub name: String,
}

/// The addresses in the status of Ingresses.
#[derive(Clone, Debug)]
pub struct StatusSettings {
    /// Where they come from.
    pub addresses: StatusAddresses,
    /// `--status-update-interval`: how often they are looked up without an occasion.
    pub interval: Duration,
    /// `--update-status-on-shutdown`.
    pub clear_at_end: bool,
}

/// Where the addresses of the status come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusAddresses {
    /// `--publish-status-address`.
    Fixed(Vec<String>),
    /// `--publish-service`.
    Service(ObjectKey),
    /// The Nodes of this controller's Pods.
    Nodes {
        /// `--report-node-internal-ip-address`.
        internal: bool,
    },
}

/// Everything that [`spawn`](crate::spawn) needs besides the way to the workers.
#[derive(Clone, Debug)]
pub struct SyncSettings {
    /// Where objects come from.
    pub source: SourceSettings,
    /// The process-wide options that the compiler uses.
    pub options: Options,
    /// `--state-dir`: where the last known good objects are kept for a start without API server; `None` keeps none.
    pub state_dir: Option<PathBuf>,
    /// `--validating-webhook`; `None` is off.
    pub webhook: Option<WebhookSettings>,
    /// Who knows the addresses of Services of type ExternalName.
    pub resolver: ResolverSettings,
}

/// Where names outside of the cluster are looked up.
#[derive(Clone, Debug)]
pub struct ResolverSettings {
    /// The file with servers and search list (resolv.conf(5)), read at each look-up.
    pub resolv_conf: PathBuf,
    /// The port of its servers.
    pub port: u16,
}

/// As the system does.
impl Default for ResolverSettings {
    fn default() -> Self {
        Self { resolv_conf: "/etc/resolv.conf".into(), port: 53 }
    }
}
