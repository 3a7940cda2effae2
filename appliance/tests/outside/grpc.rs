//! gRPC as its own library speaks it, on both sides: clients over TLS, a backend in the clear (`backend-protocol: GRPC`).

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::output;
use crate::support::certificates::Certificate;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::refusing_address;
use crate::support::process::{Ringress, on_each_driver, own_address};

const GRPCIO: &str = "grpcio==1.71.0";

/// A Python that has the library: made once, kept beside the build.
fn python() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(GRPCIO);
    let python = folder.join("bin/python");
    let has_it = |python: &Path| {
        let imported = Command::new(python).args(["-c", "import grpc"]).stderr(Stdio::null()).status();
        imported.is_ok_and(|status| status.success())
    };
    if !has_it(&python) {
        output(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", GRPCIO];
        output(Command::new(&python).args(pip));
    }
    python
}

/// The peer, as a program.
fn peer(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/outside/grpc_peer.py"));
    command
}

/// A gRPC server; ends with the test.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(python: &Path) -> Self {
        let address = own_address();
        let mut command = peer(python);
        command.arg("server").arg(address.to_string()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("start the server");
        let mut line = String::new();
        let mut told = BufReader::new(child.stdout.take().expect("its output"));
        told.read_line(&mut line).expect("its port");
        let port = line.trim().parse().expect("a port");
        Self { child, address: SocketAddr::new(address.into(), port) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _already_ended = self.child.wait();
    }
}

#[test]
fn grpc_goes_through_in_all_its_forms() {
    let python = python();
    on_each_driver(|driver| {
        let server = Server::start(&python);
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
        let told = output(peer(&python).arg("client").arg(ringress.https.to_string()).arg(roots.path()));
        let held: Vec<&str> = told.lines().collect();
        let all =
            ["unary", "large", "client stream", "server stream", "both streams", "deadline", "errors", "unavailable"];
        assert_eq!(held, all);
    });
}
