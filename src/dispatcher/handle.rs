//! The callers' end of a dispatcher.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::message::{Call, Message, Ticket};
use crate::error::Error;

/// Sends calls to a worker. Dropping it lets the worker settle what it has, and end.
pub struct Handle(Arc<Shared>);

/// What both ends see.
pub(super) struct Shared {
    /// A standard mutex: it is held for a push or a swap, never across an await.
    inbox: Mutex<Inbox>,
    wake: Notify,
    /// Calls that are not yet sent to the store.
    waiting: AtomicUsize,
    max_pending: usize,
    /// Whether callers should not even ask, since the circuit is open; and why it is.
    down: AtomicBool,
    cause: Mutex<Option<Error>>,
}

/// What callers have left for the worker.
#[derive(Default)]
struct Inbox {
    messages: Vec<Message>,
    /// With how many messages the worker wants to be woken. A wake-up costs more than a call, so while nothing can be sent the
    /// worker sleeps, and looks when a batch lands.
    wake_at: usize,
}

impl Handle {
    /// A handle whose worker lets at most `max_pending` calls wait.
    pub(super) fn new(max_pending: usize) -> (Self, Arc<Shared>) {
        let shared = Arc::new(Shared {
            inbox: Mutex::default(),
            wake: Notify::new(),
            waiting: AtomicUsize::new(0),
            max_pending,
            down: AtomicBool::new(false),
            cause: Mutex::default(),
        });
        (Self(shared.clone()), shared)
    }

    /// Whether the store is known not to answer.
    pub fn is_down(&self) -> bool {
        self.0.down.load(Ordering::Acquire)
    }

    /// Why it does not.
    pub fn cause(&self) -> Option<Error> {
        self.0.cause.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether one more call may wait.
    pub fn has_room(&self) -> bool {
        self.0.waiting.load(Ordering::Relaxed) < self.0.max_pending
    }

    /// Sends a call; its ticket is settled whatever happens.
    pub fn send(&self, call: Call) {
        self.0.waiting.fetch_add(1, Ordering::Relaxed);
        self.0.post(Message::Call(call), false);
    }

    /// Settles `ticket` when the store answers, with an error at the deadline.
    pub fn ready(&self, ticket: Ticket, deadline: Instant) {
        self.0.post(Message::Ready { ticket, deadline }, true);
    }

    /// Settles what waits, then `ticket`.
    pub fn close(&self, ticket: Ticket) {
        self.0.post(Message::Close { ticket: Some(ticket) }, true);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.post(Message::Close { ticket: None }, true);
    }
}

impl Shared {
    fn post(&self, message: Message, urgent: bool) {
        let wake = {
            let mut inbox = self.inbox();
            inbox.messages.push(message);
            let wake = urgent || inbox.messages.len() >= inbox.wake_at;
            if wake {
                // Once is enough: the worker says anew what it wants after it has looked.
                inbox.wake_at = usize::MAX;
            }
            wake
        };
        if wake {
            self.wake.notify_one();
        }
    }

    /// Exchanges the inbox for an empty `spare`, whose room is used again.
    pub(super) fn collect(&self, spare: &mut Vec<Message>) {
        std::mem::swap(&mut self.inbox().messages, spare);
    }

    /// Has the worker woken by [`called`](Self::called) once there are `messages`. Answers whether there are already.
    pub(super) fn wake_at(&self, messages: usize) -> bool {
        let mut inbox = self.inbox();
        inbox.wake_at = messages;
        inbox.messages.len() >= messages
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn called(&self) {
        self.wake.notified().await;
    }

    /// So many calls no longer wait.
    pub(super) fn taken(&self, calls: usize) {
        self.waiting.fetch_sub(calls, Ordering::Relaxed);
    }

    /// Has callers decide without asking, for this reason, or ask again.
    pub(super) fn set_down(&self, cause: Option<Error>) {
        let down = cause.is_some();
        *self.cause.lock().unwrap_or_else(PoisonError::into_inner) = cause;
        self.down.store(down, Ordering::Release);
    }
}
