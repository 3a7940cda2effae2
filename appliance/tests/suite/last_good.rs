//! What an instance on a folder serves goes on after an upgrade and after a kill, whatever has become of its files since.

use std::fs;
use std::path::Path;

use crate::disk_certificates::{entry, place, presented};
use crate::support::certificates::{Certificate, secret};
use crate::support::eventually;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{Driver, Ringress, on_each_driver};

/// Certificates of the site.
struct Made {
    disk: Certificate,
    secret: Certificate,
}

fn site(driver: Driver, origin: &Origin, folder: &Path, made: &Made) -> Ringress {
    place(folder, "site", 1, &made.disk);
    let one = |name: &str| file([ingress(name).prefix(&format!("{name}.test"), "/", "origin").build()]);
    let tls = ingress("tls").without_redirect().tls("tls.test", "cert").prefix("tls.test", "/", "origin").build();
    Ringress::on(driver)
        .config(&format!("workers: 2\ncertificates:\n{}", entry(folder, "site", "disk.test")))
        .flag("--drain-timeout=1s")
        .manifest("origin.json", file(service("origin", &[origin.address])))
        .manifest("broken.json", one("broken"))
        .manifest("refused.json", one("refused"))
        .manifest("gone.json", one("gone"))
        .manifest("tls.json", file([tls]))
        .manifest("cert.json", file([made.secret.secret("cert")]))
        .start()
}

/// Every form of breaking that leaves the version before in place, and one that does not.
fn spoil(ringress: &Ringress, folder: &Path, made: &Made) {
    ringress.write("broken.json", "{bro");
    let refused = ingress("refused").annotation("auth-type", "digestx").prefix("new.test", "/", "origin");
    ringress.write("refused.json", file([refused.build()]));
    ringress.remove("gone.json");
    ringress.write("cert.json", file([secret("cert", &made.secret.pem, &made.disk.key_pem)]));
    fs::remove_file(folder.join("site.crt")).expect("it was there");
}

fn serves_as_before(ringress: &Ringress, made: &Made, when: &str) {
    for (host, status) in [("broken", 200), ("refused", 200), ("tls", 200), ("gone", 404), ("new", 404)] {
        assert_eq!(ringress.get(&format!("{host}.test"), "/").status, status, "{host}, {when}");
    }
    assert!(presented(ringress, "disk.test") == made.disk.der, "the certificate on disk, {when}");
    assert!(presented(ringress, "tls.test") == made.secret.der, "the Secret's certificate, {when}");
    let rejected = ringress.status()["rejected"].to_string();
    for object in ["broken.json", "Ingress default/refused", "Secret default/cert", "site.crt"] {
        assert!(rejected.contains(object), "{object}, {when}: {rejected}");
    }
}

#[test]
fn what_was_good_serves_on_after_an_upgrade_and_after_a_kill() {
    on_each_driver(|driver| {
        let (origin, folder) = (Origin::named("origin"), tempfile::tempdir().expect("a folder"));
        let made = Made { disk: Certificate::for_names(&["disk.test"]), secret: Certificate::for_names(&["tls.test"]) };
        let mut ringress = site(driver, &origin, folder.path(), &made);
        spoil(&ringress, folder.path(), &made);
        ringress.sync();
        serves_as_before(&ringress, &made, "in the same process");
        ringress.upgrade().expect("an upgrade");
        serves_as_before(&ringress, &made, "after an upgrade");
        ringress.kill();
        ringress.start_again();
        serves_as_before(&ringress, &made, "after a kill");
        ringress.upgrade().expect("another upgrade");
        serves_as_before(&ringress, &made, "after another upgrade");
        ringress.kill();
        ["broken.json", "refused.json"].into_iter().for_each(|name| ringress.remove(name));
        ringress.start_again();
        for host in ["broken.test", "refused.test"] {
            assert_eq!(ringress.get(host, "/").status, 404, "{host} was removed while nobody ran");
        }
    });
}

#[test]
fn a_process_that_is_killed_before_the_state_has_the_newest_versions_serves_on_as_well() {
    on_each_driver(|driver| {
        let (origin, folder) = (Origin::named("origin"), tempfile::tempdir().expect("a folder"));
        let made = Made { disk: Certificate::for_names(&["disk.test"]), secret: Certificate::for_names(&["tls.test"]) };
        let mut ringress = site(driver, &origin, folder.path(), &made);
        eventually("the state is written soon after the start", || ringress.saved_state().is_some());
        ringress.kill();
        // Nobody has seen what comes now.
        spoil(&ringress, folder.path(), &made);
        ringress.start_again();
        serves_as_before(&ringress, &made, "after a kill");
    });
}
