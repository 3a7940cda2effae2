//! What the tests need around the real binary: it, origins, clients, certificates and manifests. Standard threads and
//! blocking sockets only, so that a test does not share code with what it tests; the collector's gRPC alone is h2's.

// By path, as two test programs share these files.
#[path = "support/certificates.rs"]
pub(crate) mod certificates;
#[path = "support/client.rs"]
pub(crate) mod client;
#[path = "support/collector.rs"]
pub(crate) mod collector;
#[path = "support/frame_origin.rs"]
pub(crate) mod frame_origin;
#[path = "support/frames.rs"]
pub(crate) mod frames;
#[path = "support/hpack.rs"]
pub(crate) mod hpack;
#[path = "support/load.rs"]
pub(crate) mod load;
#[path = "support/manifests.rs"]
pub(crate) mod manifests;
#[path = "support/ocsp.rs"]
#[expect(dead_code, reason = "the unit tests of OCSP use all of it")]
pub(crate) mod ocsp;
#[path = "support/origin.rs"]
pub(crate) mod origin;
#[path = "support/process.rs"]
pub(crate) mod process;
#[path = "support/raw.rs"]
pub(crate) mod raw;
#[path = "support/services.rs"]
pub(crate) mod services;
#[path = "support/tunnel.rs"]
pub(crate) mod tunnel;
#[path = "support/web.rs"]
pub(crate) mod web;

use std::time::{Duration, Instant};

/// How long a test waits for what must happen soon; generous, as a loaded machine is no fault of the product.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Asks `condition` until it holds; fails the test with `what` when it does not within [`PATIENCE`].
pub(crate) fn eventually(what: &str, condition: impl FnMut() -> bool) {
    assert!(within(PATIENCE, condition), "not within {PATIENCE:?}: {what}");
}

/// Asks `condition` until it holds or `limit` is over; says whether it held.
pub(crate) fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}
