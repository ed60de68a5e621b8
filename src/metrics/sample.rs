//! Which events are looked at where each of them would be too dear.

use std::hash::{BuildHasher, RandomState};

use super::counter::Counter;

/// So many are each looked at before any is passed over: where there are few, all of them are known.
pub(super) const EACH: u64 = 1_024;

/// After that one in so many is: one of every so many in a row, and by chance which of them. So nothing that comes in a rhythm is
/// seen more or less often than it comes, and of `n` events seen `n / STRIDE` are, give or take one.
pub(super) const STRIDE: u64 = 16;

/// Used by one thread at a time.
#[derive(Debug)]
pub(super) struct Sampler {
    /// Those that are passed over before the next.
    skipped: Counter,
    /// Those of the row that come after it.
    rest: Counter,
    seen: Counter,
    random: Counter,
}

impl Default for Sampler {
    fn default() -> Self {
        Self::seeded(RandomState::new().hash_one(STRIDE))
    }
}

impl Sampler {
    pub(super) fn seeded(seed: u64) -> Self {
        let sampler = Self {
            skipped: Counter::default(),
            rest: Counter::default(),
            seen: Counter::default(),
            random: Counter::default(),
        };
        sampler.random.set(seed | 1);
        sampler
    }

    /// Whether the event at hand is to be looked at: then [`weight`](Self::weight) is called once.
    #[inline]
    pub(super) fn hits(&self) -> bool {
        let skipped = self.skipped.get();
        if skipped > 0 {
            self.skipped.set(skipped - 1);
        }
        skipped == 0
    }

    /// For how many it stands.
    pub(super) fn weight(&self) -> u64 {
        let seen = self.seen.get();
        self.seen.set(seen + 1);
        if seen + 1 < EACH {
            return 1;
        }
        let place = self.chance() % STRIDE;
        self.skipped.set(self.rest.get() + place);
        self.rest.set(STRIDE - 1 - place);
        if seen < EACH { 1 } else { STRIDE }
    }

    /// Marsaglia's xorshift, multiplied: its low bits would not do.
    fn chance(&self) -> u64 {
        let mut bits = self.random.get();
        bits ^= bits >> 12;
        bits ^= bits << 25;
        bits ^= bits >> 27;
        self.random.set(bits);
        bits.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For how many of each of `kinds` a sampler stands, that come one after the other again and again.
    fn weights(kinds: usize, events: usize, seed: u64) -> Vec<u64> {
        let sampler = Sampler::seeded(seed);
        let mut weights = vec![0; kinds];
        for event in 0..events {
            if sampler.hits() {
                weights[event % kinds] += sampler.weight();
            }
        }
        weights
    }

    #[test]
    fn few_events_are_all_seen() {
        assert_eq!(weights(1, 1_024, 7), [1_024]);
        assert_eq!(weights(8, 800, 7), [100; 8]);
    }

    #[test]
    fn many_are_seen_in_proportion() {
        for events in [2_000, 16_384, 100_000] {
            let seen = weights(1, events, 3)[0];
            assert!(seen.abs_diff(events as u64) <= STRIDE, "{seen} of {events}");
        }
    }

    /// To look at each sixteenth would see one of sixteen kinds, and none of the others.
    #[test]
    fn no_rhythm_hides_anything() {
        for kinds in [2, 3, 4, 8, 16, 32, 17] {
            for seed in 1..=20 {
                let events = 64_000 * kinds;
                let each = 64_000.0_f64;
                // At most 4 times the root is a standard deviation: five of them are never seen by chance.
                let most = 5.0 * 4.0 * each.sqrt();
                for seen in weights(kinds, events, seed * 0x9E37_79B9) {
                    assert!((seen as f64 - each).abs() <= most, "{kinds} kinds: {seen} of {each}");
                }
            }
        }
    }
}
