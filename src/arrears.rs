//! What the fallback has admitted in the store's place, and the store is yet to be told: otherwise a client could use its limit once
//! here and at once again there.
//!
//! A unit is noted only where its call was never sent: one that was may have been counted. Only what was admitted within the
//! limit's last window is told, by a sliding counter of that window, and no more of it than the limit.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use smallvec::smallvec;

use crate::algorithm::{Algorithm, Ask, Counters, SlidingCounter};
use crate::clock::{Clock, Micros};
use crate::key::Key;
use crate::limits::{Limit, Limits};
use crate::policy::MAX_UNITS;
use crate::store::{Request, Verb, When};

/// Keys of which it is known what they owe. Of those that come when there are as many nobody is told.
pub const MOST_KEYS: usize = 50_000;

/// When there are as many, those that owe nothing any more are looked for, no more often than this: all of them are looked at.
const TIDIES_EACH: Micros = Micros::from_millis(1_000);

/// Keys that are looked at in one go for those that still owe something.
const LOOKS: usize = 2_000;

/// See the module.
pub struct Arrears {
    clock: Arc<dyn Clock>,
    hasher: RandomState,
    /// A standard mutex: it is held for a look at one key, or at a few of them.
    table: Mutex<Table>,
    /// Whether there is any, for whoever looks often.
    has_some: AtomicBool,
}

#[derive(Default)]
struct Table {
    owed: HashTable<Owed>,
    /// What a part of the store is owed that could not be asked. It waits until all the others have been told: else those
    /// that can be told would wait behind it.
    put_back: HashTable<Owed>,
    /// When it was full, and was tidied.
    tidied_at: Micros,
}

impl Table {
    fn len(&self) -> usize {
        self.owed.len() + self.put_back.len()
    }

    /// The half of it where what is owed by that key is, if it is anywhere.
    fn half_of(&mut self, hash: u64, is_own: impl Fn(&Owed) -> bool) -> &mut HashTable<Owed> {
        if self.put_back.find(hash, is_own).is_some() { &mut self.put_back } else { &mut self.owed }
    }
}

/// What one key under one limit owes.
pub struct Owed {
    limits: Arc<Limits>,
    /// Which of the limits.
    index: usize,
    key: Key,
    units: Counters,
}

impl Owed {
    fn limit(&self) -> Option<&Limit> {
        self.limits.iter().nth(self.index)
    }

    /// How many units count at that moment, at most one limit of them.
    fn units_at(&self, now: Micros) -> u64 {
        self.limit().map_or(0, |limit| {
            let mut units = self.units;
            let left = counter(limit).step(&mut units, now, Ask::look(0)).remaining;
            (MAX_UNITS - left).min(limit.policy.capacity())
        })
    }

    fn is_of(&self, limit: &Limit, key: &Key) -> bool {
        self.key == *key && self.limit().is_some_and(|own| own.is_at_place_of(limit))
    }

    /// What tells it, unless all of it is older than the window.
    fn demand(&self, now: Micros) -> Option<Request> {
        let units = self.units_at(now);
        let limit = self.limit()?.clone();
        (units > 0).then(|| Request {
            limits: Arc::new(Limits::new([limit])),
            keys: smallvec![self.key.clone()],
            verb: Verb::Penalize(units),
            when: When::Now,
        })
    }
}

/// Counts without an end, over the window of a limit.
fn counter(limit: &Limit) -> SlidingCounter {
    SlidingCounter::new(MAX_UNITS, limit.policy.window())
}

