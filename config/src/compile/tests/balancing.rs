//! How clusters are balanced: who decides, and what the snapshot holds ready for the cores.

use super::*;
use crate::snapshot::{Balancer, Cluster};

/// An Ingress for the Service `web`, with a year of creation.
fn user(name: &str, year: u16, annotations: &str) -> String {
    let host = format!("{name}.test");
    let text = ingress(name, &host, &["/"], annotations);
    text.replace("2026-01-01", &format!("{year}-01-01"))
        .replace(&format!("service: {{name: {name},"), "service: {name: web,")
}

fn cluster<'a>(compiled: &'a Compiled, name: &str) -> &'a Arc<Cluster> {
    compiled.snapshot.clusters.iter().find(|cluster| &*cluster.name == name).expect("the cluster")
}

const HASH: &str = "nginx.ingress.kubernetes.io/upstream-hash-by: $uri";
const EWMA: &str = "nginx.ingress.kubernetes.io/load-balance: ewma";
const COOKIE: &str = "nginx.ingress.kubernetes.io/affinity: cookie";

#[test]
fn the_oldest_ingress_of_a_service_decides_and_is_followed_when_it_goes() {
    let mut compiler = compiler(Options::default());
    compiler.apply(&service("web", &["10.0.0.1", "10.0.0.2"]));
    let compiled = compiler.apply(&(user("young", 2025, HASH) + &user("old", 2024, EWMA)));
    assert_eq!(cluster(&compiled, "default-web-80").balancing.balancer, Balancer::Ewma);
    assert!(cluster(&compiled, "default-web-80").places().ring.is_none());
    let told: Vec<_> = compiled.findings.iter().map(|finding| (&*finding.object.key.name, &*finding.field)).collect();
    assert_eq!(told, [("young", "metadata.annotations.nginx.ingress.kubernetes.io/upstream-hash-by")]);
    let identity = cluster(&compiled, "default-web-80").identity;
    let compiled = compiler.delete(Kind::Ingress, "old");
    assert!(matches!(cluster(&compiled, "default-web-80").balancing.balancer, Balancer::Hash(_)));
    assert!(cluster(&compiled, "default-web-80").places().ring.is_some());
    assert_eq!(cluster(&compiled, "default-web-80").identity, identity, "pools and counts outlive the change");
    assert!(compiled.findings.is_empty(), "{:?}", compiled.findings);
}

#[test]
fn an_annotation_that_changes_changes_the_cluster() {
    let mut compiler = compiler(Options::default());
    compiler.apply(&(service("web", &["10.0.0.1"]) + &user("a", 2024, EWMA)));
    let compiled = compiler.apply(&user("a", 2024, ""));
    assert_eq!(cluster(&compiled, "default-web-80").balancing.balancer, Balancer::RoundRobin);
}

#[test]
fn cookies_are_those_of_the_oldest_ingress_that_has_any() {
    let mut compiler = compiler(Options::default());
    compiler.apply(&service("web", &["10.0.0.1"]));
    let named = |name: &str| format!("{COOKIE}, nginx.ingress.kubernetes.io/session-cookie-name: {name}");
    let all = user("a", 2023, "") + &user("b", 2024, &named("B")) + &user("c", 2025, &named("C"));
    let compiled = compiler.apply(&all);
    let web = cluster(&compiled, "default-web-80");
    assert_eq!(web.balancing.affinity.as_ref().map(|affinity| &*affinity.cookie), Some("B"));
    assert!(web.places().sessions.is_some() && web.places().ring.is_some());
    let own = route(&compiled, "c.test", "/").policies.as_ref().and_then(|policies| policies.affinity.as_ref());
    assert_eq!(own.map(|affinity| &*affinity.cookie), Some("C"), "each route issues its own");
    assert!(route(&compiled, "a.test", "/").policies.is_none());
}

#[test]
fn a_canary_shares_the_sessions_of_its_main_unless_it_is_legacy() {
    for (behaviour, shares) in [("sticky", true), ("legacy", false)] {
        let mut compiler = compiler(Options::default());
        let canary = format!(
            "nginx.ingress.kubernetes.io/canary: 'true', nginx.ingress.kubernetes.io/affinity-canary-behavior: \
             {behaviour}, {EWMA}"
        );
        let canary = ingress("other", "web.test", &["/"], &canary);
        let services = service("web", &["10.0.0.1"]) + &service("other", &["10.0.0.2"]);
        let compiled = compiler.apply(&(services + &ingress("web", "web.test", &["/"], COOKIE) + &canary));
        let other = cluster(&compiled, "default-other-80");
        assert_eq!((other.balancing.has_sessions, other.places().sessions.is_some()), (shares, shares));
        assert_eq!(other.balancing.balancer, Balancer::Ewma, "a canary's own algorithm acts");
        assert!(compiled.findings.is_empty(), "{:?}", compiled.findings);
    }
}

#[test]
fn an_endpoint_change_makes_the_ring_anew_and_keeps_how_it_is_balanced() {
    let mut compiler = compiler(Options::default());
    let before = compiler.apply(&(service("web", &["10.0.0.1"]) + &user("a", 2024, HASH)));
    let after = compiler.apply(&service("web", &["10.0.0.1", "10.0.0.2"]));
    let (before, after) = (cluster(&before, "default-web-80"), cluster(&after, "default-web-80"));
    assert_eq!((before.identity, &before.balancing), (after.identity, &after.balancing));
    assert!(before.places() != after.places());
}

#[test]
fn the_service_address_stands_for_the_endpoints_where_there_is_one() {
    for (address, expected) in [("10.96.0.7", "10.96.0.7:80"), ("None", "10.0.0.1:80")] {
        let mut compiler = compiler(Options::default());
        let service = service("web", &["10.0.0.1"]).replace("spec: {", &format!("spec: {{clusterIP: {address}, "));
        let asks = "nginx.ingress.kubernetes.io/service-upstream: 'true'";
        let compiled = compiler.apply(&(service + &user("a", 2024, asks)));
        let endpoints = &cluster(&compiled, "default-web-80").endpoints;
        assert_eq!(endpoints.iter().map(|e| e.address.to_string()).collect::<Vec<_>>(), [expected]);
    }
}
