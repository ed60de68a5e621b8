//! The leaky bucket's promise: units leave no closer together than the rate, no more than the burst wait, and nobody waits
//! longer than that takes.

use proptest::prelude::*;

use super::Model;
use super::bucket::Level;
use crate::algorithm::{Algorithm, LeakyBucket, Outcome};
use crate::clock::Micros;
use crate::tests::schedule::Op;

/// Who was let in since the last change, and the bucket of the places.
pub(super) struct Queue {
    limit: u64,
    window: u64,
    burst: u64,
    places: Level,
    /// When each call leaves, and its units. Forgotten where a change or the clock breaks the order.
    leaving: Vec<(Micros, u64)>,
    now: Micros,
}

impl Queue {
    pub(super) fn new(limiter: &LeakyBucket) -> Self {
        let [limit, window, burst] = limiter.numbers()[..] else { panic!("three numbers") };
        let places = Level::of(limit, window, burst + 1);
        Self { limit, window, burst, places, leaving: Vec::new(), now: Micros::ZERO }
    }

    /// What units take to leave, in whole microseconds: each moment is rounded up to one.
    fn spacing(&self, units: u64) -> Micros {
        Micros(u64::try_from(u128::from(units) * u128::from(self.window) / u128::from(self.limit)).unwrap())
    }

    fn lets_in(&mut self, now: Micros, outcome: &Outcome) -> Result<(), TestCaseError> {
        let leaves = now + outcome.delay;
        if let Some((last, units)) = self.leaving.last() {
            let spacing = self.spacing(*units);
            prop_assert!(leaves >= *last + spacing, "{leaves:?} is less than {spacing:?} after {last:?}");
            let soonest = now.max(*last + spacing + Micros(1));
            prop_assert!(leaves <= soonest, "{leaves:?}, though its turn would be at {soonest:?}");
        }
        self.leaving.push((leaves, outcome.granted));
        let waiting: u64 = self.leaving.iter().filter(|(at, _)| *at > now).map(|(_, units)| units).sum();
        prop_assert!(waiting <= self.burst, "{waiting} wait, and {} may", self.burst);
        Ok(())
    }
}

impl Model for Queue {
    fn watch(&mut self, now: Micros, op: Op, outcome: &Outcome) -> Result<(), TestCaseError> {
        let before = self.places.missing(now);
        self.places.watch(now, op, outcome)?;
        // A look after a change sees what the change has left.
        let turn = if matches!(op, Op::Change(_)) { self.places.missing(now) } else { before };
        prop_assert_eq!(outcome.delay, if outcome.allowed { turn } else { Micros::ZERO });
        if matches!(op, Op::Change(_)) || now < self.now {
            self.leaving.clear();
        }
        self.now = now;
        if outcome.granted > 0 {
            self.lets_in(now, outcome)?;
        }
        Ok(())
    }

    fn longest(&self) -> Micros {
        self.places.longest()
    }
}
