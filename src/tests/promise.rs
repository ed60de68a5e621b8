//! What each algorithm promises, against models that are slow and obviously right.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::schedule::{self, START, after};
use super::twins::LuaTwins;
use crate::algorithm::{Algorithm, Ask, Outcome, Policy, SlidingWindow, TokenBucket};
use crate::clock::Micros;

/// Every admission, kept for ever.
#[derive(Default)]
struct Admissions(Vec<(Micros, u64)>);

impl Admissions {
    /// Units admitted in the half-open interval `[from, from + length)`.
    fn within(&self, from: Micros, length: Micros) -> u64 {
        let inside = |at: Micros| at >= from && at < from + length;
        self.0.iter().filter(|(at, _)| inside(*at)).map(|(_, units)| units).sum()
    }
}

/// A schedule's calls with their times.
fn timed(calls: &[schedule::Call]) -> Vec<(Micros, Ask)> {
    let mut now = START;
    let at = |call: &schedule::Call| {
        now = after(now, call.gap);
        (now, call.ask)
    };
    calls.iter().map(at).collect()
}

/// Never more than the limit in any window, and nothing back later than promised.
fn is_a_sliding_window(
    limiter: &SlidingWindow,
    calls: &[(Micros, Ask)],
    outcomes: &[Outcome],
) -> Result<(), TestCaseError> {
    let [limit, window, slot] = limiter.numbers()[..] else { panic!("three numbers") };
    let (window, slot) = (Micros(window), Micros(slot));
    let mut admitted = Admissions::default();
    for ((now, ask), outcome) in calls.iter().zip(outcomes) {
        if outcome.granted > 0 {
            admitted.0.push((*now, outcome.granted));
        }
        if !outcome.allowed {
            // What was spent so long ago must be back, so only younger admissions may be the reason.
            let remembered = window + slot - Micros(1);
            let young = admitted.within(*now - remembered + Micros(1), remembered);
            prop_assert!(young + ask.least > limit, "refused at {now:?} with only {young} of {limit} in use");
        }
    }
    // A fullest window begins at an admission.
    for (from, _) in &admitted.0 {
        let units = admitted.within(*from, window);
        prop_assert!(units <= limit, "{units} admitted in the window from {from:?}, limit {limit}");
    }
    Ok(())
}

/// What a bucket holds, counted in units of 1/window so that every refill is a whole number.
fn is_a_bucket(limiter: &TokenBucket, calls: &[(Micros, Ask)], outcomes: &[Outcome]) -> Result<(), TestCaseError> {
    let [limit, window, burst] = limiter.numbers()[..] else { panic!("three numbers") };
    let [limit, window, burst] = [limit, window, burst].map(u128::from);
    let full = burst * window;
    let (mut level, mut before) = (full, START);
    for ((now, ask), outcome) in calls.iter().zip(outcomes) {
        level = full.min(level + u128::from((*now - before).0) * limit);
        before = *now;
        let free = u64::try_from(level / window).unwrap();
        prop_assert_eq!(outcome.allowed, free >= ask.least);
        prop_assert_eq!(outcome.remaining, free - outcome.granted);
        prop_assert_eq!(outcome.granted, if outcome.allowed { ask.cost.min(free) } else { 0 });
        level -= u128::from(outcome.granted) * window;
        let missing = full - level;
        prop_assert_eq!(u128::from((outcome.reset_at - *now).0), missing.div_ceil(limit));
    }
    Ok(())
}

fn keeps_its_promise(policy: &Policy, calls: &[(Micros, Ask)], outcomes: &[Outcome]) -> Result<(), TestCaseError> {
    prop_assert_eq!(calls.len(), outcomes.len());
    match policy {
        Policy::SlidingWindow(limiter) => is_a_sliding_window(limiter, calls, outcomes),
        Policy::TokenBucket(limiter) => is_a_bucket(limiter, calls, outcomes),
    }
}

