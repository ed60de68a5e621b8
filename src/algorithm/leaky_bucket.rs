//! Leaky bucket as a queue: calls leave one by one, at a constant rate, and each is told how long until its turn.
//!
//! Units leave at `limit / window`, and no two of them closer together than `window / limit`. Up to `burst` wait their turn;
//! who finds that many waiting is refused. With a `burst` of 0 nobody waits, and calls are strictly spaced.
//!
//! A queue's end is a bucket's theoretical arrival time: the moment at which whoever comes next may leave. So this is the
//! arithmetic of the [`TokenBucket`] with room for `burst` that wait and one that leaves at once, and where that bucket lets
//! all of them go on at the same moment, here each waits until the time at which it would have come had it kept to the rate.
//! (The leaky bucket "as a meter" of the literature is the token bucket itself; this is the one "as a queue".)

use super::token_bucket::Bucket;
use super::{Algorithm, Ask, Numbers, Outcome, TokenBucket};
use crate::clock::Micros;

/// A queue of up to `burst` units that leave at `limit / window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeakyBucket {
    places: TokenBucket,
}

impl LeakyBucket {
    /// Units leave at `limit` a `window`, and `burst` may wait. A cost of several takes as many places, and leaves as one.
    pub(crate) fn new(limit: u64, window: Micros, burst: u64) -> Self {
        Self { places: TokenBucket::new(limit, window, burst + 1) }
    }
}

impl Algorithm for LeakyBucket {
    type State = Bucket;

    const NAME: &'static str = "leaky-bucket";

    #[inline(never)]
    fn step(&self, queue: &mut Bucket, now: Micros, ask: Ask) -> Outcome {
        let turn = self.places.full_at(queue, now);
        let outcome = self.places.step(queue, now, ask);
        let delay = if outcome.allowed { turn - now } else { Micros::ZERO };
        Outcome { delay, ..outcome }
    }

    fn refund(&self, queue: &mut Bucket, now: Micros, units: u64) {
        self.places.refund(queue, now, units);
    }

    fn penalize(&self, queue: &mut Bucket, now: Micros, units: u64) {
        self.places.penalize(queue, now, units);
    }

    fn reserve(&self, queue: &mut Bucket, now: Micros, units: u64) -> bool {
        self.places.reserve(queue, now, units)
    }

    fn turn(&self, queue: &Bucket, now: Micros) -> Option<Micros> {
        Some(self.places.full_at(queue, now) - now)
    }

    fn seen(queue: &Bucket) -> Micros {
        TokenBucket::seen(queue)
    }

    fn capacity(&self) -> u64 {
        self.places.capacity()
    }

    fn scaled(&self, parts: u64, of: u64) -> Self {
        Self { places: self.places.scaled(parts, of) }
    }

    fn numbers(&self) -> Numbers {
        let burst = self.capacity() - 1;
        let mut numbers = self.places.numbers();
        numbers[2] = burst;
        numbers
    }

    fn encode(queue: &Bucket, kept: Micros) -> Vec<u8> {
        TokenBucket::encode(queue, kept)
    }

    fn decode(body: &[u8]) -> Option<Bucket> {
        TokenBucket::decode(body)
    }
}
