//! `ringress demo`: the classic manifest answers as it always did, in both of its forms.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use crate::support::client::{self, Response};
use crate::support::process::{self, Driver, on_each_driver};
use crate::support::within;

const START_PATIENCE: Duration = Duration::from_secs(30);

struct Demo {
    child: Child,
    log: PathBuf,
    _folder: tempfile::TempDir,
    http: SocketAddr,
    https: SocketAddr,
}

impl Demo {
    fn start(driver: Driver, v1: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        let mut command = Command::new(process::binary());
        // As a user starts it, but for the driver: its ports move by themselves when they are taken.
        command.arg("demo").env("RINGRESS_DRIVER", driver.name());
        if v1 {
            command.arg("--v1");
        }
        let child = process::spawn(command, &log);
        let mut demo = Self { child, log, _folder: folder, http: ([0; 4], 0).into(), https: ([0; 4], 0).into() };
        assert!(within(START_PATIENCE, || demo.find_addresses()), "no curl lines:\n{}", demo.output());
        let api = |demo: &Self| client::try_once(demo.http, "GET", "api.abc.com", "/").is_ok_and(|r| r.status == 308);
        assert!(within(START_PATIENCE, || api(&demo)), "does not serve:\n{}", demo.output());
        demo
    }

    fn output(&self) -> String {
        std::fs::read_to_string(&self.log).expect("its output")
    }

    /// From the curl lines: `curl … --connect-to ::ADDRESS http…://…`.
    fn find_addresses(&mut self) -> bool {
        let output = self.output();
        let address = |scheme: &str| {
            let line = output.lines().find(|line| line.contains("--connect-to ::") && line.contains(scheme))?;
            let (_, rest) = line.split_once("--connect-to ::")?;
            rest.split_whitespace().next()?.parse().ok()
        };
        let (Some(http), Some(https)) = (address(" http://"), address(" https://")) else { return false };
        (self.http, self.https) = (http, https);
        true
    }

    fn get(&self, host: &str, target: &str) -> Response {
        client::once(self.http, "GET", host, target)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        process::stop(&mut self.child);
    }
}

/// One test, as two demos at a time would compete for the default ports.
#[test]
fn both_forms_of_the_classic_manifest_give_the_same_answers() {
    on_each_driver(|driver| {
        for v1 in [false, true] {
            println!("v1: {v1}");
            let demo = Demo::start(driver, v1);
            let redirect = demo.get("api.abc.com", "/x");
            assert_eq!((redirect.status, redirect.header("location")), (308, Some("https://api.abc.com/x")));
            let secure = client::get_tls(demo.https, "api.abc.com", "/x");
            assert_eq!(secure.status, 200);
            assert!(secure.text().contains("apiserver") && secure.text().contains("/x"), "{}", secure.text());
            for (target, backend) in [
                ("/image/a.png", "fileserver"),
                ("/IMAGE/x", "fileserver"),
                ("/imageryx", "fileserver"),
                ("/", "feserver"),
                ("/other", "feserver"),
            ] {
                let answer = demo.get("www.abc.com", target);
                assert_eq!(answer.status, 200, "{target}");
                let text = answer.text();
                assert!(text.contains(backend) && text.contains(target), "{target} should reach {backend}: {text}");
            }
            assert_eq!(demo.get("unknown.abc.com", "/").status, 404);
            assert_eq!(demo.get("docs.example.com", "/").status, 200, "the second example");
            let shop = client::get_tls(demo.https, "shop.example.com", "/api/v1");
            assert_eq!(shop.status, 200, "the second example over TLS");
        }
    });
}
