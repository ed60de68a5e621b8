//! Units of hot keys that the store has leased to this process, which decides by them without asking.
//!
//! The store counts a leased unit from the moment it is taken, and as if it had been used at the last moment of its lease. So it does
//! not matter when within the lease it is used, and a lease ends here so long after its request was **sent**: before it does there.
//! What was not used is given back when the lease ends.
//!
//! Only a key that is asked for often is leased of, and as much as it has lately used in the length of a lease. The store gives
//! no more than a part of what is left, so near the limit every call is decided by itself, see
//! [`Policy::lease`](crate::algorithm::Policy::lease).
//!
//! A reset or a block makes void what is leased of a key: here at once, elsewhere by a message. Nothing of it is given back then,
//! since nothing of it is counted any more.

mod demand;
mod held;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hashbrown::HashTable;
use smallvec::smallvec;

use self::demand::Demand;
use self::held::{Grant, Held};
use crate::algorithm::{Ask, Lease, Outcome, Policy};
use crate::clock::Micros;
use crate::decision::Decision;
use crate::key::Key;
use crate::limits::{Limit, Limits};
use crate::store::{Request, Verb, When};

/// Keys that are leased of at a time. Those beyond are asked for call by call.
const MOST_KEYS: usize = 4_096;

/// Units that a key is asked for within a lease's length before it is leased of.
const HOT: u64 = 8;

/// What may be leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Units of one lease at most.
    pub max: u64,
    /// How long a lease lasts.
    pub ttl: Micros,
}

/// See the module.
pub struct Leases {
    terms: Terms,
    /// Keys that are held: most limiters have few hot keys, and then this is all that a call reads.
    len: AtomicUsize,
    hasher: RandomState,
    /// A standard mutex: it is held for a look at one key.
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    keys: HashTable<Held>,
    demand: Demand,
    /// When each of the keys is to be looked at again, by its hash.
    due: BinaryHeap<Reverse<(Instant, u64)>>,
}

/// A call that was decided by a lease.
#[derive(Debug)]
pub struct Taken {
    /// What it is told.
    pub decision: Decision,
    /// What is to be asked ahead, since there is not much left.
    pub ahead: Option<Lease>,
}

impl Leases {
    /// None yet.
    pub fn new(terms: Terms) -> Self {
        Self { terms, len: AtomicUsize::new(0), hasher: RandomState::new(), book: Mutex::default() }
    }

    /// Whether nothing is held.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    /// Decides a call by what is leased of its key, if there is enough. It never refuses one.
    pub fn take(&self, limit: &Limit, key: &[u8], ask: Ask, now: Instant) -> Option<Taken> {
        if ask.cost == 0 {
            return None;
        }
        let hash = self.hash(key);
        let mut book = self.book();
        let held = book.keys.find_mut(hash, |held| held.is_of(limit, key))?;
        let left = held.take(ask.cost, now)?;
        let ahead = held.wants_ahead(left).then(|| held.lease(0, self.terms, now));
        Some(Taken { decision: held.decision(ask.cost, left), ahead })
    }

    /// What is to be asked for together with a call that the store must decide; none where it is asked as any.
    pub fn wanted(&self, request: &Request, now: Instant) -> Option<Lease> {
        let (Verb::Decide(ask), When::Now) = (request.verb, request.when) else { return None };
        let (Some(limit), Some(key)) = (request.limits.only(), request.keys.first()) else { return None };
        // A limit that is tried must be asked about every call.
        if ask.cost == 0 || ask.least != ask.cost || limit.role.is_trial() {
            return None;
        }
        let key = limit.in_memory(key.as_bytes());
        let hash = self.hash(&key);
        let mut book = self.book();
        if let Some(held) = book.keys.find_mut(hash, |held| held.is_at(&key)) {
            return held.wants(&request.limits, ask.cost, now).then(|| held.lease(ask.cost, self.terms, now));
        }
        let demand = book.demand.count(hash, ask.cost, self.ttl(), now);
        if demand < HOT || book.keys.len() >= MOST_KEYS {
            return None;
        }
        let mut held = Held::new(&key, request, demand.min(self.terms.max), now);
        let lease = held.lease(ask.cost, self.terms, now);
        book.keys.insert_unique(hash, held, |held| self.hash(held.key()));
        self.len.store(book.keys.len(), Ordering::Relaxed);
        Some(lease)
    }

