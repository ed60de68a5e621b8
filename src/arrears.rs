//! What the fallback has admitted in the store's place, and the store is yet to be told: otherwise a client could use its limit once
//! here and at once again there.
//!
//! A unit is noted only where its call was never sent, or was refused before anything was done: any other may have been counted. Only
//! what was admitted within the limit's last window is told, by a sliding counter of that window, and no more of it than the limit.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;
use hashbrown::hash_table::OccupiedEntry;
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
    /// What could not be told when it was its turn. It waits until all the others have had theirs: else those that can be told
    /// would wait behind it.
    put_back: HashTable<Owed>,
    /// What is being told.
    told: HashTable<Owed>,
    /// When it was full, and was tidied.
    tidied_at: Micros,
}

impl Table {
    /// What is owed by that key, and not being told.
    fn find(&mut self, hash: u64, is_own: impl Fn(&Owed) -> bool) -> Option<OccupiedEntry<'_, Owed>> {
        let half = if self.put_back.find(hash, &is_own).is_some() { &mut self.put_back } else { &mut self.owed };
        half.find_entry(hash, is_own).ok()
    }

    /// Whether there is a place for one more. Where there is none, those that owe nothing any more make some.
    fn has_room(&mut self, now: Micros) -> bool {
        let is_full = |table: &Self| table.owed.len() + table.put_back.len() >= MOST_KEYS;
        if is_full(self) && self.tidied_at + TIDIES_EACH <= now {
            self.tidied_at = now;
            self.owed.retain(|owed| owed.units_at(now) > 0);
            self.put_back.retain(|owed| owed.units_at(now) > 0);
        }
        !is_full(self)
    }
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
            let has_room = table.has_room(now);
            let owed = match table.find(hash, |owed| owed.is_of(limit, key)) {
                Some(entry) => entry.into_mut(),
                None if has_room => {
                    let (limits, key) = (request.limits.clone(), key.clone());
                    let owed = Owed { limits, index, key, units: Counters::default() };
                    table.owed.insert_unique(hash, owed, |owed| self.hash(&owed.key)).into_mut()
                }
                None => continue,
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
            if let Some(mut entry) = table.find(self.hash(key), |owed| owed.is_of(limit, key)) {
                counter(limit).refund(&mut entry.get_mut().units, now, units);
            }
        }
    }

    /// The keys of a request owe nothing, also where it turns out that they could not be told.
    pub fn forget(&self, request: &Request) {
        let mut table = self.table();
        for (limit, key) in request.parts() {
            let (hash, is_own) = (self.hash(key), |owed: &Owed| owed.is_of(limit, key));
            if let Some(entry) = table.find(hash, is_own) {
                entry.remove();
            }
            if let Ok(entry) = table.told.find_entry(hash, is_own) {
                entry.remove();
            }
        }
    }

    /// Takes what up to `most` keys owe, as requests that tell it. It is not told again, unless it is [put back](Self::put_back)
    /// before others are taken. There may be more, also where there is none.
    pub fn take(&self, most: usize) -> Vec<Request> {
        let now = self.clock.now();
        let mut table = self.table();
        let Table { owed, told, .. } = &mut *table;
        told.clear();
        let mut requests = Vec::new();
        for owed in owed.extract_if(|_| true).take(LOOKS) {
            if let Some(request) = owed.demand(now) {
                told.insert_unique(self.hash(&owed.key), owed, |owed| self.hash(&owed.key));
                requests.push(request);
            }
            if requests.len() == most {
                break;
            }
        }
        self.go_on(&mut table);
        requests
    }

    /// A request that was taken could not be told: it is owed as before.
    pub fn put_back(&self, request: &Request) {
        let now = self.clock.now();
        let mut table = self.table();
        for (limit, key) in request.parts() {
            let (hash, is_own) = (self.hash(key), |owed: &Owed| owed.is_of(limit, key));
            let Ok(entry) = table.told.find_entry(hash, is_own) else { continue };
            let (untold, _) = entry.remove();
            // It may owe more by now.
            if let Some(mut entry) = table.find(hash, is_own) {
                let units = &mut entry.get_mut().units;
                *units = counter(limit).sum(*units, untold.units, now);
            } else if table.has_room(now) {
                table.put_back.insert_unique(hash, untold, |owed| self.hash(&owed.key));
            }
        }
        self.go_on(&mut table);
    }

    /// Where a round is over, the next one begins with what could not be told in it. Room that nothing needs is given back.
    fn go_on(&self, table: &mut Table) {
        if table.owed.is_empty() {
            table.owed = std::mem::take(&mut table.put_back);
        }
        self.has_some.store(!table.owed.is_empty(), Ordering::Relaxed);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hash(&self, key: &Key) -> u64 {
        self.hasher.hash_one(key.as_bytes())
    }
}
