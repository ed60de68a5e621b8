//! How much may be under way at once: a limit without a window, of which everything is counted by [holds](super::holds).
//!
//! Nothing of it is ever spent, so its own state is always empty. What is there is the limit, less the units that are held.

use smallvec::smallvec;

use super::{Algorithm, Ask, Numbers, Outcome, VERSION};
use crate::clock::Micros;
use crate::wire;

/// At most `limit` units at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    limit: u64,
}

impl Concurrency {
    /// `limit` units, each of which may be a hold of its own.
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit }
    }
}

impl Algorithm for Concurrency {
    type State = ();

    const NAME: &'static str = "concurrency";

    fn step(&self, (): &mut (), now: Micros, ask: Ask) -> Outcome {
        Outcome::of(ask.of(self.limit), self.limit, || Micros::ZERO, now)
    }

    fn refund(&self, (): &mut (), _now: Micros, _units: u64) {}

    fn penalize(&self, (): &mut (), _now: Micros, _units: u64) {}

    fn seen((): &()) -> Micros {
        Micros::ZERO
    }

    fn capacity(&self) -> u64 {
        self.limit
    }

    fn scaled(&self, parts: u64, of: u64) -> Self {
        Self::new((self.limit * parts).div_ceil(of))
    }

    /// The second is the window, of which there is none.
    fn numbers(&self) -> Numbers {
        smallvec![self.limit, 0]
    }

    fn encode((): &(), kept: Micros) -> Vec<u8> {
        let mut out = vec![VERSION];
        wire::put::<7>(&mut out, kept.0);
        out
    }

    fn decode(body: &[u8]) -> Option<()> {
        body.is_empty().then_some(())
    }
}
