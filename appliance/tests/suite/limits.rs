//! More clients than the process has descriptors for.

use crate::support::client::{self, Connection};
use crate::support::eventually;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{Ringress, on_each_driver};

const DESCRIPTORS: usize = 150;
/// More than there are descriptors, so that some cannot be accepted.
const CLIENTS: usize = 300;

#[test]
fn running_out_of_descriptors_ends_nothing_and_passes() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").prefix("a.test", "/", "origin").build());
        let few = format!("ulimit -n {DESCRIPTORS}; exec \"$0\" \"$@\"");
        let mut ringress =
            Ringress::on(driver).through(&["sh", "-c", &few]).manifest("all.json", file(objects)).start();
        // The system takes them all into its queue, whatever the process does.
        let clients: Vec<Connection> =
            (0..CLIENTS).map(|_| Connection::plain(ringress.http).expect("connect")).collect();
        drop(clients);
        eventually("it serves again", || {
            client::try_once(ringress.http, "GET", "a.test", "/").is_ok_and(|answer| answer.status == 200)
        });
        ringress.assert_alive();
    });
}
