mod addresses;
mod balancing;
mod class_settings;
mod earlier;
mod migration;
mod policies;
mod review;
mod tickets;

use std::sync::LazyLock;

use super::*;
use crate::manifest;
use crate::snapshot::{Backend, ClusterId, HostRoutes, PathMatch, Route};

fn pem(names: &[&str]) -> (String, String) {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let key = rcgen::KeyPair::generate().unwrap();
    (rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap().pem(), key.serialize_pem())
}

static BUILT_IN: LazyLock<Arc<Certificate>> = LazyLock::new(|| {
    let (certificate, key) = pem(&["ingress.local"]);
    Arc::new(Certificate::from_pem(certificate.as_bytes(), key.as_bytes(), None).unwrap())
});

fn compiler(options: Options) -> Compiler {
    Compiler::new(Options { assume_class: true, ..options }, Arc::clone(&BUILT_IN))
}

impl Compiler {
    fn apply(&mut self, text: &str) -> Compiled {
        let content = manifest::parse("a.yaml", text.as_bytes());
        assert!(content.readable && content.rejected.is_empty(), "{:?}", content.findings);
        content.objects.into_iter().for_each(|object| self.upsert(object));
        self.compile()
    }

    fn delete(&mut self, kind: Kind, name: &str) -> Compiled {
        self.remove(&ObjectRef { kind, key: ObjectKey::new("default", name) });
        self.compile()
    }
}

fn ingress(name: &str, host: &str, paths: &[&str], annotations: &str) -> String {
    let mut text = format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}, creationTimestamp: \
         2026-01-01T00:00:00Z, annotations: {{{annotations}}}}}\nspec:\n  ingressClassName: nginx\n  rules:\n  - host: \
         '{host}'\n    http:\n      paths:\n"
    );
    for path in paths {
        text.push_str(&format!(
            "      - {{path: '{path}', pathType: Prefix, backend: {{service: {{name: {name}, port: {{number: 80}}}}}}}}\n"
        ));
    }
    text
}

fn service(name: &str, addresses: &[&str]) -> String {
    let addresses = addresses.iter().map(|a| format!("{{ip: {a}}}")).collect::<Vec<_>>().join(", ");
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: 80}}]}}\n---\n\
         apiVersion: v1\nkind: Endpoints\nmetadata: {{name: {name}}}\nsubsets: [{{addresses: [{addresses}], ports: \
         [{{port: 80}}]}}]\n"
    )
}

fn secret(name: &str, (certificate, key): &(String, String)) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{tls.crt: {}, tls.key: {}}}\n",
        quoted(certificate),
        quoted(key)
    )
}

fn host<'a>(compiled: &'a Compiled, name: &str) -> &'a Arc<HostRoutes> {
    compiled.snapshot.hosts.find(name)
}

fn route<'a>(compiled: &'a Compiled, name: &str, path: &str) -> &'a Arc<Route> {
    match host(compiled, name).find(path.as_bytes()) {
        PathMatch::Route(route) => route,
        other => panic!("{name}{path}: {other:?}"),
    }
}

fn cluster_of(compiled: &Compiled, name: &str, path: &str) -> ClusterId {
    match route(compiled, name, path).backend {
        Backend::Cluster(id) => id,
        ref other => panic!("{name}{path}: {other:?}"),
    }
}

fn findings(compiled: &Compiled) -> Vec<String> {
    compiled.findings.iter().map(ToString::to_string).collect()
}

#[test]
fn the_first_snapshot_is_a_change_even_without_objects() {
    let mut compiler = compiler(Options::default());
    let first = compiler.compile();
    assert!(first.changed && first.snapshot.generation == 1);
    assert!(matches!(host(&first, "any").paths.find(b"/"), PathMatch::None));
    let again = compiler.compile();
    assert!(!again.changed && Arc::ptr_eq(&first.snapshot, &again.snapshot));
}

