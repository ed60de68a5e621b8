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
mod overflow;
mod pace;
mod shard;

pub use bound::DEFAULT_BYTES;

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smallvec::{SmallVec, smallvec};

use self::bound::{Bound, growth};
use self::overflow::{Note, Overflow};
use self::shard::{Entry, Shard, heap_of};
use super::{Answering, Request, Store, Verb, When};
use crate::algorithm::{Ask, Change, Outcome, Policy, State};
use crate::clock::{Clock, Micros};
use crate::decision::Which;

/// Places that each newcomer looks at for something expired: more than one, so that clearing outruns growing.
const SWEEP: usize = 4;

/// Keys that may be demoted for one that is promoted, where each holds less than it needs.
const TRIES: usize = 4;

/// States of many keys, in this process.
pub struct Memory {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    clock: Arc<dyn Clock>,
    len: AtomicUsize,
    bound: Bound,
}

/// What a key without an entry is decided by.
struct Standing {
    state: State,
    place: Place,
}

/// Where a state goes that has changed.
enum Place {
    /// Back to the key's entry.
    Entry,
    /// Into the place that it was promised, with so many bytes beside it.
    Promised(usize),
    /// Nowhere: it was only looked at.
    None,
    /// Into the overflow, where it has so many units already and may have no more than so many besides.
    Overflow { note: Note, base: u64, room: u64 },
}

/// What is wanted for a key without an entry.
#[derive(Clone, Copy)]
enum Wish {
    /// To be told what would be.
    Look,
    /// A place for what such a call takes.
    Take(Ask),
    /// A place, whatever the bound is.
    Anyway,
}

impl Standing {
    /// Decides as the policy does, within the room that there is.
    fn step(&mut self, policy: &Policy, now: Micros, ask: Ask) -> Outcome {
        let Place::Overflow { room, .. } = self.place else { return policy.step(&mut self.state, now, ask) };
        let within = Ask { cost: ask.cost.min(room), ..ask };
        if ask.least <= room {
            let outcome = policy.step(&mut self.state, now, within);
            return Outcome { remaining: outcome.remaining.min(room - outcome.granted), ..outcome };
        }
        // There will be room when nothing counts any more, if not before.
        let look = policy.step(&mut self.state.clone(), now, Ask { cost: 0, least: 0 });
        let retry_after = (look.reset_at - now).max(policy.lasts(1));
        let remaining = look.remaining.min(room);
        Outcome { allowed: false, granted: 0, remaining, retry_after, delay: Micros::ZERO, ..look }
    }
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

    fn within(shards: usize, bound: Bound, clock: Arc<dyn Clock>) -> Self {
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            clock,
            len: AtomicUsize::new(0),
            bound,
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

    /// Bytes that are held as they are reckoned, and as they are counted one by one.
    #[cfg(test)]
    pub(crate) fn held(&self) -> (usize, usize) {
        let held = self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).held());
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
            let before = entry.state.heap();
            let outcome = policy.step(&mut entry.state, now, ask);
            entry.expires_at = outcome.reset_at;
            if entry.state.heap() != before {
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
        let wish = match verb {
            Verb::Decide(Ask { cost: 0, .. }) | Verb::Refund(_) | Verb::Unblock | Verb::Reset => Wish::Look,
            Verb::Decide(ask) => Wish::Take(ask),
            Verb::Reserve { cost, .. } => Wish::Take(Ask::all(cost)),
            Verb::Penalize(units) => Wish::Take(Ask { cost: units, least: 0 }),
            Verb::Block(_) => Wish::Anyway,
        };
        let mut standing = self.standing(&mut shard, policy, hash, key, present, wish);
        let when = match (verb, when) {
            // What is about the future begins now.
            (Verb::Reserve { .. } | Verb::Block(_) | Verb::Unblock, When::Dated(_)) => When::Now,
            (_, when) => when,
        };
        let now = moment(policy, &standing.state, when, present);
        let verb = match (verb, &standing.place) {
            // What is booked ahead cannot be noted.
            (Verb::Reserve { cost, .. }, Place::Overflow { .. }) => Verb::Decide(Ask::all(cost)),
            (Verb::Penalize(units), Place::Overflow { room, .. }) if units > *room => {
                let bytes =
                    self.promise(&mut shard, policy, key, true).expect("beyond the bound there is room for all");
                standing.place = Place::Promised(bytes);
                verb
            }
            (verb, _) => verb,
        };
        let state = &mut standing.state;
        let (outcome, changed) = match verb {
            Verb::Decide(ask) => {
                // A refusal is kept only where the clock jumped back: otherwise a call that is dated back still finds all there was.
                let jumped = now < policy.seen(state);
                let outcome = standing.step(policy, now, ask);
                (outcome, outcome.granted > 0 || (jumped && ask.cost > 0))
            }
            Verb::Reserve { cost, patience } => (policy.reserve(state, now, cost, patience), true),
            // Who gives back what is noted of several keys may give back another's.
            Verb::Refund(_) if matches!(&standing.place, Place::Overflow { note, .. } if note.is_common()) => {
                (policy.step(state, now, Ask::look(1)), false)
            }
            Verb::Refund(units) => {
                let before = policy.used(state, now);
                let outcome = policy.change(state, now, Change::Refund(units));
                if let Place::Overflow { note, .. } = &standing.place {
                    let keeps_time = before == note.units;
                    shard.note(|overflow| overflow.lower(note, hash, before.saturating_sub(units), keeps_time));
                }
                (outcome, matches!(standing.place, Place::Entry))
            }
            Verb::Penalize(units) => {
                let outcome = policy.change(state, now, Change::Penalize(units));
                // What it is noted with, where it is.
                (Outcome { granted: units, ..outcome }, true)
            }
            Verb::Block(length) => (policy.block(state, now, present + length), true),
            Verb::Unblock => (policy.unblock(state, now), matches!(standing.place, Place::Entry)),
            Verb::Reset => unreachable!("done above"),
        };
        if changed {
            self.keep(&mut shard, hash, key, present, &outcome, standing);
        } else {
            Self::release(&mut shard, &standing.place);
        }
        match verb {
            Verb::Penalize(_) => Outcome { granted: 0, ..outcome },
            _ => outcome,
        }
    }

