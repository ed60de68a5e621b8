//! A number that grows.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Written by one thread at a time, read by any. So adding is a load and a store: a locked instruction costs more than all else that is
/// counted of a call.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds so many.
    #[inline]
    pub fn add(&self, count: u64) {
        self.set(self.get().wrapping_add(count));
    }

    /// What it has come to.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    #[inline]
    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }
}
