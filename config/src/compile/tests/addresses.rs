//! What stands for the endpoints of a Service: its pods, its own address, or its port on the Nodes; and which are near.

use super::*;
use crate::options::{Topology, UpstreamAddress};

const BY_NODES: &str = "ringress.io/upstream-address: node-port";

/// A Service of type NodePort with two pods, on the Nodes n1 and n2.
fn nodes_service(more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{type: NodePort, clusterIP: 10.96.0.7, \
         {more}ports: [{{port: 80, targetPort: 8080, nodePort: 30080}}]}}\n"
    )
}

/// A slice of that Service; each endpoint has a last byte of its address, a Node, a zone hint, and is ready or not.
fn slice(endpoints: &[(u8, &str, &str, bool)]) -> String {
    let endpoint = |(last, node, zone, ready): &(u8, &str, &str, bool)| {
        let hints = if zone.is_empty() { String::new() } else { format!(", hints: {{forZones: [{{name: {zone}}}]}}") };
        format!("{{addresses: [10.0.0.{last}], nodeName: {node}, conditions: {{ready: {ready}}}{hints}}}")
    };
    let endpoints = endpoints.iter().map(endpoint).collect::<Vec<_>>().join(", ");
    format!(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: web-1, labels: \
         {{kubernetes.io/service-name: web}}}}\nports: [{{port: 8080}}]\nendpoints: [{endpoints}]\n"
    )
}

fn node(number: u8, ready: &str, labels: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Node\nmetadata: {{name: n{number}, labels: {{{labels}}}}}\nstatus: {{conditions: \
         [{{type: Ready, status: '{ready}'}}], addresses: [{{type: ExternalIP, address: 203.0.113.{number}}}, {{type: \
         InternalIP, address: 192.0.2.{number}}}, {{type: InternalIP, address: 'fd00::{number}'}}]}}\n"
    )
}

fn endpoints(compiled: &Compiled) -> Vec<String> {
    let cluster = compiled.snapshot.clusters.iter().find(|cluster| &*cluster.name == "default-web-80").unwrap();
    cluster.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect()
}

fn both() -> String {
    slice(&[(1, "n1", "", true), (2, "n2", "", true)])
}

#[test]
fn node_ports_are_those_of_the_nodes_that_are_ready_now() {
    let mut compiler = compiler(Options::default());
    let nodes = node(1, "True", "") + &node(2, "False", "") + &node(3, "True", "");
    let compiled =
        compiler.apply(&(nodes + &nodes_service("") + &both() + &ingress("web", "a.test", &["/"], BY_NODES)));
    assert_eq!(endpoints(&compiled), ["192.0.2.1:30080", "192.0.2.3:30080"]);
    assert!(compiled.findings.is_empty(), "{:?}", findings(&compiled));
    assert_eq!(endpoints(&compiler.apply(&node(2, "True", ""))).len(), 3);
    assert_eq!(endpoints(&compiler.apply(&node(1, "Unknown", ""))), ["192.0.2.2:30080", "192.0.2.3:30080"]);
    compiler.remove(&ObjectRef { kind: Kind::Node, key: ObjectKey::new("", "n3") });
    assert_eq!(endpoints(&compiler.compile()), ["192.0.2.2:30080"]);
    let excluded = node(2, "True", "node.kubernetes.io/exclude-from-external-load-balancers: ''");
    let compiled = compiler.apply(&excluded);
    assert!(endpoints(&compiled).is_empty());
    assert!(findings(&compiled)[0].contains("no ready Node has an InternalIP for it; requests are answered 503"));
    let generation = compiled.snapshot.generation;
    let pods = compiler.apply(&ingress("web", "a.test", &["/"], ""));
    assert_eq!(endpoints(&pods), ["10.0.0.1:8080", "10.0.0.2:8080"]);
    assert_eq!(compiler.apply(&node(2, "True", "")).snapshot.generation, generation + 1, "Nodes no longer matter");
}

