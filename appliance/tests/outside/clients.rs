//! Clients as people have them.

use std::process::Command;

use crate::nginx::Nginx;
use crate::output;
use crate::support::certificates::Certificate;
use crate::support::manifests::{file, ingress, service};
use crate::support::process::{Driver, Ringress, on_each_driver};

fn serving(driver: Driver, nginx: &Nginx) -> Ringress {
    let mut objects = service("origin", &nginx.servers);
    objects.extend([
        Certificate::for_names(&["a.test"]).secret("cert"),
        ingress("a").tls("a.test", "cert").prefix("a.test", "/", "origin").build(),
        ingress("plain").prefix("plain.test", "/", "origin").build(),
    ]);
    Ringress::on(driver).manifest("all.json", file(objects)).start()
}

#[test]
fn curl_follows_the_redirect_to_https() {
    let nginx = Nginx::start(1);
    on_each_driver(|driver| {
        let ringress = serving(driver, &nginx);
        let text = output(
            Command::new("curl")
                .args(["--silent", "--show-error", "--insecure", "--location", "--max-time", "10"])
                .args(["--write-out", " %{http_code} %{num_redirects} %{scheme}"])
                .args(["--connect-to", &format!(":80:{}", ringress.http)])
                .args(["--connect-to", &format!(":443:{}", ringress.https)])
                .arg("http://a.test/x"),
        );
        assert!(text.to_ascii_lowercase().ends_with(" 200 1 https"), "{text}");
    });
}

#[test]
fn h2load_sees_no_failure_over_http_1_plain_and_tls() {
    let nginx = Nginx::start(2);
    on_each_driver(|driver| {
        let ringress = serving(driver, &nginx);
        for (address, scheme, host) in [(ringress.http, "http", "plain.test"), (ringress.https, "https", "a.test")] {
            let text = output(
                Command::new("h2load")
                    .args(["--h1", "-n", "20000", "-c", "50", "-t", "1", "--connect-to", &address.to_string()])
                    .arg(format!("{scheme}://{host}/")),
            );
            let line = text.lines().find(|line| line.starts_with("requests:")).unwrap_or_else(|| panic!("{text}"));
            assert!(line.contains("20000 succeeded") && line.contains(" 0 failed"), "{line}");
        }
    });
}

#[test]
fn a_body_goes_through_as_curl_sends_it() {
    let nginx = Nginx::start(1);
    on_each_driver(|driver| {
        let ringress = serving(driver, &nginx);
        let large = tempfile::NamedTempFile::new().expect("a file");
        large.as_file().set_len(700_000).expect("a size");
        let text = output(
            Command::new("curl")
                .args(["--silent", "--show-error", "--max-time", "10", "--write-out", " %{http_code}"])
                .args(["--header", "Host: plain.test", "--upload-file"])
                .arg(large.path())
                .arg(format!("http://{}/", ringress.http)),
        );
        assert!(text.ends_with(" 200"), "{text}");
    });
}
