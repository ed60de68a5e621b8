//! What is leased of one key, and how much is to be asked for next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::{Terms, give_back};
use crate::algorithm::{Lease, Outcome, Policy};
use crate::clock::Micros;
use crate::decision::{Decision, Source};
use crate::key::Key;
use crate::limits::{Limit, Limits};
use crate::store::Request;

/// For so long a key is asked for call by call after the store had nothing to lease of it: an eighth of a lease's length, if that is
/// not longer than this.
const STRICT_PART: u32 = 8;
const LONGEST_STRICT: Duration = Duration::from_millis(25);

/// One lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grant {
    pub(super) units: u64,
    /// When it can be used no more.
    pub(super) ends: Instant,
    /// When it was booked, by the store's clock.
    pub(super) booked: Micros,
}

/// See the module.
pub(super) struct Held {
    /// As the limiter knows it, and as the store does.
    key: Box<[u8]>,
    name: Box<[u8]>,
    stored: Key,
    limits: Arc<Limits>,
    /// Those that have units left, oldest first.
    grants: SmallVec<[Grant; 2]>,
    /// What is to be asked for next.
    size: u64,
    /// Units that were used, or asked for, since then.
    used: u64,
    since: Instant,
    /// Whether a lease is under way.
    is_asking: bool,
    /// Until when it is asked for call by call.
    strict_until: Option<Instant>,
    /// What was asked before this moment is void.
    void_at: Option<Instant>,
    /// When it is to be looked at, if that is known.
    due: Option<Instant>,
    /// What the store had left beside the last lease, and when the key is as good as new.
    remaining: u64,
    reset_at: Micros,
}

