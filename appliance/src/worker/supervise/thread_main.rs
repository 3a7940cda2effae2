//! The life of one worker thread: pin, wait for a snapshot, accept, serve, drain.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::{End, Order, Seat};
use crate::accept::{self, Acceptor};
use crate::io::{self, Listener, Stopper};
use crate::worker::Core;
use crate::worker::flag::{Flag, flag};

/// Time between looks at what has no event of its own: counters to hand over, pooled connections that aged.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// Time between looks for the first snapshot and, while draining, for the last connection.
const POLL: Duration = Duration::from_millis(10);

/// Starts the thread. How it ends is sent to `ends`.
pub(super) fn spawn(seat: Arc<Seat>, ends: Sender<(usize, End)>) -> std::io::Result<()> {
    std::thread::Builder::new().name(format!("worker-{}", seat.index)).spawn(move || {
        let end = match catch_unwind(AssertUnwindSafe(|| run(&seat))) {
            Ok(Ok(())) => End::Drained,
            Ok(Err(error)) => {
                tracing::error!(worker = seat.index, %error, "a worker ended by an error");
                End::Died
            }
            Err(_) => End::Died,
        };
        // The supervisor outlives every worker but at the end of the process.
        let _ = ends.send((seat.index, end));
    })?;
    Ok(())
}

fn run(seat: &Arc<Seat>) -> std::io::Result<()> {
    seat.settings.placement.apply(seat.index)?;
    let seat = Arc::clone(seat);
    io::run(seat.settings.driver, move || async move { serve(&seat).await })?
}

async fn serve(seat: &Seat) -> std::io::Result<()> {
    let metrics = seat.settings.metrics.core(seat.index);
    let Some(snapshot) = first_snapshot(seat, &metrics).await else { return Ok(()) };
    let generation = snapshot.generation;
    let core = Core::new(seat.index, metrics, seat.tls.clone(), seat.retired.clone(), snapshot)
        .map_err(std::io::Error::other)?;
    io::spawn(Rc::clone(&core.timers).run());
    io::spawn(housekeeping(Rc::clone(&core)));

    let stopper = Stopper::default();
    for group in &*seat.groups {
        let listener = Listener::new(group.lend(seat.index)?, &stopper)?;
        let acceptor = Acceptor { core: Rc::clone(&core), kind: group.kind, peers: Arc::clone(&seat.peers) };
        io::spawn(accept::accept_loop(listener, acceptor));
    }
    seat.inlet.acknowledge(&core, generation);

    let (drain, drained) = flag();
    let woken = on_wake(seat, &core, drain);
    let wake = seat.wake.try_clone()?;
    io::spawn(async move {
        // Ends only when the pair breaks, which it does not while the supervisor lives.
        if let Err(error) = wake.run(woken).await {
            tracing::error!(%error, "wake-ups are lost");
        }
    });
    drained.await;
    stopper.stop();
    core.drain();
    while core.metrics.connections.get() > 0 {
        io::sleep(POLL).await;
    }
    core.metrics.tick();
    Ok(())
}

/// The snapshot to start from: the published one, or the first that comes. `None` when the drain comes first.
async fn first_snapshot(
    seat: &Seat,
    metrics: &crate::metrics::CoreMetrics,
) -> Option<Arc<ringress_config::snapshot::Snapshot>> {
    loop {
        metrics.tick();
        if let Some(snapshot) = seat.inlet.newest().or_else(|| seat.current.load_full()) {
            return Some(snapshot);
        }
        if seat.orders.try_recv() == Ok(Order::Drain) {
            return None;
        }
        io::sleep(POLL).await;
    }
}

/// What a wake-up means: a snapshot, a handed-over connection or an order.
fn on_wake(seat: &Seat, core: &Rc<Core>, drain: Flag) -> impl FnMut() + 'static {
    let (inlet, handed, orders) = (seat.inlet.clone(), seat.handed.clone(), seat.orders.clone());
    let core = Rc::clone(core);
    move || {
        inlet.adopt(&core);
        for socket in handed.try_iter() {
            accept::take_over(&core, socket);
        }
        if orders.try_iter().any(|order| order == Order::Drain) {
            drain.raise();
        }
    }
}

async fn housekeeping(core: Rc<Core>) {
    loop {
        io::sleep(HOUSEKEEPING).await;
        core.refresh_date();
        core.upstreams.borrow_mut().sweep(&core);
        core.metrics.tick();
    }
}
