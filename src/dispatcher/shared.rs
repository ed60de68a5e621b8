//! What passes between callers and a worker: an inbox, a wake-up, and what callers may know without asking.
//!
//! Its locks and atomics are those of `sync`, so that `loom/`, which has others, can try every order of this very file.

use super::sync::{AtomicBool, AtomicUsize, Mutex, MutexGuard, Notify, Ordering, PoisonError};

/// What both ends see: messages `M`, and why the store is away, `E`.
pub(super) struct Shared<M, E> {
    /// A standard mutex: it is held for a push or a swap, never across an await.
    inbox: Mutex<Inbox<M>>,
    wake: Notify,
    /// Calls that are not yet sent to the store.
    waiting: AtomicUsize,
    max_pending: usize,
    /// Whether callers should not even ask, since the circuit is open; and why it is.
    down: AtomicBool,
    /// Whether one of them should all the same, since it is on trial.
    tries: AtomicBool,
    cause: Mutex<Option<E>>,
}

/// What callers have left for the worker.
struct Inbox<M> {
    messages: Vec<M>,
    /// With how many messages the worker wants to be woken. A wake-up costs more than a call, so while nothing can be sent the
    /// worker sleeps, and looks when a batch lands.
    wake_at: usize,
}

impl<M, E: Clone> Shared<M, E> {
    /// With at most `max_pending` calls that wait.
    pub(super) fn new(max_pending: usize) -> Self {
        Self {
            inbox: Mutex::new(Inbox { messages: Vec::new(), wake_at: 0 }),
            wake: Notify::new(),
            waiting: AtomicUsize::new(0),
            max_pending,
            down: AtomicBool::new(false),
            tries: AtomicBool::new(false),
            cause: Mutex::new(None),
        }
    }

