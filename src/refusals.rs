//! Keys that are known to be refused, so that the store need not be asked again.
//!
//! A refusal holds until so much time has passed as the store said, counted from when it was asked: before that moment nobody can
//! take as many units of the key, unless somebody gives some back or forgets the key. Where this limiter does so the refusal is
//! forgotten at once. Where another does, a message says so, unless the key had a unit left, which refuses none but costly calls;
//! and every refusal ends after a time that is set, which is the longest that a call can be refused falsely.
//!
//! A refusal may arrive after the change that ended it, since the two travel apart. So a change is remembered too, and what was
//! asked before it is not believed. Both stand in one table of bounded size, whose older half is thrown away when the younger one
//! is full: a key that is thrown away is asked for again.

use std::collections::HashMap;
use std::hash::RandomState;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::algorithm::{Ask, Outcome, Policy};
use crate::clock::Micros;
use crate::decision::{Decision, Source};
use crate::key::Key;
use crate::limits::{Limit, Limits};
use crate::store::{Request, Verb, When};

/// The bytes that one half of the table may take.
const HALF: usize = 1 << 20;

/// What an entry takes beside its name, and beside what each of several limits said: with the room that a table leaves empty.
const ENTRY: usize = 2 * size_of::<(Box<[u8]>, Entry)>() + 32;
const EACH: usize = size_of::<(Arc<str>, Decision)>() + size_of::<Policy>();

/// See the module.
pub struct Refusals {
    longest: Duration,
    /// Whether those of several limits are kept, too.
    keeps_several: bool,
    /// Whether there may be one that still holds. Most limiters refuse nobody for most of the time, and then this is all they read.
    holds: AtomicBool,
    known: Mutex<Known>,
}

struct Known {
    young: Half,
    old: Half,
    /// When the young half was begun.
    since: Instant,
    /// What was asked up to then is not believed: the changes that would speak against it were thrown away, or never heard of.
    believed_from: Option<Instant>,
    /// When the last of the refusals ends.
    ends: Instant,
    /// Room for a name.
    name: Vec<u8>,
}

#[derive(Default)]
struct Half {
    entries: HashMap<Box<[u8]>, Entry, RandomState>,
    bytes: usize,
    /// The last of its changes.
    changed: Option<Instant>,
}

enum Entry {
    Refused(Box<Refusal>),
    /// Somebody has changed the key, or may have.
    Changed(Instant),
}

struct Refusal {
    policies: SmallVec<[Policy; 1]>,
    /// The units without which the call was refused.
    least: u64,
    asked_at: Instant,
    ends_at: Instant,
    /// As it was told, and when.
    decision: Decision,
    told_at: Instant,
}

impl Refusals {
    /// Each known for `longest` at most. Those of several limits are not kept where
    /// limits that lie apart may refuse for a moment what they would not refuse together.
    pub fn new(longest: Micros, keeps_several: bool) -> Self {
        let now = Instant::now();
        Self {
            longest: longest.as_duration(),
            keeps_several,
            holds: AtomicBool::new(false),
            known: Mutex::new(Known {
                young: Half::default(),
                old: Half::default(),
                since: now,
                believed_from: None,
                ends: now,
                name: Vec::new(),
            }),
        }
    }

    /// Whether there is none: nothing that is asked would be found.
    #[inline]
    pub fn is_empty(&self) -> bool {
        !self.holds.load(Ordering::Acquire)
    }

    /// What a request asks, if a refusal of it could be kept.
    fn ask(&self, request: &Request) -> Option<Ask> {
        let limits = &request.limits;
        match request.verb {
            // Who is new can only be looked up, and what has happened at another time is another's question.
            // A limit that is tried must be asked about every call.
            Verb::Decide(ask) if request.when == When::Now && !limits.has_new_keys() && !limits.has_trials() => {
                Some(ask).filter(|ask| ask.cost > 0 && (self.keeps_several || limits.len() == 1))
            }
            Verb::Lease(lease) => Some(Ask::all(lease.cost)).filter(|ask| ask.cost > 0),
            _ => None,
        }
    }

