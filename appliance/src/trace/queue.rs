//! The way of spans from the cores to the exporter: a queue for each core, and a bell that rings only for an exporter
//! that sleeps or a batch that is full.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::task::{Context, Poll};

use crossbeam_channel::{Receiver, Sender, unbounded};
use futures_util::task::AtomicWaker;
use ringress_config::snapshot::SpanExport;

use super::span::Span;

/// Both sides for a number of cores.
pub fn channel(cores: usize) -> (SpanOutlets, SpanInlet) {
    // Bounded by `otel-max-queuesize`, which may change, where spans are put in.
    let (senders, queues): (Vec<_>, Vec<_>) = (0..cores).map(|_| unbounded()).unzip();
    let bell = Arc::new(Bell::default());
    (SpanOutlets { senders: senders.into(), bell: Arc::clone(&bell) }, SpanInlet { queues, bell, next: 0 })
}

/// The cores' ends of the queues.
#[derive(Clone)]
pub struct SpanOutlets {
    senders: Arc<[Sender<Box<Span>>]>,
    bell: Arc<Bell>,
}

impl SpanOutlets {
    /// The end of one core. A thread that replaces a dead one goes on with the same queue.
    pub(crate) fn core(&self, index: usize) -> SpanOutlet {
        SpanOutlet { sender: self.senders[index].clone(), bell: Arc::clone(&self.bell) }
    }
}

/// One core's end; nobody else sends there.
pub(crate) struct SpanOutlet {
    sender: Sender<Box<Span>>,
    bell: Arc<Bell>,
}

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl SpanOutlet {
    /// Hands a span over; never waits.
    pub(crate) fn push(&self, span: Box<Span>, export: &SpanExport) -> Result<(), Full> {
        let waiting = self.sender.len();
        if waiting >= export.queue_max as usize || self.sender.send(span).is_err() {
            return Err(Full);
        }
        let is_batch = waiting + 1 == export.batch_max as usize;
        self.bell.ring(is_batch);
        Ok(())
    }
}

/// The exporter's end of all queues.
pub struct SpanInlet {
    queues: Vec<Receiver<Box<Span>>>,
    bell: Arc<Bell>,
    /// The queue that is taken from first: each one's turn comes.
    next: usize,
}

impl SpanInlet {
    pub(super) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Spans that wait.
    pub(super) fn waiting(&self) -> usize {
        self.queues.iter().map(Receiver::len).sum()
    }

    /// Takes `most` spans at most.
    #[expect(clippy::vec_box, reason = "a span moves from thread to thread as one pointer")]
    pub(super) fn take(&mut self, most: usize) -> Vec<Box<Span>> {
        let mut spans = Vec::new();
        for _ in 0..self.queues.len() {
            let queue = &self.queues[self.next % self.queues.len()];
            spans.extend(queue.try_iter().take(most - spans.len()));
            self.next = self.next.wrapping_add(1);
            if spans.len() == most {
                break;
            }
        }
        spans
    }
}

/// Wakes the exporter.
#[derive(Debug, Default)]
pub(super) struct Bell {
    waker: AtomicWaker,
    /// The exporter waits for the first span.
    asleep: AtomicBool,
    /// The process ends.
    ending: AtomicBool,
}

impl Bell {
    /// A span was handed over. Without this pair of fences (see [`Bell::poll_sleep`]) the span could be missed by an
    /// exporter that looks for one while it falls asleep.
    fn ring(&self, is_batch: bool) {
        fence(Ordering::SeqCst);
        let was_asleep = self.asleep.load(Ordering::Relaxed);
        if was_asleep {
            self.asleep.store(false, Ordering::Relaxed);
        }
        if was_asleep || is_batch {
            self.waker.wake();
        }
    }

    /// Ready when `is_due` is, which is looked at with each ring.
    pub(super) fn poll_sleep(&self, context: &Context<'_>, is_due: impl Fn() -> bool) -> Poll<()> {
        self.waker.register(context.waker());
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if is_due() || self.is_ending() {
            self.asleep.store(false, Ordering::Relaxed);
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Ready when `is_due` is, which is looked at when a batch is full.
    pub(super) fn poll_batch(&self, context: &Context<'_>, is_due: impl Fn() -> bool) -> Poll<()> {
        self.waker.register(context.waker());
        if is_due() || self.is_ending() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Ready when the process ends.
    pub(super) fn poll_end(&self, context: &Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        if self.is_ending() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// What waits is exported, then the exporter ends.
    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::task::noop_waker_ref;
    use ringress_config::snapshot::SpanProtocol;

    use super::*;

    fn export(queue_max: u32, batch_max: u32) -> SpanExport {
        SpanExport {
            host: "127.0.0.1".into(),
            port: 4317,
            protocol: SpanProtocol::Grpc,
            service: "a".into(),
            queue_max,
            delay: Duration::from_secs(5),
            batch_max,
        }
    }

    #[test]
    fn a_queue_that_is_full_takes_nothing_until_there_is_room() {
        let (outlets, mut inlet) = channel(2);
        let (one, other) = (outlets.core(0), outlets.core(1));
        let export = export(2, 2);
        let put = |outlet: &SpanOutlet| outlet.push(Box::new(Span::example()), &export);
        assert_eq!([put(&one), put(&one), put(&one)], [Ok(()), Ok(()), Err(Full)]);
        assert_eq!(put(&other), Ok(()), "each core has a queue of its own");
        assert_eq!((inlet.waiting(), inlet.take(2).len(), put(&one)), (3, 2, Ok(())));
        // A larger bound acts at once.
        let larger = self::export(100, 2);
        assert!((0..99).all(|_| one.push(Box::new(Span::example()), &larger).is_ok()));
        assert_eq!(inlet.take(1000).len(), 101);
    }

    #[test]
    fn who_sleeps_is_woken_by_the_first_span_and_who_gathers_by_a_full_batch() {
        let (outlets, inlet) = channel(1);
        let (outlet, export) = (outlets.core(0), export(10, 2));
        let context = Context::from_waker(noop_waker_ref());
        let bell = Arc::clone(inlet.bell());
        let is_asleep = || bell.asleep.load(Ordering::Relaxed);
        assert_eq!(bell.poll_sleep(&context, || inlet.waiting() > 0), Poll::Pending);
        assert!(is_asleep());
        outlet.push(Box::new(Span::example()), &export).unwrap();
        assert!(!is_asleep());
        assert_eq!(bell.poll_sleep(&context, || inlet.waiting() > 0), Poll::Ready(()));
        assert_eq!(bell.poll_batch(&context, || inlet.waiting() >= 2), Poll::Pending);
        outlet.push(Box::new(Span::example()), &export).unwrap();
        assert_eq!(bell.poll_batch(&context, || inlet.waiting() >= 2), Poll::Ready(()));
        bell.end();
        assert_eq!(bell.poll_sleep(&context, || false), Poll::Ready(()));
    }
}