/// The same in Lua on a real Redis.
#[test]
fn every_algorithm_keeps_its_promise_on_redis() {
    let twins = RefCell::new(LuaTwins::start());
    TestRunner::new(super::cases(2_000))
        .run(&schedule::schedule(false, 120), |(policy, calls)| {
            let calls = timed(&calls);
            let said = twins.borrow_mut().replay(&policy, &calls);
            let outcomes: Vec<_> = said.into_iter().map(|said| said.outcome).collect();
            keeps_its_promise(&policy, &calls, &outcomes)
        })
        .unwrap();
}

proptest! {
    #![proptest_config(super::cases(20_000))]

    #[test]
    fn every_algorithm_keeps_its_promise((policy, calls) in schedule::schedule(false, 120)) {
        let calls = timed(&calls);
        let mut state = policy.fresh();
        let outcomes: Vec<_> = calls.iter().map(|(now, ask)| policy.step(&mut state, *now, *ask)).collect();
        keeps_its_promise(&policy, &calls, &outcomes)?;
    }

    #[test]
    fn waiting_for_retry_after_is_enough_and_less_is_not((policy, calls) in schedule::schedule(true, 40)) {
        let mut state = policy.fresh();
        let mut now = START;
        for call in &calls {
            now = after(now, call.gap);
            let outcome = policy.step(&mut state, now, call.ask);
            if !outcome.allowed {
                let at = |when| policy.step(&mut state.clone(), when, call.ask).allowed;
                prop_assert!(at(now + outcome.retry_after), "still refused after {:?}", outcome.retry_after);
                prop_assert!(!at(now + outcome.retry_after - Micros(1)), "allowed before {:?}", outcome.retry_after);
            }
        }
    }

    #[test]
    fn a_refusal_takes_nothing_and_a_look_changes_nothing((policy, calls) in schedule::schedule(true, 40)) {
        let mut state = policy.fresh();
        let mut now = START;
        for call in &calls {
            now = after(now, call.gap);
            let look = Ask::look(1);
            let before = policy.step(&mut state.clone(), now, look);
            let outcome = policy.step(&mut state, now, call.ask);
            let left = policy.step(&mut state.clone(), now, look);
            prop_assert_eq!(left.remaining, before.remaining - outcome.granted);
        }
    }

    #[test]
    fn a_clock_that_jumps_back_blocks_no_key_for_longer_than_it_takes_to_fill(
        (policy, calls) in schedule::schedule(true, 40)
    ) {
        let [limit, window, burst] = policy.numbers()[..] else { panic!("three numbers") };
        let longest = match policy {
            Policy::SlidingWindow(_) => window,
            Policy::TokenBucket(_) => u64::try_from((u128::from(burst) * u128::from(window)).div_ceil(u128::from(limit))).unwrap(),
        };
        let mut state = policy.fresh();
        let mut now = START;
        for call in &calls {
            now = after(now, call.gap);
            let outcome = policy.step(&mut state, now, call.ask);
            prop_assert!((outcome.reset_at - now).0 <= longest);
        }
    }
}

/// A steady stream, one call a slot: were groups extended by each arrival instead of being slots of absolute time, the first
/// group would never leave the window and the stream would starve after `limit` calls.
#[test]
fn a_steady_stream_does_not_keep_one_group_alive() {
    let limiter = SlidingWindow::new(100, Micros::from_millis(1_000), 10);
    let mut state = Default::default();
    let admitted = (0..1_000u64)
        .filter(|i| limiter.step(&mut state, START + Micros::from_millis(i * 50), Ask::all(1)).allowed)
        .count();
    assert_eq!(admitted, 1_000);
}

/// 20 units a microsecond: an emission interval rounded to whole microseconds would be 0, or 20 times too slow.
#[test]
fn a_bucket_may_refill_faster_than_the_clock_ticks() {
    let limiter = TokenBucket::new(1_000_000, Micros::from_millis(50), 1_000_000);
    let mut state = Default::default();
    assert!(limiter.step(&mut state, START, Ask::all(1_000_000)).allowed);
    let next = limiter.step(&mut state, START + Micros(1), Ask { cost: 1_000, least: 1 });
    assert_eq!(next.granted, 20);
}
