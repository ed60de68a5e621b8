//! For tests: a process that is killed at a chosen write, as far as others can tell.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

/// How many writes are left to do.
pub(super) struct Mortality {
    left: AtomicI64,
    is_dead: AtomicBool,
}

impl Default for Mortality {
    fn default() -> Self {
        Self { left: AtomicI64::new(i64::MAX), is_dead: AtomicBool::new(false) }
    }
}

impl Mortality {
    /// Is killed at the write after so many others.
    pub(super) fn after(&self, writes: i64) {
        self.left.store(writes, Relaxed);
    }

    /// Whether it has been killed: then it does nothing any more, and unlocks nothing.
    pub(super) fn is_dead(&self) -> bool {
        self.is_dead.load(Relaxed)
    }

    fn is_last(&self) -> bool {
        self.left.fetch_sub(1, Relaxed) == 0
    }

    /// A word is written as a whole, or not at all.
    pub(super) fn before_word(&self) {
        if self.is_last() {
            self.die();
        }
    }

    /// What is written of some bytes by whoever is killed meanwhile.
    pub(super) fn before_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        if self.is_last() {
            self.is_dead.store(true, Relaxed);
            return &bytes[..bytes.len() / 2];
        }
        bytes
    }

    pub(super) fn after_bytes(&self) {
        if self.is_dead() {
            self.die();
        }
    }

    fn die(&self) {
        self.is_dead.store(true, Relaxed);
        // Nobody is to print what is meant to happen.
        std::panic::resume_unwind(Box::new("killed"));
    }
}
