//! A value that cannot be meant, for each flag: the process ends and names the flag. Where any text is a value, the
//! table says what it means then.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::process::{binary, stop};
use crate::support::within;

/// Flags and values. A value may be followed by further arguments.
#[rustfmt::skip]
pub(super) const BAD: &[(&str, &[&str])] = &[
    // Flags of ringress.
    ("access-log-format", &["xml"]),
    ("admin-address", &["nowhere"]),
    ("config", &["/missing.yaml"]),
    ("cpus", &["0-x"]),
    ("drain-timeout", &["long"]),
    ("driver", &["kqueue"]),
    ("listen-address", &["localhost"]),
    ("log-format", &["xml"]),
    ("log-level", &["loud"]),
    ("ocsp-allow-local", &["maybe"]),
    ("source", &["etcd"]),
    ("ticket-secret", &["name"]),
    ("upgrade-timeout", &["long"]),
    ("upstream-address", &["nodes"]),
    ("webhook-configuration", &["a b"]),
    ("webhook-secret", &["name"]),
    ("workers", &["0"]),
    ("zone", &["a b"]),
    // Flags of ingress-nginx.
    ("annotations-prefix", &["a b"]),
    ("apiserver-host", &["nowhere", KUBE]),
    ("bucket-factor", &["x"]),
    ("certificate-authority", &["/missing.crt", KUBE, "--apiserver-host=https://127.0.0.1:1"]),
    ("configmap", &["name"]),
    ("deep-inspect", &["maybe"]),
    ("default-backend-service", &["name"]),
    ("default-server-port", &["x"]),
    ("default-ssl-certificate", &["name"]),
    ("disable-catch-all", &["maybe"]),
    ("disable-full-test", &["maybe"]),
    ("disable-leader-election", &["maybe"]),
    ("disable-svc-external-name", &["maybe"]),
    ("disable-sync-events", &["maybe"]),
    ("dynamic-configuration-retries", &["x"]),
    ("election-id", &["A B", KUBE]),
    ("election-ttl", &["2h", KUBE]),
    ("enable-annotation-validation", &["maybe"]),
    ("enable-metrics", &["maybe"]),
    ("enable-ssl-chain-completion", &["maybe"]),
    ("enable-ssl-passthrough", &["maybe"]),
    ("enable-topology-aware-routing", &["maybe"]),
    ("health-check-path", &["no path"]),
    ("health-check-timeout", &["x"]),
    ("healthz-host", &["localhost"]),
    ("healthz-port", &["65536"]),
    ("http-port", &["x"]),
    ("https-port", &["-1"]),
    ("ingress-class-by-name", &["maybe"]),
    ("kubeconfig", &["/missing.conf", KUBE]),
    ("length-buckets", &["2,1"]),
    ("max-buckets", &["x"]),
    ("maxmind-retries-count", &["x"]),
    ("maxmind-retries-timeout", &["x"]),
    ("metrics-per-host", &["maybe"]),
    ("metrics-per-undefined-host", &["maybe"]),
    ("monitor-max-batch-size", &["x"]),
    ("post-shutdown-grace-period", &["1m"]),
    ("profiler-port", &["x"]),
    ("profiling", &["maybe"]),
    ("publish-service", &["name"]),
    ("publish-status-address", &["192.0.2.1,a b", KUBE]),
    ("report-node-internal-ip-address", &["maybe"]),
    ("report-status-classes", &["maybe"]),
    ("shutdown-grace-period", &["-1"]),
    ("size-buckets", &["x"]),
    ("ssl-passthrough-proxy-port", &["x"]),
    ("status-port", &["x"]),
    ("status-update-interval", &["often"]),
    ("stream-port", &["x"]),
    ("sync-period", &["x"]),
    ("sync-rate-limit", &["fast"]),
    ("tcp-services-configmap", &["name"]),
    ("time-buckets", &["1,1"]),
    ("udp-services-configmap", &["name"]),
    ("update-status", &["maybe"]),
    ("update-status-on-shutdown", &["maybe"]),
    ("validating-webhook", &["nowhere", KUBE]),
    ("validating-webhook-certificate", &["/missing.crt", KUBE, AWAY, "--validating-webhook=127.0.0.1:0", "--validating-webhook-key=/missing.key"]),
    ("validating-webhook-key", &["/missing.key", KUBE, AWAY, "--validating-webhook=127.0.0.1:0", "--validating-webhook-certificate=/etc/hosts"]),
    ("version", &["maybe"]),
    ("watch-ingress-without-class", &["maybe"]),
    ("watch-namespace", &["a b"]),
    ("watch-namespace-selector", &["a in"]),
];

const KUBE: &str = "--source=kube";
const AWAY: &str = "--apiserver-host=http://127.0.0.1:1";

/// Flags for which every text is a value, and what one that names nothing means.
pub(super) const ANY_TEXT: &[(&str, &str)] = &[
    ("access-log", "the name of a file; one that cannot be opened is an error in the log and tried again"),
    ("control-socket", "a path; one that cannot be listened on ends the process"),
    ("state-dir", "a path; without a folder that can be written to there is no last known good state"),
    ("controller-class", "no IngressClass has this controller"),
    ("exclude-socket-metrics", "a name that no metric has is a warning"),
    ("ingress-class", "no Ingress has this class"),
    ("internal-logger-address", "not read"),
    ("maxmind-edition-ids", "not read"),
    ("maxmind-license-key", "not read"),
    ("maxmind-mirror", "not read"),
    ("profiler-address", "not read"),
];

/// The end of a run with these arguments: exit code and what was written; `None` when it goes on.
fn end(arguments: &[String]) -> Option<(Option<i32>, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let mut command = Command::new(binary());
    command.arg("run").arg(format!("--source=dir:{}", folder.path().display()));
    command.args([
        "--http-port=0",
        "--https-port=0",
        "--healthz-port=0",
        "--admin-address=off",
        "--control-socket=off",
    ]);
    command.arg(format!("--state-dir={}", folder.path().display())).args(arguments);
    let output = std::fs::File::create(&log).expect("a file");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
    let mut child = command.spawn().expect("start ringress");
    let mut ended = None;
    within(Duration::from_secs(20), || {
        ended = child.try_wait().expect("look at the process");
        ended.is_some()
    });
    stop(&mut child);
    let said = std::fs::read_to_string(&log).expect("its log");
    Some((ended?.code(), said))
}

#[test]
fn a_flag_that_cannot_be_meant_ends_the_process_and_is_named() {
    let mut faults = Vec::new();
    for (flag, arguments) in BAD {
        let mut all = vec![format!("--{flag}={}", arguments[0])];
        all.extend(arguments[1..].iter().map(|&argument| argument.to_owned()));
        match end(&all) {
            Some((code, said)) => {
                // A file may be named in the environment too: then its path is what is told.
                let is_path = arguments[0].starts_with('/') && said.contains(arguments[0]);
                let named = (said.contains(&format!("--{flag}")) || is_path) && !said.contains("panicked");
                if !named || !matches!(code, Some(1 | 2)) {
                    faults.push(format!("{all:?}: {code:?}: {said}"));
                }
            }
            None => faults.push(format!("{all:?}: goes on")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
