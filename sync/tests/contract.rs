//! What is assumed of an API server, asked of the fake one, or of a real one:
//! `RINGRESS_CONTRACT_KUBECONFIG=… cargo test -p ringress-sync --test contract`.
//!
//! Objects are written with the API's own requests, in a namespace made for the run.

use std::path::PathBuf;

use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use ringress_config::options::Options;
use ringress_sync::testkit::api_server::ApiServer;
use ringress_sync::testkit::fixtures::{certificate_secret, endpoint_slice, ingress, ingress_tls, service};
use ringress_sync::testkit::rig::Rig;
use ringress_sync::testkit::workers::eventually;
use ringress_sync::{KubeSettings, SourceSettings, SyncSettings};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// A cluster to ask, and a namespace in it.
struct Cluster {
    runtime: Runtime,
    client: Client,
    kube: KubeSettings,
    namespace: String,
    _fake: Option<ApiServer>,
}

impl Cluster {
    fn open(test: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let kubeconfig = std::env::var_os("RINGRESS_CONTRACT_KUBECONFIG").map(PathBuf::from);
        let fake = kubeconfig.is_none().then(ApiServer::start);
        let (config, kube) = match (&fake, &kubeconfig) {
            (Some(fake), _) => {
                let url = fake.url();
                let kube = KubeSettings { apiserver_host: Some(url.clone()), ..KubeSettings::default() };
                (Config::new(url.parse().unwrap()), kube)
            }
            (None, path) => {
                let path = path.clone().unwrap();
                let read = Kubeconfig::read_from(&path).unwrap();
                let config =
                    runtime.block_on(Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())).unwrap();
                (config, KubeSettings { kubeconfig: Some(path), ..KubeSettings::default() })
            }
        };
        let client = {
            let _context = runtime.enter();
            Client::try_from(config).unwrap()
        };
        let namespace = format!("ringress-contract-{test}-{}", std::process::id());
        let cluster = Self { runtime, client, kube, namespace, _fake: fake };
        cluster.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster.namespace}}));
        cluster
    }

    fn start(&self) -> Rig {
        let source =
            SourceSettings::Kube(KubeSettings { namespace: Some(self.namespace.clone()), ..self.kube.clone() });
        let options = Options { assume_class: true, ..Options::default() };
        Rig::start(SyncSettings { source, options, state_dir: None }).unwrap().ready()
    }

    fn api(&self, object: &Value) -> Api<DynamicObject> {
        let text = |field: &str| object[field].as_str().unwrap().to_owned();
        let (group, version) = match text("apiVersion").split_once('/') {
            Some((group, version)) => (group.to_owned(), version.to_owned()),
            None => (String::new(), text("apiVersion")),
        };
        let resource = ApiResource::from_gvk(&GroupVersionKind { group, version, kind: text("kind") });
        match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    fn create(&self, object: Value) -> Value {
        let typed = serde_json::from_value(object.clone()).unwrap();
        let made = self.runtime.block_on(self.api(&object).create(&PostParams::default(), &typed)).unwrap();
        serde_json::to_value(made).unwrap()
    }

    fn patch(&self, object: &Value, patch: Value) -> Result<DynamicObject, kube::Error> {
        let name = object["metadata"]["name"].as_str().unwrap();
        self.runtime.block_on(self.api(object).patch(name, &PatchParams::default(), &Patch::Merge(&patch)))
    }

    fn delete(&self, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap();
        self.runtime.block_on(self.api(object).delete(name, &DeleteParams::default())).unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.delete(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}));
    }
}

#[test]
fn objects_are_served_from_their_creation_to_their_removal() {
    let cluster = Cluster::open("life");
    let namespace = cluster.namespace.as_str();
    cluster.create(service(namespace, "web"));
    let first = cluster.create(ingress(namespace, "a", "a.contract.test"));
    let rig = cluster.start();
    assert!(rig.serves("a.contract.test"));
    let slice = cluster.create(endpoint_slice(namespace, "web", "web-1", &["10.0.0.1"], 8080));
    eventually("the slice is known", || rig.handle.status().objects.get("EndpointSlice") == Some(&1));
    let second = cluster.create(ingress(namespace, "b", "b.contract.test"));
    eventually("a created one is served", || rig.serves("b.contract.test"));
    let mut rules = ingress(namespace, "b", "b2.contract.test")["spec"]["rules"].take();
    cluster.patch(&second, json!({"spec": {"rules": rules.take()}})).unwrap();
    eventually("a changed one is served", || rig.serves("b2.contract.test") && !rig.serves("b.contract.test"));
    cluster.delete(&first);
    eventually("a removed one is not", || !rig.serves("a.contract.test"));
    cluster.delete(&slice);
    eventually("nor its endpoints", || rig.handle.status().objects.get("EndpointSlice").is_none_or(|&n| n == 0));
}

#[test]
fn secrets_are_found_by_type_and_by_name() {
    let cluster = Cluster::open("secrets");
    let namespace = cluster.namespace.as_str();
    cluster.create(certificate_secret(namespace, "tls", "kubernetes.io/tls", "t.contract.test"));
    cluster.create(certificate_secret(namespace, "opaque", "Opaque", "o.contract.test"));
    cluster.create(certificate_secret(namespace, "stranger", "Opaque", "s.contract.test"));
    cluster.create(ingress_tls(namespace, "t", "t.contract.test", "tls"));
    cluster.create(ingress_tls(namespace, "o", "o.contract.test", "opaque"));
    let rig = cluster.start();
    assert_eq!(rig.handle.status().objects.get("Secret"), Some(&2));
}

#[test]
fn a_patch_from_an_old_version_is_a_conflict() {
    let cluster = Cluster::open("conflict");
    let made = cluster.create(service(&cluster.namespace, "web"));
    let version = made["metadata"]["resourceVersion"].clone();
    let patch = |label: &str| json!({"metadata": {"resourceVersion": version, "labels": {"x": label}}});
    cluster.patch(&made, patch("1")).unwrap();
    let Err(kube::Error::Api(status)) = cluster.patch(&made, patch("2")) else { panic!("accepted") };
    assert_eq!(status.code, 409);
}