    /// The refusal of a request, if one is known that still holds. `is_exact` wants one whose times are those of this very
    /// request; otherwise one of fewer units will do.
    pub fn find(&self, request: &Request, is_exact: bool, now: Instant) -> Option<Decision> {
        let keys = request.keys.iter().map(Key::as_bytes);
        self.find_ask(&request.limits, keys, self.ask(request)?, is_exact, now)
    }

    /// The same for a decision at the present under these limits on these keys.
    pub fn find_ask<'a>(
        &self,
        limits: &Limits,
        keys: impl Iterator<Item = &'a [u8]> + Clone,
        ask: Ask,
        is_exact: bool,
        now: Instant,
    ) -> Option<Decision> {
        if ask.cost == 0 {
            return None;
        }
        let mut known = self.known();
        if now >= known.ends {
            self.holds.store(false, Ordering::Release);
            return None;
        }
        let name = known.name_of(limits, keys.clone());
        let found = known.refusal(&name).filter(|refusal| {
            let fits = if is_exact { ask.least == refusal.least } else { ask.least >= refusal.least };
            fits && now < refusal.ends_at && refusal.is_under(limits)
        });
        let found = found.filter(|refusal| !known.is_doubted(limits, keys, refusal.asked_at));
        let decision = found.map(|refusal| refusal.told(now));
        known.name = name;
        decision
    }

    /// Remembers what the store has said to a request that was sent then, if it is a refusal that will hold.
    pub fn learn(&self, request: &Request, outcomes: &[Outcome], decision: &Decision, asked_at: Instant, now: Instant) {
        let Some(ask) = self.ask(request) else { return };
        let refused = outcomes.iter().filter(|outcome| !outcome.allowed);
        let wait = refused.map(|refused| refused.retry_after.as_duration()).max().unwrap_or_default();
        let ends_at = asked_at + wait.min(self.longest);
        if ends_at <= now {
            return;
        }
        let limits = &request.limits;
        let keys = request.keys.iter().map(Key::as_bytes);
        let mut known = self.known();
        let name = known.name_of(limits, keys.clone());
        let is_known_better = known.entry(&name).is_some_and(|entry| match entry {
            Entry::Changed(at) => asked_at <= *at,
            // One of fewer units refuses more calls.
            Entry::Refused(refusal) => {
                asked_at < refusal.asked_at
                    || (refusal.least < ask.least
                        && now < refusal.ends_at
                        && refusal.is_under(limits)
                        && !known.is_doubted(limits, keys.clone(), refusal.asked_at))
            }
        });
        if !is_known_better && !known.is_doubted(limits, keys, asked_at) {
            let refusal = Refusal {
                policies: policies(limits).copied().collect(),
                least: ask.least,
                asked_at,
                ends_at,
                decision: decision.clone(),
                told_at: now,
            };
            known.put(&name, Entry::Refused(Box::new(refusal)), self.longest, now);
            known.ends = known.ends.max(ends_at);
            self.holds.store(true, Ordering::Release);
        }
        known.name = name;
    }

    /// Forgets what is known of a request's keys, which it is to change or has changed.
    pub fn changed(&self, request: &Request, now: Instant) {
        let mut known = self.known();
        for (limit, key) in request.parts() {
            known.put(&name_of(limit, key.as_bytes()), Entry::Changed(now), self.longest, now);
        }
    }

    /// Forgets what is known of a key that another has changed.
    pub fn heard(&self, name: &[u8], now: Instant) {
        self.known().put(name, Entry::Changed(now), self.longest, now);
    }

    /// Forgets everything: what others have changed up to now was not told.
    pub fn forget(&self, now: Instant) {
        let mut known = self.known();
        known.young = Half::default();
        known.old = Half::default();
        known.believed_from = Some(now);
        self.holds.store(false, Ordering::Release);
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        let known = self.known();
        known.young.bytes + known.old.bytes
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// What a decision under these limits on these keys is called: by the key's name in Redis, or by all of them. Takes the room
    /// for it, which is to be put back.
    fn name_of<'a>(&mut self, limits: &Limits, keys: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut name = mem::take(&mut self.name);
        name.clear();
        for (limit, key) in limits.iter().zip(keys) {
            if limits.len() > 1 {
                // Its length first, so that no two lists of names are alike, and none is like a name.
                let start = name.len();
                name.extend_from_slice(&[0; 4]);
                limit.append_name(&mut name, key);
                let length = u32::try_from(name.len() - start).expect("a normalised key is bounded");
                name[start..start + 4].copy_from_slice(&length.to_be_bytes());
            } else {
                limit.append_name(&mut name, key);
            }
        }
        name
    }

    fn entry(&self, name: &[u8]) -> Option<&Entry> {
        self.young.entries.get(name).or_else(|| self.old.entries.get(name))
    }

    fn refusal(&self, name: &[u8]) -> Option<&Refusal> {
        match self.entry(name) {
            Some(Entry::Refused(refusal)) => Some(refusal),
            _ => None,
        }
    }

    /// Whether what was asked then may have been overtaken by a change, of any of the keys.
    fn is_doubted<'a>(&self, limits: &Limits, keys: impl Iterator<Item = &'a [u8]>, asked_at: Instant) -> bool {
        if self.believed_from.is_some_and(|from| asked_at <= from) {
            return true;
        }
        // The change of an only key stands in the place of its refusal.
        limits.len() > 1
            && limits.iter().zip(keys).any(
                |(limit, key)| matches!(self.entry(&name_of(limit, key)), Some(Entry::Changed(at)) if asked_at <= *at),
            )
    }

    fn put(&mut self, name: &[u8], entry: Entry, longest: Duration, now: Instant) {
        let size = ENTRY + name.len() + entry.heap();
        if self.young.bytes + size > HALF || now > self.since + longest {
            let gone = mem::replace(&mut self.old, mem::take(&mut self.young));
            self.believed_from = self.believed_from.max(gone.changed);
            self.since = now;
        }
        if let Entry::Changed(at) = entry {
            self.young.changed = self.young.changed.max(Some(at));
        }
        match self.young.entries.get_mut(name) {
            Some(place) => {
                self.young.bytes = self.young.bytes - place.heap() + entry.heap();
                *place = entry;
            }
            None => {
                self.young.bytes += size;
                self.young.entries.insert(name.into(), entry);
            }
        }
    }
}

