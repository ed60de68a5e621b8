//! The store in this process: sharded tables of states, forgotten lazily, with a hard bound on keys.
//!
//! There is no timer a key. A state past its `reset_at` is as good as a new one, so it is dropped when its room is wanted: each
//! newcomer looks at a few places of its shard's table and clears what has expired.
//!
//! **At the bound** a key that is still limited is never forgotten in favour of a new one, since forgetting is admitting. When
//! nothing expired is found, newcomers of a shard share one state: together they stay within one limit, so none of them can
//! pass it, and memory does not grow. A key that finds room later starts from the shared state, not from nothing. Only a block,
//! which an application asks for by name, finds room beyond the bound.

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use hashbrown::HashTable;
use smallvec::{SmallVec, smallvec};

use super::{Answering, Request, Store, Verb, When};
use crate::algorithm::{Ask, Change, Outcome, Policy, State};
use crate::clock::{Clock, Micros};
use crate::decision::Which;
use crate::limits::Role;
use crate::newcomers::Newcomers;

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

    /// Decides one key's call now; an `ask` without cost changes nothing. What most calls come down to.
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
        let mut state = shard.newcomer(policy, now);
        let outcome = policy.step(&mut state, now, ask);
        if outcome.granted > 0 {
            self.admit(&mut shard, hash, key, now, outcome.reset_at, state);
        }
        outcome
    }

    /// Does what `request` asks under the policies that `which` tells, and answers for each of its keys.
    pub fn answer(&self, request: &Request, which: Which) -> SmallVec<[Outcome; 1]> {
        match (request.verb, request.when, request.limits.only(), request.keys.first()) {
            (Verb::Decide(ask), When::Now, Some(limit), Some(key)) => {
                smallvec![self.decide(which(limit), &limit.in_memory(key.as_bytes()), ask)]
            }
            (Verb::Decide(ask), ..) if request.limits.only().is_none() => self.decide_together(request, ask, which),
            (verb, when, ..) => {
                let parts = request.parts();
                parts.map(|(limit, key)| self.act(which(limit), &limit.in_memory(key.as_bytes()), verb, when)).collect()
            }
        }
    }

    /// Does one thing with one key.
    fn act(&self, policy: &Policy, key: &[u8], verb: Verb, when: When) -> Outcome {
        let hash = self.hash(key);
        let mut shard = self.shard(hash);
        if verb == Verb::Reset {
            self.forget(&mut shard, hash, key);
            return Outcome::forgotten(self.clock.now());
        }
        let present = self.present(when);
        let mut state = shard.state(policy, hash, key, present);
        let when = match (verb, when) {
            // What is about the future begins now.
            (Verb::Reserve { .. } | Verb::Block(_) | Verb::Unblock, When::Dated(_)) => When::Now,
            (_, when) => when,
        };
        let now = moment(policy, &state, when, present);
        let (outcome, changed) = match verb {
            Verb::Decide(ask) => {
                // A refusal is kept only where the clock jumped back: otherwise a call that is dated back still finds all there was.
                let jumped = now < policy.seen(&state);
                let outcome = policy.step(&mut state, now, ask);
                (outcome, outcome.granted > 0 || (jumped && ask.cost > 0))
            }
            Verb::Reserve { cost, patience } => (policy.reserve(&mut state, now, cost, patience), true),
            Verb::Refund(units) => (policy.change(&mut state, now, Change::Refund(units)), true),
            Verb::Penalize(units) => (policy.change(&mut state, now, Change::Penalize(units)), true),
            Verb::Block(length) => (policy.block(&mut state, now, present + length), true),
            Verb::Unblock => (policy.unblock(&mut state, now), true),
            Verb::Reset => unreachable!("done above"),
        };
        if changed {
            self.put(&mut shard, hash, key, present, outcome.reset_at, state);
        }
        outcome
    }

    /// Takes from all keys of a request or from none. Of a limit on new keys, which comes last, it takes what the others' keys tell.
    fn decide_together(&self, request: &Request, ask: Ask, which: Which) -> SmallVec<[Outcome; 1]> {
        struct Part<'a> {
            policy: &'a Policy,
            key: Cow<'a, [u8]>,
            hash: u64,
            state: State,
            now: Micros,
            jumped: bool,
            counts_new: bool,
        }
        let keys = request.parts().map(|(limit, key)| {
            let key = limit.in_memory(key.as_bytes());
            (limit, self.hash(&key), key)
        });
        let keys: SmallVec<[_; 4]> = keys.collect();
        let mut shards = self.lock_all(keys.iter().map(|(_, hash, _)| self.shard_index(*hash)));
        let present = self.present(request.when);
        let mut parts: SmallVec<[Part<'_>; 4]> = SmallVec::new();
        let mut looks: SmallVec<[Outcome; 1]> = SmallVec::new();
        let (mut granted, mut newcomers) = (ask.cost, Newcomers::default());
        let guarded = request.limits.has_new_keys();
        for (limit, hash, key) in keys {
            let policy = which(limit);
            let mut state = shards.of(self.shard_index(hash)).state(policy, hash, &key, present);
            let now = moment(policy, &state, request.when, present);
            let jumped = now < policy.seen(&state);
            let counts_new = guarded && limit.role == Role::NewKeys;
            let least = if counts_new { newcomers.units() } else { ask.least };
            let look = policy.step(&mut state, now, Ask::look(least));
            if counts_new {
                looks.push(newcomers.told(look));
            } else {
                newcomers.see(limit, look.reset_at <= now);
                granted = granted.min(look.remaining);
                looks.push(look);
            }
            parts.push(Part { policy, key, hash, state, now, jumped, counts_new });
        }
        if granted == 0 || looks.iter().any(|outcome| !outcome.allowed) {
            // As one key's refusal does, it keeps what a clock that jumped back has mended: waits go on from there.
            for (part, outcome) in parts.into_iter().zip(&looks).filter(|(part, _)| part.jumped && ask.cost > 0) {
                let Part { key, hash, state, .. } = part;
                self.put(shards.of(self.shard_index(hash)), hash, &key, present, outcome.reset_at, state);
            }
            return looks;
        }
        let take = |(part, look): (Part<'_>, Outcome)| {
            let Part { policy, key, hash, mut state, now, counts_new, .. } = part;
            let units = if counts_new { newcomers.units() } else { granted };
            if units == 0 {
                return look;
            }
            let outcome = policy.step(&mut state, now, Ask::all(units));
            self.put(shards.of(self.shard_index(hash)), hash, &key, present, outcome.reset_at, state);
            outcome
        };
        parts.into_iter().zip(looks).map(take).collect()
    }

    /// The store's own time of a request.
    fn present(&self, when: When) -> Micros {
        match when {
            When::Replayed(moment) => moment,
            When::Now | When::Dated(_) => self.clock.now(),
        }
    }

    /// Keeps a state that has changed, wherever its key has a place.
    fn put(&self, shard: &mut Shard, hash: u64, key: &[u8], now: Micros, expires_at: Micros, state: State) {
        match shard.table.find_mut(hash, |entry| entry.key.as_slice() == key) {
            Some(entry) => (entry.state, entry.expires_at) = (state, expires_at),
            None if expires_at > now => self.admit(shard, hash, key, now, expires_at, state),
            None => {}
        }
    }

    /// Keeps the state of a key that has no place yet, beside the others or, without room, as the one that newcomers share.
    #[cold]
    fn admit(&self, shard: &mut Shard, hash: u64, key: &[u8], now: Micros, expires_at: Micros, state: State) {
        let mut has_room = self.make_room(shard, now);
        if !has_room && matches!(state, State::Blocked(_)) {
            // Somebody's own decision about one key, which newcomers must neither share nor lose.
            self.len.fetch_add(1, Ordering::Relaxed);
            has_room = true;
        }
        if has_room {
            let key = SmallVec::from_slice(key);
            let entry = Entry { key, expires_at, state };
            shard.table.insert_unique(hash, entry, |entry| self.hash(&entry.key));
        } else {
            shard.shared = Some((expires_at, state));
        }
    }

    /// Forgets `key`. Where newcomers share a state, theirs stays.
    pub fn reset(&self, key: &[u8]) {
        let hash = self.hash(key);
        self.forget(&mut self.shard(hash), hash, key);
    }

    fn forget(&self, shard: &mut Shard, hash: u64, key: &[u8]) {
        if let Ok(entry) = shard.table.find_entry(hash, |entry| entry.key.as_slice() == key) {
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

    fn shard_index(&self, hash: u64) -> usize {
        // The table uses the lowest and the highest bits.
        ((hash >> 32) & (self.shards.len() as u64 - 1)) as usize
    }

    /// Locked by a standard mutex: it is held for one step and never across an await.
    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        self.shards[self.shard_index(hash)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks several shards, in their own order: two that lock the same ones never wait for each other.
    fn lock_all(&self, indexes: impl Iterator<Item = usize>) -> Locked<'_> {
        let mut indexes: SmallVec<[usize; 4]> = indexes.collect();
        indexes.sort_unstable();
        indexes.dedup();
        let lock = |index: usize| (index, self.shards[index].lock().unwrap_or_else(PoisonError::into_inner));
        Locked(indexes.into_iter().map(lock).collect())
    }
}

/// Shards that are held together, by their index.
struct Locked<'a>(SmallVec<[(usize, MutexGuard<'a, Shard>); 4]>);