impl Arrears {
    /// None yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, hasher: RandomState::new(), table: Mutex::default(), has_some: AtomicBool::new(false) }
    }

    /// Whether the store may have something to be told.
    pub fn has_some(&self) -> bool {
        self.has_some.load(Ordering::Relaxed)
    }

    /// So many units of the limit of each index were admitted by a call that the store was not sent. Of the one on new keys these are
    /// others than of the rest: the store is told of whom it did not know, and how many they were.
    pub fn note(&self, request: &Request, units: impl Fn(usize) -> u64) {
        let now = self.clock.now();
        let mut table = self.table();
        for (index, (limit, key)) in request.parts().enumerate() {
            let units = units(index);
            if units == 0 {
                continue;
            }
            let hash = self.hash(key);
            if table.len() >= MOST_KEYS && table.tidied_at + TIDIES_EACH <= now {
                table.tidied_at = now;
                table.owed.retain(|owed| owed.units_at(now) > 0);
                table.put_back.retain(|owed| owed.units_at(now) > 0);
            }
            let has_room = table.len() < MOST_KEYS;
            let is_own = |owed: &Owed| owed.is_of(limit, key);
            let entry = table.half_of(hash, is_own).entry(hash, is_own, |owed| self.hash(&owed.key));
            let owed = match entry {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(place) if has_room => {
                    let (limits, key) = (request.limits.clone(), key.clone());
                    place.insert(Owed { limits, index, key, units: Counters::default() }).into_mut()
                }
                Entry::Vacant(_) => continue,
            };
            // Its numbers may be others than before.
            (owed.limits, owed.index) = (request.limits.clone(), index);
            counter(limit).step(&mut owed.units, now, Ask { cost: units, least: 1 });
            self.has_some.store(true, Ordering::Relaxed);
        }
    }

    /// So many of them were given back.
    pub fn give_back(&self, request: &Request, units: u64) {
        let now = self.clock.now();
        let mut table = self.table();
        for (limit, key) in request.parts() {
            let (hash, is_own) = (self.hash(key), |owed: &Owed| owed.is_of(limit, key));
            if let Some(owed) = table.half_of(hash, is_own).find_mut(hash, is_own) {
                counter(limit).refund(&mut owed.units, now, units);
            }
        }
    }

    /// The keys of a request owe nothing.
    pub fn forget(&self, request: &Request) {
        let mut table = self.table();
        for (limit, key) in request.parts() {
            let (hash, is_own) = (self.hash(key), |owed: &Owed| owed.is_of(limit, key));
            if let Ok(entry) = table.half_of(hash, is_own).find_entry(hash, is_own) {
                entry.remove();
            }
        }
    }

    /// Takes what up to `most` keys owe, each with the request that tells it. There may be more, also where there is none.
    pub fn take(&self, most: usize) -> Vec<(Owed, Request)> {
        let now = self.clock.now();
        let mut table = self.table();
        if table.owed.is_empty() {
            table.owed = std::mem::take(&mut table.put_back);
        }
        let taken = table.owed.extract_if(|_| true).take(LOOKS);
        let demands = taken.filter_map(|owed| owed.demand(now).map(|request| (owed, request))).take(most).collect();
        if table.owed.is_empty() {
            // Its room is given back, too.
            table.owed = HashTable::new();
            self.has_some.store(!table.put_back.is_empty(), Ordering::Relaxed);
        }
        demands
    }

    /// What was taken and could not be told is owed as before.
    pub fn put_back(&self, taken: impl Iterator<Item = Owed>) {
        let now = self.clock.now();
        let mut table = self.table();
        for owed in taken {
            let Some(limit) = owed.limit() else { continue };
            let hash = self.hash(&owed.key);
            let is_own = |other: &Owed| other.is_of(limit, &owed.key);
            // It may owe more by now.
            if let Some(own) = table.half_of(hash, is_own).find_mut(hash, is_own) {
                own.units = counter(limit).sum(own.units, owed.units, now);
            } else if table.len() < MOST_KEYS {
                table.put_back.insert_unique(hash, owed, |owed| self.hash(&owed.key));
                self.has_some.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Whether all that is owed has been put back.
    pub fn has_tried_all(&self) -> bool {
        self.table().owed.is_empty()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hash(&self, key: &Key) -> u64 {
        self.hasher.hash_one(key.as_bytes())
    }
}
