//! What a limiter counts of itself. Counters only ever grow; nothing here decides anything.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::decision::{Decision, Source};

/// How a limiter's store is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum StoreState {
    /// There is none but this process's memory.
    None,
    /// It has not answered yet.
    Connecting,
    /// It answers.
    Up,
    /// It does not.
    Down,
}

impl StoreState {
    /// The name in `stats()`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Connecting => "connecting",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// The counters of one limiter.
#[derive(Default)]
pub struct Metrics {
    /// By [`Source`], then refused and allowed.
    decisions: [[AtomicU64; 2]; Source::ALL.len()],
    store_errors: AtomicU64,
    batches: AtomicU64,
    batched_calls: AtomicU64,
    circuit_opened: AtomicU64,
    told: AtomicU64,
    pending: AtomicUsize,
    store: AtomicU8,
}

impl Metrics {
    /// One decision was made.
    pub fn decided(&self, decision: &Decision) {
        self.decisions[decision.source as usize][usize::from(decision.allowed)].fetch_add(1, Relaxed);
    }

    /// The store did not decide a call.
    pub fn store_failed(&self) {
        self.store_errors.fetch_add(1, Relaxed);
    }

    /// A batch was sent.
    pub fn batch_sent(&self) {
        self.batches.fetch_add(1, Relaxed);
    }

    /// A batch came back in time for so many calls.
    pub fn batch_answered(&self, calls: usize) {
        self.batched_calls.fetch_add(calls as u64, Relaxed);
    }

    /// The circuit opened.
    pub fn circuit_opened(&self) {
        self.circuit_opened.fetch_add(1, Relaxed);
    }

    /// The store was told what so many keys owed it.
    pub fn told(&self, keys: usize) {
        self.told.fetch_add(keys as u64, Relaxed);
    }

    /// A call waits for the store.
    pub fn call_pends(&self) {
        self.pending.fetch_add(1, Relaxed);
    }

    /// It no longer does.
    pub fn call_settled(&self) {
        self.pending.fetch_sub(1, Relaxed);
    }

    /// The store's state has changed.
    pub fn set_store(&self, state: StoreState) {
        self.store.store(state as u8, Relaxed);
    }

    /// The store's state.
    pub fn store(&self) -> StoreState {
        match self.store.load(Relaxed) {
            1 => StoreState::Connecting,
            2 => StoreState::Up,
            3 => StoreState::Down,
            _ => StoreState::None,
        }
    }

    /// Everything, as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let count = |source: Source, allowed: usize| self.decisions[source as usize][allowed].load(Relaxed);
        let sum = |allowed| Source::ALL.iter().map(|source| count(*source, allowed)).sum();
        Snapshot {
            allowed: sum(1),
            denied: sum(0),
            by_source: Source::ALL.map(|source| count(source, 0) + count(source, 1)),
            store_errors: self.store_errors.load(Relaxed),
            batches: self.batches.load(Relaxed),
            batched_calls: self.batched_calls.load(Relaxed),
            circuit_opened: self.circuit_opened.load(Relaxed),
            told: self.told.load(Relaxed),
            pending: self.pending.load(Relaxed),
            store: self.store(),
        }
    }
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Calls admitted.
    pub allowed: u64,
    /// Calls refused.
    pub denied: u64,
    /// Decisions in the order of [`Source::ALL`].
    pub by_source: [u64; Source::ALL.len()],
    /// Calls that the store did not decide.
    pub store_errors: u64,
    /// Script calls sent.
    pub batches: u64,
    /// Calls that the store decided in time.
    pub batched_calls: u64,
    /// How often the circuit opened.
    pub circuit_opened: u64,
    /// Keys of which the store was told what it had missed.
    pub told: u64,
    /// Calls waiting now.
    pub pending: usize,
    /// The store's state.
    pub store: StoreState,
}
