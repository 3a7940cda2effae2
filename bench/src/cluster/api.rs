//! The fake API server as a program: starting it, writing objects, asking what was asked of it.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::phases::ASK_EVERY;
use super::{Options, Scale};
use crate::error::{Context, Error};
use crate::load::Target;
use crate::peer::{Process, free_address};
use crate::probe::{self, Client};

/// Making ten thousand certificates takes a while.
const START_WAIT: Duration = Duration::from_secs(120);
/// As rolling updates are bounded by their number of writes.
const ROLL_WAIT: Duration = Duration::from_secs(180);

const NAMESPACE: &str = "scale";

/// A running server.
pub(super) struct Api {
    _process: Process,
    address: SocketAddr,
    client: Client,
}

/// What the server was asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    requests: std::collections::BTreeMap<String, u64>,
    /// Writes of its own rolling updates.
    pub(super) rolled: u64,
    rolling: bool,
}

impl Asked {
    /// Writes of one resource.
    pub(super) fn writes(&self, resource: &str) -> u64 {
        self.requests.get(&format!("write {resource}")).copied().unwrap_or(0)
    }

    /// Writes of all resources but the Lease.
    pub(super) fn other_writes(&self) -> u64 {
        let writes = self.requests.iter().filter(|(name, _)| name.starts_with("write ") && *name != "write leases");
        writes.map(|(_, count)| count).sum()
    }
}

impl Api {
    /// Starts it with its objects, on these CPUs; the endpoints are the origin's port on addresses of loopback.
    pub(super) fn start(options: &Options, scale: Scale, origin_port: u16, cpus: &[usize]) -> Result<Self, Error> {
        let address = free_address()?;
        let mut command = Command::new(&options.api_server);
        command
            .args(["--listen", &address.to_string()])
            .args(["--ingresses", &scale.ingresses.to_string()])
            .args(["--endpoints", &scale.endpoints_each.to_string()])
            .args(["--secrets", &scale.secrets.to_string()])
            .args(["--origin", &origin_port.to_string()]);
        let folder = tempfile::tempdir().context(|| "make a folder".into())?;
        let process = Process::start("fake_api_server", command, folder, cpus)?;
        // Its first line comes when all objects are there.
        if !probe::poll(START_WAIT, || process.log().contains("http://")) {
            return Err(Error::program("fake_api_server", format!("not up in {START_WAIT:?}:\n{}", process.log())));
        }
        let client = Client::open(&Target::plain(address, "api"), None).context(|| "ask the API server".into())?;
        Ok(Self { _process: process, address, client })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn ask(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Vec<u8>, Error> {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let asked = self.client.send(method, path, &body).and_then(|()| self.client.receive());
        let answer = asked.context(|| format!("{method} {path}"))?;
        if answer.status >= 300 {
            let said = String::from_utf8_lossy(&answer.body).into_owned();
            return Err(Error::program("fake_api_server", format!("{method} {path}: {} {said}", answer.status)));
        }
        Ok(answer.body)
    }

    pub(super) fn create(&mut self, collection: &str, object: &Value) -> Result<(), Error> {
        self.ask("POST", &path(collection), Some(object)).map(drop)
    }

    pub(super) fn replace(&mut self, collection: &str, name: &str, object: &Value) -> Result<(), Error> {
        self.ask("PUT", &format!("{}/{name}", path(collection)), Some(object)).map(drop)
    }

    pub(super) fn delete(&mut self, collection: &str, name: &str) -> Result<(), Error> {
        self.ask("DELETE", &format!("{}/{name}", path(collection)), None).map(drop)
    }

    pub(super) fn asked(&mut self) -> Result<Asked, Error> {
        let body = self.ask("GET", "/testkit/figures", None)?;
        serde_json::from_slice(&body).map_err(|error| Error::program("fake_api_server", error.to_string()))
    }

    /// Replaces endpoints of the first `services`, in the background.
    pub(super) fn roll(&mut self, services: usize, rate: u64, writes: u64) -> Result<(), Error> {
        let path = format!("/testkit/roll?services={services}&rate={rate}&writes={writes}");
        self.ask("POST", &path, None).map(drop)
    }

    /// Waits until no rolling update goes on; returns what was asked until then.
    pub(super) fn wait_rolled(&mut self) -> Result<Asked, Error> {
        let mut last = self.asked();
        probe::poll(ROLL_WAIT, || {
            std::thread::sleep(ASK_EVERY);
            last = self.asked();
            !matches!(&last, Ok(asked) if asked.rolling)
        });
        match last? {
            asked if asked.rolling => {
                Err(Error::program("fake_api_server", format!("still rolls after {ROLL_WAIT:?}")))
            }
            asked => Ok(asked),
        }
    }
}

/// `apis/networking.k8s.io/v1/ingresses` to the same in the namespace.
fn path(collection: &str) -> String {
    let (group, plural) = collection.rsplit_once('/').unwrap_or(("", collection));
    format!("/{group}/namespaces/{NAMESPACE}/{plural}")
}

pub(super) const INGRESSES: &str = "apis/networking.k8s.io/v1/ingresses";
pub(super) const SERVICES: &str = "api/v1/services";
pub(super) const SLICES: &str = "apis/discovery.k8s.io/v1/endpointslices";

/// An Ingress of one host.
pub(super) fn ingress(name: &str, host: &str, service: &str) -> Value {
    let backend = json!({"service": {"name": service, "port": {"number": 80}}});
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"namespace": NAMESPACE, "name": name,
            "annotations": {"nginx.ingress.kubernetes.io/ssl-redirect": "false"}},
        "spec": {"ingressClassName": "nginx", "rules": [
            {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}},
        ]},
    })
}

/// A Service of one port.
pub(super) fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": NAMESPACE, "name": name},
        "spec": {"ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]},
    })
}

/// Its endpoints: one, or none that is ready.
pub(super) fn slice(service: &str, port: u16, ready: bool) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"namespace": NAMESPACE, "name": format!("{service}-1"),
            "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": ready}}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_comes_before_the_resource() {
        assert_eq!(path(INGRESSES), "/apis/networking.k8s.io/v1/namespaces/scale/ingresses");
        assert_eq!(path(SERVICES), "/api/v1/namespaces/scale/services");
    }

    #[test]
    fn renewals_of_the_lease_are_no_other_writes() {
        let said = json!({"rolled": 7, "rolling": false,
            "requests": {"write leases": 9, "write ingresses": 2, "list ingresses": 5, "write events": 1}});
        let asked: Asked = serde_json::from_value(said).expect("figures");
        assert_eq!((asked.other_writes(), asked.writes("leases"), asked.writes("secrets")), (3, 9, 0));
    }
}
