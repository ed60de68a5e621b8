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
    /// When it was full, and was tidied.
    tidied_at: Micros,
}

/// What one key under one limit owes.
struct Owed {
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
            if table.owed.len() >= MOST_KEYS && table.tidied_at + TIDIES_EACH <= now {
                table.tidied_at = now;
                table.owed.retain(|owed| owed.units_at(now) > 0);
            }
            let has_room = table.owed.len() < MOST_KEYS;
            let entry = table.owed.entry(hash, |owed| owed.is_of(limit, key), |owed| self.hash(&owed.key));
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
            if let Some(owed) = table.owed.find_mut(self.hash(key), |owed| owed.is_of(limit, key)) {
                counter(limit).refund(&mut owed.units, now, units);
            }
        }
    }

    /// The keys of a request owe nothing.
    pub fn forget(&self, request: &Request) {
        let mut table = self.table();
        for (limit, key) in request.parts() {
            if let Ok(entry) = table.owed.find_entry(self.hash(key), |owed| owed.is_of(limit, key)) {
                entry.remove();
            }
        }
    }

    /// Takes what up to `most` keys owe, as requests that tell it. It is not told again. There may be more, also where there is none.
    pub fn take(&self, most: usize) -> Vec<Request> {
        let now = self.clock.now();
        let mut table = self.table();
        let taken = table.owed.extract_if(|_| true).take(LOOKS);
        let requests = taken.filter_map(|owed| demand(owed, now)).take(most).collect();
        if table.owed.is_empty() {
            // Its room is given back, too.
            table.owed = HashTable::new();
            self.has_some.store(false, Ordering::Relaxed);
        }
        requests
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hash(&self, key: &Key) -> u64 {
        self.hasher.hash_one(key.as_bytes())
    }
}

/// What tells it, unless all of it is older than the window.
fn demand(owed: Owed, now: Micros) -> Option<Request> {
    let units = owed.units_at(now);
    let limit = owed.limit()?.clone();
    (units > 0).then(|| Request {
        limits: Arc::new(Limits::new([limit])),
        keys: smallvec![owed.key],
        verb: Verb::Penalize(units),
        when: When::Now,
    })
}
