//! Numbers with one writer.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Only rises. One core writes it, any thread reads it.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it. For its core only: two writers would lose counts.
    #[inline]
    pub fn add(&self, n: u64) {
        // Load and store instead of fetch_add: with one writer it is the same, without a locked instruction.
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Adds one.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// Its value.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Rises and falls. One core writes it, any thread reads it.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets it. For its core only.
    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// Adds one. For its core only.
    #[inline]
    pub fn increment(&self) {
        self.set(self.get().wrapping_add(1));
    }

    /// Takes one off; stays at zero. For its core only.
    #[inline]
    pub fn decrement(&self) {
        self.set(self.get().saturating_sub(1));
    }

    /// Its value.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
