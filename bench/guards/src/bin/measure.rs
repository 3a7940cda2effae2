//! Measures what the compiler promises, on a made-up cluster. Times are of this machine; instruction counts are not.
//!
//! ```text
//! make binaries && target/release/measure times 10000
//! valgrind --tool=callgrind --toggle-collect='measure::lookups' target/release/measure lookups 10000
//! ```

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use ringress_config::compile::Compiler;
use ringress_config::manifest;
use ringress_config::model::Object;
use ringress_config::options::Options;
use ringress_config::snapshot::{Certificate, PathMatch, Snapshot};

/// Lookups of one run.
const LOOKUPS: usize = 10_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let ingresses: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    match &*mode {
        "times" => times(ingresses),
        "lookups" => {
            let (_, snapshot) = compiled(ingresses);
            let requests = requests(ingresses);
            println!("{} of {LOOKUPS} found", lookups(&snapshot, &requests));
        }
        _ => eprintln!("measure times|lookups [INGRESSES]"),
    }
}

fn document(n: usize) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web-{n}\n  namespace: team-{team}\n  \
         annotations:\n    nginx.ingress.kubernetes.io/proxy-read-timeout: \"120\"\n    \
         nginx.ingress.kubernetes.io/proxy-body-size: 8m\nspec:\n  ingressClassName: nginx\n  rules:\n  - host: \
         host-{n}.example.com\n    http:\n      paths:\n      - path: /\n        pathType: Prefix\n        backend:\n          \
         service:\n            name: web-{n}\n            port:\n              number: 80\n      - path: /api/v1\n        \
         pathType: Prefix\n        backend:\n          service:\n            name: api-{n}\n            port:\n              \
         number: 80\n",
        team = n % 100
    )
}

fn file(ingresses: usize) -> String {
    (0..ingresses).map(document).collect::<Vec<_>>().join("---\n")
}

fn compiler() -> Compiler {
    let key = rcgen::KeyPair::generate().expect("keys can be made");
    let parameters = rcgen::CertificateParams::new(["ingress.local".to_owned()]).expect("a valid name");
    let certificate = parameters.self_signed(&key).expect("it can be signed").pem();
    let certificate = Certificate::from_pem(certificate.as_bytes(), key.serialize_pem().as_bytes(), None);
    let options = Options { assume_class: true, ..Options::default() };
    Compiler::new(options, Arc::new(certificate.expect("just made")))
}

fn compiled(ingresses: usize) -> (Compiler, Arc<Snapshot>) {
    let mut compiler = compiler();
    let content = manifest::parse("all.yaml", file(ingresses).as_bytes());
    content.objects.into_iter().for_each(|object| compiler.upsert(object));
    let snapshot = compiler.compile().snapshot;
    (compiler, snapshot)
}

fn times(ingresses: usize) {
    let text = file(ingresses);
    let start = Instant::now();
    let content = manifest::parse("all.yaml", text.as_bytes());
    println!("parse {} documents, {} bytes: {:?}", content.objects.len(), text.len(), start.elapsed());
    let mut compiler = compiler();
    let start = Instant::now();
    content.objects.iter().for_each(|object| compiler.upsert(object.clone()));
    println!("upsert: {:?}", start.elapsed());
    let start = Instant::now();
    let compiled = compiler.compile();
    println!("compile all: {:?}, {} findings", start.elapsed(), compiled.findings.len());
    let changed = document(ingresses / 2).replace("/api/v1", "/api/v2");
    for text in [&changed, &document(ingresses / 2)] {
        let objects = manifest::parse("all.yaml", text.as_bytes()).objects;
        let start = Instant::now();
        objects.into_iter().for_each(|object| compiler.upsert(object));
        let compiled = compiler.compile();
        println!("change one Ingress: {:?}, changed {}", start.elapsed(), compiled.changed);
    }
    let service =
        "apiVersion: v1\nkind: Service\nmetadata: {name: web-7, namespace: team-7}\nspec: {ports: [{port: 80}]}\n";
    let slice = "apiVersion: v1\nkind: Endpoints\nmetadata: {name: web-7, namespace: team-7}\nsubsets: [{addresses: \
                 [{ip: 10.0.0.1}], ports: [{port: 80}]}]\n";
    for text in [service, slice, &slice.replace("10.0.0.1", "10.0.0.2")] {
        let objects: Vec<Object> = manifest::parse("all.yaml", text.as_bytes()).objects;
        let start = Instant::now();
        objects.into_iter().for_each(|object| compiler.upsert(object));
        let compiled = compiler.compile();
        println!("change a Service or its endpoints: {:?}, changed {}", start.elapsed(), compiled.changed);
    }
    let start = Instant::now();
    let compiled = compiler.compile();
    println!("compile with no change: {:?}, changed {}", start.elapsed(), compiled.changed);
    let requests = requests(ingresses);
    let start = Instant::now();
    let found = lookups(&compiled.snapshot, &requests);
    println!("lookup: {:?} each ({found} found)", start.elapsed() / u32::try_from(LOOKUPS).unwrap_or(u32::MAX));
}

fn requests(ingresses: usize) -> Vec<(String, String)> {
    let host = |n: usize| format!("host-{}.example.com", (n * 7919) % ingresses);
    let paths = ["/", "/api/v1/users/17", "/static/app.js", "/api/v1"];
    (0..LOOKUPS).map(|n| (host(n), paths[n % paths.len()].to_owned())).collect()
}

#[inline(never)]
fn lookups(snapshot: &Snapshot, requests: &[(String, String)]) -> usize {
    let find = |(host, path): &&(String, String)| {
        let found = snapshot.hosts.find(black_box(host)).paths.find(black_box(path.as_bytes()));
        matches!(found, PathMatch::Route(_))
    };
    requests.iter().filter(find).count()
}
