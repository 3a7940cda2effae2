//! Certificates that the `--config` file names: for hosts with no Secret, followed without a restart.

use std::path::Path;

use crate::support::certificates::Certificate;
use crate::support::client::Connection;
use crate::support::eventually;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{Ringress, on_each_driver};

/// The two files as certbot leaves them: behind links, which a renewal swaps one after the other.
pub(crate) fn place(folder: &Path, name: &str, version: u32, certificate: &Certificate) {
    write(folder, name, version, certificate);
    ["crt", "key"].into_iter().for_each(|kind| point(folder, name, kind, version));
}

fn write(folder: &Path, name: &str, version: u32, certificate: &Certificate) {
    for (kind, content) in [("crt", &certificate.pem), ("key", &certificate.key_pem)] {
        std::fs::write(folder.join(format!("{name}-{version}.{kind}")), content).expect("a file");
    }
}

fn point(folder: &Path, name: &str, kind: &str, version: u32) {
    let new = folder.join("new-link");
    std::os::unix::fs::symlink(format!("{name}-{version}.{kind}"), &new).expect("a link");
    std::fs::rename(new, folder.join(format!("{name}.{kind}"))).expect("a swap");
}

pub(crate) fn entry(folder: &Path, name: &str, hosts: &str) -> String {
    let path = folder.join(name);
    format!("- {{cert: {0}.crt, key: {0}.key, hosts: [{hosts}]}}\n", path.display())
}

pub(crate) fn presented(ringress: &Ringress, name: &str) -> Vec<u8> {
    Connection::tls(ringress.https, Some(name)).expect("a handshake").peer_certificate()
}

#[test]
fn hosts_without_a_secret_present_the_files_that_the_configuration_names() {
    on_each_driver(|driver| {
        let folder = tempfile::tempdir().expect("a folder");
        let origin = Origin::named("origin");
        let (site, below, own) = (
            Certificate::for_names(&["a.test", "listed.test", "own.test"]),
            Certificate::for_names(&["*.w.test"]),
            Certificate::for_names(&["own.test"]),
        );
        place(folder.path(), "site", 1, &site);
        place(folder.path(), "below", 1, &below);
        let certificates = [
            entry(folder.path(), "site", "A.test, listed.test, own.test, nobody.test"),
            entry(folder.path(), "below", "'*.w.test'"),
            entry(folder.path(), "missing", "none.test"),
        ];
        let mut objects = service("origin", &[origin.address]);
        objects.extend([
            own.secret("own"),
            ingress("a").prefix("a.test", "/", "origin").build(),
            ingress("listed").tls("listed.test", "not-there").prefix("listed.test", "/", "origin").build(),
            ingress("own").tls("own.test", "own").prefix("own.test", "/", "origin").build(),
            ingress("w").tls("x.w.test", "not-there").prefix("x.w.test", "/", "origin").build(),
            ingress("none").prefix("none.test", "/", "origin").build(),
        ]);
        let ringress = Ringress::on(driver)
            .config(&format!("certificates:\n{}", certificates.concat()))
            .manifest("all.json", file(objects))
            .start();
        for name in ["a.test", "listed.test", "nobody.test"] {
            assert!(presented(&ringress, name) == site.der, "{name}");
        }
        for name in ["x.w.test", "y.w.test"] {
            assert!(presented(&ringress, name) == below.der, "{name}");
        }
        assert!(presented(&ringress, "own.test") == own.der, "a Secret comes first");
        let default = presented(&ringress, "none.test");
        assert!(default == presented(&ringress, "other.test"), "a file that is not there leaves the default");
        let missing = folder.path().join("missing.crt").display().to_string();
        assert!(ringress.status()["rejected"].to_string().contains(&missing), "{}", ringress.status());
        let answer = ringress.get("a.test", "/x");
        assert_eq!((answer.status, answer.header("location")), (308, Some("https://a.test/x")));
        // Secrets that go leave the host to the file.
        ringress.apply("all.json", file(service("origin", &[origin.address])));
        assert!(presented(&ringress, "own.test") == site.der);
    });
}

#[test]
fn a_renewed_certificate_is_presented_without_a_restart_and_half_a_renewal_is_not() {
    on_each_driver(|driver| {
        let folder = tempfile::tempdir().expect("a folder");
        let origin = Origin::named("origin");
        let (old, new) = (Certificate::for_names(&["a.test"]), Certificate::for_names(&["a.test"]));
        place(folder.path(), "site", 1, &old);
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").prefix("a.test", "/", "origin").build());
        let ringress = Ringress::on(driver)
            .config(&format!("certificates:\n{}", entry(folder.path(), "site", "a.test")))
            .manifest("all.json", file(objects))
            .start();
        let mut kept = Connection::tls(ringress.https, Some("a.test")).expect("a handshake");
        assert!(kept.peer_certificate() == old.der);

        write(folder.path(), "site", 2, &new);
        point(folder.path(), "site", "crt", 2);
        ringress.sync();
        assert!(presented(&ringress, "a.test") == old.der, "the key is not that of the new certificate");
        let rejected = || ringress.status()["rejected"].to_string();
        assert!(rejected().contains("site.key"), "{}", rejected());

        point(folder.path(), "site", "key", 2);
        eventually("the renewed certificate is presented", || presented(&ringress, "a.test") == new.der);
        eventually("nothing is wrong any more", || rejected() == "[]");
        assert_eq!(kept.get("a.test", "/").expect("an answer").text(), "origin", "connections go on");
    });
}
