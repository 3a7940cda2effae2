//! Which driver the workers use, and that it can be seen.

use serde_json::json;

use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{self, Driver, Ringress, on_each_driver};

#[test]
fn the_driver_asked_for_is_the_one_reported() {
    on_each_driver(|driver| {
        let ringress = Ringress::on(driver).start();
        assert_eq!(ringress.status()["driver"], json!(driver.name()));
    });
}

#[test]
fn auto_takes_a_driver_that_works_here() {
    let origin = Origin::named("origin");
    let mut objects = service("origin", &[origin.address]);
    objects.push(ingress("a").prefix("a.test", "/", "origin").build());
    let ringress = Ringress::on(Driver::Epoll).driver("auto").manifest("all.json", file(objects)).start();
    let expected = if monoio::utils::detect_uring() { "io_uring" } else { "epoll" };
    assert_eq!(ringress.status()["driver"], json!(expected));
    assert_eq!(ringress.get("a.test", "/").text(), "origin");
}

#[test]
fn the_version_names_driver_and_tls_provider() {
    let (code, output, errors) = process::run(["version"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{output}");
    for word in [env!("CARGO_PKG_VERSION"), "aws-lc-rs"] {
        assert!(output.contains(word), "{word} in {output}");
    }
    assert!(output.contains("io_uring") || output.contains("epoll"), "{output}");
}

#[test]
fn an_unknown_flag_is_an_error_and_a_meaningless_one_a_warning() {
    let (code, _, errors) = process::run(["run", "--no-such-flag=1"]);
    assert!(code.is_some_and(|code| code != 0) && errors.contains("no-such-flag"), "{code:?} {errors}");
    let ringress = Ringress::on(Driver::Epoll).flag("--election-ttl=30s").start();
    assert_eq!(ringress.status()["ready"], json!(true));
}
