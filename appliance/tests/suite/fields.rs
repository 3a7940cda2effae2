//! Fields that pass only when the ConfigMap says so.

use crate::support::client::Connection;
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};

/// What reaches the upstream of two fields with unusual names, and whether its Server reaches the client.
fn passing(driver: Driver, settings: &[(&str, &str)]) -> (bool, bool, bool) {
    let origin = Origin::with(|_, peer| {
        peer.answer(200, &[("Server", "upstream")], b"")?;
        Ok(Next::Keep)
    });
    let mut all = service("one", &[origin.address]);
    all.extend([ingress("web").prefix("a.test", "/", "one").build(), options(settings)]);
    let flag = "--configmap=default/options";
    let ringress = Ringress::on(driver).manifest("all.json", file(all)).flag(flag).start();
    let mut connection = Connection::plain(ringress.http).expect("connect");
    let fields = [("Under_score", "1"), ("Un.usual", "1")];
    let answer = connection.request("GET", "a.test", "/", &fields, b"").expect("an answer");
    let asked = origin.received().last().cloned().expect("a request");
    let reached = |name| asked.header(name).is_some();
    (reached("under_score"), reached("un.usual"), answer.header("server").is_some())
}

#[test]
fn unusual_fields_and_the_name_of_the_upstream_pass_only_on_demand() {
    on_each_driver(|driver| {
        assert_eq!(passing(driver, &[]), (false, false, false));
        assert_eq!(passing(driver, &[("enable-underscores-in-headers", "true")]), (true, false, false));
        assert_eq!(passing(driver, &[("ignore-invalid-headers", "false")]), (false, true, false));
        assert_eq!(passing(driver, &[("allow-backend-server-header", "true")]), (false, false, true));
    });
}
