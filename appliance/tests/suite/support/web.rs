//! One Service behind one host, as the tests of failures want it.

use std::net::SocketAddr;

use ringress_sync::testkit::api_server::ApiServer;
use ringress_sync::testkit::fixtures;

use super::manifests::{file, ingress, service};
use super::origin::Origin;
use super::process::{Driver, Ringress};

/// Serves `a.test` from these endpoints, with own annotations (`ringress.io/`); a dead endpoint costs a second.
pub(crate) fn serving(driver: Driver, workers: usize, endpoints: &[SocketAddr], own: &[(&str, &str)]) -> Ringress {
    Ringress::on(driver).workers(workers).manifest("all.json", manifest(endpoints, own)).start()
}

/// What [`serving`] serves: its `all.json`.
pub(crate) fn manifest(endpoints: &[SocketAddr], own: &[(&str, &str)]) -> String {
    let rule = ingress("a").annotation("proxy-connect-timeout", "1").prefix("a.test", "/", "web");
    let rule = own.iter().fold(rule, |rule, (name, value)| rule.annotation(&format!("ringress.io/{name}"), value));
    file(service("web", endpoints).into_iter().chain([rule.build()]))
}

/// The same on a cluster.
pub(crate) fn cluster(origin: &Origin) -> ApiServer {
    let server = ApiServer::start();
    server.put(fixtures::ingress_class());
    server.put(fixtures::service("default", "web"));
    let address = origin.address.ip().to_string();
    server.put(fixtures::endpoint_slice("default", "web", "web-1", &[&address], origin.address.port()));
    server.put(fixtures::ingress("default", "a", "a.test"));
    server
}
