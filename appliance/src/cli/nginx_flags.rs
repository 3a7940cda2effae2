//! The flags of ingress-nginx, so that its container arguments work unchanged.
//!
//! One line each: what it holds, its default there (kept here but for `enable-metrics`), how far it is carried out, and
//! what it does. `docs/flags.md` and the help text come from this table.

use super::flag::Support::{Differs, Honoured, NoMeaning, NotYet};
use super::flag::{Flag, Support};
use super::value::ValueType::{
    self, Address, Bool, Buckets, Duration, Float, Int, List, Name, Object, Port, Seconds, Text,
};

const fn flag(
    name: &'static str,
    value: ValueType,
    default: &'static str,
    support: Support,
    doc: &'static str,
) -> Flag {
    Flag { name, value, default, support, env: false, doc }
}

/// These four are in the table of ringress' own flags too, so they have an environment variable.
const fn shared(name: &'static str, value: ValueType, default: &'static str, doc: &'static str) -> Flag {
    Flag { name, value, default, support: Honoured, env: true, doc }
}

const LUA: Support = NoMeaning("there is no Lua layer to be controlled");
const PROFILER: Support = NoMeaning("there is no Go profiler");
const GEOIP: Support = NotYet("no GeoIP2 database is loaded");
const NATIVE: Support = NotYet("only classic histograms are exported");