#[test]
fn node_ports_with_local_traffic_are_those_of_nodes_with_a_ready_endpoint() {
    let mut compiler = compiler(Options { upstream_address: UpstreamAddress::NodePort, ..Options::default() });
    let nodes = node(1, "True", "") + &node(2, "True", "") + &node(3, "True", "");
    let local = nodes_service("externalTrafficPolicy: Local, ");
    compiler.apply(&(nodes + &local + &ingress("web", "a.test", &["/"], "")));
    let compiled = compiler.apply(&slice(&[(1, "n1", "", true), (2, "n2", "", false)]));
    assert_eq!(endpoints(&compiled), ["192.0.2.1:30080"]);
    let compiled = compiler.apply(&both());
    assert_eq!(endpoints(&compiled), ["192.0.2.1:30080", "192.0.2.2:30080"]);
    assert!(compiled.findings.is_empty(), "{:?}", findings(&compiled));
    let compiled = compiler.apply(&slice(&[(1, "n9", "", true)]));
    assert!(endpoints(&compiled).is_empty());
    assert!(findings(&compiled)[0].contains("none of the Nodes with its endpoints is ready"));
    let compiled = compiler.apply(&slice(&[]));
    assert!(endpoints(&compiled).is_empty() && compiled.findings.is_empty(), "no pod is no fault of the Service");
}

#[test]
fn a_service_without_a_node_port_is_answered_503_and_named_with_its_field() {
    let mut compiler = compiler(Options::default());
    let text = node(1, "True", "") + &nodes_service("") + &both() + &ingress("web", "a.test", &["/"], BY_NODES);
    assert_eq!(endpoints(&compiler.apply(&text)), ["192.0.2.1:30080"]);
    // The number that is left over says nothing once the type is another one.
    let compiled = compiler.apply(&nodes_service("").replace("NodePort,", "ClusterIP,"));
    assert!(endpoints(&compiled).is_empty());
    let said = &compiled.findings[0];
    assert_eq!(
        (said.object.to_string(), &*said.field),
        ("Ingress default/web".into(), "spec.rules[0].http.paths[0].backend")
    );
    let expected =
        "Service default/web has no nodePort for its port 80 (spec.ports[].nodePort); requests are answered 503";
    assert_eq!(&*said.message, expected);
    let compiled = compiler.apply(&nodes_service(""));
    assert_eq!((endpoints(&compiled).len(), compiled.findings.len()), (1, 0));
}

#[test]
fn a_node_is_one_endpoint_of_a_family_that_the_service_has() {
    let mut compiler = compiler(Options { upstream_address: UpstreamAddress::NodePort, ..Options::default() });
    compiler.apply(&(node(1, "True", "") + &ingress("web", "a.test", &["/"], "")));
    for (families, expected) in
        [("[IPv4]", "192.0.2.1:30080"), ("[IPv6]", "[fd00::1]:30080"), ("[IPv6, IPv4]", "[fd00::1]:30080")]
    {
        let compiled = compiler.apply(&nodes_service(&format!("ipFamilies: {families}, ")));
        assert_eq!(endpoints(&compiled), [expected], "{families}");
    }
}

#[test]
fn the_flag_is_the_default_and_annotation_and_config_map_win() {
    let options = Options { upstream_address: UpstreamAddress::ClusterIp, ..Options::default() };
    let mut compiler = compiler(Options { configmap: Some(ObjectKey::new("default", "c")), ..options });
    let all = node(1, "True", "") + &nodes_service("") + &both();
    let of = |compiler: &mut Compiler, annotations: &str| {
        endpoints(&compiler.apply(&ingress("web", "a.test", &["/"], annotations)))
    };
    compiler.apply(&all);
    assert_eq!(of(&mut compiler, ""), ["10.96.0.7:80"]);
    assert_eq!(of(&mut compiler, BY_NODES), ["192.0.2.1:30080"]);
    assert_eq!(
        of(&mut compiler, "nginx.ingress.kubernetes.io/service-upstream: 'false'"),
        ["10.0.0.1:8080", "10.0.0.2:8080"]
    );
    compiler.apply("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {service-upstream: 'false'}\n");
    assert_eq!(of(&mut compiler, "").len(), 2);
    assert_eq!(of(&mut compiler, "ringress.io/upstream-address: cluster-ip"), ["10.96.0.7:80"]);
}

