//! TLS that is passed on by server name, beside hosts whose TLS is ended here.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::PATIENCE;
use crate::support::certificates::{Authority, Certificate, opaque};
use crate::support::client::{self, Connection};
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::Origin;
use crate::support::process::{Ringress, on_each_driver, own_address};

/// A pod that ends TLS itself and answers every request with the names that it was told: of the server, and of the
/// client's certificate.
fn tls_pod(certificate: &Certificate, authority: Option<&Authority>) -> SocketAddr {
    let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let builder = match authority {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            let ca = CertificateDer::from_pem_slice(authority.pem.as_bytes()).expect("a certificate");
            roots.add(ca).expect("an authority");
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
    };
    let config = Arc::new(builder.with_single_cert(certificate.chain(), key).expect("a configuration"));
    let listener = TcpListener::bind((own_address(), 0)).expect("listen");
    let address = listener.local_addr().expect("own address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            // How a connection ends is seen from the client's side.
            std::thread::spawn(move || serve(stream, config));
        }
    });
    address
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut tls = StreamOwned::new(ServerConnection::new(config).map_err(std::io::Error::other)?, stream);
    let mut buffer = [0; 4096];
    while tls.read(&mut buffer)? > 0 {
        let name = tls.conn.server_name().unwrap_or("unnamed").to_owned();
        let shown = if tls.conn.peer_certificates().is_some() { " with certificate" } else { "" };
        let body = format!("pod for {name}{shown}");
        write!(tls, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    }
    Ok(())
}

#[test]
fn tls_is_passed_on_by_name_and_ended_for_the_others() {
    on_each_driver(|driver| {
        let (origin, own) = (Origin::named("origin"), Certificate::for_names(&["own.test"]));
        let pods = Certificate::for_names(&["pod.test"]);
        let mut objects = service("origin", &[origin.address]);
        objects.extend(service("pod", &[tls_pod(&pods, None)]));
        objects.extend([
            own.secret("cert"),
            ingress("pod").annotation("ssl-passthrough", "true").prefix("pod.test", "/", "pod").build(),
            ingress("own").tls("own.test", "cert").prefix("own.test", "/", "origin").build(),
        ]);
        let with = |flag: bool| {
            let ringress = Ringress::on(driver).manifest("all.json", file(objects.clone()));
            (if flag { ringress.flag("--enable-ssl-passthrough") } else { ringress }).start()
        };
        let ringress = with(true);
        let mut passed = Connection::tls(ringress.https, Some("POD.test")).expect("a handshake with the pod");
        assert!(passed.peer_certificate() == pods.der);
        for _ in 0..3 {
            assert_eq!(passed.get("any.test", "/").expect("an answer").text(), "pod for pod.test");
        }
        let mut ended = Connection::tls(ringress.https, Some("own.test")).expect("a handshake");
        assert!(ended.peer_certificate() == own.der);
        assert_eq!(ended.get("own.test", "/").expect("an answer").text(), "origin");
        // A ClientHello that comes in crumbs, and one that never ends.
        assert!(crate::support::raw::exchange(ringress.https, &[0xff; 600]).closed);
        assert_eq!(client::get_tls(with(false).https, "own.test", "/").text(), "origin");
        let ended = Connection::tls(with(false).https, Some("pod.test")).expect("a handshake");
        assert!(ended.peer_certificate() != pods.der, "not without the flag");
    });
}

#[test]
fn a_proxy_header_before_tls_that_is_passed_on_is_taken_off() {
    on_each_driver(|driver| {
        let pods = Certificate::for_names(&["pod.test"]);
        let mut objects = service("pod", &[tls_pod(&pods, None)]);
        objects.extend([
            options(&[("use-proxy-protocol", "true")]),
            ingress("pod").annotation("ssl-passthrough", "true").prefix("pod.test", "/", "pod").build(),
        ]);
        let ringress = Ringress::on(driver).manifest("all.json", file(objects));
        let ringress = ringress.flag("--configmap=default/options").flag("--enable-ssl-passthrough").start();
        let header = b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n";
        let mut passed = Connection::tls_behind(ringress.https, header, "pod.test").expect("a handshake with the pod");
        assert_eq!(passed.get("pod.test", "/").expect("an answer").text(), "pod for pod.test");
    });
}