impl Held {
    /// A key of which `size` units are wanted.
    pub(super) fn new(key: &[u8], request: &Request, size: u64, now: Instant) -> Self {
        let (limit, stored) = request.parts().next().expect("a request has a limit");
        let mut name = Vec::with_capacity(64);
        limit.append_name(&mut name, stored.as_bytes());
        Self {
            key: key.into(),
            name: name.into(),
            stored: stored.clone(),
            limits: request.limits.clone(),
            grants: SmallVec::new(),
            size,
            used: 0,
            since: now,
            is_asking: false,
            strict_until: None,
            void_at: None,
            due: None,
            remaining: 0,
            reset_at: Micros::ZERO,
        }
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(super) fn is_at(&self, key: &[u8]) -> bool {
        *self.key == *key
    }

    /// Whether it is leased under this very limit: `configure` may have given the key another.
    pub(super) fn is_of(&self, limit: &Limit, key: &[u8]) -> bool {
        self.is_at(key) && self.limit().is_some_and(|own| own.policy == limit.policy)
    }

    pub(super) fn is_named(&self, name: &[u8]) -> bool {
        *self.name == *name
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    fn limit(&self) -> Option<&Limit> {
        self.limits.only()
    }

    /// Under which numbers it is leased.
    pub(super) fn policy(&self) -> Option<&Policy> {
        self.limit().map(|limit| &limit.policy)
    }

    /// Units that may be used now.
    pub(super) fn units(&self, now: Instant) -> u64 {
        self.grants.iter().filter(|grant| now < grant.ends).map(|grant| grant.units).sum()
    }

    /// Uses `cost` units, if there are as many. Answers how many are left.
    pub(super) fn take(&mut self, cost: u64, now: Instant) -> Option<u64> {
        let left = self.units(now).checked_sub(cost)?;
        let mut wanted = cost;
        for grant in self.grants.iter_mut().filter(|grant| now < grant.ends) {
            let taken = wanted.min(grant.units);
            grant.units -= taken;
            wanted -= taken;
            if wanted == 0 {
                break;
            }
        }
        self.grants.retain(|grant| grant.units > 0);
        self.used += cost;
        Some(left)
    }

    /// What a call is told that has used `cost` of them.
    pub(super) fn decision(&self, cost: u64, left: u64) -> Decision {
        let outcome = Outcome { granted: cost, remaining: self.remaining + left, ..Outcome::forgotten(self.reset_at) };
        Decision::new(&self.limits, |limit| &limit.policy, &[outcome], Source::Lease)
    }

    /// Whether more is to be asked for already: the next lease is on its way while the rest of this one is used.
    pub(super) fn wants_ahead(&self, left: u64) -> bool {
        !self.is_asking && self.strict_until.is_none() && left < self.size.div_ceil(2)
    }

    /// Whether more is to be asked for with a call of `cost` units that finds too few.
    pub(super) fn wants(&mut self, limits: &Arc<Limits>, cost: u64, now: Instant) -> bool {
        self.used += cost;
        if self.is_asking || self.strict_until.is_some_and(|until| now < until) {
            return false;
        }
        let policy = |limits: &Limits| limits.only().map(|limit| limit.policy);
        if policy(&self.limits) != policy(limits) {
            // What is leased under other numbers decides nothing under these: first all of it must be used, or given back.
            if !self.grants.is_empty() {
                return false;
            }
            self.limits = limits.clone();
        }
        true
    }

    /// What is asked for now: as much as was used in the length of a lease, by the pace since it was last asked for, but no more than
    /// twice as much as then, or half of it.
    pub(super) fn lease(&mut self, cost: u64, Terms { max, ttl }: Terms, now: Instant) -> Lease {
        if self.used > cost {
            let passed = (now - self.since).as_micros().max(1);
            let pace = u128::from(self.used) * u128::from(ttl.0) / passed;
            let pace = u64::try_from(pace).unwrap_or(u64::MAX);
            self.size = pace.clamp(self.size / 2, self.size * 2).clamp(1, max);
        }
        (self.used, self.since, self.is_asking, self.strict_until) = (0, now, true, None);
        Lease { cost, more: self.size, term: ttl }
    }

    /// The store has answered what it was asked then.
    pub(super) fn granted(&mut self, grant: Grant, outcome: &Outcome, sent_at: Instant, ttl: Duration, now: Instant) {
        self.is_asking = false;
        if grant.units == 0 {
            self.strict_until = Some(now + LONGEST_STRICT.min(ttl / STRICT_PART));
        } else if self.void_at.is_none_or(|void_at| void_at < sent_at) {
            // Also where it has ended on the way: then all of it is given back.
            self.grants.push(grant);
        }
        self.remaining = outcome.remaining;
        self.reset_at = outcome.reset_at;
    }

    pub(super) fn failed(&mut self, ttl: Duration, now: Instant) {
        self.is_asking = false;
        self.strict_until = Some(now + LONGEST_STRICT.min(ttl / STRICT_PART));
    }

    /// Has it looked at in time. Answers when, if that is news.
    pub(super) fn schedule(&mut self, at: Instant) -> Option<Instant> {
        let is_news = self.due.is_none();
        self.due.get_or_insert(at);
        is_news.then_some(at)
    }

    /// What is left of leases that have ended.
    pub(super) fn ended(&mut self, now: Instant) -> Vec<Request> {
        let ended = self.grants.iter().filter(|grant| grant.ends <= now && grant.units > 0);
        let requests: Vec<_> = ended.map(|grant| give_back(&self.limits, &self.stored, grant)).collect();
        self.grants.retain(|grant| now < grant.ends);
        if !requests.is_empty() {
            // It was too much.
            self.size = (self.size / 2).max(1);
        }
        requests
    }

    /// When it is to be looked at again; none where nobody has asked for it in the length of a lease, and nothing is left of it.
    pub(super) fn next_look(&mut self, ttl: Duration, now: Instant) -> Option<Instant> {
        let ends = self.grants.iter().map(|grant| grant.ends).min();
        let is_idle = self.used == 0 && now >= self.since + ttl;
        self.due = match ends {
            Some(ends) => Some(ends),
            None if is_idle && !self.is_asking => None,
            None => Some(now + ttl),
        };
        if ends.is_none() && self.used > 0 && !self.is_asking {
            (self.used, self.since) = (0, now);
        }
        self.due
    }

    /// Everything that is left.
    pub(super) fn all(&mut self) -> Vec<Request> {
        let left = self.grants.drain(..).filter(|grant| grant.units > 0);
        left.map(|grant| give_back(&self.limits, &self.stored, &grant)).collect()
    }

    /// It is worth nothing any more, nor is what is under way.
    pub(super) fn void(&mut self, now: Instant) {
        self.grants.clear();
        self.void_at = Some(now);
    }
}
