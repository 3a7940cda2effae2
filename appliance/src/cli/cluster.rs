//! Settings of what goes back to the cluster: leader election, Ingress status, the validating webhook.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ringress_config::model::ObjectKey;

use super::CliError;
use super::layers::{Layers, Surroundings};

/// The shortest and the longest term of a leader.
const TTL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));

/// The shortest time between two looks at the addresses.
const INTERVAL_MIN: Duration = Duration::from_secs(5);

/// What the leader of all replicas writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteBack {
    /// `POD_NAMESPACE` and `POD_NAME`, when both are set.
    pub pod: Option<(String, String)>,
    /// `--election-id`.
    pub lease: String,
    /// `--election-ttl`.
    pub ttl: Duration,
    /// `--update-status`; `None` is off.
    pub status: Option<IngressStatus>,
    /// `--ticket-secret`.
    pub tickets: Option<ObjectKey>,
}

/// The status of Ingresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressStatus {
    /// `--publish-status-address`; wins over the service.
    pub addresses: Vec<String>,
    /// `--publish-service`; without either it is the nodes.
    pub service: Option<ObjectKey>,
    /// `--report-node-internal-ip-address`.
    pub internal: bool,
    /// `--status-update-interval`.
    pub interval: Duration,
    /// `--update-status-on-shutdown`.
    pub clear_at_end: bool,
}

/// The admission server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// `--validating-webhook`.
    pub address: SocketAddr,
    /// What it shows.
    pub certificate: WebhookCertificate,
}

/// Where the certificate of the webhook comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookCertificate {
    /// `--validating-webhook-certificate` and `--validating-webhook-key`.
    Files(PathBuf, PathBuf),
    /// `--webhook-secret`, with `--webhook-configuration`.
    Secret(ObjectKey, String),
}

pub(super) fn write_back(layers: &Layers, surroundings: &Surroundings) -> Result<Option<WriteBack>, CliError> {
    if layers.bool("disable-leader-election") {
        return Ok(None);
    }
    let ttl = layers.duration("election-ttl").unwrap_or_default();
    if ttl < TTL.0 || ttl > TTL.1 {
        return Err(CliError::setting("election-ttl", "expected 1s to 1h"));
    }
    let lease = layers.text("election-id").unwrap_or_default();
    let is_name = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
    if lease.is_empty() || lease.len() > 253 || !is_name(&lease) {
        return Err(CliError::setting("election-id", "expected the name of an object"));
    }
    let addresses = layers.list("publish-status-address");
    let is_address = |text: &String| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    if let Some(bad) = addresses.iter().find(|text| !is_address(text)) {
        return Err(CliError::setting("publish-status-address", format!("{bad:?} is no address and no host name")));
    }
    let var = |name| surroundings.var(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let status = layers.bool("update-status").then(|| IngressStatus {
        addresses,
        service: layers.object("publish-service"),
        internal: layers.bool("report-node-internal-ip-address"),
        interval: layers.duration("status-update-interval").unwrap_or_default().max(INTERVAL_MIN),
        clear_at_end: layers.bool("update-status-on-shutdown"),
    });
    let ttl = Duration::from_secs(ttl.as_secs());
    let pod = var("POD_NAMESPACE").zip(var("POD_NAME"));
    Ok(Some(WriteBack { pod, lease, ttl, status, tickets: layers.object("ticket-secret") }))
}

pub(super) fn webhook(layers: &Layers) -> Result<Option<Webhook>, CliError> {
    let Some(text) = layers.text("validating-webhook").filter(|text| !text.is_empty()) else { return Ok(None) };
    let address = webhook_address(&text)
        .ok_or_else(|| CliError::setting("validating-webhook", "expected ADDRESS:PORT, or :PORT for all addresses"))?;
    let text = |name: &'static str| layers.text(name).filter(|text| !text.is_empty());
    let needed =
        |name: &'static str, by: &str| text(name).ok_or_else(|| CliError::setting(name, format!("{by} needs it")));
    let is_given = ["validating-webhook-certificate", "validating-webhook-key"].iter().any(|name| text(name).is_some());
    let certificate = match layers.object("webhook-secret").filter(|_| !is_given) {
        Some(secret) => WebhookCertificate::Secret(secret, needed("webhook-configuration", "--webhook-secret")?),
        None => {
            let by = "--validating-webhook without --webhook-secret";
            let [chain, key] = [needed("validating-webhook-certificate", by)?, needed("validating-webhook-key", by)?];
            WebhookCertificate::Files(chain.into(), key.into())
        }
    };
    Ok(Some(Webhook { address, certificate }))
}

/// `ADDRESS:PORT`, `localhost:PORT`, or `:PORT`.
fn webhook_address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix(':') {
        Some(port) => Some(SocketAddr::new(IpAddr::from(Ipv6Addr::UNSPECIFIED), port.parse().ok()?)),
        None => text.replacen("localhost:", "127.0.0.1:", 1).parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhook_addresses_are_those_of_go() {
        assert_eq!(webhook_address(":8443"), Some("[::]:8443".parse().unwrap()));
        assert_eq!(webhook_address("localhost:1"), Some("127.0.0.1:1".parse().unwrap()));
        assert_eq!(webhook_address("[::1]:1"), Some("[::1]:1".parse().unwrap()));
        for text in ["8443", ":", ":http", "host:1"] {
            assert_eq!(webhook_address(text), None, "{text}");
        }
    }
}