#[test]
fn pods_are_asked_and_shown_what_the_annotations_say() {
    on_each_driver(|driver| {
        let (pod_ca, proxy_ca, other) = (Authority::named("pods"), Authority::named("proxies"), Authority::named("x"));
        let mine = proxy_ca.issue("proxy");
        let pod = tls_pod(&pod_ca.issue("pod.test"), Some(&proxy_ca));
        let pair = |ca: &Authority| {
            [("tls.crt", &*mine.pem), ("tls.key", &*mine.key_pem), ("ca.crt", &*ca.pem)].map(|(n, v)| (n, v.to_owned()))
        };
        let secret = |name: &str, ca: &Authority| {
            let data = pair(ca);
            opaque(name, &data.each_ref().map(|(name, value)| (*name, value.as_str())))
        };
        let verified = |name: &str, secret: &str, pod: &str| {
            ingress(name)
                .annotation("backend-protocol", "HTTPS")
                .annotation("proxy-ssl-secret", secret)
                .annotation("proxy-ssl-verify", "on")
                .annotation("proxy-ssl-name", pod)
                .annotation("proxy-ssl-server-name", "on")
                .annotation("proxy-ssl-protocols", "TLSv1.2 TLSv1.3")
                .prefix(&format!("{name}.test"), "/", "pod")
                .build()
        };
        // Another pod, whose authority is one below.
        let far = tls_pod(&pod_ca.below("pods of a team").issue("pod.test"), Some(&proxy_ca));
        let of_depth = |name: &str, depth: &str| {
            let mut built = verified(name, "right", "pod.test");
            built["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-ssl-verify-depth"] = depth.into();
            built["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] = "far".into();
            built
        };
        let mut objects = [service("pod", &[pod]), service("far", &[far])].concat();
        objects.extend([
            of_depth("near-enough", "1"),
            of_depth("too-far", "0"),
            secret("right", &pod_ca),
            secret("wrong", &other),
            verified("good", "right", "pod.test"),
            verified("foreign", "wrong", "pod.test"),
            verified("misnamed", "right", "other.test"),
            verified("missing", "absent", "pod.test"),
            ingress("bare").annotation("backend-protocol", "HTTPS").prefix("bare.test", "/", "pod").build(),
        ]);
        let ringress = Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start();
        // In turn, so that a connection kept for one would be taken for another if they were not told apart.
        for _ in 0..2 {
            let good = ringress.get("good.test", "/");
            assert_eq!((good.status, &*good.text()), (200, "pod for pod.test with certificate"));
            let depths = ["near-enough.test", "too-far.test"].map(|host| ringress.get(host, "/").status);
            assert_eq!(depths, [200, 502]);
            for (host, status) in [("foreign", 502), ("misnamed", 502), ("missing", 503), ("bare", 502)] {
                assert_eq!(ringress.get(&format!("{host}.test"), "/").status, status, "{host}");
            }
        }
    });
}

#[test]
fn pods_are_asked_over_tls_where_the_client_came_over_tls() {
    on_each_driver(|driver| {
        let pod = Certificate::for_names(&["pod.test"]);
        let (clear, secured) = (Origin::named("clear"), tls_pod(&pod, None));
        let mut objects = [service("clear", &[clear.address]), service("secured", &[secured])].concat();
        let auto = |name: &str, host: &str| {
            let rule = ingress(name).prefix(host, "/", name).annotation("backend-protocol", "auto_http");
            rule.annotation("proxy-next-upstream-tries", "1").build()
        };
        objects.extend([auto("clear", "clear.test"), auto("secured", "secured.test")]);
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        assert_eq!(ringress.get("clear.test", "/").text(), "clear");
        assert_eq!(client::get_tls(ringress.https, "secured.test", "/").text(), "pod for unnamed");
        assert_ne!(ringress.get("secured.test", "/").status, 200);
    });
}
