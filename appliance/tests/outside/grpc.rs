//! gRPC as its own library speaks it, on both sides: clients over TLS, a backend in the clear (`backend-protocol: GRPC`).

use crate::output;
use crate::python::{Peer, Server};
use crate::support::certificates::Certificate;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::refusing_address;
use crate::support::process::{Ringress, on_each_driver};

#[test]
fn grpc_goes_through_in_all_its_forms() {
    let peer = Peer::new("grpcio==1.71.0", "grpc", "grpc_peer.py");
    on_each_driver(|driver| {
        let server = Server::start(&peer);
        let certificate = Certificate::for_names(&["a.test", "down.test"]);
        let mut objects = service("echo", &[server.address]);
        objects.extend(service("down", &[refusing_address()]));
        let grpc = |name| ingress(name).annotation("backend-protocol", "GRPC").annotation("proxy-body-size", "0");
        objects.extend([
            certificate.secret("cert"),
            grpc("a").tls("a.test", "cert").prefix("a.test", "/", "echo").build(),
            grpc("down").tls("down.test", "cert").prefix("down.test", "/", "down").build(),
        ]);
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        let roots = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(roots.path(), &certificate.pem).expect("write the certificate");
        let told = output(peer.command("client").arg(ringress.https.to_string()).arg(roots.path()));
        let held: Vec<&str> = told.lines().collect();
        let all =
            ["unary", "large", "client stream", "server stream", "both streams", "deadline", "errors", "unavailable"];
        assert_eq!(held, all);
    });
}
