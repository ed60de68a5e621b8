//! What each algorithm promises, against models that are slow and obviously right.

mod bucket;
mod fixed_window;
mod queue;
mod sliding_counter;
mod sliding_window;
mod with_burst;

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::schedule::{self, Op, START, after};
use super::twins::LuaTwins;
use crate::algorithm::{Algorithm, Ask, Change, Outcome, Policy, SlidingWindow, State, TokenBucket};
use crate::clock::Micros;

/// An algorithm's promise, followed call by call on one key.
trait Model {
    /// Looks at a call and at what came of it.
    fn watch(&mut self, now: Micros, op: Op, outcome: &Outcome) -> Result<(), TestCaseError>;

    /// The longest that a key takes to be as good as new, nothing being booked ahead.
    fn longest(&self) -> Micros;
}

/// An algorithm's own state, of one that must be of it.
macro_rules! own {
    ($($Variant:ident)::+) => {
        |state| match state {
            $($Variant)::+(own) => own,
            other => panic!("{other:?} is of another algorithm"),
        }
    };
}

fn model(policy: &Policy) -> Box<dyn Model> {
    match policy {
        Policy::SlidingWindow(limiter) => Box::new(sliding_window::Log::new(limiter)),
        Policy::TokenBucket(limiter) => Box::new(bucket::Level::new(limiter)),
        Policy::FixedWindow(limiter) => Box::new(fixed_window::Windows::new(limiter)),
        Policy::SlidingCounter(limiter) => Box::new(sliding_counter::Counts::new(limiter)),
        Policy::SlidingWindowBurst(limiter) => {
            // In any interval of a window's length, the windows themselves admit no more than this.
            let most = |limit| limit;
            Box::new(with_burst::Parts::new(limiter, Policy::SlidingWindow, own!(State::SlidingWindow), most))
        }
        Policy::FixedWindowBurst(limiter) => {
            let most = |limit| 2 * limit;
            Box::new(with_burst::Parts::new(limiter, Policy::FixedWindow, own!(State::FixedWindow), most))
        }
        Policy::SlidingCounterBurst(limiter) => {
            let most = |limit| 2 * limit - 1;
            Box::new(with_burst::Parts::new(limiter, Policy::SlidingCounter, own!(State::SlidingCounter), most))
        }
        Policy::LeakyBucket(limiter) => Box::new(queue::Queue::new(limiter)),
        Policy::Calendar(_) => panic!("its model is in tests/calendar"),
        Policy::Concurrency(_) => {
            unreachable!("it is no limit on what is done over time, and promised by the tests of holds")
        }
    }
}

/// What a call that asks for `ask` is told where `free` units are there.
fn is_told(outcome: &Outcome, ask: Ask, free: u64) -> Result<(), TestCaseError> {
    prop_assert_eq!(outcome.allowed, free >= ask.least);
    prop_assert_eq!(outcome.granted, if outcome.allowed { ask.cost.min(free) } else { 0 });
    prop_assert_eq!(outcome.remaining, free - outcome.granted);
    prop_assert_eq!(outcome.retry_after == Micros::ZERO, outcome.allowed);
    Ok(())
}

pub(super) fn keeps_its_promise(
    policy: &Policy,
    calls: &[(Micros, Op)],
    outcomes: impl IntoIterator<Item = Outcome>,
) -> Result<(), TestCaseError> {
    let mut model = model(policy);
    let mut watched = 0;
    for ((now, op), outcome) in calls.iter().zip(outcomes) {
        model.watch(*now, *op, &outcome)?;
        watched += 1;
    }
    prop_assert_eq!(watched, calls.len());
    Ok(())
}

fn keeps_its_promise_in_rust(policy: &Policy, calls: &[schedule::Call]) -> Result<(), TestCaseError> {
    let calls = schedule::timed(calls);
    let mut state = policy.fresh();
    keeps_its_promise(policy, &calls, calls.iter().map(|(now, op)| op.apply(policy, &mut state, *now)))
}

/// The same in Lua on a real Redis.
#[test]
fn every_algorithm_keeps_its_promise_on_redis() {
    let twins = RefCell::new(LuaTwins::start());
    TestRunner::new(super::cases(2_000))
        .run(&schedule::schedule(false, 120), |(policy, calls)| {
            let calls = schedule::timed(&calls);
            let said = twins.borrow_mut().replay(&policy, &calls);
            keeps_its_promise(&policy, &calls, said.into_iter().map(|said| said.outcome))
        })
        .unwrap();
}

