//! Random limits, and random calls on one key over time.

use std::fmt::Debug;

use proptest::prelude::*;

use crate::algorithm::{
    Ask, Change, FixedWindow, LeakyBucket, Outcome, Policy, SlidingCounter, SlidingWindow, State, TokenBucket,
    Windowed, WithBurst,
};
use crate::clock::Micros;

/// 2026-11-21, since the size of the numbers is part of what is tested.
pub(super) const START: Micros = Micros(1_795_219_200_000_000);

/// What is done to a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Ask(Ask),
    Change(Change),
}

impl Op {
    /// What is asked by it; of a change, what is asked when it is done.
    pub(super) fn ask(self) -> Ask {
        match self {
            Self::Ask(ask) => ask,
            Self::Change(_) => Ask::look(1),
        }
    }

    /// Does it to `state` as a store would: a look gets a copy.
    pub(super) fn apply(self, policy: &Policy, state: &mut State, now: Micros) -> Outcome {
        match self {
            Self::Ask(ask) if ask.cost == 0 => policy.step(&mut state.clone(), now, ask),
            Self::Ask(ask) => policy.step(state, now, ask),
            Self::Change(change) => policy.change(state, now, change),
        }
    }
}

/// A call some time after the one before; `gap` is negative when the clock jumped back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) gap: i64,
    pub(super) op: Op,
}

/// From 1 to `most`, small numbers as likely as large ones.
fn magnitude(most: u64) -> impl Strategy<Value = u64> {
    let bits = 64 - most.leading_zeros();
    (0..bits).prop_flat_map(move |bit| {
        let low = 1u64 << bit;
        low..=(low * 2 - 1).min(most)
    })
}

/// 50 ms to a day.
fn window() -> impl Strategy<Value = Micros> {
    prop_oneof![magnitude(86_400_000_000).prop_map(|us| Micros(us.max(50_000))), Just(Micros(60_000_000))]
}

pub(super) fn sliding_window() -> impl Strategy<Value = SlidingWindow> {
    let limit = prop_oneof![3 => 1..=20u64, 1 => magnitude(1_000_000)];
    (limit, window(), 1..=1_024u64)
        .prop_map(|(limit, window, resolution)| SlidingWindow::new(limit, window, resolution))
}

/// Limit, window, and of each size from 1 a burst with which it fills in less than the longest window.
fn bucket() -> impl Strategy<Value = (u64, Micros, u64)> {
    let limit = prop_oneof![3 => 1..=20u64, 2 => magnitude(1_000_000), 1 => magnitude(1 << 32)];
    let burst = prop_oneof![2 => Just(None), 1 => magnitude(1 << 32).prop_map(Some)];
    (limit, window(), burst).prop_map(|(limit, window, burst)| {
        // No bucket takes longer than ten years to fill; `policy` refuses those.
        let longest = u128::from(crate::policy::MAX_WINDOW.0) * u128::from(limit) / u128::from(window.0);
        let longest = u64::try_from(longest).unwrap_or(u64::MAX);
        (limit, window, burst.unwrap_or(limit).min(longest))
    })
}

pub(super) fn fixed_window() -> impl Strategy<Value = FixedWindow> {
    let limit = prop_oneof![3 => 1..=20u64, 1 => magnitude(1 << 32)];
    (limit, window(), any::<bool>()).prop_map(|(limit, window, align)| FixedWindow::new(limit, window, align))
}

pub(super) fn sliding_counter() -> impl Strategy<Value = SlidingCounter> {
    let limit = prop_oneof![3 => 1..=20u64, 1 => magnitude(1 << 32)];
    (limit, window()).prop_map(|(limit, window)| SlidingCounter::new(limit, window))
}

/// A few units more, or many, that come back about as soon as the windows do, or at any other pace.
pub(super) fn with_burst<A: Windowed + Copy + Debug>(
    base: impl Strategy<Value = A>,
) -> impl Strategy<Value = WithBurst<A>> {
    let extra = prop_oneof![3 => 1..=20u64, 1 => magnitude(1 << 32)];
    let scale = prop_oneof![2 => (1..=64u64).prop_map(Some), 1 => Just(None)];
    (base, extra, scale, window()).prop_map(|(base, extra, scale, other)| {
        let near = |eighths| Micros(base.numbers()[1] * eighths / 8);
        WithBurst::new(base, extra, scale.map_or(other, near))
    })
}

pub(super) fn token_bucket() -> impl Strategy<Value = TokenBucket> {
    bucket().prop_map(|(limit, window, burst)| TokenBucket::new(limit, window, burst))
}

pub(super) fn leaky_bucket() -> impl Strategy<Value = LeakyBucket> {
    bucket().prop_map(|(limit, window, places)| LeakyBucket::new(limit, window, places - 1))
}

