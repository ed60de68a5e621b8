//! A bucket whose limit is changed remembers when it will be full, to the microsecond.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{Reference, asks, follow, leaky_bucket, token_bucket};
use crate::algorithm::{Algorithm, Ask, Change, Outcome, Policy, TokenBucket};
use crate::clock::Micros;
use crate::tests::cases;
use crate::tests::schedule::START;
use crate::tests::twins::LuaTwins;

/// When it will be full, in microseconds over the window's limit; and what it has admitted since its numbers are those of now.
struct Filling {
    policy: Option<Policy>,
    full_at: u64,
    taken: Vec<(Micros, u64)>,
}

impl Filling {
    fn new() -> Self {
        Self { policy: None, full_at: START.0, taken: Vec::new() }
    }
}

impl Reference for Filling {
    fn watch(&mut self, policy: &Policy, now: Micros, ask: Ask, outcome: &Outcome) -> Result<(), TestCaseError> {
        let [limit, window, _] = policy.numbers()[..] else { panic!("three numbers") };
        let burst = policy.capacity();
        if self.policy.replace(*policy) != Some(*policy) {
            self.taken.clear();
        }
        // In units of 1/window: what it lacks of a full one. What is known of that is off by less than two microseconds: one that the
        // change may have rounded, and one that the moment was.
        let lacks = |full_at: u64| u128::from(full_at.saturating_sub(now.0)) * u128::from(limit);
        let free = |full_at| {
            let left = (u128::from(burst) * u128::from(window)).saturating_sub(lacks(full_at));
            u64::try_from(left / u128::from(window)).unwrap()
        };
        let said = outcome.remaining + outcome.granted;
        let (least, most) = (free(self.full_at + 2), free(self.full_at.saturating_sub(2)));
        prop_assert!((least..=most).contains(&said), "{said} is not from {least} to {most}");
        prop_assert_eq!(outcome.allowed, said >= ask.least);
        self.full_at = outcome.reset_at.0;
        if outcome.granted > 0 {
            self.taken.push((now, outcome.granted));
            let mut units = 0;
            for (at, count) in self.taken.iter().rev() {
                units += count;
                let refilled = u128::from((now - *at).0) * u128::from(limit) / u128::from(window);
                prop_assert!(u128::from(units) <= u128::from(burst) + refilled, "{units} since {at:?}");
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn a_token_bucket_remembers_when_it_will_be_full(calls in asks(token_bucket().prop_map(Policy::TokenBucket))) {
        follow(None, &calls, Filling::new())?;
    }

    #[test]
    fn a_leaky_bucket_remembers_when_it_will_be_empty(calls in asks(leaky_bucket().prop_map(Policy::LeakyBucket))) {
        follow(None, &calls, Filling::new())?;
    }

    /// At the same pace, of another size: as many units more or less as it is larger or smaller. A debt is not cut by a size that
    /// would not let it arise.
    #[test]
    fn another_burst_is_exactly_the_difference(
        bucket in token_bucket(), burst in super::limit(), debt in 0..40u64, later in 0..1_000_000u64
    ) {
        let [limit, window, own] = bucket.numbers()[..] else { panic!("three numbers") };
        let (old, new) = (Policy::TokenBucket(bucket), Policy::TokenBucket(TokenBucket::new(limit, Micros(window), burst)));
        let mut state = old.fresh();
        old.change(&mut state, START, Change::Penalize(debt));
        let now = START + Micros(later);
        let full_at = |policy: &Policy| policy.step(&mut state.clone(), now, Ask::look(1)).reset_at;
        prop_assert_eq!(full_at(&old), full_at(&new));
        let left = |policy: &Policy| policy.step(&mut state.clone(), now, Ask::look(1)).remaining;
        if left(&old) > 0 && left(&new) > 0 {
            prop_assert_eq!(left(&new) + own, left(&old) + burst);
        }
    }
}

/// The same in Lua, on a real Redis.
#[test]
fn buckets_keep_what_was_consumed_on_redis() {
    let twins = RefCell::new(LuaTwins::start());
    let mut runner = TestRunner::new(cases(500));
    let bucket = asks(token_bucket().prop_map(Policy::TokenBucket));
    runner.run(&bucket, |calls| follow(Some(&twins), &calls, Filling::new())).unwrap();
    let queue = asks(leaky_bucket().prop_map(Policy::LeakyBucket));
    runner.run(&queue, |calls| follow(Some(&twins), &calls, Filling::new())).unwrap();
}
