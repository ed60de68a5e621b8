//! A runtime that somebody else's loop turns: it does what can be done, says when there is more, and never waits.

use std::cell::RefCell;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::socket::Source;
use super::timers::{Moment, Timers};

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Looks through the tasks that are ready, in a turn. What is left then has its turn when the loop has had its own.
const MOST_ROUNDS: usize = 64;

thread_local! {
    /// The runtime that this thread is turning.
    static CURRENT: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

/// Has the loop turn the runtime, soon. Rung on any thread, and never while a turn lasts.
pub trait Bell: Send + Sync + 'static {
    /// Rings it.
    fn ring(&self);
}

/// See the module.
pub struct Turned {
    shared: Arc<Shared>,
    waker: Waker,
    tasks: RefCell<FuturesUnordered<Work>>,
}

/// What came of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When the next is due at the latest.
    pub next: Option<Instant>,
    /// A moment has come that waits for the sockets to be looked at: all that are ready are to be told of it, and then it is to be
    /// turned and told that this was done.
    pub wants_look: bool,
    /// Not all was done that could be.
    pub is_busy: bool,
}

/// What is seen of it from within, and from other threads.
pub(super) struct Shared {
    incoming: Mutex<Vec<Work>>,
    timers: Mutex<Timers>,
    /// Sockets that are to be polled for something else than before.
    changed: Mutex<Vec<Arc<Source>>>,
    last_source: AtomicU64,
    /// Whether there may be something to do. Outside a turn it is only set together with the bell.
    woken: AtomicBool,
    turning: AtomicBool,
    /// Turns that have ended.
    turns: AtomicU64,
    /// Whoever would rather go on in the next turn.
    giving_way: Mutex<Vec<Waker>>,
    bell: Box<dyn Bell>,
}

/// The runtime whose turn it is on this thread.
pub(super) fn current() -> Option<Arc<Shared>> {
    // While a thread ends there is none.
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// While it exists whoever wakes need not ring: what turns looks by itself.
struct Turning<'a>(&'a AtomicBool);

impl<'a> Turning<'a> {
    fn new(flag: &'a AtomicBool) -> Self {
        flag.store(true, Ordering::SeqCst);
        Self(flag)
    }
}

impl Drop for Turning<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// While it exists its runtime is this thread's.
struct Entered {
    before: Option<Arc<Shared>>,
}

impl Entered {
    fn new(shared: &Arc<Shared>) -> Self {
        // While a thread ends nothing is current, and nothing is missed.
        Self { before: CURRENT.try_with(|current| current.replace(Some(shared.clone()))).ok().flatten() }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let _ = CURRENT.try_with(|current| current.replace(self.before.take()));
    }
}

impl Turned {
    /// A runtime without tasks.
    pub fn new(bell: impl Bell) -> Self {
        let shared = Arc::new(Shared {
            incoming: Mutex::default(),
            timers: Mutex::new(Timers::new()),
            changed: Mutex::default(),
            last_source: AtomicU64::new(0),
            woken: AtomicBool::new(false),
            turning: AtomicBool::new(false),
            turns: AtomicU64::new(0),
            giving_way: Mutex::default(),
            bell: Box::new(bell),
        });
        Self { waker: Waker::from(shared.clone()), shared, tasks: RefCell::default() }
    }

    /// Begins a task.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.shared.spawn(Box::pin(work));
    }

    /// Does what can be done. It is `now`, and `looked` says whether the sockets have been looked at since it was last asked for.
    pub fn turn(&self, now: Instant, looked: bool) -> Turn {
        let shared = &*self.shared;
        let turning = Turning::new(&shared.turning);
        let moment = shared.timers().begin(now, looked);
        self.run();
        if moment == Moment::Due {
            let due = shared.timers().pass(now);
            due.into_iter().for_each(Waker::wake);
            self.run();
        }
        shared.turns.fetch_add(1, Ordering::Relaxed);
        lock(&shared.giving_way).drain(..).for_each(Waker::wake);
        let next = shared.timers().next();
        let wants_look = moment == Moment::Held && next.is_some_and(|next| next <= now);
        // In this order: who wakes now either rings, or is seen here.
        drop(turning);
        Turn { next, wants_look, is_busy: self.is_woken() || !lock(&shared.incoming).is_empty() }
    }

    /// Whether something can be done.
    pub fn is_woken(&self) -> bool {
        self.shared.woken.load(Ordering::SeqCst)
    }

    /// Takes the sockets that are to be polled for something else than before, or no longer.
    pub fn changed(&self) -> Vec<Arc<Source>> {
        std::mem::take(&mut *lock(&self.shared.changed))
    }

    /// Drops all tasks where they stand.
    pub fn stop(&self) {
        let _entered = Entered::new(&self.shared);
        self.shared.turning.store(true, Ordering::SeqCst);
        drop(self.tasks.take());
        // What a task begins while it is dropped ends with it.
        let incoming = std::mem::take(&mut *lock(&self.shared.incoming));
        drop(incoming);
    }

    /// Runs tasks until none is ready, or the loop is to have its turn.
    fn run(&self) {
        let _entered = Entered::new(&self.shared);
        let mut tasks = self.tasks.borrow_mut();
        let mut context = Context::from_waker(&self.waker);
        for _ in 0..MOST_ROUNDS {
            self.shared.woken.store(false, Ordering::SeqCst);
            tasks.extend(lock(&self.shared.incoming).drain(..));
            // A task that panics is gone; it has told those who wait for it by being dropped.
            while let Ok(Poll::Ready(Some(()))) | Err(_) =
                catch_unwind(AssertUnwindSafe(|| tasks.poll_next_unpin(&mut context)))
            {}
            if !self.is_woken() && lock(&self.shared.incoming).is_empty() {
                break;
            }
        }
    }
}

impl Drop for Turned {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    pub(super) fn spawn(&self, work: Work) {
        lock(&self.incoming).push(work);
        self.notice();
    }

    pub(super) fn timers(&self) -> MutexGuard<'_, Timers> {
        lock(&self.timers)
    }

    pub(super) fn next_source(&self) -> u64 {
        self.last_source.fetch_add(1, Ordering::Relaxed)
    }

    /// The poll of this socket is to be looked at when the turn ends.
    pub(super) fn change(&self, source: Arc<Source>) {
        lock(&self.changed).push(source);
        self.notice();
    }

    /// Something is to be done that whoever turns sees by itself.
    fn notice(&self) {
        if !self.turning.load(Ordering::SeqCst) {
            self.wake_up();
        }
    }

    fn wake_up(&self) {
        if !self.woken.swap(true, Ordering::SeqCst) && !self.turning.load(Ordering::SeqCst) {
            self.bell.ring();
        }
    }

    /// Resolves in the next turn, whatever else wakes the task in this one.
    pub(super) async fn give_way(&self) {
        let turns = || self.turns.load(Ordering::Relaxed);
        let this = turns();
        poll_fn(|context| {
            if turns() != this {
                return Poll::Ready(());
            }
            lock(&self.giving_way).push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    pub(super) fn sleep_until(self: Arc<Self>, moment: Instant) -> Sleep {
        Sleep { shared: self, moment, place: None }
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_up();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_up();
    }
}

/// Resolves at its moment.
pub(super) struct Sleep {
    shared: Arc<Shared>,
    moment: Instant,
    place: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let place = {
            let mut timers = self.shared.timers();
            if self.moment <= timers.present() {
                return Poll::Ready(());
            }
            timers.wait(self.moment, self.place, context.waker())
        };
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.shared.timers().forget(self.moment, place);
        }
    }
}

/// A standard mutex: it is held for a step, and a panic leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