#[test]
fn a_headless_service_is_asked_at_its_pods_with_a_finding() {
    let mut compiler = compiler(Options { upstream_address: UpstreamAddress::ClusterIp, ..Options::default() });
    let headless = nodes_service("").replace("10.96.0.7", "None");
    let compiled = compiler.apply(&(headless + &both() + &ingress("web", "a.test", &["/"], "")));
    assert_eq!(endpoints(&compiled).len(), 2);
    assert!(findings(&compiled)[0].contains("Service default/web has no spec.clusterIP; its pods are asked"));
}

fn in_zone(zone: Option<&str>, node: Option<&str>) -> Compiler {
    let topology = Topology { zone: zone.map(Into::into), node: node.map(Into::into) };
    let mut compiler = compiler(Options { topology: Some(topology), ..Options::default() });
    compiler.apply(&(nodes_service("") + &ingress("web", "a.test", &["/"], "")));
    compiler
}

#[test]
fn endpoints_of_the_own_zone_are_preferred_and_all_serve_where_it_has_none() {
    let mut compiler = in_zone(Some("a"), None);
    let of = |compiler: &mut Compiler, endpoints: &[(u8, &str, &str, bool)]| {
        self::endpoints(&compiler.apply(&slice(endpoints)))
    };
    let [one, two] = ["10.0.0.1:8080", "10.0.0.2:8080"];
    assert_eq!(of(&mut compiler, &[(1, "n1", "a", true), (2, "n2", "b", true)]), [one]);
    assert_eq!(of(&mut compiler, &[(1, "n1", "a", false), (2, "n2", "b", true)]), [two], "none is ready here");
    assert_eq!(of(&mut compiler, &[(1, "n1", "c", true), (2, "n2", "b", true)]), [one, two]);
    assert_eq!(
        of(&mut compiler, &[(1, "n1", "a", true), (2, "n2", "", true)]),
        [one, two],
        "hints are of all or of none"
    );
}

#[test]
fn hints_are_not_looked_at_unless_asked() {
    let mut compiler = compiler(Options::default());
    let hinted = slice(&[(1, "n1", "a", true), (2, "n2", "b", true)]);
    let compiled = compiler.apply(&(nodes_service("") + &ingress("web", "a.test", &["/"], "") + &hinted));
    assert_eq!(endpoints(&compiled).len(), 2);
}

#[test]
fn the_zone_is_that_of_the_own_node_as_it_is_labelled_now() {
    let mut compiler = in_zone(None, Some("n1"));
    let hinted = slice(&[(1, "n1", "a", true), (2, "n2", "b", true)]);
    let compiled = compiler.apply(&hinted);
    assert_eq!(endpoints(&compiled).len(), 2);
    assert!(findings(&compiled)[0].contains("Node n1: not known"), "{:?}", findings(&compiled));
    let compiled = compiler.apply(&node(1, "True", "topology.kubernetes.io/zone: b"));
    assert_eq!((endpoints(&compiled), compiled.findings.len()), (vec!["10.0.0.2:8080".to_owned()], 0));
    let compiled = compiler.apply(&node(1, "True", ""));
    assert_eq!(endpoints(&compiled).len(), 2);
    assert!(
        findings(&compiled)[0].contains("metadata.labels.topology.kubernetes.io/zone"),
        "{:?}",
        findings(&compiled)
    );
}

#[test]
fn hints_for_the_own_node_come_before_those_for_the_zone() {
    let mut compiler = in_zone(Some("a"), Some("n2"));
    let both = slice(&[(1, "n1", "a", true), (2, "n2", "a", true)]);
    assert_eq!(endpoints(&compiler.apply(&both)).len(), 2);
    let named = both.replace("nodeName: n1, ", "").replace("nodeName: n2, ", "");
    let named = named.replacen("forZones: [{name: a}]", "forZones: [{name: a}], forNodes: [{name: n1}]", 1);
    let named = named.replacen("{forZones: [{name: a}]}", "{forZones: [{name: a}], forNodes: [{name: n2}]}", 1);
    assert_eq!(endpoints(&compiler.apply(&named)), ["10.0.0.2:8080"]);
}

