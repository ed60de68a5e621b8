//! A key's limit is changed while it is in use: what it has consumed survives, as `docs/changes.md` says of each algorithm.

mod bucket;
mod windows;

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::schedule::{Op, START};
use super::twins::{LuaTwins, agree_under};
use crate::algorithm::{
    Ask, Change, FixedWindow, LeakyBucket, Outcome, Policy, SlidingCounter, SlidingWindow, TokenBucket, WithBurst,
};
use crate::clock::Micros;

/// A call, and by which of the policies it is decided.
type Call = (usize, Micros, Op);

/// Limits so near each other that what one has admitted matters to the next.
fn limit() -> impl Strategy<Value = u64> {
    1..=20u64
}

fn window() -> impl Strategy<Value = Micros> {
    prop_oneof![Just(1_000_000), Just(500_000), Just(3_000_000), 50_000..2_000_000u64].prop_map(Micros)
}

fn sliding_window() -> impl Strategy<Value = SlidingWindow> {
    (limit(), window(), 1..=64u64).prop_map(|(limit, window, slots)| SlidingWindow::new(limit, window, slots))
}

fn fixed_window() -> impl Strategy<Value = FixedWindow> {
    (limit(), window(), any::<bool>()).prop_map(|(limit, window, align)| FixedWindow::new(limit, window, align))
}

fn sliding_counter() -> impl Strategy<Value = SlidingCounter> {
    (limit(), window()).prop_map(|(limit, window)| SlidingCounter::new(limit, window))
}

fn token_bucket() -> impl Strategy<Value = TokenBucket> {
    (limit(), window(), limit()).prop_map(|(limit, window, burst)| TokenBucket::new(limit, window, burst))
}

fn leaky_bucket() -> impl Strategy<Value = LeakyBucket> {
    (limit(), window(), limit()).prop_map(|(limit, window, burst)| LeakyBucket::new(limit, window, burst))
}

/// Some policies of one algorithm: what a key's limit is in turn.
fn policies() -> impl Strategy<Value = Vec<Policy>> {
    let bursts = (limit(), window());
    prop_oneof![
        some(sliding_window().prop_map(Policy::SlidingWindow)),
        some(fixed_window().prop_map(Policy::FixedWindow)),
        some(sliding_counter().prop_map(Policy::SlidingCounter)),
        some(token_bucket().prop_map(Policy::TokenBucket)),
        some(leaky_bucket().prop_map(Policy::LeakyBucket)),
        some(
            (sliding_window(), bursts)
                .prop_map(|(base, (extra, window))| Policy::SlidingWindowBurst(WithBurst::new(base, extra, window)))
        ),
    ]
}

fn some(policy: impl Strategy<Value = Policy>) -> impl Strategy<Value = Vec<Policy>> {
    prop::collection::vec(policy, 2..=4)
}

/// Calls over time, of which one in a few is the first after a change.
fn calls(policies: Vec<Policy>, changes_units: bool, back: bool) -> impl Strategy<Value = (Vec<Policy>, Vec<Call>)> {
    let gap = prop_oneof![
        3 => Just(0i64),
        4 => 0..=100_000i64,
        3 => 0..=1_500_000i64,
        u32::from(back) => -2_000_000..=0i64,
    ];
    let ask = prop_oneof![4 => Just(1u64), 2 => 1..=20u64];
    let op = (ask, 0..10u8, 0..8u8);
    let change = prop_oneof![4 => Just(None), 1 => (0..policies.len()).prop_map(Some)];
    prop::collection::vec((gap, op, change), 1..60).prop_map(move |calls| {
        let (mut now, mut index) = (START, 0);
        let calls = calls.into_iter().map(|(gap, (units, kind, other), change)| {
            now = Micros(now.0.checked_add_signed(gap).expect("near the start"));
            index = change.unwrap_or(index);
            let cost = units.min(policies[index].capacity());
            let op = match (kind, other) {
                (_, 0) if changes_units => Op::Change(Change::Penalize(units)),
                (_, 1) if changes_units => Op::Change(Change::Refund(units)),
                (0, _) => Op::Ask(Ask::look(cost)),
                (1, _) => Op::Ask(Ask { cost, least: 1 }),
                _ => Op::Ask(Ask::all(cost)),
            };
            (index, now, op)
        });
        let calls = calls.collect();
        (policies.clone(), calls)
    })
}

fn schedule(back: bool) -> impl Strategy<Value = (Vec<Policy>, Vec<Call>)> {
    policies().prop_flat_map(move |policies| calls(policies, true, back))
}

/// Calls that only ask, on a clock that only runs forward.
fn asks(policies: impl Strategy<Value = Policy>) -> impl Strategy<Value = (Vec<Policy>, Vec<Call>)> {
    some(policies).prop_flat_map(|policies| calls(policies, false, false))
}

/// What a reference is shown: under which policy what was asked when, and what came of it.
trait Reference {
    fn watch(&mut self, policy: &Policy, now: Micros, ask: Ask, outcome: &Outcome) -> Result<(), TestCaseError>;
}

/// Follows the calls in Rust, and in Lua on a real Redis where there is one.
fn follow(
    twins: Option<&RefCell<LuaTwins>>,
    (policies, calls): &(Vec<Policy>, Vec<Call>),
    mut reference: impl Reference,
) -> Result<(), TestCaseError> {
    let outcomes: Vec<Outcome> = match twins {
        Some(twins) => twins.borrow_mut().replay_under(policies, calls).into_iter().map(|said| said.outcome).collect(),
        None => {
            let mut state = policies[0].fresh();
            calls.iter().map(|(index, now, op)| op.apply(&policies[*index], &mut state, *now)).collect()
        }
    };
    prop_assert_eq!(outcomes.len(), calls.len());
    for ((index, now, op), outcome) in calls.iter().zip(&outcomes) {
        reference.watch(&policies[*index], *now, op.ask(), outcome)?;
    }
    Ok(())
}

#[test]
fn rust_and_lua_agree_whatever_the_limit_becomes() {
    let twins = RefCell::new(LuaTwins::start());
    TestRunner::new(super::cases(1_500))
        .run(&schedule(true), |(policies, calls)| agree_under(&mut twins.borrow_mut(), &policies, &calls))
        .unwrap();
}

proptest! {
    #![proptest_config(super::cases(5_000))]

    /// Also of a key that is over its new limit, or in debt.
    #[test]
    fn waiting_for_retry_after_is_enough_and_less_is_not((policies, calls) in schedule(true)) {
        let mut state = policies[0].fresh();
        for (index, now, op) in calls {
            let policy = &policies[index];
            let outcome = op.apply(policy, &mut state, now);
            if !outcome.allowed {
                let mut present = state.clone();
                policy.step(&mut present, now, op.ask());
                let at = |when| policy.step(&mut present.clone(), when, op.ask()).allowed;
                prop_assert!(at(now + outcome.retry_after), "still refused after {:?}", outcome.retry_after);
                prop_assert!(!at(now + outcome.retry_after - Micros(1)), "allowed before {:?}", outcome.retry_after);
            }
        }
    }

    /// A key that waits for ever would be worse than one that is let through.
    #[test]
    fn a_key_is_as_good_as_new_when_it_was_told((policies, calls) in schedule(false)) {
        let mut state = policies[0].fresh();
        for (index, now, op) in calls {
            let policy = &policies[index];
            let outcome = op.apply(policy, &mut state, now);
            let later = policy.step(&mut state.clone(), outcome.reset_at, Ask::look(1));
            prop_assert_eq!(later.remaining, policy.capacity());
        }
    }
}