    /// Whether the store is known not to answer.
    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Acquire)
    }

    /// Why it does not.
    pub(super) fn cause(&self) -> Option<E> {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether one more call may wait: as many as there is room for, one that tries while the store is away.
    pub(super) fn has_room(&self) -> bool {
        let most = if self.is_down() { usize::from(self.tries.load(Ordering::Relaxed)) } else { self.max_pending };
        self.waiting.load(Ordering::Relaxed) < most
    }

    /// Leaves a call, which waits from now on: it is counted before anybody can take it.
    pub(super) fn call(&self, message: M) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.post(message, false);
    }

    /// The worker has something of its own to send, which waits like a call.
    pub(super) fn adds(&self, calls: usize) {
        self.waiting.fetch_add(calls, Ordering::Relaxed);
    }

    /// Leaves what the worker is to look at in any case.
    pub(super) fn urge(&self, message: M) {
        self.post(message, true);
    }

    fn post(&self, message: M, urgent: bool) {
        if self.leave(message, urgent) {
            self.wake.notify_one();
        }
    }

    /// Puts a message into the inbox. Answers whether the worker is to be woken.
    fn leave(&self, message: M, urgent: bool) -> bool {
        let mut inbox = self.inbox();
        inbox.messages.push(message);
        let wake = urgent || inbox.messages.len() >= inbox.wake_at;
        if wake {
            // Once is enough: the worker says anew what it wants after it has looked.
            inbox.wake_at = usize::MAX;
        }
        wake
    }

    /// Exchanges the inbox for an empty `spare`, whose room is used again.
    pub(super) fn collect(&self, spare: &mut Vec<M>) {
        std::mem::swap(&mut self.inbox().messages, spare);
    }

    /// Has the worker woken by [`called`](Self::called) once there are `messages`. Answers whether there are already.
    pub(super) fn wake_at(&self, messages: usize) -> bool {
        let mut inbox = self.inbox();
        inbox.wake_at = messages;
        inbox.messages.len() >= messages
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox<M>> {
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
    pub(super) fn set_down(&self, cause: Option<E>) {
        let down = cause.is_some();
        self.tries.store(false, Ordering::Relaxed);
        *self.cause.lock().unwrap_or_else(PoisonError::into_inner) = cause;
        self.down.store(down, Ordering::Release);
    }

    /// Has one caller ask although the store is down, or nobody.
    pub(super) fn set_tries(&self, tries: bool) {
        self.tries.store(tries, Ordering::Relaxed);
    }
}

/// All that can happen between callers and a worker, one step after the other in every order: what is done under the mutex is
/// one step, and so is a wake-up, so there are no other orders than these.
#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Where the worker is in its turn.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Turn {
        Collects,
        SaysWhatItWants,
        Sleeps,
    }

    struct Scene {
        shared: Shared<(), ()>,
        turn: Turn,
        /// With how many messages the worker wants to be woken.
        wanted: usize,
        /// Of each caller whether it is urgent, and what it has done: nothing, left its message to be told of, or all.
        callers: Vec<(bool, Stage)>,
        urgent_unseen: usize,
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Stage {
        Begins,
        Wakes,
        Done,
    }

    impl Scene {
        fn new(wanted: usize, urgent: &[bool]) -> Self {
            let callers = urgent.iter().map(|urgent| (*urgent, Stage::Begins)).collect();
            Self { shared: Shared::new(9), turn: Turn::Collects, wanted, callers, urgent_unseen: 0 }
        }

        /// Has an actor do its next step: a caller, or the worker as the last of them. Answers whether it had one.
        fn advance(&mut self, actor: usize) -> bool {
            let Some((urgent, stage)) = self.callers.get_mut(actor) else {
                return self.work();
            };
            *stage = match stage {
                Stage::Begins => {
                    self.urgent_unseen += usize::from(*urgent);
                    let wakes = self.shared.leave((), *urgent);
                    if wakes { Stage::Wakes } else { Stage::Done }
                }
                Stage::Wakes => {
                    self.shared.wake.notify_one();
                    Stage::Done
                }
                Stage::Done => return false,
            };
            true
        }

        fn work(&mut self) -> bool {
            self.turn = match self.turn {
                Turn::Collects => {
                    self.shared.collect(&mut Vec::new());
                    self.urgent_unseen = 0;
                    Turn::SaysWhatItWants
                }
                Turn::SaysWhatItWants if self.shared.wake_at(self.wanted) => Turn::Collects,
                Turn::SaysWhatItWants => Turn::Sleeps,
                Turn::Sleeps => match pin!(self.shared.called()).poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(()) => Turn::Collects,
                    Poll::Pending => return false,
                },
            };
            true
        }
    }

    /// Tries every order that begins with `order`; answers how many there are.
    fn explore(wanted: usize, urgent: &[bool], order: &mut Vec<usize>) -> usize {
        let replay = |order: &[usize]| {
            let mut scene = Scene::new(wanted, urgent);
            (order.iter().all(|actor| scene.advance(*actor)), scene)
        };
        let mut orders = 0;
        for actor in 0..=urgent.len() {
            order.push(actor);
            if replay(order).0 {
                orders += explore(wanted, urgent, order);
            }
            order.pop();
        }
        if orders > 0 {
            return orders;
        }
        let (_, scene) = replay(order);
        let left = scene.shared.inbox().messages.len();
        assert_eq!(scene.turn, Turn::Sleeps, "{order:?}");
        assert!(left < wanted, "{left} messages, {wanted} were wanted, and nobody wakes the worker: {order:?}");
        assert_eq!(scene.urgent_unseen, 0, "something urgent was left to a worker that sleeps: {order:?}");
        1
    }

    /// A lost wake-up would leave calls to their deadlines, and `close()` for ever.
    #[test]
    fn in_no_order_is_a_wake_up_lost() {
        let mut orders = 0;
        for wanted in [1, 2, 3, usize::MAX] {
            for urgent in [[false; 3], [true, false, false], [true, true, false]] {
                orders += explore(wanted, &urgent, &mut Vec::new());
            }
        }
        assert!(orders > 10_000, "{orders} are too few to be all");
    }
}
