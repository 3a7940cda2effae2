//! The flags that ingress-nginx does not have. Each has an environment variable, `RINGRESS_` and its name.

use super::flag::Support::Honoured;
use super::flag::{Flag, Support};
use super::value::ValueType::{self, Bool, Choice, Duration, Int, Name, Object, Repeated, Text};

const fn flag(
    name: &'static str,
    value: ValueType,
    default: &'static str,
    support: Support,
    doc: &'static str,
) -> Flag {
    Flag { name, value, default, support, env: true, doc }
}

/// All of them, by name. `http-port`, `https-port`, `healthz-host` and `healthz-port` are ingress-nginx' too.
pub(crate) const OWN_FLAGS: &[Flag] = &[
    flag(
        "access-log",
        Text,
        "auto",
        Honoured,
        "auto (as the ConfigMap says; off with a dir: source that has none), off, or a file.",
    ),
    flag(
        "access-log-format",
        Choice(&["configmap", "json"]),
        "configmap",
        Honoured,
        "Form of access log lines: the ConfigMap's log-format-upstream, or a built-in JSON object.",
    ),
    flag(
        "admin-address",
        Text,
        "127.0.0.1:10280",
        Honoured,
        "Where dashboard and API are served: ADDRESS:PORT, unix:PATH, or off.",
    ),
    flag("config", Text, "", Honoured, "YAML file with the same options; /etc/ringress/ringress.yaml when it exists."),
    flag(
        "control-socket",
        Text,
        "",
        Honoured,
        "Socket of the upgrade command, or off; /run/ringress/control.sock, else in the state folder.",
    ),
    flag("cpus", Text, "", Honoured, "The CPUs to pin worker cores to, such as 0-3,6."),
    flag(
        "drain-timeout",
        Duration,
        "",
        Honoured,
        "Longest drain; else the ConfigMap's worker-shutdown-timeout, else 30s.",
    ),
    flag(
        "driver",
        Choice(&["auto", "io_uring", "epoll"]),
        "auto",
        Honoured,
        "How workers wait for sockets; auto takes io_uring where it is allowed.",
    ),
    flag(
        "listen-address",
        Repeated,
        "",
        Honoured,
        "Address of the http and https listeners; all IPv4 and IPv6 addresses when not given.",
    ),
    flag(
        "log-format",
        Choice(&["auto", "text", "json"]),
        "auto",
        Honoured,
        "Form of the own log; auto is text on a terminal, else JSON.",
    ),
    flag(
        "log-level",
        Choice(&["error", "warn", "info", "debug", "trace"]),
        "",
        Honoured,
        "Least severity of the own log; when neither this nor -v is given, that of the ConfigMap's error-log-level, else info.",
    ),
    flag(
        "ocsp-allow-local",
        Bool,
        "false",
        Honoured,
        "Ask OCSP responders on loopback and link-local addresses too, where enable-ocsp is on.",
    ),
    flag("source", Text, "kube", Honoured, "kube (the cluster's API server) or dir:PATH (a folder of manifests)."),
    flag(
        "state-dir",
        Text,
        "",
        Honoured,
        "Folder of the last known good state; /var/lib/ringress when it can be written to.",
    ),
    flag(
        "ticket-secret",
        Object,
        "",
        Honoured,
        "Secret with the keys of TLS session tickets that all replicas share; the leader makes and rotates them.",
    ),
    flag(
        "upstream-address",
        Choice(&["pod", "cluster-ip", "node-port"]),
        "pod",
        Honoured,
        "Where requests go: to pods, to their Service's own address, or to its port on each ready Node.",
    ),
    flag(
        "upgrade-timeout",
        Duration,
        "60s",
        Honoured,
        "How long an upgrade waits for the new process to be ready; then the old one goes on.",
    ),
    flag(
        "webhook-configuration",
        Name,
        "",
        Honoured,
        "ValidatingWebhookConfiguration whose caBundle the leader keeps, with --webhook-secret.",
    ),
    flag(
        "webhook-secret",
        Object,
        "",
        Honoured,
        "Secret with the webhook's certificate, which the leader makes and renews; unless one is given by files.",
    ),
    flag("workers", Int, "", Honoured, "Number of worker cores; the CPUs this process may use when not given."),
    flag("zone", Text, "", Honoured, "The zone of this instance, for --enable-topology-aware-routing."),
];
