//! Client certificates of hosts: who is let in, what the upstream is told, and that nothing gets around them.

use crate::support::certificates::{Authority, Certificate, opaque};
use crate::support::client::{self, Connection, Response};
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::Origin;
use crate::support::process::{Ringress, on_each_driver};
use crate::support::{eventually, raw};
use serde_json::{Value, json};

/// An Ingress of a host with these annotations, with TLS and without redirect.
fn host(name: &str, annotations: &[(&str, &str)]) -> Value {
    let host = format!("{name}.test");
    let with = ingress(name).without_redirect().tls(&host, "cert").prefix(&host, "/", "origin");
    annotations.iter().fold(with, |ingress, (name, value)| ingress.annotation(name, value)).build()
}

fn objects(origin: &Origin, more: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let mut objects = service("origin", &[origin.address]);
    objects.push(Certificate::for_names(&["*.test"]).secret("cert"));
    objects.extend(more);
    objects
}

fn ask(ringress: &Ringress, host: &str, own: Option<&Certificate>) -> Response {
    let connection = match own {
        Some(own) => Connection::tls_as(ringress.https, host, own),
        None => Connection::tls(ringress.https, Some(host)),
    };
    connection.and_then(|mut c| c.get(host, "/")).unwrap_or_else(|error| panic!("GET https://{host}/: {error}"))
}

const CA: (&str, &str) = ("auth-tls-secret", "default/ca");

#[test]
fn a_client_that_speaks_nothing_of_ours_is_told_so() {
    on_each_driver(|driver| {
        // TLS 1.0, one suite, no extension.
        let hello = [&[1, 0, 0, 41, 3, 1][..], &[7; 32], &[0, 0, 2, 0, 0x2f, 1, 0]].concat();
        let hello = [&[22, 3, 1, 0, u8::try_from(hello.len()).expect("a short one")][..], &hello].concat();
        let origin = Origin::named("origin");
        let ca = Authority::named("client CA");
        // With and without a host that has a say in the handshake.
        for hosts in [vec![host("any", &[])], vec![ca.secret("ca"), host("on", &[CA])]] {
            let ringress = Ringress::on(driver).manifest("all.json", file(objects(&origin, hosts))).start();
            let outcome = raw::exchange(ringress.https, &hello);
            assert!(outcome.closed && outcome.bytes.first() == Some(&21), "no alert: {:?}", outcome.bytes);
            let mut config = client::tls_config_that_resumes(rustls::ALL_VERSIONS);
            config.alpn_protocols = vec![b"spdy/3".to_vec()];
            let refused = Connection::tls_by(ringress.https, Some("on.test"), config).map(drop);
            let told = refused.expect_err("a protocol that is not spoken").to_string();
            assert!(told.contains("NoApplicationProtocol"), "{told}");
        }
    });
}

#[test]
fn only_certificates_of_the_authority_are_let_in() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let (ca, other) = (Authority::named("client CA"), Authority::named("other CA"));
        let mode = |mode| [CA, ("auth-tls-verify-client", mode)];
        let all = [
            ca.secret("ca"),
            host("on", &[CA]),
            host("optional", &mode("optional")),
            host("any", &mode("optional_no_ca")),
            host("off", &mode("off")),
            host("alice", &[CA, ("auth-tls-match-cn", "CN=al.*"), ("auth-tls-pass-certificate-to-upstream", "true")]),
            host("page", &[CA, ("auth-tls-error-page", "https://help.test/no?from=$host")]),
        ];
        let ringress = Ringress::on(driver).manifest("all.json", file(objects(&origin, all))).start();
        let (alice, bob, foreign) = (ca.issue("alice"), ca.issue("bob"), other.issue("alice"));
        for (host, none, bad, good) in [
            ("on.test", 400, 400, 200),
            ("optional.test", 200, 400, 200),
            ("any.test", 200, 200, 200),
            ("off.test", 200, 200, 200),
            ("alice.test", 400, 400, 200),
            ("page.test", 302, 302, 200),
        ] {
            let statuses = [None, Some(&foreign), Some(&alice)].map(|own| ask(&ringress, host, own).status);
            assert_eq!(statuses, [none, bad, good], "{host}");
        }
        assert_eq!(ask(&ringress, "alice.test", Some(&bob)).status, 403);
        let sent_away = ask(&ringress, "page.test", None);
        assert_eq!(sent_away.header("location"), Some("https://help.test/no?from=page.test"));
        assert!(sent_away.closes(), "with another certificate it has to be another connection");
        let received = origin.received();
        let told = |host: &str, at: usize| {
            let mut all = received.iter().filter(|request| request.header("host") == Some(host));
            let request = all.nth(at).expect("a request");
            ["verify", "subject-dn", "issuer-dn", "cert"]
                .map(|name| request.header(&format!("ssl-client-{name}")).unwrap_or_default().to_owned())
        };
        assert_eq!(told("on.test", 0), ["SUCCESS", "CN=alice", "CN=client CA", ""]);
        assert_eq!(told("any.test", 0), ["NONE", "", "", ""]);
        let failed = told("any.test", 1);
        assert_eq!(failed[..3], ["FAILED:unable to verify the first certificate", "CN=alice", "CN=other CA"]);
        assert!(told("alice.test", 0)[3].starts_with("-----BEGIN%20CERTIFICATE-----%0A"));
    });
}

