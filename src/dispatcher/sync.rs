//! The locks, atomics and wake-ups by which callers and a worker meet. `loom/` puts its own in their place.

pub(super) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
pub(super) use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) use tokio::sync::Notify;