/// All of them, by name; klog's own flags are in [`KLOG_FLAGS`].
pub(crate) const NGINX_FLAGS: &[Flag] = &[
    flag(
        "annotations-prefix",
        Name,
        "nginx.ingress.kubernetes.io",
        Honoured,
        "Prefix of the Ingress annotations that are read.",
    ),
    flag("apiserver-host", Text, "", Honoured, "URL of the API server, for running outside the cluster."),
    flag("bucket-factor", Float, "0", NATIVE, "Growth factor of native histograms."),
    flag("certificate-authority", Text, "", Honoured, "CA file for --apiserver-host."),
    flag("configmap", Object, "", Honoured, "The ConfigMap with the global options."),
    flag(
        "controller-class",
        Text,
        "k8s.io/ingress-nginx",
        Honoured,
        "IngressClasses whose spec.controller is this belong to this controller.",
    ),
    flag(
        "deep-inspect",
        Bool,
        "true",
        Honoured,
        "Refuse Ingresses whose hosts or paths hold fragments of nginx configuration.",
    ),
    flag(
        "default-backend-service",
        Object,
        "",
        Honoured,
        "Service (first port) for requests that no rule matches; without it the answer is 404.",
    ),
    flag("default-server-port", Int, "8181", NoMeaning("the 404 answer needs no port"), "Port of the 404 server."),
    flag(
        "default-ssl-certificate",
        Object,
        "",
        Honoured,
        "Secret with the certificate for names without their own; without it a self-signed one is made.",
    ),
    flag("disable-catch-all", Bool, "false", Honoured, "Ignore Ingresses that have spec.defaultBackend."),
    flag(
        "disable-full-test",
        Bool,
        "false",
        NoMeaning("an object under review is always checked alone against the current state"),
        "The webhook renders only the Ingress under review.",
    ),
    flag("disable-leader-election", Bool, "false", Honoured, "No Lease, and no writing of Ingress status."),
    flag("disable-svc-external-name", Bool, "false", Honoured, "Ignore Services of type ExternalName."),
    flag(
        "disable-sync-events",
        Bool,
        "false",
        NoMeaning("events tell of what is refused or ignored, never of what is well"),
        "Do not write a Sync event for each Ingress.",
    ),
    flag("dynamic-configuration-retries", Int, "15", LUA, "Retries of pushing state into the Lua layer."),
    flag("election-id", Text, "ingress-controller-leader", Honoured, "Name of the Lease of the leader election."),
    flag("election-ttl", Duration, "30s", Honoured, "How long the Lease is held."),
    flag(
        "enable-annotation-validation",
        Bool,
        "true",
        Differs(
            "false lifts the risk level and lets targets of redirects hold variables; other values are read as ever",
        ),
        "Validate the values of annotations.",
    ),
    flag("enable-metrics", Bool, "true", Differs("on by default"), "Count requests by route and serve the counters."),
    flag(
        "enable-ssl-chain-completion",
        Bool,
        "false",
        NotYet("certificate chains are served as they are"),
        "Fetch missing intermediate certificates.",
    ),
    flag(
        "enable-ssl-passthrough",
        Bool,
        "false",
        Honoured,
        "Forward the TLS of hosts that ask for it, chosen by server name.",
    ),
    flag(
        "enable-topology-aware-routing",
        Bool,
        "false",
        Differs(
            "hints act wherever all endpoints of a Service have them, without a look at the Service's topology-mode",
        ),
        "Prefer endpoints whose hints name this Node or this zone (--zone, else that of the Node in NODE_NAME).",
    ),
    flag("exclude-socket-metrics", List, "", Honoured, "Request metrics that are neither computed nor served."),
    flag(
        "health-check-path",
        Text,
        "/healthz",
        Honoured,
        "Path of the health answer on the health port, and of the 200 on the ports of the traffic for hosts that no rule names.",
    ),
    flag("health-check-timeout", Seconds, "10", Honoured, "Time after which a health or metrics request is given up."),
    shared("healthz-host", Address, "", "Address of the health and metrics port; empty is all."),
    shared("healthz-port", Port, "10254", "Port for health and metrics; 0 turns it off."),
    shared("http-port", Port, "80", "Port for plain http; 0 turns it off."),
    shared("https-port", Port, "443", "Port for https; 0 turns it off."),
    flag(
        "ingress-class",
        Text,
        "nginx",
        Honoured,
        "Value of the kubernetes.io/ingress.class annotation that is served.",
    ),
    flag(
        "ingress-class-by-name",
        Bool,
        "false",
        Honoured,
        "Serve the IngressClass whose name is --ingress-class, too.",
    ),
    flag(
        "internal-logger-address",
        Text,
        "127.0.0.1:11514",
        NoMeaning("there is no syslog in between"),
        "Syslog address of chroot images.",
    ),
    flag("kubeconfig", Text, "", Honoured, "File with the API server's address and credentials; also KUBECONFIG."),
    flag(
        "length-buckets",
        Buckets,
        "10,20,30,40,50,60,70,80,90,100",
        Honoured,
        "Buckets of the request and response length histograms, in bytes.",
    ),
    flag("max-buckets", Int, "100", NATIVE, "Most buckets of a native histogram."),
    flag("maxmind-edition-ids", List, "GeoLite2-City,GeoLite2-ASN", GEOIP, "GeoIP2 databases."),
    flag("maxmind-license-key", Text, "", GEOIP, "Key for downloading them."),
    flag("maxmind-mirror", Text, "", GEOIP, "Where to download them."),
    flag("maxmind-retries-count", Int, "1", GEOIP, "Download attempts."),
    flag("maxmind-retries-timeout", Duration, "0s", GEOIP, "Pause between download attempts."),
    flag("metrics-per-host", Bool, "true", Honoured, "Put the host label on request metrics."),
    flag(
        "metrics-per-undefined-host",
        Bool,
        "false",
        Differs("their host label is _ and never the client's text, so the series stay bounded"),
        "Count requests for hosts that no Ingress defines, too.",
    ),
    flag(
        "monitor-max-batch-size",
        Int,
        "10000",
        NoMeaning("counters are read where they are, there are no batches"),
        "Size of a batch of metrics.",
    ),
    flag(
        "post-shutdown-grace-period",
        Seconds,
        "10",
        Differs("0 with a dir: source unless given: there is no cluster that has to notice"),
        "Wait between the end of the drain and the end of the process.",
    ),
    flag("profiler-address", Text, "127.0.0.1", PROFILER, "Address of the profiler."),
    flag("profiler-port", Int, "10245", PROFILER, "Port of the profiler."),
    flag("profiling", Bool, "true", PROFILER, "Serve profiles."),
    flag("publish-service", Object, "", Honoured, "Service whose addresses are written to Ingress status."),
    flag("publish-status-address", List, "", Honoured, "Addresses that are written to Ingress status."),
    flag(
        "report-node-internal-ip-address",
        Bool,
        "false",
        Honoured,
        "Write internal node addresses to Ingress status.",
    ),
    flag("report-status-classes", Bool, "false", Honoured, "Label request metrics with 2xx, 3xx, … instead of codes."),
    flag("shutdown-grace-period", Seconds, "0", Honoured, "Wait between SIGTERM and the start of the drain."),
    flag(
        "size-buckets",
        Buckets,
        "10,100,1000,10000,100000,1000000,10000000",
        Honoured,
        "Buckets of the bytes_sent histogram.",
    ),
    flag(
        "ssl-passthrough-proxy-port",
        Int,
        "442",
        NoMeaning("passing through needs no second TLS port"),
        "TLS port behind the server name proxy.",
    ),
    flag("status-port", Int, "10246", LUA, "Control port of the Lua layer."),
    flag(
        "status-update-interval",
        Seconds,
        "60",
        Differs("changes are written at once; this is how often the addresses are looked up without an occasion"),
        "How often Ingress status is checked.",
    ),
    flag("stream-port", Int, "10247", LUA, "Control port of the Lua layer for TCP and UDP."),
    flag(
        "sync-period",
        Duration,
        "0s",
        NoMeaning("watches are resumed without loss, there is no periodic resync"),
        "How often everything is listed again.",
    ),
    flag(
        "sync-rate-limit",
        Float,
        "0.3",
        NoMeaning("changes are applied at once, and bursts together"),
        "Most syncs per second.",
    ),
    flag("tcp-services-configmap", Object, "", Honoured, "ConfigMap that maps ports to TCP services."),
    flag(
        "time-buckets",
        Buckets,
        "0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10",
        Honoured,
        "Buckets of the duration histograms, in seconds.",
    ),
    flag("udp-services-configmap", Object, "", Honoured, "ConfigMap that maps ports to UDP services."),
    flag("update-status", Bool, "true", Honoured, "Write the addresses of this controller to Ingress status."),
    flag("update-status-on-shutdown", Bool, "true", Honoured, "The last replica clears the status when it stops."),
    flag("validating-webhook", Text, "", Honoured, "Address of the admission server."),
    flag("validating-webhook-certificate", Text, "", Honoured, "Its certificate file."),
    flag("validating-webhook-key", Text, "", Honoured, "Its key file."),
    flag("version", Bool, "false", Honoured, "Print the version and end."),
    flag("watch-ingress-without-class", Bool, "false", Honoured, "Serve Ingresses that name no class, too."),
    flag("watch-namespace", Name, "", Honoured, "The only namespace to be served; empty is all."),
    flag(
        "watch-namespace-selector",
        Text,
        "",
        Honoured,
        "Serve the namespaces with these labels; excludes --watch-namespace.",
    ),
];

const KLOG: Support = NoMeaning("the own log always goes to stderr; see --log-level and --log-format");

const fn klog(name: &'static str, value: ValueType) -> Flag {
    Flag { name, value, default: "", support: KLOG, env: false, doc: "Flag of ingress-nginx' logger." }
}

/// The flags of ingress-nginx' logger.
pub(crate) const KLOG_FLAGS: &[Flag] = &[
    flag(
        "v",
        Int,
        "",
        Differs("0 to 2 is info, 3 and 4 debug, 5 and more trace; --log-level wins"),
        "Verbosity of the own log (-v too).",
    ),
    klog("add_dir_header", Bool),
    klog("alsologtostderr", Bool),
    klog("log_backtrace_at", Text),
    klog("log_dir", Text),
    klog("log_file", Text),
    klog("log_file_max_size", Int),
    klog("logtostderr", Bool),
    klog("one_output", Bool),
    klog("skip_headers", Bool),
    klog("skip_log_headers", Bool),
    klog("stderrthreshold", Text),
    klog("vmodule", Text),
];
