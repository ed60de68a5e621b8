//! Which keys are asked for often: how many units of each, in this length of a lease and in the one before.

use std::collections::HashMap;
use std::mem;
use std::time::{Duration, Instant};

/// Keys that are counted at a time. When there are more the count begins anew: a key that is asked for often is soon known again.
const MOST: usize = 16_384;

/// See the module. Keys that share a hash are taken for one another, which makes a lease larger than it need be.
#[derive(Default)]
pub(super) struct Demand {
    now: HashMap<u64, u64>,
    before: HashMap<u64, u64>,
    since: Option<Instant>,
}

impl Demand {
    /// Counts `units` of a key. Answers how many there were in the last `period` or two.
    pub(super) fn count(&mut self, hash: u64, units: u64, period: Duration, now: Instant) -> u64 {
        let age = self.since.map_or(period, |since| now - since);
        if age >= period || self.now.len() >= MOST {
            self.before = mem::take(&mut self.now);
            if age >= 2 * period {
                self.before.clear();
            }
            self.since = Some(now);
        }
        let current = self.now.entry(hash).or_default();
        *current += units;
        *current + self.before.get(&hash).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(200);

    #[test]
    fn what_was_long_ago_does_not_count() {
        let (mut demand, start) = (Demand::default(), Instant::now());
        let mut at = |ms| demand.count(7, 1, PERIOD, start + Duration::from_millis(ms));
        assert_eq!([at(0), at(100), at(250), at(399)], [1, 2, 3, 4]);
        assert_eq!(at(460), 3, "of the first period nothing is left");
        assert_eq!(at(900), 1, "nobody has asked for longer than both");
    }

    /// Otherwise a flood of made-up keys would fill the memory.
    #[test]
    fn it_does_not_grow_beyond_its_bound() {
        let (mut demand, start) = (Demand::default(), Instant::now());
        for key in 0..10 * MOST as u64 {
            demand.count(key, 1, PERIOD, start);
        }
        assert!(demand.now.len() + demand.before.len() <= 2 * MOST);
    }
}
