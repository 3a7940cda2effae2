use std::sync::Arc;

use super::*;
use crate::compile::{Compiled, Compiler};
use crate::manifest;
use crate::snapshot::Certificate;

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {ports: [{port: 5432}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: db}
subsets: [{addresses: [{ip: 10.0.0.1}], ports: [{port: 5432}]}]
---
";

fn compiler() -> Compiler {
    let pair = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
    let (certificate, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
    let certificate = Certificate::from_pem(certificate.as_bytes(), key.as_bytes(), None).unwrap();
    let options = Options { tcp_services: Some(ObjectKey::new("default", "tcp")), ..Options::default() };
    Compiler::new(options, Arc::new(certificate))
}

fn apply(compiler: &mut Compiler, text: &str) -> Compiled {
    manifest::parse("a.yaml", text.as_bytes()).objects.into_iter().for_each(|object| compiler.upsert(object));
    compiler.compile()
}

fn tcp(data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: tcp}}\ndata: {data}\n")
}

fn ports(compiled: &Compiled) -> Vec<u16> {
    compiled.snapshot.streams.iter().map(|service| service.port).collect()
}

#[test]
fn entries_come_and_go_with_their_clusters() {
    let mut compiler = compiler();
    let none = compiler.compile();
    assert!(none.findings[0].to_string().contains("does not exist"), "{:?}", none.findings);
    let two = apply(&mut compiler, &(SERVICE.to_owned() + &tcp("{'9000': default/db:5432, '9001': default/db:5432}")));
    assert_eq!((ports(&two), two.findings.len()), (vec![9000, 9001], 0));
    let first = *two.snapshot.streams.find(Transport::Tcp, 9000).unwrap();
    let one = apply(&mut compiler, &tcp("{'9001': default/db:5432}"));
    let left = *one.snapshot.streams.find(Transport::Tcp, 9001).unwrap();
    assert_eq!((ports(&one), left.cluster), (vec![9001], first.cluster), "its cluster lives while one entry uses it");
    assert!(one.snapshot.streams.find(Transport::Tcp, 9000).is_none());
    let none = apply(&mut compiler, &tcp("{}"));
    assert_eq!((ports(&none), none.snapshot.clusters.iter().count()), (vec![], 0));
}

#[test]
fn an_ingress_named_like_the_config_map_keeps_its_cluster() {
    let ingress = "
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: tcp, annotations: {kubernetes.io/ingress.class: nginx}}
spec: {defaultBackend: {service: {name: db, port: {number: 5432}}}}
";
    let mut compiler = compiler();
    let both = apply(&mut compiler, &(SERVICE.to_owned() + &tcp("{'9000': default/db:5432}") + ingress));
    assert_eq!(both.snapshot.clusters.iter().count(), 1);
    let one = apply(&mut compiler, &tcp("{}"));
    assert_eq!(one.snapshot.clusters.iter().count(), 1);
}

#[test]
fn a_service_that_comes_later_takes_its_finding_away() {
    let mut compiler = compiler();
    let missing = apply(&mut compiler, &tcp("{'9000': default/db:5432}"));
    let finding = missing.findings[0].to_string();
    assert!(finding.contains("data.9000: Service default/db does not exist"), "{finding}");
    assert!(apply(&mut compiler, SERVICE).findings.is_empty());
}
