//! The life of one worker thread: pin, wait for a snapshot, accept, serve, drain.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::{Ended, Seat};
use crate::accept::{self, Acceptor, Service};
use crate::io::{self, Listener, Stopper, WakeReceiver};
use crate::worker::streams::Streams;
use crate::worker::{Core, End};

/// Time between looks at what has no event of its own: counters to hand over, pooled connections that aged.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// Time between looks for the first snapshot and, while draining, for the last connection.
const POLL: Duration = Duration::from_millis(10);
/// Milliseconds that tasks have to end before a dead worker's thread does.
const SETTLE_TURNS: u32 = 30;

/// Starts the thread. How it ends is sent to `ends`.
pub(super) fn spawn(seat: Arc<Seat>, ends: Sender<(usize, Ended)>) -> std::io::Result<()> {
    std::thread::Builder::new().name(format!("worker-{}", seat.index)).spawn(move || {
        let end = match catch_unwind(AssertUnwindSafe(|| run(&seat))) {
            Ok(Ok(())) => Ended::Drained,
            Ok(Err(error)) => {
                tracing::error!(worker = seat.index, %error, "a worker ended by an error");
                Ended::Died
            }
            Err(_) => Ended::Died,
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
    let sight = (metrics, seat.settings.access_log.clone());
    let shared = (seat.tls.clone(), Arc::clone(&seat.limits), seat.share);
    let core = Core::new(seat.index, sight, shared, seat.retired.clone(), snapshot).map_err(std::io::Error::other)?;
    core.spawn(Rc::clone(&core.timers).run());
    core.spawn(housekeeping(Rc::clone(&core)));

    let stopper = Stopper::default();
    let accepting = Rc::new(Cell::new(0));
    for group in &*seat.groups {
        let listener = Listener::new(group.lend(seat.index)?, &stopper)?;
        let acceptor = Acceptor {
            core: Rc::clone(&core),
            service: Service::Http { kind: group.kind, port: group.address.port() },
            peers: Arc::clone(&seat.peers),
        };
        let accepting = Rc::clone(&accepting);
        accepting.set(accepting.get() + 1);
        core.spawn(async move {
            accept::accept_loop(listener, acceptor).await;
            accepting.set(accepting.get() - 1);
        });
    }
    let streams = Streams::new(Arc::clone(&seat.streams), Arc::clone(&seat.peers));
    streams.follow(&core);
    seat.inlet.acknowledge(&core, generation);
    if seat.draining.load(Ordering::Acquire) {
        core.end(End::Drain);
    }
    // What was sent before this thread listened, to it or to the one that it replaces, has lost its wake-up.
    on_wake(seat, &core, &streams)();
    core.spawn(follow_wakes(seat.wake.try_clone()?, on_wake(seat, &core, &streams)));
    core.spawn(look_again(on_wake(seat, &core, &streams)));
    core.spawn(listen_again(Rc::clone(&core), Rc::clone(&streams)));
    let end = core.ended().await;
    // An accept that is pending when the ring goes away would take a client with it.
    stopper.stop();
    streams.stop();
    settle(|| accepting.get() == 0 && streams.stopped()).await;
    finish(&core, end).await
}

/// Ends the connections as the reason demands.
async fn finish(core: &Core, end: End) -> std::io::Result<()> {
    match end {
        End::Drain => {
            core.drain();
            while core.metrics.connections.get() > 0 {
                io::sleep(POLL).await;
            }
            core.access_log.hand_over(core);
            core.metrics.tick();
            Ok(())
        }
        End::Fault => {
            core.abort_all();
            settle(|| core.metrics.connections.get() == 0).await;
            core.access_log.hand_over(core);
            Err(std::io::Error::other("a task of the core panicked"))
        }
    }
}

/// Waits for tasks that were told to end; one that cannot is left behind.
async fn settle(settled: impl Fn() -> bool) {
    for _ in 0..SETTLE_TURNS {
        if settled() {
            return;
        }
        io::sleep(Duration::from_millis(1)).await;
    }
}

/// A dying ring can swallow a wake-up of its successor: whatever waits is found within a second all the same.
async fn look_again(mut on_wake: impl FnMut()) {
    loop {
        io::sleep(HOUSEKEEPING).await;
        on_wake();
    }
}

/// A port that could not be listened on may be free by now.
async fn listen_again(core: Rc<Core>, streams: Rc<Streams>) {
    loop {
        io::sleep(HOUSEKEEPING).await;
        if !core.is_faulty() {
            streams.follow(&core);
        }
    }
}

async fn follow_wakes(wake: WakeReceiver, on_wake: impl FnMut()) {
    // Ends only when the pair breaks, which it does not while the supervisor lives.
    if let Err(error) = wake.run(on_wake).await {
        tracing::error!(%error, "wake-ups are lost");
    }
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
        if seat.draining.load(Ordering::Acquire) {
            return None;
        }
        io::sleep(POLL).await;
    }
}

/// What a wake-up means: a snapshot, a handed-over connection or the drain.
fn on_wake(seat: &Seat, core: &Rc<Core>, streams: &Rc<Streams>) -> impl FnMut() + 'static {
    let (inlet, handed, draining) = (seat.inlet.clone(), seat.handed.clone(), Arc::clone(&seat.draining));
    let core = Rc::clone(core);
    let streams = Rc::clone(streams);
    move || {
        if core.is_faulty() {
            return; // What waits is for the replacement.
        }
        inlet.adopt(&core, &streams);
        for socket in handed.try_iter() {
            accept::take_over(&core, socket);
        }
        if draining.load(Ordering::Acquire) {
            core.end(End::Drain);
        }
    }
}

async fn housekeeping(core: Rc<Core>) {
    loop {
        io::sleep(HOUSEKEEPING).await;
        core.refresh_date();
        core.metrics.encoder_bytes.set(core.encoders.bytes() as u64);
        core.upstreams.borrow_mut().sweep(&core);
        core.sessions.sweep(core.timers.now_ms(), core.pin().settings.upstream.idle_timeout);
        core.metrics.tick();
    }
}