#[test]
fn an_object_that_says_the_same_is_no_change() {
    let mut compiler = compiler(Options::default());
    let text = ingress("a", "a.test", &["/"], "") + &service("a", &["10.0.0.1"]);
    let first = compiler.apply(&text);
    let again = compiler.apply(&text);
    assert!(!again.changed && Arc::ptr_eq(&first.snapshot, &again.snapshot));
    assert!(Arc::ptr_eq(&first.findings, &again.findings));
}

#[test]
fn an_endpoint_change_replaces_one_cluster_and_nothing_else() {
    let mut compiler = compiler(Options::default());
    let text = ingress("a", "a.test", &["/"], "") + &ingress("b", "b.test", &["/"], "");
    let before = compiler.apply(&(text + &service("a", &["10.0.0.1"]) + &service("b", &["10.0.0.2"])));
    let after = compiler.apply(&service("a", &["10.0.0.9"]));
    assert!(after.changed);
    for name in ["a.test", "b.test"] {
        assert!(Arc::ptr_eq(host(&before, name), host(&after, name)), "{name}");
    }
    let [a, b] = ["a.test", "b.test"].map(|name| cluster_of(&after, name, "/"));
    let get = |compiled: &Compiled, id| Arc::clone(compiled.snapshot.clusters.get(id).unwrap());
    assert!(Arc::ptr_eq(&get(&before, b), &get(&after, b)));
    assert_eq!(get(&before, a).identity, get(&after, a).identity);
    assert_eq!(get(&after, a).endpoints[0].address.to_string(), "10.0.0.9:80");
}

#[test]
fn an_ingress_change_rebuilds_its_hosts_and_keeps_the_routes_that_stay() {
    let mut compiler = compiler(Options::default());
    let other = ingress("b", "b.test", &["/"], "");
    let before = compiler.apply(&(ingress("a", "a.test", &["/", "/x"], "") + &other));
    let after = compiler.apply(&ingress("a", "a.test", &["/", "/y"], ""));
    assert!(Arc::ptr_eq(host(&before, "b.test"), host(&after, "b.test")));
    assert!(!Arc::ptr_eq(host(&before, "a.test"), host(&after, "a.test")));
    assert!(Arc::ptr_eq(route(&before, "a.test", "/"), route(&after, "a.test", "/")));
    assert_eq!(cluster_of(&before, "a.test", "/"), cluster_of(&after, "a.test", "/"));
}

#[test]
fn ids_stay_with_their_route_and_freed_ones_are_given_again() {
    let mut compiler = compiler(Options::default());
    let before = compiler.apply(&(ingress("a", "a.test", &["/"], "") + &ingress("b", "b.test", &["/"], "")));
    let (id_a, id_b) = (route(&before, "a.test", "/").id, route(&before, "b.test", "/").id);
    let identity =
        |compiled: &Compiled, name| compiled.snapshot.clusters.get(cluster_of(compiled, name, "/")).unwrap().identity;
    let (cluster_a, identity_a) = (cluster_of(&before, "a.test", "/"), identity(&before, "a.test"));
    let changed =
        compiler.apply(&ingress("b", "b.test", &["/"], "nginx.ingress.kubernetes.io/proxy-read-timeout: '7'"));
    assert_eq!(route(&changed, "b.test", "/").id, id_b);
    compiler.delete(Kind::Ingress, "a");
    let after = compiler.apply(&ingress("c", "c.test", &["/"], ""));
    assert_eq!(route(&after, "c.test", "/").id, id_a);
    assert_eq!(cluster_of(&after, "c.test", "/"), cluster_a);
    assert_ne!(identity(&after, "c.test"), identity_a);
}

