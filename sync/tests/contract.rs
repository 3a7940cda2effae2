//! What is assumed of an API server, asked of the fake one, or of a real one:
//! `RINGRESS_CONTRACT_KUBECONFIG=… cargo test -p ringress-sync --test contract`.
//!
//! Objects are written with the API's own requests, in a namespace made for the run.

use std::path::PathBuf;
use std::time::Duration;

use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use ringress_config::options::Options;
use ringress_sync::testkit::api_server::ApiServer;
use ringress_sync::testkit::fixtures::{certificate_secret, endpoint_slice, ingress, ingress_tls, service};
use ringress_sync::testkit::rig::Rig;
use ringress_sync::testkit::workers::eventually;
use ringress_sync::{
    KubeSettings, PodIdentity, SourceSettings, StatusAddresses, StatusSettings, SyncSettings, WriteSettings,
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const LEASE: &str = "ingress-controller-leader";

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
        self.start_with(None)
    }

    /// Starts a replica that writes back as the Pod of that name.
    fn start_writing(&self, pod: &str, address: &str) -> Rig {
        let addresses = StatusAddresses::Fixed(vec![address.to_owned()]);
        self.start_with(Some(WriteSettings {
            pod: Some(PodIdentity { namespace: self.namespace.clone(), name: pod.to_owned() }),
            lease: LEASE.to_owned(),
            ttl: Duration::from_secs(2),
            status: Some(StatusSettings { addresses, interval: Duration::from_secs(60), clear_at_end: true }),
            webhook: None,
            tickets: None,
        }))
    }

    fn start_with(&self, write: Option<WriteSettings>) -> Rig {
        let namespace = Some(self.namespace.clone());
        let source = SourceSettings::Kube(KubeSettings { namespace, write: write.map(Box::new), ..self.kube.clone() });
        let options = Options { assume_class: true, ..Options::default() };
        Rig::start(SyncSettings { source, options, state_dir: None, webhook: None, resolver: Default::default() })
            .unwrap()
            .ready()
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

    /// An object as it is now, by the API version, kind and name of another.
    fn get(&self, object: &Value) -> Value {
        let name = object["metadata"]["name"].as_str().unwrap();
        serde_json::to_value(self.runtime.block_on(self.api(object).get(name)).unwrap()).unwrap()
    }

    fn address(&self, ingress: &Value) -> Value {
        let object = self.get(ingress);
        object["status"]["loadBalancer"]["ingress"][0]["ip"].clone()
    }

    fn lease(&self) -> Value {
        self.named("coordination.k8s.io/v1", "Lease", LEASE)
    }

    fn named(&self, api_version: &str, kind: &str, name: &str) -> Value {
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"namespace": self.namespace, "name": name}})
    }

    /// The events on an object.
    fn events(&self, name: &str) -> Vec<Value> {
        let api = self.api(&self.named("v1", "Event", ""));
        let all = self.runtime.block_on(api.list(&ListParams::default())).unwrap().items;
        let all = all.into_iter().map(|event| serde_json::to_value(event).unwrap());
        all.filter(|event| event["involvedObject"]["name"] == name).collect()
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

#[test]
fn one_replica_writes_the_status_and_hands_the_lead_over() {
    let cluster = Cluster::open("lead");
    let namespace = cluster.namespace.as_str();
    cluster.create(service(namespace, "web"));
    let object = cluster.create(ingress(namespace, "a", "lead.contract.test"));
    let one = cluster.start_writing("one", "192.0.2.1");
    eventually("the status is written", || cluster.address(&object) == "192.0.2.1");
    let two = cluster.start_writing("two", "192.0.2.2");
    let holder = || cluster.get(&cluster.lease())["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned();
    assert!(holder().starts_with("one_"), "{}", holder());
    assert_eq!(cluster.get(&object)["spec"], object["spec"], "nothing but the status is touched");
    drop(one);
    eventually("the other leads and writes", || cluster.address(&object) == "192.0.2.2");
    assert!(holder().starts_with("two_"), "{}", holder());
    drop(two);
    assert_eq!(holder(), "");
}

#[test]
fn an_event_is_written_once_whoever_starts() {
    let cluster = Cluster::open("events");
    let mut bad = ingress(&cluster.namespace, "bad", "bad.contract.test");
    bad["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/server-snippet": "return 200;"});
    let bad = cluster.create(bad);
    let rig = cluster.start_writing("one", "192.0.2.1");
    eventually("it is told", || cluster.events("bad").len() == 1);
    assert_eq!(cluster.events("bad")[0]["involvedObject"]["uid"], bad["metadata"]["uid"]);
    drop(rig);
    // A second finding shows that the successor has told all that it has to tell, errors first.
    let annotations = json!({"nginx.ingress.kubernetes.io/no-such-thing": "x"});
    let mut other = ingress(&cluster.namespace, "other", "other.contract.test");
    other["metadata"]["annotations"] = annotations;
    cluster.create(other);
    let _rig = cluster.start_writing("two", "192.0.2.2");
    eventually("the other is told", || !cluster.events("other").is_empty());
    assert_eq!(cluster.events("bad").len(), 1);
}

#[test]
fn a_lease_is_created_once_and_replaced_by_who_knows_its_version() {
    let cluster = Cluster::open("lease");
    let mut lease = cluster.lease();
    lease["spec"] =
        json!({"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"});
    let code = |result: Result<DynamicObject, kube::Error>| match result {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(other) => panic!("{other}"),
    };
    let made = cluster.create(lease.clone());
    let typed = serde_json::from_value(lease).unwrap();
    let api = cluster.api(&made);
    assert_eq!(code(cluster.runtime.block_on(api.create(&PostParams::default(), &typed))), 409);
    let replace = |object: &Value| {
        let typed = serde_json::from_value(object.clone()).unwrap();
        code(cluster.runtime.block_on(api.replace(LEASE, &PostParams::default(), &typed)))
    };
    let mut renewed = made.clone();
    renewed["spec"]["renewTime"] = json!("2026-01-01T00:00:05.000000Z");
    assert_eq!(replace(&renewed), 200);
    assert_eq!(replace(&renewed), 409, "the version is an old one now");
    let mut free = cluster.get(&made);
    free["spec"]["holderIdentity"] = json!("");
    free["spec"]["leaseDurationSeconds"] = json!(1);
    assert_eq!(replace(&free), 200, "it can be given back");
}

#[test]
fn a_status_is_patched_for_one_version_and_nothing_else_with_it() {
    let cluster = Cluster::open("status");
    let made = cluster.create(ingress(&cluster.namespace, "a", "a.contract.test"));
    let api = cluster.api(&made);
    let patch = |version: &Value, ip: &str| {
        let patch = json!({"metadata": {"resourceVersion": version}, "spec": {"ingressClassName": "stolen"},
            "status": {"loadBalancer": {"ingress": [{"ip": ip}]}}});
        cluster.runtime.block_on(api.patch_status("a", &PatchParams::default(), &Patch::Merge(&patch)))
    };
    patch(&made["metadata"]["resourceVersion"], "192.0.2.1").unwrap();
    assert_eq!(cluster.address(&made), "192.0.2.1");
    assert_eq!(cluster.get(&made)["spec"], made["spec"]);
    let Err(kube::Error::Api(status)) = patch(&made["metadata"]["resourceVersion"], "192.0.2.2") else {
        panic!("an old version was accepted")
    };
    assert_eq!(status.code, 409);
    // By the object's own path the status cannot be changed.
    cluster.patch(&made, json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.3"}]}}})).unwrap();
    assert_eq!(cluster.address(&made), "192.0.2.1");
}

#[test]
fn a_watch_from_no_version_begins_with_what_there_is() {
    use futures_util::StreamExt as _;
    let cluster = Cluster::open("watch");
    let made = cluster.create(service(&cluster.namespace, "web"));
    let params = kube::api::WatchParams::default().fields("metadata.name=web").timeout(20);
    let first = cluster.runtime.block_on(async {
        let mut events = std::pin::pin!(cluster.api(&made).watch(&params, "0").await.unwrap());
        events.next().await
    });
    assert!(matches!(first, Some(Ok(kube::api::WatchEvent::Added(_)))), "{first:?}");
}