    /// Takes from all keys of a request or from none.
    fn decide_together(&self, request: &Request, ask: Ask, which: Which) -> SmallVec<[Outcome; 1]> {
        struct Part<'a> {
            policy: &'a Policy,
            key: Cow<'a, [u8]>,
            hash: u64,
            standing: Standing,
            now: Micros,
            jumped: bool,
        }
        let keys = request.parts().map(|(limit, key)| {
            let key = limit.in_memory(key.as_bytes());
            (which(limit), self.hash(&key), key)
        });
        let keys: SmallVec<[_; 4]> = keys.collect();
        let mut shards = self.lock_all(keys.iter().map(|(_, hash, _)| self.shard_index(*hash)));
        let present = self.present(request.when);
        let wish = if ask.cost == 0 { Wish::Look } else { Wish::Take(ask) };
        let mut parts: SmallVec<[Part<'_>; 4]> = SmallVec::new();
        for (policy, hash, key) in keys {
            let shard = shards.of(self.shard_index(hash));
            let standing = self.standing(shard, policy, hash, &key, present, wish);
            let now = moment(policy, &standing.state, request.when, present);
            let jumped = now < policy.seen(&standing.state);
            parts.push(Part { policy, key, hash, standing, now, jumped });
        }
        let step = |part: &mut Part<'_>, ask| part.standing.step(part.policy, part.now, ask);
        let looks: SmallVec<[Outcome; 1]> = parts.iter_mut().map(|part| step(part, Ask::look(ask.least))).collect();
        let free = looks.iter().map(|outcome| outcome.remaining).min().unwrap_or(0);
        let granted = ask.cost.min(free);
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
        let take = |mut part: Part<'_>| {
            let outcome = step(&mut part, Ask::all(granted));
            let Part { key, hash, standing, .. } = part;
            self.keep(shards.of(self.shard_index(hash)), hash, &key, present, &outcome, standing);
            outcome
        };
        parts.into_iter().map(take).collect()
    }

    /// The store's own time of a request.
    fn present(&self, when: When) -> Micros {
        match when {
            When::Replayed(moment) => moment,
            When::Now | When::Dated(_) => self.clock.now(),
        }
    }

    /// What `key` is decided by: its own state, or a newcomer's.
    fn standing(
        &self,
        shard: &mut Shard,
        policy: &Policy,
        hash: u64,
        key: &[u8],
        present: Micros,
        wish: Wish,
    ) -> Standing {
        match shard.entry_mut(hash, key) {
            Some(entry) => Standing { state: entry.state.clone(), place: Place::Entry },
            None => self.newcomer(shard, policy, hash, key, present, wish),
        }
    }

    /// What a key without an entry is decided by: what was noted of it, and where its state will go.
    fn newcomer(&self, shard: &mut Shard, policy: &Policy, hash: u64, key: &[u8], now: Micros, wish: Wish) -> Standing {
        self.len.fetch_sub(shard.sweep(SWEEP, now), Ordering::Relaxed);
        let note = shard.overflow.as_mut().map(|overflow| overflow.look(policy, hash, now));
        let state = note.as_ref().map_or_else(|| policy.fresh(), |note| policy.spent(note.units, note.at));
        let units = note.as_ref().map_or(0, |note| note.units);
        // A window of its own must not begin before the one that has ended.
        let own = |state| if units > 0 && policy.begins_with_a_call() { policy.spent(units, now) } else { state };
        let place = match (wish, note) {
            (Wish::Look, None) => Place::None,
            (Wish::Look, Some(note)) => {
                // It may be that another would make room for it.
                let has_room = shard.has_room(self.bytes(policy, key), &self.bound);
                match self.noted(policy, &state, note, now) {
                    Place::Overflow { note, base, .. } if has_room => Place::Overflow { note, base, room: u64::MAX },
                    noted => noted,
                }
            }
            (Wish::Anyway, _) => {
                Place::Promised(self.promise(shard, policy, key, true).expect("beyond the bound there is room for all"))
            }
            (Wish::Take(ask), note) => match self.promise(shard, policy, key, false) {
                Some(bytes) => Place::Promised(bytes),
                None => {
                    let overflow = shard.overflow.get_or_insert_with(|| Box::new(Overflow::new(&self.bound, now)));
                    let note = note.unwrap_or_else(|| overflow.look(policy, hash, now));
                    let comes_again = note.is_own && note.units > 0;
                    let wants_place = comes_again || note.is_spilled() || note.units + ask.cost > note.room(0);
                    if wants_place
                        && policy.step(&mut state.clone(), now, Ask::look(ask.least)).allowed
                        && let Some(bytes) = self.promote(shard, policy, key, now, note.units + ask.cost)
                    {
                        return Standing { state: own(state), place: Place::Promised(bytes) };
                    }
                    self.noted(policy, &state, note, now)
                }
            },
        };
        let state = if matches!(place, Place::Promised(_)) { own(state) } else { state };
        Standing { state, place }
    }

    /// The place of a key that stays in the overflow.
    fn noted(&self, policy: &Policy, state: &State, note: Note, now: Micros) -> Place {
        let used = policy.used(state, now);
        let base = if note.is_common() { note.units } else { used };
        // Units of a burst are for those who have a state of their own.
        let room = note.room(base).min(policy.regular().saturating_sub(used));
        Place::Overflow { note, base, room }
    }

    /// Promises a place to a key that will have used so many units, in the place of one that can do without. Who comes for the
    /// second time only takes that of one who has not: or a flood of keys that come twice would take everybody's.
    fn promote(&self, shard: &mut Shard, policy: &Policy, key: &[u8], now: Micros, units: u64) -> Option<usize> {
        let bytes = self.bytes(policy, key);
        for _ in 0..TRIES {
            let wants_bytes = !shard.has_bytes(bytes + growth(policy), &self.bound);
            if !shard.demote(now, units > 2, wants_bytes, |entry| self.hash(&entry.key)) {
                return None;
            }
            self.len.fetch_sub(1, Ordering::Relaxed);
            if let Some(bytes) = self.promise(shard, policy, key, false) {
                return Some(bytes);
            }
        }
        None
    }

    /// Promises a place within the bound, or `anyway`; answers the bytes that are promised with it.
    fn promise(&self, shard: &mut Shard, policy: &Policy, key: &[u8], anyway: bool) -> Option<usize> {
        let bytes = self.bytes(policy, key);
        let promised = shard.promise(bytes, growth(policy), &self.bound, anyway, |entry| self.hash(&entry.key));
        promised.then_some(bytes)
    }

    /// What a key takes beside its place.
    fn bytes(&self, policy: &Policy, key: &[u8]) -> usize {
        heap_of(key) + policy.fresh().heap()
    }

    /// Keeps a state that has changed, wherever its key has a place.
    fn keep(&self, shard: &mut Shard, hash: u64, key: &[u8], now: Micros, outcome: &Outcome, standing: Standing) {
        let Standing { state, place } = standing;
        let expires_at = outcome.reset_at;
        let bytes = match place {
            Place::Entry => match shard.entry_mut(hash, key) {
                Some(entry) => {
                    let before = entry.state.heap();
                    (entry.state, entry.expires_at) = (state, expires_at);
                    shard.settle(hash, key, before, &self.bound);
                    return;
                }
                // Another key of the same request has taken its place.
                None => {
                    shard.promise(heap_of(key), 0, &self.bound, true, |entry| self.hash(&entry.key));
                    heap_of(key)
                }
            },
            Place::Promised(bytes) => bytes,
            Place::None => return,
            Place::Overflow { note, base, .. } => {
                shard.note(|overflow| overflow.write(&note, hash, base + outcome.granted));
                return;
            }
        };
        if expires_at <= now {
            shard.release(bytes);
            return;
        }
        let entry = Entry { key: SmallVec::from_slice(key), expires_at, state };
        shard.insert(hash, entry, bytes, &self.bound, |entry| self.hash(&entry.key));
        self.len.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives up the place that a key was promised, where it was.
    fn release(shard: &mut Shard, place: &Place) {
        if let Place::Promised(bytes) = place {
            shard.release(*bytes);
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

impl Store for Arc<Memory> {
    fn decide(&self, batch: &mut dyn Iterator<Item = &Request>) -> Answering {
        let answers = batch.flat_map(|request| self.answer(request, |limit| &limit.policy)).map(Ok).collect();
        Box::pin(std::future::ready(Ok(answers)))
    }
}
