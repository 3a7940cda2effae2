//! From named values to the typed settings of a run.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::CliError;
use super::cluster::{self, Webhook, WriteBack};
use super::control::{ControlAddress, UpgradeSettings};
use super::file;
use super::layers::{Layers, Said, Surroundings};
use super::upstreams;
use crate::io::DriverChoice;
use crate::metrics::{RequestMetric, RequestMetrics, RequestMetricsSettings};
use ringress_config::options::Options;
use ringress_config::selector::LabelSelector;

/// Where the admin listener is when no flag says otherwise.
pub(crate) const ADMIN_ADDRESS: &str = "127.0.0.1:10280";

/// More workers than this would not be CPUs but a typing error.
const WORKERS_MAX: i64 = 1024;

/// Everything that `ringress run` was told.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// Where objects come from.
    pub source: Source,
    /// The options that the compiler uses.
    pub options: Options,
    /// `--validating-webhook`; `None` is off.
    pub webhook: Option<Webhook>,
    /// http and https listeners.
    pub listeners: HttpListeners,
    /// The health and metrics listener.
    pub health: Health,
    /// The admin listener.
    pub admin: AdminAddress,
    /// Worker cores.
    pub workers: WorkerCores,
    /// `--state-dir`; `None` is the default folder, when it can be written to.
    pub state_dir: Option<PathBuf>,
    /// How the process ends.
    pub shutdown: Shutdown,
    /// How the process is replaced.
    pub upgrade: UpgradeSettings,
    /// `--access-log`.
    pub access_log: AccessLogTarget,
    /// `--access-log-format`.
    pub access_log_form: AccessLogForm,
    /// The own log.
    pub log: LogSettings,
    /// `--ocsp-allow-local`: responders on this machine and its link are asked.
    pub ocsp_allow_local: bool,
    /// Request metrics.
    pub metrics: RequestMetricsSettings,
    /// What was accepted without effect, to be logged at start.
    pub warnings: Vec<String>,
    /// All of this as it was said.
    pub said: Said,
}

/// Where objects come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder of manifests.
    Folder(PathBuf),
    /// An API server.
    Kube(Kube),
}

/// How to reach the API server; the first that is set wins, without any it is the service account of the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kube {
    /// `--apiserver-host`.
    pub apiserver_host: Option<String>,
    /// `--certificate-authority`.
    pub certificate_authority: Option<PathBuf>,
    /// `--kubeconfig`, else `KUBECONFIG`.
    pub kubeconfig: Option<PathBuf>,
    /// `--watch-namespace`.
    pub namespace: Option<String>,
    /// What is written to it; `None` with `--disable-leader-election`.
    pub write: Option<Box<WriteBack>>,
}

/// The listeners of the workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpListeners {
    /// Addresses; empty is all IPv4 and IPv6.
    pub addresses: Vec<IpAddr>,
    /// Port of plain http; `None` is off.
    pub http_port: Option<u16>,
    /// Port of https; `None` is off.
    pub https_port: Option<u16>,
}

/// The health and metrics listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Address; `None` is all.
    pub host: Option<IpAddr>,
    /// Port; `None` is off.
    pub port: Option<u16>,
    /// `--health-check-path`; `/healthz` is answered too.
    pub path: String,
    /// Bound of one answer.
    pub timeout: Duration,
}

/// The admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// None.
    Off,
    /// Address and port.
    Tcp(SocketAddr),
    /// Unix socket.
    Unix(PathBuf),
}

/// Which cores serve, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerCores {
    /// Number of workers; `None` is the CPUs this process may use.
    pub count: Option<NonZeroUsize>,
    /// The CPUs to pin to; empty is any.
    pub cpus: Vec<usize>,
    /// How they wait for sockets.
    pub driver: DriverChoice,
}

/// How the process ends after the first signal: `grace_before`, drain, `grace_after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// `--shutdown-grace-period`.
    pub grace_before: Duration,
    /// `--drain-timeout`; `None` leaves it to the ConfigMap.
    pub drain_timeout: Option<Duration>,
    /// `--post-shutdown-grace-period`.
    pub grace_after: Duration,
}

/// Where access log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLogTarget {
    /// As the ConfigMap says, and off with a folder that has none.
    Auto,
    /// Nowhere.
    Off,
    /// A file.
    File(PathBuf),
}

/// The form of access log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogForm {
    /// As the ConfigMap says.
    ConfigMap,
    /// The built-in JSON.
    Json,
}

/// The own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Form of a line.
    pub format: LogFormat,
    /// Least severity.
    pub level: LogLevel,
    /// A flag says so, whatever the ConfigMap says.
    pub fixed: bool,
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// Text.
    Text,
    /// JSON.
    Json,
}

