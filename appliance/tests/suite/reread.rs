//! SIGHUP: the configuration is read anew while the process serves.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::disk_certificates::{entry, place, presented};
use crate::support::certificates::Certificate;
use crate::support::client::Connection;
use crate::support::eventually;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{Ringress, on_each_driver};
use crate::support::tunnel;

#[test]
fn certificates_that_the_file_names_anew_are_presented_and_others_no_longer() {
    on_each_driver(|driver| {
        let folder = tempfile::tempdir().expect("a folder");
        let origin = Origin::named("origin");
        let [one, two, below] = ["one.test", "two.test", "*.w.test"].map(|name| Certificate::for_names(&[name]));
        for (name, certificate) in [("one", &one), ("two", &two), ("below", &below)] {
            place(folder.path(), name, 1, certificate);
        }
        let mut objects = service("origin", &[origin.address]);
        for host in ["one.test", "two.test", "a.w.test"] {
            objects.push(ingress(&host.replace('.', "-")).prefix(host, "/", "origin").build());
        }
        let named = |entries: &[(&str, &str)]| {
            let entries: String = entries.iter().map(|(name, hosts)| entry(folder.path(), name, hosts)).collect();
            format!("workers: 2\ncertificates:\n{entries}")
        };
        let builder = Ringress::on(driver).config(&named(&[("one", "one.test")]));
        let ringress = builder.manifest("all.json", file(objects)).start();
        let mut kept = Connection::tls(ringress.https, Some("one.test")).expect("a handshake");
        let default = presented(&ringress, "two.test");
        assert!(presented(&ringress, "one.test") == one.der && default == presented(&ringress, "a.w.test"));

        ringress.configure(&named(&[("one", "one.test"), ("two", "two.test"), ("below", "'*.w.test'")]));
        ringress.signal(Signal::HUP);
        eventually("the second one is presented", || presented(&ringress, "two.test") == two.der);
        eventually("and the wildcard", || presented(&ringress, "a.w.test") == below.der);
        assert!(presented(&ringress, "b.w.test") == below.der && presented(&ringress, "one.test") == one.der);
        assert_eq!(ringress.get("two.test", "/").status, 308, "as for every host with a certificate");

        ringress.configure(&named(&[("two", "one.test")]));
        ringress.signal(Signal::HUP);
        eventually("a host changes its file", || presented(&ringress, "one.test") == two.der);
        for host in ["two.test", "a.w.test", "b.w.test"] {
            eventually("the others present the default", || presented(&ringress, host) == default);
        }
        assert_eq!(ringress.status()["rejected"], json!([]));
        assert_eq!(kept.get("one.test", "/").expect("connections go on").text(), "origin");
    });
}

#[test]
fn a_broken_file_changes_nothing_and_is_named_with_the_key() {
    on_each_driver(|driver| {
        let (folder, origin) = (tempfile::tempdir().expect("a folder"), Origin::named("origin"));
        let one = Certificate::for_names(&["one.test"]);
        place(folder.path(), "one", 1, &one);
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").prefix("one.test", "/", "origin").build());
        let certificates = format!("certificates:\n{}", entry(folder.path(), "one", "one.test"));
        let mut ringress = Ringress::on(driver).config(&certificates).manifest("all.json", file(objects)).start();
        let path = ringress.control_socket().with_file_name("ringress.yaml").display().to_string();
        for (number, (text, fault)) in [
            ("certificates: []\ndrain-timeout: soon\n", "drain-timeout: expected a duration"),
            ("certificates: []\nworker: 2\n", "unknown option \\\"worker\\\""),
            ("certificates: []\nhealth-check-path: none\n", "--health-check-path: expected a path"),
        ]
        .into_iter()
        .enumerate()
        {
            ringress.configure(text);
            ringress.signal(Signal::HUP);
            ringress.wait_logged(fault);
            let log = ringress.log();
            let line = log.lines().find(|line| line.contains(fault)).expect("just seen");
            assert!(line.contains(&path) && line.contains("nothing changes"), "{line}");
            let refused = format!("ringress_config_rereads_total{{result=\"refused\"}} {}\n", number + 1);
            assert!(ringress.metrics().contains(&refused), "{refused}");
        }
        ringress.assert_alive();
        assert!(presented(&ringress, "one.test") == one.der);
    });
}

#[test]
fn what_can_change_does_and_what_cannot_is_named() {
    on_each_driver(|driver| {
        let origin = tunnel::echo();
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").prefix("a.test", "/", "origin").build());
        let builder = Ringress::on(driver).config("workers: 2\ndrain-timeout: 120s\n");
        let mut ringress = builder.manifest("all.json", file(objects)).start();
        let lasting = tunnel::open(ringress.http);
        ringress.configure("workers: 1\nlog-level: debug\ndrain-timeout: 1s\n");
        ringress.signal(Signal::HUP);
        ringress.wait_logged("needs `ringress upgrade`");
        let log = ringress.log();
        let line = log.lines().find(|line| line.contains("needs `ringress upgrade`")).expect("just seen");
        assert!(line.contains("\"log-level, workers\""), "{line}");
        assert!(log.contains("\"changed\":\"drain-timeout\""), "{log}");
        assert_eq!(ringress.status()["workers"], json!(2));
        let began = Instant::now();
        ringress.signal(Signal::TERM);
        eventually("the drain ends by the new bound", || ringress.ended().is_some());
        assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
        drop(lasting);
    });
}

#[test]
fn what_is_asked_of_a_process_that_starts_does_not_end_it() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").prefix("a.test", "/", "origin").build());
        let mut ringress = Ringress::on(driver).manifest("all.json", file(objects)).launch();
        ringress.wait_logged("\"starting\"");
        for asked in [Signal::HUP, Signal::USR1] {
            ringress.signal(asked);
        }
        ringress.wait_ready();
        ringress.assert_alive();
        assert_eq!(ringress.get("a.test", "/").status, 200);
    });
}