/// What one key is called in Redis.
fn name_of(limit: &Limit, key: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(64);
    limit.append_name(&mut name, key);
    name
}

fn policies(limits: &Limits) -> impl Iterator<Item = &Policy> {
    limits.iter().map(|limit| &limit.policy)
}

impl Entry {
    /// Bytes that it takes elsewhere.
    fn heap(&self) -> usize {
        match self {
            Self::Refused(refusal) => {
                size_of::<Refusal>() + refusal.decision.named.as_ref().map_or(0, |named| EACH * named.each.len())
            }
            Self::Changed(_) => 0,
        }
    }
}

impl Refusal {
    /// Whether it was made under limits with these numbers. That they stand in the same place their names say.
    fn is_under(&self, limits: &Limits) -> bool {
        self.policies.iter().eq(policies(limits))
    }

    /// What is told of it now.
    fn told(&self, now: Instant) -> Decision {
        let passed = u64::try_from((now - self.told_at).as_millis()).unwrap_or(u64::MAX);
        let later = |decision: &mut Decision| {
            if !decision.allowed {
                decision.retry_after_ms = decision.retry_after_ms.saturating_sub(passed).max(1);
            }
            decision.source = Source::DenyCache;
        };
        let mut decision = self.decision.clone();
        later(&mut decision);
        decision.named.iter_mut().flat_map(|named| &mut named.each).for_each(|(_, each)| later(each));
        decision
    }
}
