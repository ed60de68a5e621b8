//! The store in this process: sharded tables of states, forgotten lazily, with a hard bound on keys.
//!
//! There is no timer a key. A state past its `reset_at` is as good as a new one, so it is dropped when its room is wanted: each
//! newcomer looks at a few places of its shard's table and clears what has expired.
//!
//! **At the bound** a key that is still limited is never forgotten in favour of a new one, since forgetting is admitting. When
//! nothing expired is found, newcomers of a shard share one state: together they stay within one limit, so none of them can
//! pass it, and memory does not grow. A key that finds room later starts from the shared state, not from nothing.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::{Answering, Request, Store, Verb};
use crate::algorithm::{Ask, Outcome, Policy, State};
use crate::clock::{Clock, Micros};

/// Many shards keep the pause short when one of the tables grows, and threads out of each other's way.
const MAX_SHARDS: usize = 64;

/// Places that each newcomer looks at for something expired: more than one, so that clearing outruns growing.
const SWEEP: usize = 4;

/// Places looked at when there must be room.
const SEARCH: usize = 64;

/// States of many keys, in this process.
pub struct Memory {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    clock: Arc<dyn Clock>,
    len: AtomicUsize,
    max_keys: usize,
    /// The shard in which room is looked for next, when the newcomer's own has none.
    next_search: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    table: HashTable<Entry>,
    /// The place of the table that the sweep looks at next.
    hand: usize,
    /// The state of all newcomers for whom there was no room, and when it expires.
    shared: Option<(Micros, State)>,
}

/// One line of the processor's cache, so that a look at it waits for memory once.
#[repr(align(64))]
struct Entry {
    /// Short keys stand in the table itself: no allocation, and no second place to look at.
    key: SmallVec<[u8; 16]>,
    expires_at: Micros,
    state: State,
}

impl Memory {
    /// An empty store for at most `max_keys` keys.
    pub fn new(max_keys: usize, clock: Arc<dyn Clock>) -> Self {
        let shards = (max_keys / 1_024).next_power_of_two().clamp(1, MAX_SHARDS);
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            clock,
            len: AtomicUsize::new(0),
            max_keys,
            next_search: AtomicUsize::new(0),
        }
    }

    /// Keys that have a state of their own, expired ones among them until their room is wanted.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether no key has a state.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Decides one key's call; an `ask` without cost changes nothing.
    pub fn decide(&self, policy: &Policy, key: &[u8], ask: Ask) -> Outcome {
        let hash = self.hash(key);
        let mut shard = self.shard(hash);
        shard.foresee(hash);
        // Read under the lock, so that time never runs backwards for a key.
        let now = self.clock.now();
        if let Some(entry) = shard.table.find_mut(hash, |entry| entry.key.as_slice() == key) {
            if ask.cost == 0 {
                return policy.step(&mut entry.state.clone(), now, ask);
            }
            let outcome = policy.step(&mut entry.state, now, ask);
            entry.expires_at = outcome.reset_at;
            return outcome;
        }
        self.decide_newcomer(&mut shard, policy, hash, key, now, ask)
    }

    #[cold]
    fn decide_newcomer(
        &self,
        shard: &mut Shard,
        policy: &Policy,
        hash: u64,
        key: &[u8],
        now: Micros,
        ask: Ask,
    ) -> Outcome {
        let mut state = match &shard.shared {
            Some((expires_at, state)) if *expires_at > now => state.clone(),
            _ => policy.fresh(),
        };
        let outcome = policy.step(&mut state, now, ask);
        if outcome.granted == 0 {
            return outcome;
        }
        let expires_at = outcome.reset_at;
        if self.make_room(shard, now) {
            let key = SmallVec::from_slice(key);
            let entry = Entry { key, expires_at, state };
            shard.table.insert_unique(hash, entry, |entry| self.hash(&entry.key));
        } else {
            shard.shared = Some((expires_at, state));
        }
        outcome
    }

    /// Forgets `key`. Where newcomers share a state, theirs stays.
    pub fn reset(&self, key: &[u8]) {
        let hash = self.hash(key);
        if let Ok(entry) = self.shard(hash).table.find_entry(hash, |entry| entry.key.as_slice() == key) {
            entry.remove();
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Claims a place for one more key, after clearing something expired where that is needed.
    fn make_room(&self, shard: &mut Shard, now: Micros) -> bool {
        let cleared = shard.sweep(SWEEP, now);
        self.len.fetch_sub(cleared, Ordering::Relaxed);
        if self.claim() {
            return true;
        }
        let cleared = shard.sweep(SEARCH, now) + self.sweep_another(now);
        self.len.fetch_sub(cleared, Ordering::Relaxed);
        self.claim()
    }

    fn claim(&self) -> bool {
        let claimed = self.len.fetch_add(1, Ordering::Relaxed) < self.max_keys;
        if !claimed {
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
        claimed
    }

    /// Clears some of whichever shard's turn it is, unless somebody holds it: two that wait for each other would never end.
    fn sweep_another(&self, now: Micros) -> usize {
        let turn = self.next_search.fetch_add(1, Ordering::Relaxed) % self.shards.len();
        match self.shards[turn].try_lock() {
            Ok(mut shard) => shard.sweep(SEARCH, now),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().sweep(SEARCH, now),
            Err(TryLockError::WouldBlock) => 0,
        }
    }

    /// The bytes alone: a key is hashed by itself, so its length need not be hashed before it.
    fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        hasher.finish()
    }

    /// Locked by a standard mutex: it is held for one step and never across an await.
    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        // The table uses the lowest and the highest bits.
        let index = (hash >> 32) & (self.shards.len() as u64 - 1);
        let shard = &self.shards[index as usize];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    /// Has the entry fetched that is looked at next, while the clock is read, which takes about as long.
    fn foresee(&self, hash: u64) {
        self.table.find(hash, |entry| {
            prefetch(entry);
            true
        });
    }

    /// Looks at the next `places` of the table, clears what has expired, and answers how many keys that were.
    fn sweep(&mut self, places: usize, now: Micros) -> usize {
        let buckets = self.table.num_buckets();
        let mut cleared = 0;
        for _ in 0..places.min(buckets) {
            self.hand = (self.hand + 1) % buckets;
            if let Ok(entry) = self.table.get_bucket_entry(self.hand)
                && entry.get().expires_at <= now
            {
                entry.remove();
                cleared += 1;
            }
        }
        cleared
    }
}

impl Store for Arc<Memory> {
    fn decide(&self, policy: &Policy, batch: &mut dyn Iterator<Item = &Request>) -> Answering {
        let answers = batch
            .map(|request| match request.verb {
                Verb::Decide(ask) => Ok(Memory::decide(self, policy, request.key.as_bytes(), ask)),
                Verb::Reset => {
                    self.reset(request.key.as_bytes());
                    Ok(Outcome::forgotten(self.clock.now()))
                }
            })
            .collect();
        Box::pin(std::future::ready(Ok(answers)))
    }
}

/// Has the processor bring a place near without waiting for it. Does nothing where that takes more than one stable instruction.
fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 has the instruction, and it touches no memory as far as the program can see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
