//! Changes while clients are being served: no request fails, no connection is closed unannounced.

use crate::support::certificates::Certificate;
use crate::support::load::{Kind, Load};
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{Ringress, on_each_driver};
use crate::support::tunnel;

const CHANGES: usize = 40;

#[test]
fn a_storm_of_changes_fails_no_request_and_cuts_no_connection() {
    on_each_driver(|driver| {
        let origins = [Origin::named("first"), Origin::named("second"), Origin::named("third")];
        let sockets = tunnel::echo();
        let site = |turn: usize| {
            // The pair of endpoints moves round: one stays, one is replaced.
            let endpoints = [origins[turn % 3].address, origins[(turn + 1) % 3].address];
            let mut objects = service("origin", &endpoints);
            objects.extend(service("sockets", &[sockets.address]));
            let a = ingress("a").without_redirect().annotation("proxy-read-timeout", &(30 + turn).to_string());
            objects.push(
                a.tls("a.test", "cert").prefix("a.test", "/", "origin").prefix("a.test", "/ws", "sockets").build(),
            );
            objects.push(Certificate::for_names(&["a.test"]).secret("cert"));
            if turn.is_multiple_of(2) {
                objects.push(ingress("b").prefix("b.test", "/", "origin").build());
            }
            file(objects)
        };
        let ringress = Ringress::on(driver).workers(2).manifest("site.json", site(0)).start();
        let mut tunnel = tunnel::open(ringress.http);
        let load = Load::start(&ringress, &[Kind::KeepAlive, Kind::KeepAlive, Kind::Tls]);
        for turn in 1..=CHANGES {
            ringress.apply("site.json", site(turn));
            tunnel::round_trip(&mut tunnel, b"still here").expect("the tunnel lives");
        }
        for (kind, requests) in load.stop() {
            assert!(requests > CHANGES, "{kind:?}: {requests} requests are no load");
        }
        for origin in &origins {
            assert!(!origin.received().is_empty(), "every endpoint had its turn");
        }
    });
}