    /// The store has decided a call with a lease that was sent then. Answers what the call itself is told.
    pub fn granted(
        &self,
        request: &Request,
        lease: &Lease,
        outcome: Outcome,
        sent_at: Instant,
        now: Instant,
    ) -> Outcome {
        let units = outcome.granted.saturating_sub(lease.cost);
        let own = Outcome { granted: outcome.granted - units, remaining: outcome.remaining + units, ..outcome };
        let grant = Grant { units, ends: sent_at + self.ttl(), booked: outcome.booked };
        self.settled(request, now, |held| held.granted(grant, &outcome, sent_at, self.ttl(), now));
        own
    }

    /// It has not, or it is not known.
    pub fn failed(&self, request: &Request, now: Instant) {
        self.settled(request, now, |held| held.failed(self.ttl(), now));
    }

    fn settled(&self, request: &Request, now: Instant, settle: impl FnOnce(&mut Held)) {
        let (Some(limit), Some(key)) = (request.limits.only(), request.keys.first()) else { return };
        let key = limit.in_memory(key.as_bytes());
        let hash = self.hash(&key);
        let mut book = self.book();
        if let Some(held) = book.keys.find_mut(hash, |held| held.is_at(&key)) {
            settle(held);
            if let Some(due) = held.schedule(now + self.ttl()) {
                book.due.push(Reverse((due, hash)));
            }
        }
    }

    /// When a key is to be looked at.
    pub fn due(&self) -> Option<Instant> {
        if self.is_empty() {
            return None;
        }
        self.book().due.peek().map(|Reverse((at, _))| *at)
    }

    /// What is to be given back now, of leases that have ended. Keys that nobody has asked for in the meantime are let go.
    pub fn ended(&self, now: Instant) -> Vec<Request> {
        let mut requests = Vec::new();
        if self.is_empty() {
            return requests;
        }
        let mut book = self.book();
        let book = &mut *book;
        while let Some(Reverse((_, hash))) = book.due.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            book.due.pop();
            let Ok(mut entry) = book.keys.find_entry(hash, |held| held.is_due(now)) else { continue };
            let held = entry.get_mut();
            requests.extend(held.ended(now));
            match held.next_look(self.ttl(), now) {
                Some(at) => book.due.push(Reverse((at, hash))),
                None => drop(entry.remove()),
            }
        }
        self.len.store(book.keys.len(), Ordering::Relaxed);
        requests
    }

    /// What is to be given back since nothing more will be decided.
    pub fn close(&self) -> Vec<Request> {
        let mut book = self.book();
        let requests = book.keys.iter_mut().flat_map(Held::all).collect();
        *book = Book::default();
        self.len.store(0, Ordering::Relaxed);
        requests
    }

    /// What is to be given back since the limits have changed: everything that was leased under numbers that are not kept. What is
    /// still under way under those is given back when its lease ends.
    pub fn revoke(&self, is_kept: impl Fn(&Policy) -> bool) -> Vec<Request> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut book = self.book();
        let changed = book.keys.iter_mut().filter(|held| !held.policy().is_some_and(&is_kept));
        changed.flat_map(Held::all).collect()
    }

    /// The keys of a request are about to be forgotten or blocked, or have been: what is leased of them is void.
    pub fn void(&self, request: &Request, now: Instant) {
        let mut book = self.book();
        for (limit, key) in request.parts() {
            let key = limit.in_memory(key.as_bytes());
            if let Some(held) = book.keys.find_mut(self.hash(&key), |held| held.is_at(&key)) {
                held.void(now);
            }
        }
    }

    /// Somebody else has done so with the key of that name.
    pub fn heard(&self, name: &[u8], now: Instant) {
        if !self.is_empty() {
            self.book().keys.iter_mut().filter(|held| held.is_named(name)).for_each(|held| held.void(now));
        }
    }

    /// Keys of which there are units that may be used now, and how many those are.
    pub fn usable(&self, now: Instant) -> (usize, u64) {
        if self.is_empty() {
            return (0, 0);
        }
        let book = self.book();
        let each = book.keys.iter().map(|held| held.units(now)).filter(|units| *units > 0);
        each.fold((0, 0), |(keys, sum), units| (keys + 1, sum + units))
    }

    fn ttl(&self) -> Duration {
        self.terms.ttl.as_duration()
    }

    fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The request that gives units back.
fn give_back(limits: &Arc<Limits>, key: &Key, grant: &Grant) -> Request {
    let verb = Verb::GiveBack { units: grant.units, booked: grant.booked };
    Request { limits: limits.clone(), keys: smallvec![key.clone()], verb, when: When::Now }
}