proptest! {
    #![proptest_config(super::cases(20_000))]

    #[test]
    fn every_algorithm_keeps_its_promise((policy, calls) in schedule::schedule(false, 120)) {
        keeps_its_promise_in_rust(&policy, &calls)?;
    }

    /// Also after a jump back; Redis does the same, as `twins` shows.
    #[test]
    fn a_bucket_keeps_its_promise_whatever_the_clock_does((policy, calls) in schedule::schedule_of(buckets(), true, 120)) {
        keeps_its_promise_in_rust(&policy, &calls)?;
    }

    /// Of a call that was refused, and of the next call after a change.
    #[test]
    fn waiting_for_retry_after_is_enough_and_less_is_not((policy, calls) in schedule::schedule(true, 40)) {
        let mut state = policy.fresh();
        for (now, op) in schedule::timed(&calls) {
            let outcome = op.apply(&policy, &mut state, now);
            if !outcome.allowed {
                // From the state as it is at this moment, which a jump of the clock may have moved.
                let mut present = state.clone();
                policy.step(&mut present, now, op.ask());
                let at = |when| policy.step(&mut present.clone(), when, op.ask()).allowed;
                prop_assert!(at(now + outcome.retry_after), "still refused after {:?}", outcome.retry_after);
                prop_assert!(!at(now + outcome.retry_after - Micros(1)), "allowed before {:?}", outcome.retry_after);
            }
        }
    }

    #[test]
    fn a_refusal_takes_nothing_and_a_look_changes_nothing((policy, calls) in schedule::schedule(true, 40)) {
        let mut state = policy.fresh();
        for (now, op) in schedule::timed(&calls) {
            let look = Ask::look(1);
            let before = policy.step(&mut state.clone(), now, look);
            let outcome = op.apply(&policy, &mut state, now);
            let left = policy.step(&mut state.clone(), now, look);
            if let Op::Ask(_) = op {
                prop_assert_eq!(left.remaining, before.remaining - outcome.granted);
            }
        }
    }

    #[test]
    fn a_refund_makes_no_more_room_than_a_new_key_has((policy, calls) in schedule::schedule(true, 40)) {
        let mut state = policy.fresh();
        for (now, op) in schedule::timed(&calls) {
            let before = policy.step(&mut state.clone(), now, Ask::look(1));
            let outcome = op.apply(&policy, &mut state, now);
            if let Op::Change(Change::Refund(units)) = op {
                prop_assert!(outcome.remaining >= before.remaining, "{} after {}", outcome.remaining, before.remaining);
                prop_assert!(outcome.remaining <= policy.capacity().min(before.remaining + units));
            }
        }
        let now = after(START, calls.iter().map(|call| call.gap).sum());
        let all = (policy.capacity() + policy.numbers()[0]) * 1_000;
        let new = policy.change(&mut state, now, Change::Refund(all));
        prop_assert_eq!(state.encode(Micros::ZERO), policy.fresh().encode(Micros::ZERO), "all given back is new");
        prop_assert_eq!((new.remaining, new.reset_at), (policy.capacity(), now));
    }

    #[test]
    fn a_penalty_leaves_a_key_in_debt_by_one_capacity_at_most((policy, calls) in schedule::schedule(true, 40)) {
        let mut state = policy.fresh();
        let longest = model(&policy).longest();
        for (now, op) in schedule::timed(&without_bookings(calls)) {
            op.apply(&policy, &mut state, now);
            for units in [1, policy.capacity(), crate::policy::MAX_UNITS] {
                let outcome = policy.change(&mut state.clone(), now, Change::Penalize(units));
                prop_assert!(outcome.reset_at - now <= longest, "{:?} of {:?}", outcome.reset_at - now, longest);
            }
        }
    }

    #[test]
    fn a_clock_that_jumps_back_blocks_no_key_for_longer_than_it_takes_to_fill(
        (policy, calls) in schedule::schedule(true, 40)
    ) {
        let longest = model(&policy).longest();
        let mut state = policy.fresh();
        for (now, op) in schedule::timed(&without_bookings(calls)) {
            let outcome = op.apply(&policy, &mut state, now);
            prop_assert!(outcome.reset_at - now <= longest, "{:?} of {:?}", outcome.reset_at - now, longest);
        }
    }
}

fn buckets() -> impl Strategy<Value = Policy> {
    prop_oneof![
        schedule::token_bucket().prop_map(Policy::TokenBucket),
        schedule::leaky_bucket().prop_map(Policy::LeakyBucket),
    ]
}

pub(super) fn without_bookings(mut calls: Vec<schedule::Call>) -> Vec<schedule::Call> {
    calls.retain(|call| !matches!(call.op, Op::Change(Change::Reserve(_) | Change::Lease { .. })));
    calls
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
