//! The token bucket's promise: what a bucket holds, counted in units of 1/window so that every refill is a whole number.

use proptest::prelude::*;

use super::{Model, is_told};
use crate::algorithm::{Algorithm, Ask, Change, Outcome, TokenBucket};
use crate::clock::Micros;
use crate::tests::schedule::{Op, START};

/// What was in the bucket when that was last written down; below zero where it is in debt or booked ahead.
pub(super) struct Level {
    limit: i128,
    window: i128,
    full: i128,
    level: i128,
    seen: Micros,
}

impl Level {
    pub(super) fn new(limiter: &TokenBucket) -> Self {
        let [limit, window, burst] = limiter.numbers()[..] else { panic!("three numbers") };
        Self::of(limit, window, burst)
    }

    pub(super) fn of(limit: u64, window: u64, burst: u64) -> Self {
        let [limit, window, burst] = [limit, window, burst].map(i128::from);
        Self { limit, window, full: burst * window, level: burst * window, seen: START }
    }

    /// How long until it is full.
    pub(super) fn missing(&self, now: Micros) -> Micros {
        self.wait(self.full - self.at(now))
    }

    /// What it holds at `now`. A clock that jumped back neither fills it nor empties it.
    fn at(&self, now: Micros) -> i128 {
        self.full.min(self.level + i128::from((now - self.seen).0) * self.limit)
    }

    fn units(&self, level: i128) -> u64 {
        u64::try_from(level.div_euclid(self.window)).unwrap_or(0)
    }

    /// How long until it has gained `missing`.
    fn wait(&self, missing: i128) -> Micros {
        Micros(u64::try_from((missing.max(0) + self.limit - 1) / self.limit).unwrap())
    }
}

impl Model for Level {
    fn watch(&mut self, now: Micros, op: Op, outcome: &Outcome) -> Result<(), TestCaseError> {
        let before = self.at(now);
        let size = |units: u64| i128::from(units) * self.window;
        let after = match op {
            Op::Ask(_) => before - size(outcome.granted),
            Op::Change(Change::Refund(units)) => self.full.min(before + size(units)),
            // As far as one bucket below nothing; what is booked further ahead stays booked.
            Op::Change(Change::Penalize(units)) => before.min((before - size(units)).max(-self.full)),
            Op::Change(Change::Reserve(units)) => before - size(units),
            // As if they were used at the end of the term, until which a bucket fills.
            Op::Change(Change::Lease { units, term }) => {
                before.min(self.full - i128::from(term.0) * self.limit) - size(units)
            }
            Op::Change(Change::GiveBack { units, booked }) => {
                let is_last = self.seen == booked && booked <= now && self.level >= 0;
                if is_last && self.level + size(units) <= self.full {
                    self.level += size(units);
                    if self.at(now) == self.full {
                        (self.level, self.seen) = (self.full, now);
                    }
                }
                self.at(now)
            }
        };
        let ask = op.ask();
        is_told(outcome, ask, self.units(after) + outcome.granted)?;
        prop_assert_eq!(outcome.reset_at - now, self.wait(self.full - after));
        if !outcome.allowed {
            prop_assert_eq!(outcome.retry_after, self.wait(size(ask.least) - after));
        }
        let looked = matches!(op, Op::Ask(Ask { cost: 0, .. }));
        // A refund that finds the bucket full writes that down, too, and so does a lease that leaves it as it was.
        let refunded = matches!(op, Op::Change(Change::Refund(_) | Change::Lease { .. }));
        let looked = looked || (now >= self.seen && matches!(op, Op::Change(Change::GiveBack { .. })));
        if !looked && (refunded || after != before || now < self.seen) {
            (self.level, self.seen) = (after, now);
        }
        Ok(())
    }

    fn longest(&self) -> Micros {
        self.wait(2 * self.full)
    }
}
