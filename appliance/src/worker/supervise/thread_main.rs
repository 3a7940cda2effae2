//! The life of one worker thread: pin, wait for a snapshot, accept, serve, drain.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::{Ended, Leave, Seat};
use crate::accept;
use crate::io::{self, Wake, WakeReceiver};
use crate::limits::{REPLACED_IDLE, STOP_ACCEPTING};
use crate::upstream;
use crate::worker::doors::Doors;
use crate::worker::table::ListenTable;
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

async fn serve(seat: &Arc<Seat>) -> std::io::Result<()> {
    let metrics = seat.settings.metrics.core(seat.index);
    metrics.thread.set(rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs().into());
    let Some(snapshot) = first_snapshot(seat, &metrics).await else {
        seat.orders.stopped.fetch_add(1, Ordering::AcqRel);
        return Ok(());
    };
    let generation = snapshot.generation;
    let sight = (metrics, seat.settings.access_log.clone(), seat.settings.spans.core(seat.index));
    let shared = (seat.tls.clone(), seat.shared.clone(), seat.share);
    let core = Core::new((seat.index, seat.peers.len()), sight, shared, seat.retired.clone(), snapshot)
        .map_err(std::io::Error::other)?;
    core.spawn(Rc::clone(&core.timers).run());
    core.spawn(housekeeping(Rc::clone(&core)));
    core.spawn(upstream::check(Rc::clone(&core)));
    let (bell, rung) = Wake::pair()?;
    core.handshake_turns.ring(bell);
    let turns = Rc::clone(&core);
    core.spawn(follow_wakes(rung, move || turns.handshake_turns.call_next()));

    let doors = Doors::new(Arc::clone(&seat.table), Arc::clone(&seat.peers), seat.settings.gate.clone());
    doors.follow(&core);
    seat.inlet.acknowledge(&core, generation);
    // What was sent before this thread listened, to it or to the one that it replaces, has lost its wake-up.
    on_wake(seat, &core, &doors)();
    core.spawn(follow_wakes(seat.wake.try_clone()?, on_wake(seat, &core, &doors)));
    core.spawn(look_again(on_wake(seat, &core, &doors)));
    core.spawn(listen_again(Rc::clone(&core), Arc::clone(&seat.table), Rc::clone(&doors)));
    let end = core.ended().await;
    // An accept that is pending when the ring goes away would take a client with it.
    doors.stop();
    let closed = || doors.stopped();
    settle(closed).await;
    finish(seat, &core, end, closed).await
}

/// Ends the connections as the reason demands.
async fn finish(seat: &Seat, core: &Core, end: End, closed: impl Fn() -> bool) -> std::io::Result<()> {
    match end {
        End::Drain => drain(seat, core, closed, Duration::ZERO).await,
        End::Replaced => drain(seat, core, closed, REPLACED_IDLE).await,
        End::Fault => {
            core.abort_all();
            settle(|| core.metrics.connections.get() == 0).await;
            core.release_clients();
            core.access_log.hand_over(core);
            return Err(std::io::Error::other("a task of the core panicked"));
        }
    }
    core.access_log.hand_over(core);
    core.metrics.tick();
    Ok(())
}

/// Waits for the last connection; those that are idle end after `idle`, which bounds the answers of UDP services too.
async fn drain(seat: &Seat, core: &Core, closed: impl Fn() -> bool, idle: Duration) {
    let began = core.timers.now_ms();
    let passed = |time: Duration| u128::from(core.timers.now_ms() - began) >= time.as_millis();
    core.drain();
    let mut counted = false;
    loop {
        if !core.ends_idle() && passed(idle) {
            core.end_idle();
        }
        if !counted && closed() {
            counted = true;
            seat.orders.stopped.fetch_add(1, Ordering::AcqRel);
        }
        // What another core hands over is served here.
        let all_stopped = seat.orders.stopped.load(Ordering::Acquire) >= seat.peers.len() && seat.handed.is_empty();
        let answered = core.metrics.udp_open.get() == 0 || passed(idle);
        if core.metrics.connections.get() == 0 && answered && (all_stopped || passed(STOP_ACCEPTING)) {
            return;
        }
        io::sleep(POLL).await;
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

/// An address that could not be listened on may be free by now, and who waited where it ends may be served.
async fn listen_again(core: Rc<Core>, table: Arc<ListenTable>, doors: Rc<Doors>) {
    loop {
        io::sleep(HOUSEKEEPING).await;
        if !core.is_faulty() {
            table.close_left();
            doors.follow(&core);
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
        if seat.orders.leave().is_some() {
            return None;
        }
        io::sleep(POLL).await;
    }
}

/// What a wake-up means: a snapshot, a handed-over connection, the opening of the gate or the end.
fn on_wake(seat: &Arc<Seat>, core: &Rc<Core>, doors: &Rc<Doors>) -> impl FnMut() + 'static {
    let (seat, core, doors) = (Arc::clone(seat), Rc::clone(core), Rc::clone(doors));
    move || {
        if core.is_faulty() {
            return; // What waits is for the replacement.
        }
        seat.inlet.adopt(&core, &doors);
        for socket in seat.handed.try_iter() {
            accept::take_over(&core, socket);
        }
        if doors.should_begin() {
            doors.follow(&core);
        }
        match seat.orders.leave() {
            None => {}
            Some(Leave::Drain) => core.end(End::Drain),
            Some(Leave::Replaced) => core.end(End::Replaced),
        }
    }
}

async fn housekeeping(core: Rc<Core>) {
    loop {
        io::sleep(HOUSEKEEPING).await;
        core.refresh_date();
        core.trim();
        core.metrics.encoder_bytes.set(core.encoders.bytes() as u64);
        core.upstreams.borrow_mut().sweep(&core);
        core.sessions.sweep(core.timers.now_ms(), core.pin().settings.upstream.idle_timeout);
        core.metrics.tick();
    }
}