#[test]
fn fields_for_all_may_name_the_certificate_and_the_connection() {
    on_each_driver(|driver| {
        let (origin, ca) = (Origin::named("origin"), Authority::named("client CA"));
        let set = "ssl_protocol ssl_cipher ssl_client_verify ssl_client_s_dn ssl_client_i_dn hostname msec time_iso8601 \
                   proxy_host";
        let fields: serde_json::Map<_, _> =
            set.split(' ').map(|name| (format!("X-{}", name.replace('_', "-")), format!("${name}").into())).collect();
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more"}, "data": fields});
        let all = [
            ca.secret("ca"),
            host("on", &[CA]),
            host("open", &[]),
            map,
            options(&[("proxy-set-headers", "default/more")]),
        ];
        let ringress = Ringress::on(driver)
            .flag("--configmap=default/options")
            .manifest("all.json", file(objects(&origin, all)))
            .start();
        assert_eq!(ask(&ringress, "on.test", Some(&ca.issue("alice"))).status, 200);
        assert_eq!(ask(&ringress, "open.test", None).status, 200);
        assert_eq!(ringress.get("open.test", "/").status, 200);
        let received = origin.received();
        let told = |at: usize, name: &str| received[at].header(&format!("x-{name}")).unwrap_or("nothing").to_owned();
        let of_tls =
            |at| ["ssl-protocol", "ssl-client-verify", "ssl-client-s-dn", "ssl-client-i-dn"].map(|name| told(at, name));
        assert_eq!(of_tls(0), ["TLSv1.3", "SUCCESS", "CN=alice", "CN=client CA"]);
        assert_eq!(of_tls(1), ["TLSv1.3", "NONE", "nothing", "nothing"]);
        assert_eq!(of_tls(2), ["nothing"; 4]);
        assert!(told(0, "ssl-cipher").starts_with("TLS_") && told(2, "ssl-cipher") == "nothing");
        let machine = rustix::system::uname();
        assert_eq!(told(2, "hostname").as_bytes(), machine.nodename().to_bytes());
        assert_eq!(told(2, "proxy-host"), "upstream_balancer");
        assert!(told(2, "msec").parse::<f64>().is_ok_and(|seconds| seconds > 1.7e9), "{}", told(2, "msec"));
        let time = told(2, "time-iso8601");
        assert!(time.len() == 25 && time.as_bytes()[10] == b'T', "{time}");
    });
}

#[test]
fn nothing_gets_around_the_certificate() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let (ca, alice) = (Authority::named("client CA"), Authority::named("other CA").issue("alice"));
        let optional = [CA, ("auth-tls-verify-client", "optional")];
        let all = [ca.secret("ca"), host("on", &[CA]), host("optional", &optional), host("open", &[])];
        let ringress = Ringress::on(driver).manifest("all.json", file(objects(&origin, all))).start();
        let status = |name: Option<&str>, host: &str| {
            Connection::tls(ringress.https, name).and_then(|mut c| c.get(host, "/")).expect("an answer").status
        };
        assert_eq!(status(Some("open.test"), "on.test"), 421, "by the handshake of an open host");
        assert_eq!(status(Some("optional.test"), "on.test"), 421);
        assert_eq!(status(Some("on.test"), "optional.test"), 421);
        assert_eq!(status(Some("unknown.test"), "on.test"), 421);
        assert_eq!((status(None, "on.test"), status(None, "optional.test")), (400, 200), "without any name");
        assert_eq!(status(Some("on.test"), "open.test"), 200);
        assert_eq!(ringress.get("on.test", "/").status, 400, "in the clear");
        assert_eq!(ringress.get("optional.test", "/").status, 200);
        let before = origin.received().len();
        // Not even a path that is only redirected by its slash.
        assert_eq!(ask(&ringress, "on.test", Some(&alice)).status, 400);
        assert_eq!(origin.received().len(), before);
        let mut forging = Connection::tls(ringress.https, Some("open.test")).expect("a handshake");
        let forged =
            [("ssl-client-verify", "SUCCESS"), ("ssl-client-subject-dn", "CN=alice"), ("ssl_client_verify", "x")];
        assert_eq!(forging.request("GET", "open.test", "/", &forged, b"").expect("an answer").status, 200);
        let received = origin.received();
        let last = received.last().expect("a request");
        assert!(last.headers.iter().all(|(name, _)| !name.starts_with("ssl")), "{:?}", last.headers);
    });
}