fn away(name: &str) -> String {
    let service = format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{type: ExternalName, externalName: {name}, \
         ports: [{{port: 80, targetPort: 8080}}]}}\n"
    );
    ingress("web", "a.test", &["/"], "") + &service
}

#[test]
fn a_name_outside_of_the_cluster_has_the_addresses_that_were_found() {
    let mut compiler = compiler(Options::default());
    let endpoints = |compiled: &Compiled| {
        let cluster = compiled.snapshot.clusters.iter().find(|cluster| &*cluster.key.service.name == "web").unwrap();
        cluster.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect::<Vec<_>>()
    };
    let compiled = compiler.apply(&away("db.test"));
    assert!(endpoints(&compiled).is_empty() && compiled.findings.is_empty(), "{:?}", compiled.findings);
    let name: Arc<str> = "db.test".into();
    assert_eq!(compiler.external_names().collect::<Vec<_>>(), [&name]);
    compiler.set_addresses(&name, Ok(["192.0.2.1", "::1"].map(|a| a.parse().unwrap()).into()));
    assert_eq!(endpoints(&compiler.compile()), ["192.0.2.1:8080"]);
    compiler.set_addresses(&name, Err("there is no such name".into()));
    let compiled = compiler.compile();
    assert!(endpoints(&compiled).is_empty());
    let said = &compiled.findings[0];
    assert_eq!(&*said.field, "spec.rules[0].http.paths[0].backend");
    assert!(said.message.contains("db.test: there is no such name"), "{}", said.message);

    compiler.apply(&away("other.test"));
    assert_eq!(compiler.external_names().map(|name| &**name).collect::<Vec<_>>(), ["other.test"]);
    compiler.set_addresses(&name, Ok([].into()));
    assert!(!compiler.compile().changed, "nobody asks for that name any more");
    compiler.delete(Kind::Ingress, "web");
    assert_eq!(compiler.external_names().count(), 0);
}

/// What a Service `port` (its YAML) gets from a slice with `ports` (its YAML), as numbers.
fn ports(port: &str, ports: &str) -> Vec<u16> {
    let text = format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{ports: [{port}]}}\n---\napiVersion: \
         discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: web-1, labels: {{kubernetes.io/service-name: \
         web}}}}\nports: {ports}\nendpoints: [{{addresses: [10.0.0.1]}}]\n"
    );
    let compiled = compiler(Options::default()).apply(&(ingress("web", "a.test", &["/"], "") + &text));
    let cluster = compiled.snapshot.clusters.iter().next().unwrap();
    cluster.endpoints.iter().map(|endpoint| endpoint.address.port()).collect()
}

#[test]
fn ports_of_slices_that_somebody_wrote_are_taken_as_ingress_nginx_takes_them() {
    for (port, listed, expected) in [
        ("{name: http, port: 80, targetPort: 8080}", "[{name: http, port: 9000}]", &[9000][..]),
        ("{name: http, port: 80, targetPort: 8080}", "[{name: other, port: 9000}]", &[8080]),
        ("{name: http, port: 80, targetPort: web}", "[{name: other, port: 9000}]", &[]),
        ("{port: 80, targetPort: 8080}", "[{name: http, port: 9000}]", &[9000]),
        ("{port: 80, targetPort: web}", "[{name: http, port: 9000}]", &[9000]),
        ("{port: 80, targetPort: 8080}", "[{name: a, port: 9000}, {name: b, port: 8080}]", &[8080]),
        ("{port: 80, targetPort: 8080}", "[]", &[8080]),
        ("{port: 80, targetPort: 8080}", "null", &[8080]),
        ("{port: 80, targetPort: web}", "[]", &[]),
        ("{port: 80, targetPort: 8080}", "[{port: 8080, protocol: UDP}]", &[]),
    ] {
        assert_eq!(ports(port, listed), expected, "{port} of {listed}");
    }
}