/// Least severity of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Failures only.
    Error,
    /// And what an operator should look at.
    Warn,
    /// And what happens.
    Info,
    /// And why.
    Debug,
    /// And everything.
    Trace,
}

/// The state folder when no flag names one.
pub(super) const STATE_DIR: &str = "/var/lib/ringress";

impl RunSettings {
    /// The state folder, or the default one if it exists and can be written to.
    pub fn state_dir_or_default(&self) -> Option<PathBuf> {
        let usable = || rustix::fs::access(STATE_DIR, rustix::fs::Access::WRITE_OK).is_ok();
        self.state_dir.clone().or_else(|| usable().then(|| PathBuf::from(STATE_DIR)))
    }

    pub(super) fn resolve(layers: Layers, surroundings: &Surroundings) -> Result<Self, CliError> {
        let source = source(&layers, surroundings)?;
        let mut warnings = layers.warnings.clone();
        let metrics = metrics(&layers, surroundings, &mut warnings);
        let mut options = options(&layers)?;
        warnings.extend(upstreams::own_node(&mut options, surroundings));
        Ok(Self {
            options,
            webhook: cluster::webhook(&layers)?,
            listeners: listeners(&layers)?,
            health: health(&layers)?,
            admin: admin_address("admin-address", &layers.text("admin-address").unwrap_or_default())?,
            workers: worker_cores(&layers)?,
            state_dir: layers.text("state-dir").map(PathBuf::from),
            shutdown: shutdown(&layers, &source),
            upgrade: UpgradeSettings {
                control: ControlAddress::of(&layers),
                timeout: layers.duration("upgrade-timeout").unwrap_or_default(),
            },
            access_log: access_log(&layers),
            access_log_form: match layers.choice("access-log-format") {
                Some("json") => AccessLogForm::Json,
                _ => AccessLogForm::ConfigMap,
            },
            log: log(&layers),
            ocsp_allow_local: layers.bool("ocsp-allow-local"),
            metrics,
            warnings,
            said: Said::of(&layers),
            source,
        })
    }
}

