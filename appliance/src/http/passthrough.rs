//! TLS that is the pods' own affair (reference 3.12): the bytes of a connection, both ways, from its first one on.

use std::rc::Rc;

use ringress_config::snapshot::{ClusterId, Timeouts};

use crate::error::Failure;
use crate::io::Socket;
use crate::limits::PASSTHROUGH_IDLE;
use crate::metrics::Refused;
use crate::relay::tunnel;
use crate::stream::Stream;
use crate::upstream::{self, Hint, Tried};
use crate::worker::Core;

/// Endpoints that are tried for one connection.
const TRIES_MAX: usize = 3;

/// Carries the connection to its end. `received` came from the client already.
pub(crate) async fn run(core: &Rc<Core>, socket: Socket, received: Vec<u8>, cluster: ClusterId) {
    let snapshot = core.pin();
    let Some(cluster) = snapshot.clusters.get(cluster) else { return core.metrics.refuse(Refused::NoBackend) };
    let (timeouts, mut tried) = (Timeouts::default(), Tried::default());
    for _ in 0..TRIES_MAX {
        let chosen = core.upstreams.borrow_mut().choose(core, cluster, &Hint::default(), &tried);
        let Some(lease) = chosen else { break };
        let address = lease.address();
        match upstream::dial(core, address, &timeouts).await {
            Ok(upstream) => {
                core.metrics.tls_passed_on.increment();
                lease.answered();
                socket.clear_deadline();
                let (client, upstream) = (Stream::Plain(socket), Stream::Plain(upstream));
                let sent = tunnel::run(core, client, upstream, Vec::new(), received, PASSTHROUGH_IDLE).await;
                return core.metrics.bytes_sent.add(sent.down);
            }
            Err(error) => {
                tracing::debug!(upstream = %cluster.name, %address, %error, "TLS cannot be passed on");
                lease.failed(core, &Failure::Connect(error));
                tried.add(address);
            }
        }
    }
    core.metrics.refuse(Refused::NoBackend);
}
