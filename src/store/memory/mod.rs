//! The store in this process: sharded tables of states, forgotten lazily, within a hard bound on bytes.
//!
//! There is no timer a key. A state past its `reset_at` is as good as a new one, so it is dropped when its room is wanted: each
//! newcomer looks at a few places of its shard's table and clears what has expired.
//!
//! **At the bound** a key that still counts is never forgotten in favour of a new one, since forgetting is admitting. A newcomer
//! that finds no room is noted in the [overflow](overflow), by a fingerprint: so many units, the last of them then. Whoever
//! comes again is *promoted* to a state of its own, which starts from what was noted, and a key that can do without is *demoted*
//! in its place. So a flood of keys that come once stays among the fingerprints, and those that come again are decided exactly,
//! also while it lasts. What a key is decided by is only ever stricter than its own history: its units count as if all had been
//! used when the last of them was.
//!
//! Tables of buckets are not demoted: what is left of a bucket does not tell how many units that is. They need it least, since
//! a bucket that was used a little is soon as good as new.
//!
//! Who has no state of its own can use 15 units until those have come back, and waits for room with a call that costs more. Only
//! a block, and a penalty that cannot be noted, find room beyond the bound: an application asks for them by name.

mod bound;
mod bucket;
mod holds;
mod locked;
mod overflow;
mod pace;
mod shard;
mod standing;
mod verbs;

pub use bound::DEFAULT_BYTES;

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use smallvec::{SmallVec, smallvec};

use self::bound::Bound;
use self::shard::Shard;
use self::standing::{Standing, Wish};
use super::{Answering, Request, Store, Verb, When};
use crate::algorithm::{Ask, Outcome, Policy, State};
use crate::clock::{Clock, Micros};
use crate::decision::Which;
use crate::limits::Role;
use crate::newcomers::Newcomers;
use crate::trials;

/// States of many keys, in this process.
pub struct Memory {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    clock: Arc<dyn Clock>,
    len: AtomicUsize,
    bound: Bound,
    #[cfg(test)]
    is_predictable: bool,
}

impl Memory {
    /// An empty store for at most so many bytes.
    pub fn new(max_bytes: usize, clock: Arc<dyn Clock>) -> Self {
        let (shards, bound) = Bound::of(max_bytes);
        Self::within(shards, bound, clock)
    }

    /// An empty store in which at most so many keys have a state of their own. The others share so many buckets, where so many
    /// bits tell them apart.
    #[cfg(test)]
    pub(crate) fn tiny(places: usize, buckets: usize, bits: u32, clock: Arc<dyn Clock>) -> Self {
        let (_, bound) = Bound::of(DEFAULT_BYTES * 64);
        Self::within(1, Bound { places, buckets, marks: (1 << bits) - 1, ..bound }, clock)
    }

    /// What time it is here.
    pub(crate) fn now(&self) -> Micros {
        self.clock.now()
    }

