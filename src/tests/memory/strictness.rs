//! Random schedules on a store with hardly any room: no key ever has more than its own algorithm would give it.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Admissions, act, take};
use crate::algorithm::{Ask, Change, Policy, SlidingWindow, State};
use crate::clock::{ManualClock, Micros};
use crate::store::{Memory, Verb};
use crate::tests::schedule::{self, START, after};

#[derive(Clone, Copy, Debug)]
enum Deed {
    Take(u64),
    UpTo(u64),
    Refund(u64),
    Reset,
    /// So many keys that come once.
    Flood(u8),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        8 => (1..8u64).prop_map(Deed::Take),
        4 => (1..100u64).prop_map(Deed::UpTo),
        1 => (1..4u64).prop_map(Deed::Refund),
        1 => Just(Deed::Reset),
        1 => (1..40u8).prop_map(Deed::Flood),
    ]
}

/// A call on a key some thousandths of a window after the one before, or before it.
fn deeds(back: bool) -> impl Strategy<Value = Vec<(u8, Deed, i64)>> {
    let gap = prop_oneof![
        2 => Just(0i64), 3 => 0..250i64, 2 => 0..1_000i64, 1 => 0..4_000i64, u32::from(back) => -3_000..0i64
    ];
    prop::collection::vec((0..6u8, deed(), gap), 1..120)
}

fn name(key: u8) -> String {
    char::from(b'a' + key).to_string()
}

/// Beside each key stands a state of its own algorithm that is told of every unit that was admitted: never does it have less
/// than the store says.
fn no_key_has_more_than_its_own(
    policy: Policy,
    store: &Memory,
    clock: &ManualClock,
    resets: bool,
    deeds: Vec<(u8, Deed, i64)>,
) -> Result<(), TestCaseError> {
    // The promise itself: slots only ever make it stricter, and which calls share one depends on when they are counted.
    let exact = match policy {
        Policy::SlidingWindow(_) => {
            let [limit, window] = [0, 1].map(|index| policy.numbers()[index]);
            Policy::SlidingWindow(SlidingWindow::new(limit, Micros(window), limit))
        }
        _ => policy,
    };
    let mut own: HashMap<u8, State> = HashMap::new();
    let window = i128::from(policy.numbers()[1]);
    let (mut now, mut flood) = (START, 0);
    for (key, deed, gap) in deeds {
        let before = now;
        now = after(now, i64::try_from(window * i128::from(gap) / 1_000).unwrap());
        clock.set(now);
        if now < before {
            // As if each key had been asked at both moments: what was over is over, and what counts counts from now on.
            for state in own.values_mut() {
                if exact.change(state, before, Change::Refund(0)).reset_at <= before {
                    *state = exact.fresh();
                }
                exact.change(state, now, Change::Refund(0));
            }
        }
        let state = own.entry(key).or_insert_with(|| exact.fresh());
        let (name, most) = (name(key), policy.capacity());
        let outcome = match deed {
            Deed::Take(cost) => take(store, &policy, &name, cost.min(most)),
            Deed::UpTo(cost) => store.decide(&policy, name.as_bytes(), Ask { cost: cost.min(most), least: 1 }),
            Deed::Refund(units) => {
                exact.change(state, now, Change::Refund(units));
                act(store, &policy, &name, Verb::Refund(units))
            }
            Deed::Reset if resets => {
                *state = exact.fresh();
                act(store, &policy, &name, Verb::Reset);
                continue;
            }
            Deed::Reset => continue,
            Deed::Flood(keys) => {
                for _ in 0..keys {
                    flood += 1;
                    take(store, &policy, &format!("flood-{flood}"), 1);
                }
                continue;
            }
        };
        if outcome.granted > 0 {
            let expected = exact.step(state, now, Ask::all(outcome.granted));
            prop_assert!(expected.allowed, "{name} took {} where it has {}", outcome.granted, expected.remaining);
            prop_assert!(outcome.delay >= expected.delay);
        }
        let expected = exact.step(&mut state.clone(), now, Ask::look(1));
        prop_assert!(
            outcome.remaining <= expected.remaining,
            "{name} has {} of {}",
            outcome.remaining,
            expected.remaining
        );
    }
    Ok(())
}

/// Of windows that begin with a call, when they begin depends on where a key stands; and what a burst gives depends on what
/// windows have. Each keeps its promise, but not unit by unit beside another.
fn comparable() -> impl Strategy<Value = Policy> {
    schedule::policy().prop_filter("its windows begin when they do", |policy| match policy {
        Policy::FixedWindow(_) => policy.numbers()[2] == 1,
        Policy::SlidingWindowBurst(_) | Policy::FixedWindowBurst(_) | Policy::SlidingCounterBurst(_) => false,
        _ => true,
    })
}

