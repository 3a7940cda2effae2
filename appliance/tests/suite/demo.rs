//! `ringress demo`: the classic manifest answers as it always did, in both of its forms.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use crate::documented::{self, Curl};
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
    admin: SocketAddr,
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
        let [http, https, admin] = [SocketAddr::from(([0; 4], 0)); 3];
        let mut demo = Self { child, log, _folder: folder, http, https, admin };
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
        let admin = output.lines().find_map(|line| line.split_once("dashboard")?.1.trim().strip_prefix("http://"));
        let Some(admin) = admin.and_then(|rest| rest.split('/').next()?.parse().ok()) else { return false };
        (self.http, self.https, self.admin) = (http, https, admin);
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

/// The `curl` lines of README.md, as their comments say.
fn answers_as_documented(demo: &Demo) {
    let curls = documented::readme_curls();
    assert!(curls.len() >= 7, "only {} lines", curls.len());
    for Curl { url, port, expected } in curls {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let (host, path) = rest.split_once('/').expect("a path");
        let target = format!("/{path}");
        let answer = match (scheme, port) {
            ("http", Some(8080)) => demo.get(host, &target),
            ("https", Some(8443)) => client::get_tls(demo.https, host, &target),
            ("http", None) => client::once(demo.admin, "GET", "localhost", &target),
            other => panic!("{url}: {other:?}"),
        };
        if let Some(location) = expected.strip_prefix("308 to ") {
            assert_eq!((answer.status, answer.header("location")), (308, Some(location)), "{url}");
            continue;
        }
        assert_eq!(answer.status, 200, "{url}");
        let backend = expected.split([':', ' ']).next().filter(|word| word.ends_with("server"));
        assert!(backend.is_none_or(|name| answer.text().contains(name)), "{url}: {}", answer.text());
    }
}

/// One test, as two demos at a time would compete for the default ports.
#[test]
fn both_forms_of_the_classic_manifest_give_the_same_answers() {
    on_each_driver(|driver| {
        for v1 in [false, true] {
            println!("v1: {v1}");
            let demo = Demo::start(driver, v1);
            answers_as_documented(&demo);
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
