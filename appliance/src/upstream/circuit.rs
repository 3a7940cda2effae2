//! How much of a cluster a core takes at most (`ringress.io/max-requests` and its kind): what is beyond is refused at
//! once, so that a slow Service holds neither the descriptors nor the memory of others.
//!
//! The limits are meant for the process. Each core keeps an equal share of them, rounded up, without a word to the
//! others: connections are spread evenly (`accept`), and a counter that all cores write would be paid by every request.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::rc::Rc;

use ringress_config::snapshot::CircuitLimits;

use super::member::Shared;
use crate::error::Failure;
use crate::metrics::Counter;
use crate::worker::Core;

/// The limits of a cluster on one core, and what counts against them.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    pub(super) limits: Cell<CircuitLimits>,
    /// Requests that were given an endpoint and are not over.
    pub(super) in_flight: Cell<u32>,
    /// Of these, those that wait for a connection to be opened.
    waiting: Cell<u32>,
    /// Connections, kept ones among them. Those that requests share (HTTP/2) are not counted.
    open: Cell<u32>,
}

impl Circuit {
    /// Under these limits.
    pub(super) fn new(limits: CircuitLimits) -> Self {
        Self { limits: Cell::new(limits), ..Self::default() }
    }

    /// A request was given an endpoint: whether it may go on.
    #[inline]
    pub(super) fn admit(&self, core: &Core) -> Result<(), Failure> {
        match self.limits.get().requests_max {
            None => Ok(()),
            Some(max) => within(self.in_flight.get() <= share(core, max), &core.metrics.overflow_requests),
        }
    }

    /// Whether one more connection may be opened.
    pub(super) fn has_room(&self, core: &Core) -> bool {
        self.limits.get().connections_max.is_none_or(|max| self.open.get() < share(core, max))
    }
}

/// A request that waits for its connection to be opened.
pub(super) struct Waiting(Rc<Shared>);

impl Waiting {
    /// # Errors
    /// When as many wait as may.
    pub(super) fn begin(cluster: &Rc<Shared>, core: &Core) -> Result<Self, Failure> {
        let circuit = &cluster.circuit;
        if let Some(max) = circuit.limits.get().pending_max {
            within(circuit.waiting.get() < share(core, max), &core.metrics.overflow_pending)?;
        }
        circuit.waiting.set(circuit.waiting.get() + 1);
        Ok(Self(Rc::clone(cluster)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let waiting = &self.0.circuit.waiting;
        waiting.set(waiting.get() - 1);
    }
}

/// Counts a connection as long as it is there.
pub(crate) struct Opened(Rc<Shared>);

impl Opened {
    /// # Errors
    /// When there are as many as may be.
    pub(super) fn begin(cluster: &Rc<Shared>, core: &Core) -> Result<Self, Failure> {
        let circuit = &cluster.circuit;
        within(circuit.has_room(core), &core.metrics.overflow_connections)?;
        circuit.open.set(circuit.open.get() + 1);
        Ok(Self(Rc::clone(cluster)))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let open = &self.0.circuit.open;
        open.set(open.get() - 1);
    }
}

fn within(fits: bool, refused: &Counter) -> Result<(), Failure> {
    if fits {
        return Ok(());
    }
    refused.increment();
    Err(Failure::Overloaded)
}

fn share(core: &Core, max: NonZeroU32) -> u32 {
    max.get().div_ceil(core.cores.max(1))
}