impl Locked<'_> {
    fn of(&mut self, index: usize) -> &mut Shard {
        let held = self.0.iter_mut().find(|(held, _)| *held == index);
        &mut held.expect("every shard that is used was locked").1
    }
}

/// When a request happens for a key, as [`When`] says.
fn moment(policy: &Policy, state: &State, when: When, present: Micros) -> Micros {
    match when {
        When::Now => present,
        When::Dated(moment) => moment.max(policy.seen(state)).min(present),
        When::Replayed(moment) => moment.max(policy.seen(state)),
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

    /// What `key` is decided by: its own state, or what newcomers start from.
    fn state(&self, policy: &Policy, hash: u64, key: &[u8], now: Micros) -> State {
        match self.table.find(hash, |entry| entry.key.as_slice() == key) {
            Some(entry) => entry.state.clone(),
            None => self.newcomer(policy, now),
        }
    }

    fn newcomer(&self, policy: &Policy, now: Micros) -> State {
        match &self.shared {
            Some((expires_at, state)) if *expires_at > now => state.clone(),
            _ => policy.fresh(),
        }
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
    fn decide(&self, batch: &mut dyn Iterator<Item = &Request>) -> Answering {
        let answers = batch.flat_map(|request| self.answer(request, |limit| &limit.policy)).map(Ok).collect();
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
