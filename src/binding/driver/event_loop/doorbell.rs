//! What has the loop turn the runtime, whoever has something to do for it.

use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, PoisonError};

use super::libuv::{Handle, Libuv};
use super::on_idle;
use crate::runtime::Bell;

/// Rung when there is something to do.
pub(super) struct Doorbell {
    libuv: &'static Libuv,
    thread: usize,
    /// Handles that are open; none when they are about to be closed.
    handles: Mutex<Option<Handles>>,
}

struct Handles {
    idle: NonNull<Handle>,
    doorbell: NonNull<Handle>,
}

// SAFETY: the first is used on the loop's thread only, the second is for any, and neither once it is closed: see `ring`.
unsafe impl Send for Handles {}

impl Doorbell {
    /// For the loop of this thread, of which these handles are open.
    pub(super) fn new(libuv: &'static Libuv, idle: NonNull<Handle>, doorbell: NonNull<Handle>) -> Self {
        Self { libuv, thread: this_thread(), handles: Mutex::new(Some(Handles { idle, doorbell })) }
    }

    /// The handles are about to be closed: it rings no more.
    pub(super) fn unhang(&self) {
        *self.handles.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Bell for Arc<Doorbell> {
    fn ring(&self) {
        let handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(handles) = &*handles else { return };
        // SAFETY: handles that are in there are open, and they are taken out under the same lock before they are closed.
        unsafe {
            if self.thread == this_thread() {
                (self.libuv.idle_start)(handles.idle.as_ptr(), Some(on_idle));
            } else {
                (self.libuv.async_send)(handles.doorbell.as_ptr());
            }
        }
    }
}

/// What tells this thread from all others that live.
fn this_thread() -> usize {
    thread_local!(static PLACE: u8 = const { 0 });
    // A thread that ends turns nothing.
    PLACE.try_with(|place| ptr::from_ref(place).addr()).unwrap_or(0)
}
