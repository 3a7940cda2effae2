//! Whether clients may be taken yet: a process that was started by an upgrade waits until its predecessor lets go, so
//! that it can fail without losing any.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Opened once. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    /// A gate that is open, or that waits for [`Gate::open`].
    pub fn new(is_open: bool) -> Self {
        Self(Arc::new(AtomicBool::new(is_open)))
    }

    /// Lets clients in from now on.
    pub(crate) fn open(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether clients are let in.
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
