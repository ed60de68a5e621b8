//! What one thread counts: of calls that are decided where they are made, or of those that the worker has answered.

use super::counter::Counter;
use super::sample::Sampler;
use crate::decision::Source;
use crate::trials::Verdict;

/// Of decisions: refused, and allowed.
#[derive(Debug, Default)]
pub(super) struct Pair([Counter; 2]);

impl Pair {
    #[inline]
    pub(super) fn add(&self, allowed: bool) {
        self.0[usize::from(allowed)].add(1);
    }

    pub(super) fn count(&self) -> Count {
        Count { allowed: self.0[1].get(), denied: self.0[0].get() }
    }
}

/// How many were allowed, and how many refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Admitted.
    pub allowed: u64,
    /// Refused.
    pub denied: u64,
}

impl std::ops::Add for Count {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { allowed: self.allowed + other.allowed, denied: self.denied + other.denied }
    }
}

impl std::iter::Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, count| sum + count)
    }
}

/// Of a limit that is tried, by its [verdicts](Verdict).
#[derive(Debug, Default)]
pub(super) struct Verdicts([Counter; 3]);

impl Verdicts {
    pub(super) fn add(&self, verdict: Verdict) {
        self.0[verdict as usize].add(1);
    }

    pub(super) fn of(&self, verdict: Verdict) -> u64 {
        self.0[verdict as usize].get()
    }
}

/// See the module. Written by that thread alone.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// By [`Source`].
    pub(super) sources: [Pair; Source::ALL.len()],
    pub(super) store_errors: Counter,
    /// Calls that have begun to wait for the store, or have been answered.
    pub(super) waits: Counter,
    /// Which refusals are looked at for whom they were.
    pub(super) sampler: Sampler,
}

impl Tally {
    /// Counts a decision as such. Answers whether it is to be looked at for whom it refused.
    #[inline]
    pub(super) fn add(&self, source: Source, allowed: bool) -> bool {
        self.sources[source as usize].add(allowed);
        !allowed && self.sampler.hits()
    }
}
