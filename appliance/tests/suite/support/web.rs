//! One Service behind one host, as the tests of failures want it.

use std::net::SocketAddr;

use super::manifests::{file, ingress, service};
use super::process::{Driver, Ringress};

/// Serves `a.test` from these endpoints, with own annotations (`ringress.io/`); a dead endpoint costs a second.
pub(crate) fn serving(driver: Driver, workers: usize, endpoints: &[SocketAddr], own: &[(&str, &str)]) -> Ringress {
    let rule = ingress("a").annotation("proxy-connect-timeout", "1").prefix("a.test", "/", "web");
    let rule = own.iter().fold(rule, |rule, (name, value)| rule.annotation(&format!("ringress.io/{name}"), value));
    let objects = service("web", endpoints).into_iter().chain([rule.build()]);
    Ringress::on(driver).workers(workers).manifest("all.json", file(objects)).start()
}