/// Any algorithm with its numbers, the first two of which are limit and window.
pub(super) fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![
        sliding_window().prop_map(Policy::SlidingWindow),
        token_bucket().prop_map(Policy::TokenBucket),
        fixed_window().prop_map(Policy::FixedWindow),
        sliding_counter().prop_map(Policy::SlidingCounter),
        with_burst(sliding_window()).prop_map(Policy::SlidingWindowBurst),
        with_burst(fixed_window()).prop_map(Policy::FixedWindowBurst),
        with_burst(sliding_counter()).prop_map(Policy::SlidingCounterBurst),
        leaky_bucket().prop_map(Policy::LeakyBucket),
    ]
}

/// Whether the policy's time can be booked ahead.
fn books_ahead(policy: &Policy) -> bool {
    let mut state = policy.fresh();
    policy.step(&mut state, START, Ask::all(policy.capacity()));
    policy.reserve(&mut state, START, 1, Micros(u64::MAX)).granted > 0
}

/// Gaps of the size at which `policy` has something to decide.
fn gap(policy: &Policy, back: bool) -> impl Strategy<Value = i64> + use<> {
    let numbers = policy.numbers();
    let [limit, window] = [numbers[0], numbers[1]].map(|number| i64::try_from(number).unwrap());
    let unit = (window / limit).max(1);
    prop_oneof![
        3 => Just(0i64),
        4 => 0..=unit * 2,
        3 => 0..=(window / 10).max(1),
        2 => (window - 2)..=(window + 2),
        1 => 0..=window * 3,
        u32::from(back) => -window * 3..=0,
    ]
}

/// Units of which a call may ask.
fn units(most: u64) -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => Just(1),
        2 => 1..=most.min(5),
        1 => 1..=most,
        1 => Just(most),
    ]
}

fn ask(policy: &Policy) -> impl Strategy<Value = Ask> + use<> {
    (units(policy.capacity()), 0..20u8).prop_map(|(cost, kind)| match kind {
        0 => Ask::look(cost),
        1 => Ask { cost, least: 1 },
        _ => Ask::all(cost),
    })
}

fn change(policy: &Policy) -> impl Strategy<Value = Change> + use<> {
    let capacity = policy.capacity();
    // A window's worth at most, so that what many calls book stays within a few years.
    let bookable = capacity.min(policy.numbers()[0]);
    let term = policy.window().0.min(1 << 39);
    let leases = u32::from(matches!(policy, Policy::SlidingWindow(_) | Policy::TokenBucket(_)));
    prop_oneof![
        2 => units(capacity).prop_map(Change::Refund),
        1 => units(capacity).prop_map(Change::Penalize),
        u32::from(books_ahead(policy)) => units(bookable).prop_map(Change::Reserve),
        leases => (units(bookable), 1..=term).prop_map(|(units, term)| Change::Lease { units, term: Micros(term) }),
        2 * leases => (units(bookable), 0..4u64).prop_map(|(units, last)| Change::GiveBack { units, booked: Micros(last) }),
    ]
}

/// Calls that only ask, each some time after the one before.
pub(super) fn asks(policy: &Policy, back: bool, most: usize) -> impl Strategy<Value = Vec<(i64, Ask)>> + use<> {
    prop::collection::vec((gap(policy, back), ask(policy)), 1..most)
}

/// Calls of every kind.
pub(super) fn calls(policy: &Policy, back: bool, most: usize) -> impl Strategy<Value = Vec<Call>> + use<> {
    let op = prop_oneof![4 => ask(policy).prop_map(Op::Ask), 1 => change(policy).prop_map(Op::Change)];
    prop::collection::vec((gap(policy, back), op).prop_map(|(gap, op)| Call { gap, op }), 1..most)
}

/// A policy with calls on one key.
pub(super) fn schedule(back: bool, most: usize) -> impl Strategy<Value = (Policy, Vec<Call>)> {
    schedule_of(policy(), back, most)
}

/// One of these policies with calls on one key.
pub(super) fn schedule_of(
    policies: impl Strategy<Value = Policy>,
    back: bool,
    most: usize,
) -> impl Strategy<Value = (Policy, Vec<Call>)> {
    policies.prop_flat_map(move |policy| (Just(policy), calls(&policy, back, most)))
}

/// Moves a clock by a call's gap.
pub(super) fn after(now: Micros, gap: i64) -> Micros {
    Micros(now.0.checked_add_signed(gap).expect("schedules stay near their start"))
}

/// A schedule's calls with their times. What is given back was booked by the lease that is so many before the last one.
pub(super) fn timed(calls: &[Call]) -> Vec<(Micros, Op)> {
    let mut now = START;
    let mut leased = vec![];
    let at = |call: &Call| {
        now = after(now, call.gap);
        let op = match call.op {
            Op::Change(Change::GiveBack { units, booked: Micros(before) }) => {
                let booked = leased.iter().rev().nth(usize::try_from(before).unwrap()).copied();
                Op::Change(Change::GiveBack { units, booked: booked.unwrap_or(Micros(1)) })
            }
            op => op,
        };
        if matches!(op, Op::Change(Change::Lease { .. })) {
            leased.push(now);
        }
        (now, op)
    };
    calls.iter().map(at).collect()
}