    fn within(shards: usize, bound: Bound, clock: Arc<dyn Clock>) -> Self {
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            clock,
            len: AtomicUsize::new(0),
            bound,
            #[cfg(test)]
            is_predictable: false,
        }
    }

    /// The same where chance has no part in which keys are taken for one another: for tests that say what each is told.
    #[cfg(test)]
    pub(crate) fn predictable(self) -> Self {
        Self { is_predictable: true, ..self }
    }

    /// Keys that have a state of their own, expired ones among them until their room is wanted.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether no key has a state.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that are held, as they are reckoned. Each shard is held for a look at a few numbers.
    pub fn bytes(&self) -> usize {
        let bytes = |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).bytes();
        self.shards.iter().map(bytes).sum()
    }

    /// Bytes that are held as they are reckoned, and as they are counted one by one.
    #[cfg(test)]
    pub(crate) fn held(&self) -> (usize, usize) {
        let held = self.shards.iter().map(|shard| shard.lock().unwrap().held());
        held.fold((0, 0), |sum, shard| (sum.0 + shard.0, sum.1 + shard.1))
    }

    /// Whether no two of these keys are taken for one another.
    #[cfg(test)]
    pub(crate) fn tells_apart<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> bool {
        let marks: Vec<u32> = keys.map(|key| overflow::mark(self.hash(key), self.bound.marks)).collect();
        marks.iter().collect::<std::collections::HashSet<_>>().len() == marks.len()
    }

    /// Decides one key's call now; an `ask` without cost changes nothing. What most calls come down to.
    pub fn decide(&self, policy: &Policy, key: &[u8], ask: Ask) -> Outcome {
        let hash = self.hash(key);
        let mut shard = self.shard(hash);
        shard.foresee(hash);
        // Read under the lock, so that time never runs backwards for a key.
        let now = self.clock.now();
        if let Some(entry) = shard.entry_mut(hash, key) {
            if ask.cost == 0 {
                return policy.step(&mut entry.state.clone(), now, ask);
            }
            // Most states stand in their entry, and go on doing so: of the others it is reckoned what they take.
            let was_flat = entry.state.is_flat();
            let before = if was_flat { 0 } else { entry.state.heap() };
            let outcome = policy.step(&mut entry.state, now, ask);
            entry.expires_at = outcome.reset_at;
            if !(was_flat && entry.state.is_flat()) && entry.state.heap() != before {
                shard.settle(hash, key, before, &self.bound);
            }
            return outcome;
        }
        self.decide_newcomer(&mut shard, policy, hash, key, now, ask)
    }

    /// The same for a key without an entry.
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
        let wish = if ask.cost == 0 { Wish::Look } else { Wish::Take(ask) };
        let mut standing = self.newcomer(shard, policy, hash, key, now, wish);
        let outcome = standing.step(policy, now, ask);
        if outcome.granted > 0 {
            self.keep(shard, hash, key, now, &outcome, standing);
        } else {
            Self::release(shard, &standing.place);
        }
        outcome
    }

    /// Does what `request` asks under the policies that `which` tells, and answers for each of its keys.
    pub fn answer(&self, request: &Request, which: Which) -> SmallVec<[Outcome; 1]> {
        match (request.verb, request.when, request.limits.only(), request.keys.first()) {
            (Verb::Decide(ask), When::Now, Some(limit), Some(key)) if !limit.role.is_trial() => {
                smallvec![self.decide(which(limit), &limit.in_memory(key.as_bytes()), ask)]
            }
            (Verb::Decide(ask), ..) if request.limits.has_trials() => self.decide_and_try(request, ask, which),
            (Verb::Decide(ask), ..) if request.limits.only().is_none() => self.decide_together(request, ask, which),
            (Verb::Hold { units, ttl }, ..) => self.hold(request, units, ttl, which),
            (verb, when, ..) => {
                let parts = request.parts();
                parts.map(|(limit, key)| self.act(which(limit), &limit.in_memory(key.as_bytes()), verb, when)).collect()
            }
        }
    }

    /// Takes from all keys of a request or from none. Of a limit on new keys, which comes last, it takes what the others' keys tell.
    fn decide_together(&self, request: &Request, ask: Ask, which: Which) -> SmallVec<[Outcome; 1]> {
        struct Part<'a> {
            policy: &'a Policy,
            key: Cow<'a, [u8]>,
            hash: u64,
            standing: Standing,
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
            let counts_new = guarded && limit.role == Role::NewKeys;
            let own = if counts_new { Ask::all(newcomers.units()) } else { ask };
            let wish = if ask.cost == 0 || own.cost == 0 { Wish::Look } else { Wish::Take(own) };
            let mut standing = self.standing(shards.of(self.shard_index(hash)), policy, hash, &key, present, wish);
            let now = moment(policy, &standing.state, request.when, present);
            let jumped = now < policy.seen(&standing.state);
            let look = standing.step(policy, now, Ask::look(own.least));
            if counts_new {
                looks.push(newcomers.told(look));
            } else {
                newcomers.see(limit, look.reset_at <= now);
                granted = granted.min(look.remaining);
                looks.push(look);
            }
            parts.push(Part { policy, key, hash, standing, now, jumped, counts_new });
        }
        if granted == 0 || looks.iter().any(|outcome| !outcome.allowed) {
            for (Part { key, hash, standing, jumped, .. }, outcome) in parts.into_iter().zip(&looks) {
                let shard = shards.of(self.shard_index(hash));
                // As one key's refusal does, it keeps what a clock that jumped back has mended: waits go on from there.
                if jumped && ask.cost > 0 {
                    self.keep(shard, hash, &key, present, outcome, standing);
                } else {
                    Self::release(shard, &standing.place);
                }
            }
            return looks;
        }
        let take = |(part, look): (Part<'_>, Outcome)| {
            let Part { policy, key, hash, mut standing, now, counts_new, .. } = part;
            let shard = shards.of(self.shard_index(hash));
            let units = if counts_new { newcomers.units() } else { granted };
            if units == 0 {
                Self::release(shard, &standing.place);
                return look;
            }
            let outcome = standing.step(policy, now, Ask::all(units));
            self.keep(shard, hash, &key, present, &outcome, standing);
            outcome
        };
        parts.into_iter().zip(looks).map(take).collect()
    }

    /// Decides by the limits in force, then asks those that are tried. One after the other, since nothing that a limit is told here
    /// depends on what another has left.
    fn decide_and_try(&self, request: &Request, ask: Ask, which: Which) -> SmallVec<[Outcome; 1]> {
        let mut outcomes = request.in_force().map_or_else(SmallVec::new, |own| self.answer(&own, which));
        let count = outcomes.len();
        for (limit, key) in request.parts().skip(count) {
            let verb = Verb::Decide(trials::ask_of(limit, ask, &outcomes[..count]));
            outcomes.push(self.act(which(limit), &limit.in_memory(key.as_bytes()), verb, request.when));
        }
        outcomes
    }

    /// The store's own time of a request.
    fn present(&self, when: When) -> Micros {
        match when {
            When::Replayed(moment) => moment,
            When::Now | When::Dated(_) => self.clock.now(),
        }
    }

    /// Forgets `key`. What is counted of several keys stays.
    pub fn reset(&self, key: &[u8]) {
        let hash = self.hash(key);
        self.forget(&mut self.shard(hash), hash, key);
    }

    fn forget(&self, shard: &mut Shard, hash: u64, key: &[u8]) {
        if shard.remove(hash, key) {
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
        shard.note(|overflow| overflow.forget(hash));
    }

    /// The bytes alone: a key is hashed by itself, so its length need not be hashed before it.
    fn hash(&self, key: &[u8]) -> u64 {
        #[cfg(test)]
        if self.is_predictable {
            let mut hasher = std::hash::DefaultHasher::new();
            hasher.write(key);
            return hasher.finish();
        }
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        hasher.finish()
    }
}

/// When a request happens for a key, as [`When`] says.
pub(super) fn moment(policy: &Policy, state: &State, when: When, present: Micros) -> Micros {
    match when {
        When::Now => present,
        When::Dated(moment) => moment.max(policy.seen(state)).min(present),
        When::Replayed(moment) => moment.max(policy.seen(state)),
    }
}

impl Store for Arc<Memory> {
    fn decide(&self, batch: &mut dyn Iterator<Item = &Request>) -> Answering {
        let answers = batch.flat_map(|request| self.answer(request, |limit| &limit.policy)).map(Ok).collect();
        Box::pin(std::future::ready(Ok(answers)))
    }
}
