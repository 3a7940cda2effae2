//! What the command line and the configuration file say that matters to compilation.
//!
//! Field names follow ingress-nginx's flags (`docs/flags.md`); the defaults are theirs.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use crate::intent::HostName;
use crate::model::ObjectKey;
use crate::selector::LabelSelector;

/// Where requests to a Service go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamAddress {
    /// To its pods.
    #[default]
    Pod,
    /// To its own address, behind which the cluster balances.
    ClusterIp,
    /// To its port on the Nodes: for an instance outside of the cluster's network.
    NodePort,
}

impl UpstreamAddress {
    /// All, in the order in which they are listed to users.
    pub const ALL: [Self; 3] = [Self::Pod, Self::ClusterIp, Self::NodePort];

    /// By its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|address| address.as_str() == text)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::ClusterIp => "cluster-ip",
            Self::NodePort => "node-port",
        }
    }
}

/// Where this instance is, for the hints of endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// `--zone`; else the zone of the Node.
    pub zone: Option<Arc<str>>,
    /// `NODE_NAME`: the Node that this instance is on.
    pub node: Option<Arc<str>>,
}

/// A certificate on disk (`certificates` of the `--config` file), for hosts without a Secret of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCertificate {
    /// PEM file with the chain.
    pub certificate: PathBuf,
    /// PEM file with the key.
    pub key: PathBuf,
    /// What presents it.
    pub(crate) hosts: Box<[HostName]>,
}

impl FileCertificate {
    /// Certificates without the hosts that present them are of no use. The error says what is wrong.
    pub fn new(certificate: PathBuf, key: PathBuf, hosts: &[String]) -> Result<Self, String> {
        let parse = |host: &String| HostName::parse(host).map_err(|fault| format!("host {host:?} {fault}"));
        let hosts: Box<[_]> = hosts.iter().map(parse).collect::<Result<_, _>>()?;
        if hosts.is_empty() {
            return Err(format!("{}: hosts: at least one is expected", certificate.display()));
        }
        Ok(Self { certificate, key, hosts })
    }

    /// The Secret that stands for it among the objects. Its namespace is none that there can be: no Ingress lives there,
    /// so that none may use the key by naming the file.
    pub fn secret(&self) -> ObjectKey {
        ObjectKey::new("file:", &*self.certificate.to_string_lossy())
    }
}

/// The options of one compiler. They do not change while it lives, [`certificates`](Self::certificates) excepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `--annotations-prefix`: prefix of all annotations, without the slash.
    pub annotations_prefix: Arc<str>,
    /// `--ingress-class`: value of the old class annotation that is served here.
    pub ingress_class: Arc<str>,
    /// `--controller-class`: IngressClasses with this `spec.controller` are served here.
    pub controller_class: Arc<str>,
    /// `--ingress-class-by-name`: an IngressClass named like `ingress_class` is served too, whatever its controller.
    pub ingress_class_by_name: bool,
    /// `--watch-ingress-without-class`: Ingresses that name no class at all are served too.
    pub watch_ingress_without_class: bool,
    /// Folder source only: while there is no IngressClass object, one named like `ingress_class` with
    /// `controller_class` is assumed.
    pub assume_class: bool,
    /// `--watch-namespace`: Ingresses of other namespaces are not served.
    pub watch_namespace: Option<Arc<str>>,
    /// `--watch-namespace-selector`: Ingresses of Namespaces with other labels, or that are not known, are not served.
    pub namespace_selector: Option<LabelSelector>,
    /// `--disable-catch-all`: Ingresses with a `spec.defaultBackend` are not served.
    pub disable_catch_all: bool,
    /// `--disable-svc-external-name`: Services of type ExternalName have no endpoints.
    pub disable_external_name: bool,
    /// `--deep-inspect`: Ingresses whose hosts or paths hold dangerous fragments are not served.
    pub deep_inspect: bool,
    /// `--enable-annotation-validation`: annotations above the risk level and variables in the targets of redirects keep an
    /// Ingress out.
    pub validate_annotations: bool,
    /// `--enable-ssl-passthrough`: TLS of hosts that ask for it is passed on to their pods.
    pub enable_ssl_passthrough: bool,
    /// `--upstream-address`: where requests go unless an Ingress says otherwise.
    pub upstream_address: UpstreamAddress,
    /// `--enable-topology-aware-routing`: endpoints that are meant for here are preferred.
    pub topology: Option<Topology>,
    /// `--default-backend-service`: answers what no host and path matches, on its first port.
    pub default_backend_service: Option<ObjectKey>,
    /// `--default-ssl-certificate`: Secret with the certificate for names without their own.
    pub default_ssl_certificate: Option<ObjectKey>,
    /// `certificates` of the `--config` file.
    pub certificates: Box<[FileCertificate]>,
    /// `--ticket-secret`: Secret with the keys of session tickets that all replicas share.
    pub ticket_secret: Option<ObjectKey>,
    /// `--configmap`: the ConfigMap with the global settings.
    pub configmap: Option<ObjectKey>,
    /// Requests are logged while there is no ConfigMap; of a folder they are not.
    pub log_without_configmap: bool,
    /// `--tcp-services-configmap`: ports that lead to TCP services.
    pub tcp_services: Option<ObjectKey>,
    /// `--udp-services-configmap`: ports that lead to UDP services.
    pub udp_services: Option<ObjectKey>,
    /// `--health-check-path`: answered with 200 where no rule has it, for hosts that no rule names.
    pub health_path: Arc<str>,
    /// `--https-port`: what redirects to https name where they name a port.
    pub https_port: Option<u16>,
    /// Ports that this controller listens on itself; no TCP or UDP service may have them.
    pub reserved_ports: Box<[u16]>,
    /// `--listen-address` names addresses of IPv6 only.
    pub listens_on_ipv6_only: bool,
    /// Workers of the process; `None` where there is none, as with `check`.
    pub workers_started: Option<NonZeroUsize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            annotations_prefix: "nginx.ingress.kubernetes.io".into(),
            ingress_class: "nginx".into(),
            controller_class: "k8s.io/ingress-nginx".into(),
            ingress_class_by_name: false,
            watch_ingress_without_class: false,
            assume_class: false,
            watch_namespace: None,
            namespace_selector: None,
            disable_catch_all: false,
            disable_external_name: false,
            deep_inspect: true,
            validate_annotations: true,
            enable_ssl_passthrough: false,
            upstream_address: UpstreamAddress::Pod,
            topology: None,
            default_backend_service: None,
            default_ssl_certificate: None,
            certificates: Box::default(),
            ticket_secret: None,
            configmap: None,
            log_without_configmap: true,
            tcp_services: None,
            udp_services: None,
            health_path: "/healthz".into(),
            https_port: Some(443),
            reserved_ports: Box::default(),
            listens_on_ipv6_only: false,
            workers_started: None,
        }
    }
}