#[test]
fn deleting_the_winner_promotes_the_next() {
    let mut compiler = compiler(Options::default());
    let older = ingress("z", "a.test", &["/"], "");
    let newer = ingress("a", "a.test", &["/"], "").replace("2026-01-01", "2026-01-02");
    let both = compiler.apply(&(newer + &older));
    assert_eq!(&*route(&both, "a.test", "/").source.key.name, "z");
    assert!(
        findings(&both)
            .iter()
            .any(|f| f.contains("Ingress default/a") && f.contains("already served by Ingress default/z"))
    );
    let one = compiler.delete(Kind::Ingress, "z");
    assert_eq!(&*route(&one, "a.test", "/").source.key.name, "a");
    assert!(!findings(&one).iter().any(|f| f.contains("already served")));
    let none = compiler.delete(Kind::Ingress, "a");
    assert!(Arc::ptr_eq(host(&none, "a.test"), &none.snapshot.hosts.catch_all));
    assert_eq!(none.snapshot.clusters.iter().count(), 0);
}

#[test]
fn a_refused_version_leaves_the_accepted_one_serving() {
    const SNIPPET: &str = "nginx.ingress.kubernetes.io/configuration-snippet: 'deny all;'";
    let mut compiler = compiler(Options::default());
    compiler.apply(&ingress("a", "a.test", &["/old"], ""));
    let refused = compiler.apply(&ingress("a", "a.test", &["/new"], SNIPPET));
    assert!(!refused.changed);
    assert_eq!(&*route(&refused, "a.test", "/old").path, "/old");
    assert!(findings(&refused)[0].starts_with("error Ingress default/a metadata.annotations"));
    let held: Vec<_> = compiler.held().map(|held| held.rules[0].paths[0].path.to_string()).collect();
    assert_eq!(held, ["/old"]);
    let accepted = compiler.apply(&ingress("a", "a.test", &["/new"], ""));
    assert_eq!(&*route(&accepted, "a.test", "/new").path, "/new");
    assert_eq!(compiler.held().count(), 0);
    let fresh = compiler.apply(&ingress("b", "b.test", &["/"], SNIPPET));
    assert!(Arc::ptr_eq(host(&fresh, "b.test"), &fresh.snapshot.hosts.catch_all));
    let gone = compiler.delete(Kind::Ingress, "a");
    assert!(Arc::ptr_eq(host(&gone, "a.test"), &gone.snapshot.hosts.catch_all));
}

#[test]
fn a_certificate_arrives_changes_and_goes_without_touching_routes() {
    let mut compiler = compiler(Options::default());
    let text =
        ingress("a", "a.test", &["/"], "").replace("  rules:", "  tls: [{hosts: [a.test], secretName: t}]\n  rules:");
    let missing = compiler.apply(&text);
    let present = |compiled: &Compiled| compiled.snapshot.certificates.present(Some("a.test")).fingerprint.clone();
    assert!(missing.snapshot.certificates.covers("a.test") && present(&missing) == BUILT_IN.fingerprint);
    assert!(findings(&missing).iter().any(|f| f.contains("Secret default/t does not exist")));
    let first = compiler.apply(&secret("t", &pem(&["a.test"])));
    let second = compiler.apply(&secret("t", &pem(&["a.test"])));
    assert!(present(&first) != BUILT_IN.fingerprint && present(&first) != present(&second));
    assert!(Arc::ptr_eq(host(&missing, "a.test"), host(&second, "a.test")));
    assert!(!findings(&second).iter().any(|f| f.contains("Secret")));
    let broken = compiler.apply(&secret("t", &(pem(&["a.test"]).0, "no key".into())));
    assert!(findings(&broken).iter().any(|f| f.starts_with("error Secret default/t data.tls.key: holds no PEM")));
    let gone = compiler.delete(Kind::Secret, "t");
    assert_eq!(present(&gone), BUILT_IN.fingerprint);
    assert!(!findings(&gone).iter().any(|f| f.starts_with("error Secret")));
}

