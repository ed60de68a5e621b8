//! What a limiter counts of itself. Nothing here decides anything.
//!
//! Two threads count, that of the callers and the one on which the worker is, and each has [counters of its own](Tally): what is shown
//! is their sum. Of what most calls come down to, a key under the only limit, no more is counted than by whom it was decided and how;
//! what is told by limit is then the rest. Whom refusals are about is [looked at](sample) for one in a few, and kept in a
//! [sketch](top) of fixed size; no other refusal touches more than a counter.

mod counter;
mod histogram;
mod names;
mod sample;
mod state;
mod tally;
mod top;
mod whom;

pub use counter::Counter;
pub use histogram::Picture;
pub use state::{CircuitState, StoreState};
pub use tally::Count;
pub use top::Ranked;

use std::borrow::Cow;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use self::histogram::{BATCH, Histogram, LATENCY};
use self::names::{Names, Side};
use self::tally::Tally;
use self::top::Top;
use crate::decision::{Decision, Source};
use crate::limits::DEFAULT;
use crate::settings::Plan;
use crate::store::Request;

/// Keys that are shown of those that are refused most.
const SHOWN: usize = 20;

/// The counters of one limiter.
pub struct Metrics {
    here: Tally,
    there: Tally,
    /// By what is decided, and for which actions. Looked at where a limit has a name or a call an action, and written when limits are
    /// changed.
    names: RwLock<Names>,
    /// The field of every key that says whose it is.
    owner: Option<Arc<str>>,
    /// Held for one key, and by either thread for one refusal in many.
    denied: Mutex<Top>,
    latency: Histogram,
    batch_sizes: Histogram,
    batched_calls: Counter,
    circuit_opened: Counter,
    told: Counter,
    store: AtomicU8,
    circuit: AtomicU8,
}

/// The counters as one of the threads writes them.
#[derive(Clone, Copy)]
pub struct Counting<'a> {
    metrics: &'a Metrics,
    tally: &'a Tally,
    side: Side,
}

impl Metrics {
    /// Nothing yet, of a limiter that decides by `plan`.
    pub fn new(plan: &Plan) -> Self {
        Self {
            here: Tally::default(),
            there: Tally::default(),
            names: RwLock::new(Names::new(plan)),
            owner: plan.owner.clone(),
            denied: Mutex::default(),
            latency: Histogram::new(&LATENCY),
            batch_sizes: Histogram::new(&BATCH),
            batched_calls: Counter::default(),
            circuit_opened: Counter::default(),
            told: Counter::default(),
            store: AtomicU8::new(StoreState::None as u8),
            circuit: AtomicU8::new(CircuitState::None as u8),
        }
    }

    /// It decides by `plan` from now on. What was counted stays counted.
    pub fn name(&self, plan: &Plan) {
        self.names.write().unwrap_or_else(PoisonError::into_inner).add(plan);
    }

    fn names(&self) -> RwLockReadGuard<'_, Names> {
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the thread of the callers.
    #[inline]
    pub fn here(&self) -> Counting<'_> {
        Counting { metrics: self, tally: &self.here, side: Side::Here }
    }

    /// For that of the worker, who alone counts all that is not [of both](Counting).
    #[inline]
    pub fn there(&self) -> Counting<'_> {
        Counting { metrics: self, tally: &self.there, side: Side::There }
    }

    /// A batch of so many calls was sent.
    pub fn batch_sent(&self, calls: usize) {
        self.batch_sizes.record(calls as u64);
    }

    /// All of a batch was answered, so long after it was sent.
    pub fn batch_landed(&self, after: Duration) {
        self.latency.record(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX));
    }

    /// A batch came back in time for so many calls.
    pub fn batch_answered(&self, calls: usize) {
        self.batched_calls.add(calls as u64);
    }

    /// The circuit opened, and had not been.
    pub fn circuit_opened(&self) {
        self.circuit_opened.add(1);
    }

    /// The store was told what so many keys owed it.
    pub fn told(&self, keys: usize) {
        self.told.add(keys as u64);
    }

    /// The store's state has changed.
    pub fn set_store(&self, state: StoreState) {
        self.store.store(state as u8, Relaxed);
    }

    /// The store's state.
    pub fn store(&self) -> StoreState {
        StoreState::ALL[usize::from(self.store.load(Relaxed))]
    }

    /// Whether the store is asked has changed.
    pub fn set_circuit(&self, state: CircuitState) {
        self.circuit.store(state as u8, Relaxed);
    }

    /// Everything, as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let both = |of: fn(&Tally) -> u64| of(&self.here) + of(&self.there);
        // What is a part of a sum is read before it, so that it is not more.
        let settled = self.there.waits.get();
        let (limits, actions, trials) = self.names().counts();
        let by_source = Source::ALL.map(|source| self.tallies(|tally| tally.sources[source as usize].count()));
        let Count { allowed, denied } = by_source.into_iter().sum();
        // What a list decides is no limit's.
        let lists = by_source[Source::List as usize];
        let named: Count = limits.iter().map(|(_, count)| *count).sum::<Count>() + lists;
        let rest =
            Count { allowed: allowed.saturating_sub(named.allowed), denied: denied.saturating_sub(named.denied) };
        let limits = limits.into_iter().map(|(name, count)| {
            let count = if *name == *DEFAULT { count + rest } else { count };
            (name, count)
        });
        Snapshot {
            allowed,
            denied,
            by_source: by_source.map(|Count { allowed, denied }| allowed + denied),
            lists,
            limits: limits.collect(),
            actions,
            trials,
            top_denied: self.denied.lock().unwrap_or_else(PoisonError::into_inner).ranking(SHOWN),
            store_errors: both(|tally| tally.store_errors.get()),
            latency: self.latency.picture(),
            batch_sizes: self.batch_sizes.picture(),
            batched_calls: self.batched_calls.get(),
            circuit_opened: self.circuit_opened.get(),
            told: self.told.get(),
            pending: self.here.waits.get().saturating_sub(settled),
            store: self.store(),
            circuit: CircuitState::ALL[usize::from(self.circuit.load(Relaxed))],
        }
    }

    fn tallies(&self, of: impl Fn(&Tally) -> Count) -> Count {
        of(&self.here) + of(&self.there)
    }
}

