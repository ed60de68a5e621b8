//! Random limits, and random calls on one key over time.

use proptest::prelude::*;

use crate::algorithm::{Ask, Policy, SlidingWindow, TokenBucket};
use crate::clock::Micros;

/// 2026-11-21, since the size of the numbers is part of what is tested.
pub(super) const START: Micros = Micros(1_795_219_200_000_000);

/// A call some time after the one before; `gap` is negative when the clock jumped back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) gap: i64,
    pub(super) ask: Ask,
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

pub(super) fn token_bucket() -> impl Strategy<Value = TokenBucket> {
    let limit = prop_oneof![3 => 1..=20u64, 2 => magnitude(1_000_000), 1 => magnitude(1 << 32)];
    let burst = prop_oneof![2 => Just(None), 1 => magnitude(1 << 32).prop_map(Some)];
    (limit, window(), burst).prop_map(|(limit, window, burst)| {
        // No bucket takes longer than ten years to fill; `policy` refuses those.
        let longest = u128::from(crate::policy::MAX_WINDOW.0) * u128::from(limit) / u128::from(window.0);
        let longest = u64::try_from(longest).unwrap_or(u64::MAX);
        TokenBucket::new(limit, window, burst.unwrap_or(limit).min(longest))
    })
}

pub(super) fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![sliding_window().prop_map(Policy::SlidingWindow), token_bucket().prop_map(Policy::TokenBucket)]
}

/// Calls whose gaps and costs are of the size at which `policy` has something to decide.
pub(super) fn calls(policy: &Policy, back: bool, most: usize) -> impl Strategy<Value = Vec<Call>> + use<> {
    let capacity = policy.capacity();
    let numbers = policy.numbers();
    let (limit, window) = (numbers[0], numbers[1]);
    let window = i64::try_from(window).unwrap();
    let unit = (window / i64::try_from(limit).unwrap()).max(1);
    let gap = prop_oneof![
        3 => Just(0i64),
        4 => 0..=unit * 2,
        3 => 0..=(window / 10).max(1),
        2 => (window - 2)..=(window + 2),
        1 => 0..=window * 3,
        u32::from(back) => -window * 3..=0,
    ];
    let cost = prop_oneof![
        4 => Just(1),
        2 => 1..=capacity.min(5),
        1 => 1..=capacity,
        1 => Just(capacity),
    ];
    let ask = (cost, 0..20u8).prop_map(|(cost, kind)| match kind {
        0 => Ask::look(cost),
        1 => Ask { cost, least: 1 },
        _ => Ask::all(cost),
    });
    prop::collection::vec((gap, ask).prop_map(|(gap, ask)| Call { gap, ask }), 1..most)
}

/// A policy with calls on one key.
pub(super) fn schedule(back: bool, most: usize) -> impl Strategy<Value = (Policy, Vec<Call>)> {
    policy().prop_flat_map(move |policy| (Just(policy), calls(&policy, back, most)))
}

/// Moves a clock by a call's gap.
pub(super) fn after(now: Micros, gap: i64) -> Micros {
    Micros(now.0.checked_add_signed(gap).expect("schedules stay near their start"))
}