#[test]
fn a_host_whose_authority_cannot_be_had_refuses_until_it_can() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ca = Authority::named("client CA");
        let alice = ca.issue("alice");
        let all = objects(&origin, [host("on", &[CA])]);
        let ringress = Ringress::on(driver).manifest("all.json", file(all)).start();
        let served = || (ask(&ringress, "on.test", Some(&alice)).status, ringress.get("on.test", "/").status);
        assert_eq!(served(), (403, 403), "no Secret");
        for broken in [opaque("ca", &[("ca.crt", "junk")]), opaque("ca", &[("other", &ca.pem)])] {
            ringress.apply("ca.json", file([broken]));
            assert_eq!(served(), (403, 403));
        }
        assert!(origin.received().is_empty());
        ringress.apply("ca.json", file([ca.secret("ca")]));
        assert_eq!(served(), (200, 400));
        // Connections and sessions of before are no way around another authority.
        let config = client::tls_config_as(&alice);
        let connect = || Connection::tls_by(ringress.https, Some("on.test"), config.clone()).expect("a handshake");
        let mut open = connect();
        assert_eq!(open.get("on.test", "/").expect("an answer").status, 200);
        eventually("the session is resumed", || {
            let mut again = connect();
            again.get("on.test", "/").expect("an answer").status == 200 && again.is_resumed()
        });
        ringress.apply("ca.json", file([Authority::named("client CA").secret("ca")]));
        assert_eq!(open.get("on.test", "/").expect("an answer").status, 421);
        let mut again = connect();
        assert_eq!((again.get("on.test", "/").expect("an answer").status, again.is_resumed()), (400, false));
    });
}

#[test]
fn a_chain_is_as_long_as_the_depth_allows() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ca = Authority::named("client CA");
        let (near, far) = (ca.issue("near"), ca.below("a team").issue("far"));
        let none = [CA, ("auth-tls-verify-depth", "0")];
        let all = [ca.secret("ca"), host("default", &[CA]), host("none", &none)];
        let ringress = Ringress::on(driver).manifest("all.json", file(objects(&origin, all))).start();
        let statuses = |host| [&near, &far].map(|own| ask(&ringress, host, Some(own)).status);
        assert_eq!(statuses("default.test"), [200, 200]);
        assert_eq!(statuses("none.test"), [200, 400]);
    });
}

#[test]
fn a_revoked_certificate_is_refused_from_the_moment_its_list_is_there() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ca = Authority::named("client CA");
        let (alice, bob) = (ca.issue("alice"), ca.issue("bob"));
        let all =
            objects(&origin, [host("on", &[CA]), host("optional", &[CA, ("auth-tls-verify-client", "optional")])]);
        let ringress =
            Ringress::on(driver).manifest("all.json", file(all)).manifest("ca.json", file([ca.secret("ca")]));
        let ringress = ringress.start();
        let statuses = |host| [&alice, &bob].map(|own| ask(&ringress, host, Some(own)).status);
        assert_eq!((statuses("on.test"), statuses("optional.test")), ([200, 200], [200, 200]));
        ringress.apply("ca.json", file([ca.secret_revoking("ca", "alice")]));
        assert_eq!((statuses("on.test"), statuses("optional.test")), ([400, 200], [400, 200]));
    });
}

#[test]
fn lists_without_extensions_revoke_as_well_and_close_their_hosts_when_forged() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let (ca, other) = (Authority::named("client CA"), Authority::named("other CA"));
        let people = [ca.issue("alice"), ca.issue("bob"), other.issue("carol"), other.issue("dave")];
        let hosts = [host("on", &[CA]), host("optional", &[CA, ("auth-tls-verify-client", "optional")])];
        let secret = |lists: &[String]| {
            let authorities = ca.pem.clone() + &other.pem;
            file([opaque("ca", &[("ca.crt", &authorities), ("ca.crl", &lists.concat())])])
        };
        let lists = |version| [ca.plain_list(version, "alice"), other.plain_list(3 - version, "dave")];
        let ringress = Ringress::on(driver).manifest("all.json", file(objects(&origin, hosts)));
        let ringress = ringress.manifest("ca.json", secret(&lists(1))).start();
        let statuses = |host: &str| people.each_ref().map(|own| ask(&ringress, host, Some(own)).status);
        let both = || [statuses("on.test"), statuses("optional.test")];
        assert_eq!(both(), [[400, 200, 200, 400]; 2]);
        ringress.apply("ca.json", secret(&lists(2)));
        assert_eq!(both(), [[400, 200, 200, 400]; 2]);
        ringress.apply("ca.json", secret(&lists(1)[..1]));
        assert_eq!(both(), [[400, 200, 400, 400]; 2], "every issuer needs a list");
        let before = origin.received().len();
        let [good, _] = lists(1);
        ringress.apply("ca.json", secret(&[good, other.plain_list_signed_by(&ca, 1, "dave")]));
        assert_eq!(both(), [[403; 4]; 2]);
        assert_eq!((ringress.get("optional.test", "/").status, origin.received().len()), (403, before));
        ringress.wait_logged("the list of CN=other CA is not signed by a key of that name in ca.crt");
        ringress.apply("ca.json", secret(&lists(1)));
        assert_eq!(both(), [[400, 200, 200, 400]; 2]);
    });
}