impl Counting<'_> {
    /// A call was decided that is a key and nothing else, under the only limit.
    #[inline]
    pub fn decided_simply(self, key: &[u8], source: Source, allowed: bool) {
        if self.tally.add(source, allowed) {
            self.look(key);
        }
    }

    /// A decision was made.
    pub fn decided(self, request: &Request, decision: &Decision) {
        let looks = self.tally.add(decision.source, decision.allowed);
        let name = decision.named.as_ref().and_then(|named| named.each.get(named.decisive)).map(|(name, _)| name);
        let action = request.limits.action();
        if name.is_some() || action.is_some() {
            self.metrics.names().decided(self.side, name.map(|name| &**name), action, decision.allowed);
        }
        if let Some(named) = &decision.named
            && !named.tried.is_empty()
        {
            self.metrics.names().tried(self.side, &named.tried);
        }
        if looks {
            self.look(&self.whom(request));
        }
    }

    /// Somebody called who is on a list.
    pub fn listed(self, request: &Request, allowed: bool) {
        if self.tally.add(Source::List, allowed) {
            self.look(&self.whom(request));
        }
    }

    /// The store did not decide a call.
    pub fn store_failed(self) {
        self.tally.store_errors.add(1);
    }

    /// A call waits for the store, or no longer does: the one is said here, the other there.
    pub fn waits(self) {
        self.tally.waits.add(1);
    }

    fn whom(self, request: &Request) -> Cow<'_, [u8]> {
        whom::of(request, self.metrics.owner.as_deref())
    }

    /// Looks at whom a refusal was about.
    #[cold]
    fn look(self, key: &[u8]) {
        let weight = self.tally.sampler.weight();
        self.metrics.denied.lock().unwrap_or_else(PoisonError::into_inner).add(key, weight);
    }
}

/// How often a limit that is tried would have changed what a call was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disagreements {
    /// Not at all.
    pub agreed: u64,
    /// It was admitted, and would have been refused.
    pub would_deny: u64,
    /// It was refused, and would have been admitted.
    pub would_allow: u64,
}

/// The counters at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Calls admitted.
    pub allowed: u64,
    /// Calls refused.
    pub denied: u64,
    /// Decisions in the order of [`Source::ALL`].
    pub by_source: [u64; Source::ALL.len()],
    /// Those of lists, on which the keys were.
    pub lists: Count,
    /// By the limit that decided.
    pub limits: Vec<(Arc<str>, Count)>,
    /// By the action, of calls that name one.
    pub actions: Vec<(Arc<str>, Count)>,
    /// By the limit that is tried, what it would have changed.
    pub trials: Vec<(Arc<str>, Disagreements)>,
    /// The keys that were refused most, as far as is known.
    pub top_denied: Vec<Ranked>,
    /// Calls that the store did not decide.
    pub store_errors: u64,
    /// How long batches took that were answered, in milliseconds.
    pub latency: Picture,
    /// How many calls were in each batch that was sent.
    pub batch_sizes: Picture,
    /// Calls that the store decided in time.
    pub batched_calls: u64,
    /// How often the circuit opened.
    pub circuit_opened: u64,
    /// Keys of which the store was told what it had missed.
    pub told: u64,
    /// Calls waiting now.
    pub pending: u64,
    /// The store's state.
    pub store: StoreState,
    /// Whether it is asked.
    pub circuit: CircuitState,
}

impl Snapshot {
    /// Script calls sent.
    pub fn batches(&self) -> u64 {
        self.batch_sizes.count()
    }
}