/// The folder of `dir:PATH`.
pub(super) fn source_folder(text: &str) -> Option<PathBuf> {
    text.strip_prefix("dir:").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn source(layers: &Layers, surroundings: &Surroundings) -> Result<Source, CliError> {
    let text = layers.text("source").unwrap_or_default();
    if let Some(path) = source_folder(&text) {
        return Ok(Source::Folder(path));
    }
    if text != "kube" {
        return Err(CliError::setting("source", "expected kube or dir:PATH"));
    }
    let write = cluster::write_back(layers, surroundings)?.map(Box::new);
    Ok(Source::Kube(Kube { write, ..kube(layers, surroundings) }))
}

/// How to reach the API server, for reading only.
pub(super) fn kube(layers: &Layers, surroundings: &Surroundings) -> Kube {
    Kube {
        apiserver_host: layers.text("apiserver-host"),
        certificate_authority: layers.text("certificate-authority").map(PathBuf::from),
        kubeconfig: layers
            .text("kubeconfig")
            .or_else(|| surroundings.var("KUBECONFIG").map(Into::into))
            .map(Into::into),
        namespace: layers.text("watch-namespace"),
        write: None,
    }
}

/// The options of the compiler.
pub(super) fn options(layers: &Layers) -> Result<Options, CliError> {
    let folder = layers.text("source").is_some_and(|source| source_folder(&source).is_some());
    let watch_namespace = layers.text("watch-namespace").map(Into::into);
    let namespace_selector = namespace_selector(layers)?;
    if layers.text("annotations-prefix").is_none() {
        return Err(CliError::setting(
            "annotations-prefix",
            "expected a name; without a prefix nothing is an annotation",
        ));
    }
    let text = |name| layers.text(name).unwrap_or_default().into();
    Ok(Options {
        annotations_prefix: text("annotations-prefix"),
        ingress_class: text("ingress-class"),
        controller_class: text("controller-class"),
        ingress_class_by_name: layers.bool("ingress-class-by-name"),
        watch_ingress_without_class: layers.bool("watch-ingress-without-class"),
        assume_class: folder,
        watch_namespace,
        namespace_selector,
        disable_catch_all: layers.bool("disable-catch-all"),
        disable_external_name: layers.bool("disable-svc-external-name"),
        deep_inspect: layers.bool("deep-inspect"),
        validate_annotations: layers.bool("enable-annotation-validation"),
        enable_ssl_passthrough: layers.bool("enable-ssl-passthrough"),
        upstream_address: upstreams::address(layers),
        topology: upstreams::topology(layers)?,
        default_backend_service: layers.object("default-backend-service"),
        default_ssl_certificate: layers.object("default-ssl-certificate"),
        certificates: file::certificates(&layers.certificates)?,
        ticket_secret: layers.object("ticket-secret"),
        configmap: layers.object("configmap"),
        log_without_configmap: !folder,
        tcp_services: layers.object("tcp-services-configmap"),
        udp_services: layers.object("udp-services-configmap"),
        health_path: text("health-check-path"),
        https_port: layers.port("https-port"),
        reserved_ports: reserved_ports(layers),
        listens_on_ipv6_only: listens_on_ipv6_only(layers),
        workers_started: None,
    })
}

fn namespace_selector(layers: &Layers) -> Result<Option<LabelSelector>, CliError> {
    const NAME: &str = "watch-namespace-selector";
    let Some(text) = layers.text(NAME).filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    if layers.text("watch-namespace").is_some_and(|namespace| !namespace.is_empty()) {
        return Err(CliError::setting(NAME, "excludes --watch-namespace"));
    }
    LabelSelector::parse(&text).map(Some).map_err(|fault| CliError::setting(NAME, fault.to_string()))
}

/// Addresses that cannot be read are refused elsewhere.
fn listens_on_ipv6_only(layers: &Layers) -> bool {
    let addresses = layers.list("listen-address");
    !addresses.is_empty() && addresses.iter().all(|text| listen_address(text).is_ok_and(|address| address.is_ipv6()))
}

/// The ports that the process listens on whatever the services say.
fn reserved_ports(layers: &Layers) -> Box<[u16]> {
    let admin = layers.text("admin-address").and_then(|text| text.rsplit_once(':')?.1.parse().ok());
    let ports = ["http-port", "https-port", "healthz-port"].map(|name| layers.port(name));
    ports.into_iter().chain([admin]).flatten().collect()
}

fn listeners(layers: &Layers) -> Result<HttpListeners, CliError> {
    let addresses = layers.list("listen-address").iter().map(|text| listen_address(text)).collect::<Result<_, _>>()?;
    let (http_port, https_port) = (layers.port("http-port"), layers.port("https-port"));
    if http_port.is_some() && http_port == https_port {
        return Err(CliError::setting("https-port", "the same port as --http-port"));
    }
    Ok(HttpListeners { addresses, http_port, https_port })
}

fn listen_address(text: &str) -> Result<IpAddr, CliError> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| {
        CliError::setting(
            "listen-address",
            format!("{text:?} is no IPv4 or IPv6 address (ports are --http-port and --https-port)"),
        )
    })
}

fn health(layers: &Layers) -> Result<Health, CliError> {
    let path = layers.text("health-check-path").unwrap_or_default();
    if !path.starts_with('/') || path.contains(['{', '}', '?', '#', '*', ':']) {
        return Err(CliError::setting("health-check-path", "expected a path that starts with /, without ? # * : { }"));
    }
    if matches!(path.as_str(), "/readyz" | "/metrics") {
        return Err(CliError::setting("health-check-path", format!("{path} has another meaning on this port")));
    }
    let timeout = layers.duration("health-check-timeout").unwrap_or_default().max(Duration::from_secs(1));
    Ok(Health { host: layers.address("healthz-host"), port: layers.port("healthz-port"), path, timeout })
}

/// `off`, `unix:PATH`, `ADDRESS:PORT`, or `localhost:PORT`.
pub(super) fn admin_address(flag: &'static str, text: &str) -> Result<AdminAddress, CliError> {
    if text == "off" {
        return Ok(AdminAddress::Off);
    }
    if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
        return Ok(AdminAddress::Unix(PathBuf::from(path)));
    }
    let address = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    address
        .parse()
        .map(AdminAddress::Tcp)
        .map_err(|_| CliError::setting(flag, "expected ADDRESS:PORT, unix:PATH or off"))
}

fn worker_cores(layers: &Layers) -> Result<WorkerCores, CliError> {
    let cpus = cpu_list(&layers.text("cpus").unwrap_or_default())?;
    let count = match layers.int("workers") {
        None => None,
        Some(count @ 1..=WORKERS_MAX) => usize::try_from(count).ok().and_then(NonZeroUsize::new),
        Some(_) => return Err(CliError::setting("workers", format!("expected 1 to {WORKERS_MAX}"))),
    };
    if !cpus.is_empty() && count.is_some_and(|count| count.get() > cpus.len()) {
        return Err(CliError::setting("workers", "more workers than CPUs in --cpus"));
    }
    let driver = match layers.choice("driver") {
        Some("io_uring") => DriverChoice::IoUring,
        Some("epoll") => DriverChoice::Epoll,
        _ => DriverChoice::Auto,
    };
    Ok(WorkerCores { count, cpus, driver })
}

