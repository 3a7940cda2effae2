//! The promise of reading a cluster once: everything that would be served, nothing written, and an end in any case.

use std::time::{Duration, Instant};

use ringress_config::options::Options;
use ringress_sync::testkit::api_server::{ApiServer, Fault, Rule, Verb};
use ringress_sync::testkit::fixtures::{ingress, ingress_class, ingress_tls, service};
use ringress_sync::{ClusterObjects, KubeSettings, SyncError, read_cluster};
use serde_json::json;

fn read(server: &ApiServer, patience: Duration) -> Result<ClusterObjects, SyncError> {
    let settings = KubeSettings { apiserver_host: Some(server.url()), ..KubeSettings::default() };
    read_cluster(&settings, &Options::default(), patience)
}

#[test]
fn everything_is_read_with_the_secrets_that_annotations_name_and_no_others() {
    let server = ApiServer::start();
    server.put(ingress_class());
    server.put(service("n", "web"));
    let mut guarded = ingress("n", "a", "a.test");
    guarded["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/auth-secret": "users"});
    server.put(guarded);
    server.put(ingress_tls("n", "b", "b.test", "none"));
    for name in ["users", "stranger"] {
        server.put(json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"namespace": "n", "name": name}, "data": {"auth": "dTpw"}}));
    }
    let read = read(&server, Duration::from_secs(60)).expect("a server that answers");
    let mut names: Vec<String> = read.objects.iter().map(|object| object.reference().to_string()).collect();
    names.sort();
    assert_eq!(names, ["Ingress n/a", "Ingress n/b", "IngressClass nginx", "Secret n/users", "Service n/web"]);
}

#[test]
fn a_server_that_refuses_is_named_with_what_it_refuses() {
    let server = ApiServer::start();
    server.fault(Rule::on(Verb::List, Fault::Status(403)).of("services"));
    let error = read(&server, Duration::from_secs(60)).expect_err("it refuses").to_string();
    assert!(error.contains(&server.url()) && error.contains("may not list objects of kind Service"), "{error}");
}

#[test]
fn a_server_that_is_away_is_given_up() {
    let mut server = ApiServer::start();
    server.down();
    let start = Instant::now();
    let error = read(&server, Duration::from_secs(1)).expect_err("it is away").to_string();
    assert!(error.contains("no complete answer within 1 s"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(30));
}
