//! What `src/dispatcher/sync.rs` has, with loom in control of who goes on when, and of what each thread sees of the others.

use std::future::poll_fn;
pub(crate) use std::sync::PoisonError;
use std::task::{Poll, Waker};

pub(crate) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
pub(crate) use loom::sync::{Mutex, MutexGuard};

/// As tokio's for one that waits: a wake-up that finds nobody waiting is kept, once. That tokio's keeps this promise is checked by
/// tokio, with loom as well.
pub(crate) struct Notify(Mutex<State>);

enum State {
    Nobody,
    Waits(Waker),
    Kept,
}

impl Notify {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State::Nobody))
    }

    pub(crate) fn notify_one(&self) {
        let before = std::mem::replace(&mut *self.lock(), State::Kept);
        if let State::Waits(waker) = before {
            waker.wake();
        }
    }

    pub(crate) async fn notified(&self) {
        poll_fn(|context| {
            let mut state = self.lock();
            let is_kept = matches!(*state, State::Kept);
            *state = if is_kept { State::Nobody } else { State::Waits(context.waker().clone()) };
            if is_kept { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
