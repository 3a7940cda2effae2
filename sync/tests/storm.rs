//! The promise under a flood of changes: the newest state is served soon, and builds are far fewer than changes.

use std::time::{Duration, Instant};

use ringress_sync::testkit::api_server::ApiServer;
use ringress_sync::testkit::fixtures::{endpoint_slice, ingress, ingress_class, service};
use ringress_sync::testkit::rig::Rig;
use ringress_sync::testkit::workers::eventually;

#[test]
fn a_storm_ends_in_the_newest_state_and_is_coalesced() {
    let server = ApiServer::start();
    server.put(ingress_class());
    server.put(service("n", "web"));
    server.put_all((0..500).map(|number| ingress("n", &format!("i{number}"), &format!("h{number}.test"))));
    let rig = Rig::on_server(&server).ready();
    let before = rig.generation();
    let started = Instant::now();
    let mut changes = 0_u64;
    while started.elapsed() < Duration::from_secs(2) {
        let address = format!("10.0.{}.{}", changes / 200 % 200, changes % 200 + 1);
        server.put(endpoint_slice("n", "web", "web-1", &[&address], 8080));
        server.put(ingress("n", "last", &format!("last{changes}.test")));
        changes += 2;
        std::thread::sleep(Duration::from_millis(1));
    }
    let last = format!("last{}.test", changes - 2);
    eventually("the last change is served", || rig.serves(&last));
    let builds = rig.generation() - before;
    assert!(builds > 10, "changes are served during the storm: {builds} builds");
    assert!(builds < changes, "{builds} builds for {changes} changes");
    let busy = rig.handle.status().builds.busy;
    assert!(busy < started.elapsed() / 2, "{busy:?} of {:?} spent compiling", started.elapsed());
}