/// `0-3,6`, as in `/sys/devices/system/cpu/online`; sorted, without duplicates.
fn cpu_list(text: &str) -> Result<Vec<usize>, CliError> {
    let error = || CliError::setting("cpus", "expected CPU numbers such as 0-3,6");
    let mut cpus = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().map_err(|_| error())?, last.parse().map_err(|_| error())?);
        if first > last || last >= WORKERS_MAX as usize {
            return Err(error());
        }
        cpus.extend(first..=last);
    }
    cpus.sort_unstable();
    cpus.dedup();
    Ok(cpus)
}

fn shutdown(layers: &Layers, source: &Source) -> Shutdown {
    let grace_after = layers.duration("post-shutdown-grace-period").unwrap_or_default();
    let no_cluster = matches!(source, Source::Folder(_)) && !layers.given("post-shutdown-grace-period");
    Shutdown {
        grace_before: layers.duration("shutdown-grace-period").unwrap_or_default(),
        drain_timeout: layers.duration("drain-timeout"),
        grace_after: if no_cluster { Duration::ZERO } else { grace_after },
    }
}

fn access_log(layers: &Layers) -> AccessLogTarget {
    match layers.text("access-log").as_deref() {
        None | Some("auto") => AccessLogTarget::Auto,
        Some("off") => AccessLogTarget::Off,
        Some(path) => AccessLogTarget::File(PathBuf::from(path)),
    }
}

fn log(layers: &Layers) -> LogSettings {
    let format = match layers.choice("log-format") {
        Some("text") => LogFormat::Text,
        Some("json") => LogFormat::Json,
        _ => LogFormat::Auto,
    };
    let level = match (layers.choice("log-level"), layers.int("v")) {
        (Some("error"), _) => LogLevel::Error,
        (Some("warn"), _) => LogLevel::Warn,
        (Some("debug"), _) => LogLevel::Debug,
        (Some("trace"), _) => LogLevel::Trace,
        (Some(_), _) => LogLevel::Info,
        (None, Some(5..)) => LogLevel::Trace,
        (None, Some(3..=4)) => LogLevel::Debug,
        (None, _) => LogLevel::Info,
    };
    LogSettings { format, level, fixed: layers.given("log-level") || layers.given("v") }
}

fn metrics(layers: &Layers, surroundings: &Surroundings, warnings: &mut Vec<String>) -> RequestMetricsSettings {
    let mut recorded = if layers.bool("enable-metrics") { RequestMetrics::all() } else { RequestMetrics::none() };
    for name in layers.list("exclude-socket-metrics") {
        match RequestMetric::from_name(&name) {
            Some(metric) => recorded.remove(metric),
            None => warnings.push(format!("--exclude-socket-metrics: there is no request metric {name:?}")),
        }
    }
    RequestMetricsSettings {
        recorded,
        per_host: layers.bool("metrics-per-host"),
        undefined_hosts: layers.bool("metrics-per-undefined-host"),
        status_classes: layers.bool("report-status-classes"),
        time_buckets: layers.buckets("time-buckets"),
        length_buckets: layers.buckets("length-buckets"),
        size_buckets: layers.buckets("size-buckets"),
        controller_class: layers.text("controller-class").unwrap_or_default(),
        controller_namespace: surroundings.var("POD_NAMESPACE").unwrap_or_default().to_owned(),
        controller_pod: surroundings.var("POD_NAME").unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_are_those_of_linux() {
        assert_eq!(cpu_list("0-2,5, 2").unwrap(), [0, 1, 2, 5]);
        assert!(cpu_list("").unwrap().is_empty());
        for text in ["a", "3-1", "-1", "1-", "0-5000"] {
            assert!(cpu_list(text).is_err(), "{text}");
        }
    }

    #[test]
    fn admin_addresses() {
        let of = |text: &str| admin_address("admin", text);
        assert_eq!(of("off").unwrap(), AdminAddress::Off);
        assert_eq!(of("unix:/run/a").unwrap(), AdminAddress::Unix("/run/a".into()));
        assert_eq!(of("localhost:1").unwrap(), AdminAddress::Tcp(([127, 0, 0, 1], 1).into()));
        assert_eq!(of("[::1]:1").unwrap(), AdminAddress::Tcp("[::1]:1".parse().unwrap()));
        for text in ["", "unix:", "10280", "host:1", "127.0.0.1"] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