/// The most units that a policy admits in less than a window.
fn most_in_a_window(policy: &Policy) -> u64 {
    let numbers = policy.numbers();
    let regular = match policy {
        Policy::SlidingWindow(_) | Policy::SlidingWindowBurst(_) => numbers[0],
        _ => 2 * numbers[0],
    };
    match (policy, &numbers[..]) {
        (
            Policy::SlidingWindowBurst(_) | Policy::FixedWindowBurst(_) | Policy::SlidingCounterBurst(_),
            [.., extra, pace],
        ) => regular + extra + u64::try_from(u128::from(*extra) * u128::from(numbers[1]) / u128::from(*pace)).unwrap(),
        _ => regular,
    }
}

fn windowed() -> impl Strategy<Value = Policy> {
    prop_oneof![
        schedule::fixed_window().prop_map(Policy::FixedWindow),
        schedule::with_burst(schedule::sliding_window()).prop_map(Policy::SlidingWindowBurst),
        schedule::with_burst(schedule::fixed_window()).prop_map(Policy::FixedWindowBurst),
        schedule::with_burst(schedule::sliding_counter()).prop_map(Policy::SlidingCounterBurst),
    ]
}

proptest! {
    #![proptest_config(crate::tests::cases(2_000))]

    /// Few places, few slots and many keys, some of which are taken for one another: they are noted, spill, are promoted and
    /// demoted, expire and come back in every order.
    #[test]
    fn no_key_has_more_than_its_own_algorithm_would_give_it(
        policy in comparable(), places in 1..6usize, buckets in 1..3usize, bits in 0..4u32, deeds in deeds(false)
    ) {
        let clock = Arc::new(ManualClock::at(START));
        let store = Memory::tiny(places, buckets, bits, clock.clone());
        no_key_has_more_than_its_own(policy, &store, &clock, false, deeds)?;
    }

    /// Also after jumps back. (What has waned of a counter is back when the clock is, and is not where it was noted since.)
    #[test]
    fn nor_does_a_clock_that_jumps_back_give_it_more(
        policy in comparable().prop_filter("wanes", |policy| !matches!(policy, Policy::SlidingCounter(_))),
        places in 1..6usize, buckets in 1..3usize, bits in 0..4u32, deeds in deeds(true)
    ) {
        let clock = Arc::new(ManualClock::at(START));
        let store = Memory::tiny(places, buckets, bits, clock.clone());
        no_key_has_more_than_its_own(policy, &store, &clock, false, deeds)?;
    }

    /// And after resets, which are of the key alone where nobody shares its slot.
    #[test]
    fn nor_does_a_reset_of_others(
        policy in comparable(), places in 1..6usize, buckets in 1..3usize, deeds in deeds(false)
    ) {
        let clock = Arc::new(ManualClock::at(START));
        let store = Memory::tiny(places, buckets, 12, clock.clone());
        let keys: Vec<String> = (0..6).map(name).collect();
        prop_assume!(store.tells_apart(keys.iter().map(|key| key.as_bytes())));
        no_key_has_more_than_its_own(policy, &store, &clock, true, deeds)?;
    }

    #[test]
    fn no_window_has_more_than_it_promises(
        policy in windowed(), places in 1..6usize, buckets in 1..3usize, bits in 0..4u32, deeds in deeds(false)
    ) {
        let clock = Arc::new(ManualClock::at(START));
        let store = Memory::tiny(places, buckets, bits, clock.clone());
        let most = most_in_a_window(&policy);
        let window = policy.numbers()[1];
        let mut now = START;
        let mut admitted: HashMap<u8, Admissions> = HashMap::new();
        for (key, deed, gap) in deeds {
            now = after(now, i64::try_from(i128::from(window) * i128::from(gap) / 1_000).unwrap());
            clock.set(now);
            let cost = match deed {
                Deed::Take(cost) | Deed::UpTo(cost) | Deed::Refund(cost) => cost,
                Deed::Reset | Deed::Flood(_) => 1,
            };
            let outcome = store.decide(&policy, name(key).as_bytes(), Ask { cost: cost.min(policy.capacity()), least: 1 });
            let admissions = admitted.entry(key).or_default();
            admissions.push((now, outcome.granted));
            let units: u64 = admissions.iter().filter(|(at, _)| (now - *at).0 < window).map(|(_, units)| units).sum();
            prop_assert!(units <= most, "{} took {units} in a window, where {most} are allowed", name(key));
        }
    }
}