#[test]
fn the_default_certificate_comes_from_its_secret() {
    let default = Some(ObjectKey::new("default", "d"));
    let mut compiler = compiler(Options { default_ssl_certificate: default, ..Options::default() });
    let missing = compiler.compile();
    assert!(findings(&missing)[0].starts_with("error Secret default/d: is the --default-ssl-certificate"));
    assert_eq!(missing.snapshot.certificates.default.fingerprint, BUILT_IN.fingerprint);
    let found = compiler.apply(&secret("d", &pem(&["d.test"])));
    assert!(found.changed && found.findings.is_empty());
    assert_eq!(found.snapshot.certificates.default.secret, Some(ObjectKey::new("default", "d")));
    let gone = compiler.delete(Kind::Secret, "d");
    assert_eq!(gone.snapshot.certificates.default.fingerprint, BUILT_IN.fingerprint);
}

#[test]
fn the_default_backend_answers_what_nothing_has() {
    let default = Some(ObjectKey::new("default", "fallback"));
    let mut compiler = compiler(Options { default_backend_service: default, ..Options::default() });
    let missing = compiler.apply(&ingress("a", "a.test", &["/x"], ""));
    for (host, path) in [("a.test", "/"), ("other", "/x")] {
        let route = route(&missing, host, path);
        assert_eq!(route.empty_status, 404);
        let cluster = missing.snapshot.clusters.get(cluster_of(&missing, host, path)).unwrap();
        assert!(cluster.endpoints.is_empty());
    }
    let there = compiler.apply(&service("fallback", &["10.0.0.1"]));
    let cluster = there.snapshot.clusters.get(cluster_of(&there, "other", "/")).unwrap();
    assert_eq!(cluster.endpoints.len(), 1);
    assert!(Arc::ptr_eq(host(&missing, "other"), host(&there, "other")));
}

#[test]
fn classes_and_settings_act_on_what_is_already_there() {
    let configmap = Some(ObjectKey::new("default", "c"));
    let mut compiler = compiler(Options { configmap, ..Options::default() });
    let served = compiler.apply(&ingress("a", "a.test", &["/"], ""));
    assert!(!Arc::ptr_eq(host(&served, "a.test"), &served.snapshot.hosts.catch_all));
    let class = "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: nginx}\nspec: {controller: CONTROLLER}\n";
    let foreign = compiler.apply(&class.replace("CONTROLLER", "example.com/other"));
    assert!(Arc::ptr_eq(host(&foreign, "a.test"), &foreign.snapshot.hosts.catch_all));
    let ours = compiler.apply(&class.replace("CONTROLLER", "k8s.io/ingress-nginx"));
    assert_eq!(route(&ours, "a.test", "/").body.bytes_max, Some(1 << 20));
    let config_map =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {proxy-body-size: 2m, keep-alive: '9'}\n";
    let changed = compiler.apply(config_map);
    assert_eq!(route(&changed, "a.test", "/").body.bytes_max, Some(2 << 20));
    assert_eq!(changed.snapshot.settings.client.keep_alive.as_secs(), 9);
    let gone = compiler.delete(Kind::ConfigMap, "c");
    assert_eq!(route(&gone, "a.test", "/").body.bytes_max, Some(1 << 20));
    assert_eq!(gone.snapshot.settings.client.keep_alive.as_secs(), 75);
}

#[test]
fn objects_are_counted_and_unknown_ones_may_be_removed() {
    let mut compiler = compiler(Options::default());
    let compiled = compiler.apply(&(ingress("a", "a.test", &["/"], "") + &service("a", &[])));
    assert_eq!((compiled.objects[&Kind::Ingress], compiled.objects[&Kind::Service]), (1, 1));
    let before = compiler.compile();
    for kind in Kind::OBJECTS.into_iter().chain([Kind::File]) {
        assert!(!compiler.delete(kind, "nobody").changed);
    }
    assert!(Arc::ptr_eq(&before.findings, &compiler.compile().findings));
}

