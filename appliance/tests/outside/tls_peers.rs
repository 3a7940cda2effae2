//! TLS as OpenSSL speaks it, and WebSocket over it as its most used library does.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::{NamedTempFile, TempDir};

use crate::output;
use crate::python::{Peer, Server};
use crate::support::certificates::{Authority, Certificate};
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{Ringress, on_each_driver};

/// A GET of `a.test` by `openssl s_client` with these further arguments; all that it says.
fn s_client(address: SocketAddr, roots: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-ign_eof", "-servername", "a.test", "-verify_hostname", "a.test"]);
    command.args(["-verify_return_error", "-connect", &address.to_string(), "-CAfile"]).arg(roots).args(arguments);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap_or_else(|error| panic!("openssl: {error}"));
    let request = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    child.stdin.take().expect("its input").write_all(request).expect("send");
    let told = child.wait_with_output().expect("its output");
    format!("{}{}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr))
}

fn written(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("write");
    file
}

#[test]
fn openssl_makes_and_resumes_sessions_of_both_versions() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let certificate = Certificate::for_names(&["a.test"]);
        let mut objects = service("origin", &[origin.address]);
        objects.push(certificate.secret("cert"));
        objects.push(ingress("a").tls("a.test", "cert").prefix("a.test", "/", "origin").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        let (roots, folder) = (written(&certificate.pem), TempDir::new().expect("a folder"));
        for (flag, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
            let kept = folder.path().join(version);
            let kept = kept.to_str().expect("UTF-8");
            for (session, begins) in [("-sess_out", "New"), ("-sess_in", "Reused")] {
                let told = s_client(ringress.https, roots.path(), &[flag, session, kept]);
                assert!(told.contains(&format!("{begins}, {version}, Cipher is")), "{version} {session}:\n{told}");
                assert!(told.contains("HTTP/1.1 200 ") && told.contains("\r\n\r\norigin"), "{told}");
                assert!(told.contains("Verify return code: 0 (ok)"), "{told}");
            }
        }
    });
}

#[test]
fn openssl_shows_a_client_certificate_where_one_is_wanted() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let (certificate, authority) = (Certificate::for_names(&["a.test"]), Authority::named("clients"));
        let own = authority.issue("somebody");
        let mut objects = service("origin", &[origin.address]);
        objects.extend([certificate.secret("cert"), authority.secret("clients")]);
        let guarded = ingress("a").annotation("auth-tls-secret", "default/clients").tls("a.test", "cert");
        objects.push(guarded.prefix("a.test", "/", "origin").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        let roots = written(&certificate.pem);
        let (shown, key) = (written(&own.pem), written(&own.key_pem));
        let shown = ["-cert", shown.path().to_str().expect("UTF-8"), "-key", key.path().to_str().expect("UTF-8")];
        for version in ["-tls1_2", "-tls1_3"] {
            let told = s_client(ringress.https, roots.path(), &[&[version], &shown[..]].concat());
            assert!(told.contains("HTTP/1.1 200 "), "{version}:\n{told}");
            assert!(told.contains("Acceptable client certificate CA names"), "{version}:\n{told}");
            let told = s_client(ringress.https, roots.path(), &[version]);
            assert!(told.contains("HTTP/1.1 400 Bad Request"), "{version}:\n{told}");
        }
        assert_eq!(origin.received().len(), 2);
    });
}

#[test]
fn a_websocket_of_the_websockets_library_goes_through_tls() {
    let peer = Peer::new("websockets==15.0.1", "websockets", "websocket_peer.py");
    on_each_driver(|driver| {
        let server = Server::start(&peer);
        let certificate = Certificate::for_names(&["a.test"]);
        let mut objects = service("echo", &[server.address]);
        objects.push(certificate.secret("cert"));
        objects.push(ingress("a").tls("a.test", "cert").prefix("a.test", "/", "echo").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        let roots = written(&certificate.pem);
        let told = output(peer.command("client").arg(ringress.https.to_string()).arg(roots.path()));
        let held: Vec<&str> = told.lines().collect();
        let all = ["echo", "large", "fragments", "ping", "close by the server", "close by the client"];
        assert_eq!(held, all);
    });
}
