//! What the control thread is told at its start.

use std::path::PathBuf;

use ringress_config::options::Options;

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
}