#[test]
fn a_slice_that_changes_its_service_leaves_the_old_one() {
    let mut compiler = compiler(Options::default());
    let text = ingress("a", "a.test", &["/"], "") + &ingress("b", "b.test", &["/"], "");
    let services = ["a", "b"]
        .map(|name| service(name, &[]).split("---\napiVersion: v1\nkind: Endpoints").next().unwrap().to_owned());
    compiler.apply(&(text + &services.concat()));
    let slice = |service: &str| {
        format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: s, labels: \
             {{kubernetes.io/service-name: {service}}}}}\nports: [{{port: 80}}]\nendpoints: [{{addresses: [10.0.0.1]}}]\n"
        )
    };
    for (service, expected) in [("a", [1, 0]), ("b", [0, 1])] {
        let compiled = compiler.apply(&slice(service));
        let lengths = ["a.test", "b.test"]
            .map(|name| compiled.snapshot.clusters.get(cluster_of(&compiled, name, "/")).unwrap().endpoints.len());
        assert_eq!(lengths, expected);
    }
}

#[test]
fn a_held_version_serves_again_after_a_restart() {
    let good = ingress("i", "a.test", &["/"], "");
    let bad = ingress("i", "b.test", &["/"], "nginx.ingress.kubernetes.io/server-snippet: 'return 200;'");
    let mut first = compiler(Options::default());
    first.apply(&good);
    first.apply(&bad);
    let held: Vec<_> = first.held().map(|held| Object::Ingress(Arc::clone(held))).collect();
    assert_eq!(held.len(), 1);
    let restart = |text: &str| {
        let mut next = compiler(Options::default());
        for object in manifest::parse("a.yaml", text.as_bytes()).objects {
            next.upsert(object);
        }
        next.restore(held.clone());
        let compiled = next.compile();
        let serves = compiled.snapshot.hosts.exact.get("a.test").is_some();
        (serves, next.held().count(), compiled.served.len())
    };
    assert_eq!(restart(&bad), (true, 1, 1), "the newest version is refused as before");
    assert_eq!(restart(&bad.replace("2026-01-01", "2026-02-02")), (false, 0, 0), "another object of that name");
    assert_eq!(restart(&good), (true, 0, 1));
    assert_eq!(restart(&service("s", &[])), (false, 0, 0), "it is gone");
}

#[test]
fn an_ingress_leaves_by_its_own_word_and_lapses_when_its_class_is_gone() {
    let class = |name: &str, controller: &str| {
        format!(
            "---\napiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {{name: {name}}}\nspec: {{controller: \
             {controller}}}\n"
        )
    };
    let mut compiler = compiler(Options::default());
    compiler.apply(&(class("nginx", "k8s.io/ingress-nginx") + &class("other", "example.com/other")));
    let web = ingress("web", "a.test", &["/"], "");
    let begun = [(ObjectKey::new("default", "web"), Tenure::Begun)];
    let ended = |tenure| [(ObjectKey::new("default", "web"), tenure)];
    assert_eq!(compiler.apply(&web).served, begun);
    assert_eq!(compiler.apply(&web.replace("Name: nginx", "Name: other")).served, ended(Tenure::Left));
    assert_eq!(compiler.apply(&web).served, begun);
    assert_eq!(compiler.apply(&web.replace("ingressClassName: nginx", "")).served, ended(Tenure::Left));
    assert_eq!(compiler.apply(&web).served, begun);
    let gone = ObjectRef { kind: Kind::IngressClass, key: ObjectKey::new("", "nginx") };
    compiler.remove(&gone);
    assert_eq!(compiler.compile().served, ended(Tenure::Lapsed));
    assert_eq!(compiler.apply(&class("nginx", "k8s.io/ingress-nginx")).served, begun);
    assert_eq!(compiler.apply(&web.replace("Name: nginx", "Name: nowhere")).served, ended(Tenure::Lapsed));
}
