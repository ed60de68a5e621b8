//! Keys that find no room: never laxer than their limit's own algorithm, whatever is done to them and wherever they stand.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Admissions, WINDOW, bucket, left, sliding, take};
use crate::algorithm::{
    Ask, Change, FixedWindow, LeakyBucket, Outcome, Policy, SlidingCounter, SlidingWindow, State, WithBurst,
};
use crate::clock::{ManualClock, Micros};
use crate::key::Key;
use crate::limits::{Limit, Limits};
use crate::store::{Memory, Request, Verb, When};
use crate::tests::schedule::{self, START, after};

/// What a time may be rounded up by: two ticks.
const TICKS: Micros = Micros(WINDOW.0 / 400);

/// A store whose only place is held by a block, on a clock that stands still: nobody is promoted.
fn full() -> (Memory, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(START));
    let store = Memory::tiny(1, 64, 12, clock.clone());
    act(&store, &sliding(1), "filler", Verb::Block(crate::policy::MAX_WINDOW));
    (store, clock)
}

fn act(store: &Memory, policy: &Policy, key: &str, verb: Verb) -> Outcome {
    together(store, &[(policy, key)], verb)[0]
}

fn together(store: &Memory, parts: &[(&Policy, &str)], verb: Verb) -> Vec<Outcome> {
    let request = Request {
        limits: Arc::new(Limits::new(parts.iter().map(|(policy, _)| Limit::in_namespace("test", **policy)))),
        keys: parts.iter().map(|(_, key)| Key::from_normal(key.as_bytes())).collect(),
        verb,
        when: When::Now,
    };
    store.answer(&request, |limit| &limit.policy).into_vec()
}

fn every_algorithm(limit: u64) -> [Policy; 8] {
    let log = SlidingWindow::new(limit, WINDOW, 32);
    let fixed = FixedWindow::new(limit, WINDOW, false);
    let counter = SlidingCounter::new(limit, WINDOW);
    [
        sliding(limit),
        bucket(limit),
        Policy::FixedWindow(fixed),
        Policy::SlidingCounter(counter),
        Policy::LeakyBucket(LeakyBucket::new(limit, WINDOW, limit - 1)),
        Policy::SlidingWindowBurst(WithBurst::new(log, 3, WINDOW)),
        Policy::FixedWindowBurst(WithBurst::new(fixed, 3, WINDOW)),
        Policy::SlidingCounterBurst(WithBurst::new(counter, 3, WINDOW)),
    ]
}

#[test]
fn a_limit_is_what_it_is_without_a_state_too() {
    for policy in every_algorithm(5) {
        let (store, clock) = full();
        for round in 0..3 {
            let admitted = (0..20).filter(|_| take(&store, &policy, "key", 1).allowed).count();
            assert_eq!(admitted, 5, "{policy:?} in round {round}");
            let refused = take(&store, &policy, "key", 1);
            assert!(refused.retry_after > Micros::ZERO && refused.remaining == 0, "{refused:?} of {policy:?}");
            clock.advance(Micros(WINDOW.0 * 2) + TICKS);
        }
        assert_eq!(store.len(), 1, "it has no state of its own");
    }
}

/// Four bits of units: beyond 15 it waits for room, and is told that there is none.
#[test]
fn no_more_than_15_units_are_noted() {
    for policy in every_algorithm(100) {
        let (store, clock) = full();
        assert!(!take(&store, &policy, "key", 16).allowed);
        assert!(take(&store, &policy, "key", 16).retry_after > Micros::ZERO);
        let some = store.decide(&policy, b"key", Ask { cost: 40, least: 1 });
        assert_eq!((some.granted, some.remaining, left(&store, &policy, "key")), (15, 0, 0), "{policy:?}");
        assert!(!take(&store, &policy, "key", 1).allowed);
        clock.advance(Micros(WINDOW.0 * 2) + TICKS);
        assert_eq!(left(&store, &policy, "key"), 15);
        // Where there is room, it is as ever.
        act(&store, &policy, "filler", Verb::Reset);
        assert!(take(&store, &policy, "key", 100).allowed);
    }
}

#[test]
fn a_bucket_refills_as_ever() {
    let (store, clock) = full();
    for (policy, key) in [(bucket(5), "bucket"), (Policy::LeakyBucket(LeakyBucket::new(5, WINDOW, 4)), "queue")] {
        assert!(take(&store, &policy, key, 5).allowed);
        for _ in 0..20 {
            clock.advance(Micros(WINDOW.0 / 5) + TICKS);
            assert!(take(&store, &policy, key, 1).allowed, "{policy:?}");
            assert!(!take(&store, &policy, key, 1).allowed, "{policy:?}");
        }
    }
}

/// One unit each leaves nothing to lose, so those make room.
#[test]
fn who_comes_again_is_decided_exactly() {
    for limit in [2, 5] {
        let (store, clock) = super::store(4);
        for i in 0..50 {
            assert!(take(&store, &sliding(limit), &format!("once-{i}"), 1).allowed);
        }
        let first = limit / 2;
        take(&store, &sliding(limit), "key", first);
        clock.advance(Micros(WINDOW.0 / 2));
        take(&store, &sliding(limit), "key", limit - first);
        assert_eq!(store.len(), 4);
        // The first leave the window by themselves: were the key not promoted, they would stay for as long as the others.
        clock.advance(Micros(WINDOW.0 / 2) + TICKS);
        assert_eq!(left(&store, &sliding(limit), "key"), first);
    }
}

/// A key that loses its place must not lose what it has used.
#[test]
fn who_makes_room_keeps_what_it_has_used() {
    for policy in every_algorithm(5) {
        let (store, clock) = super::store(4);
        for i in 0..20 {
            for _ in 0..3 {
                take(&store, &policy, &format!("key-{i}"), 1);
            }
        }
        assert_eq!(store.len(), 4);
        clock.advance(Micros(1));
        for i in 0..20 {
            let key = format!("key-{i}");
            let admitted: u64 = (0..10).map(|_| take(&store, &policy, &key, 1).granted).sum();
            let burst = policy.capacity() - 5;
            assert!((2..=2 + burst).contains(&admitted), "{admitted} more of {policy:?}");
        }
    }
}

#[test]
fn limited_keys_stay_limited_and_blocked_ones_blocked() {
    for policy in every_algorithm(5) {
        let (store, clock) = super::store(8);
        act(&store, &policy, "blocked", Verb::Block(Micros(WINDOW.0 * 10)));
        for i in 0..200 {
            take(&store, &policy, &format!("{}", i / 2), 1);
        }
        act(&store, &policy, "later", Verb::Block(Micros(WINDOW.0 * 10)));
        while take(&store, &policy, "limited", 1).allowed {}
        for i in 0..500 {
            take(&store, &policy, &format!("other-{}", i / 3), 1);
            clock.advance(Micros(10));
            assert!(!take(&store, &policy, "limited", 1).allowed, "after {i} others");
            assert!(!take(&store, &policy, "blocked", 1).allowed && !take(&store, &policy, "later", 1).allowed);
        }
    }
}

#[test]
fn what_is_done_to_a_key_without_a_state() {
    for policy in every_algorithm(5) {
        let (store, clock) = full();
        assert!(take(&store, &policy, "key", 3).allowed);
        // Without a state to give it to.
        act(&store, &policy, "key", Verb::Refund(2));
        assert_eq!((left(&store, &policy, "key"), store.len()), (2, 1), "{policy:?}");
        act(&store, &policy, "key", Verb::Unblock);
        act(&store, &policy, "key", Verb::Penalize(1));
        assert_eq!((left(&store, &policy, "key"), store.len()), (1, 1));
        act(&store, &policy, "key", Verb::Reset);
        assert_eq!(left(&store, &policy, "key"), 5);
        // More than can be noted.
        act(&store, &policy, "key", Verb::Penalize(policy.capacity() * 2));
        assert_eq!((left(&store, &policy, "key"), store.len()), (0, 2), "{policy:?}");
        // And a block, which ends.
        act(&store, &policy, "other", Verb::Block(WINDOW));
        assert!(!take(&store, &policy, "other", 1).allowed);
        assert_eq!(store.len(), 3);
        clock.advance(WINDOW);
        assert!(take(&store, &policy, "other", 1).allowed);
        // Time is not booked ahead.
        let reserve = Verb::Reserve { cost: 1, patience: Micros(WINDOW.0 * 100) };
        let booked = (0..20).filter(|_| act(&store, &policy, "third", reserve).granted == 1).count();
        assert_eq!(booked, 5, "{policy:?}");
    }
}

/// What is given back goes to a state of the key's own, in the place of one that can do without.
#[test]
fn what_is_given_back_is_given_to_a_state_of_its_own() {
    for policy in every_algorithm(5) {
        let (store, clock) = super::store(4);
        // Tables of buckets are not demoted, so here others hold the places, which expire.
        for i in 0..4 {
            take(&store, &sliding(5), &format!("once-{i}"), 1);
        }
        assert!(take(&store, &policy, "key", 1).allowed);
        act(&store, &policy, "key", Verb::Refund(1));
        // Of a burst nothing was there while it was noted.
        let burst = policy.capacity() - 5;
        assert_eq!(left(&store, &policy, "key"), 5 + burst, "{policy:?}");
        assert_eq!(store.len(), 4);
        // Also while more than that is noted, it has what was given back, for as long as that is.
        clock.advance(Micros(WINDOW.0 / 2));
        for i in 0..8 {
            take(&store, &policy, &format!("later-{i}"), 1);
        }
        assert!(left(&store, &policy, "key") >= 4, "{policy:?}");
    }
}

/// A slot says what keys have used that it takes for one. Were it lowered for one of them, the others would have more.
#[test]
fn what_is_given_back_to_one_key_is_no_others() {
    for policy in every_algorithm(5) {
        let clock = Arc::new(ManualClock::at(START));
        // Nothing tells keys apart, and each of the two finds a place of its own in turn.
        let store = Memory::tiny(1, 1, 0, clock.clone());
        act(&store, &policy, "filler", Verb::Block(crate::policy::MAX_WINDOW));
        while take(&store, &policy, "limited", 1).allowed {}
        assert_eq!(left(&store, &policy, "limited"), 0);
        for _ in 0..10 {
            act(&store, &policy, "another", Verb::Refund(1));
            assert_eq!(left(&store, &policy, "limited"), 0, "{policy:?}");
        }
        // Nor when the other has got a place. (There it has its burst.)
        let burst = policy.capacity() - 5;
        act(&store, &policy, "filler", Verb::Unblock);
        clock.advance(Micros(1));
        let admitted: u64 = (0..10)
            .map(|_| {
                act(&store, &policy, "another", Verb::Refund(5));
                take(&store, &policy, "limited", 1).granted
            })
            .sum();
        assert!(admitted <= burst, "{admitted} of {policy:?}");
    }
}

/// A counter that wanes gives back the oldest first, which count for less. Were what has waned forgotten while it is noted, what
/// is given back of it would be given back of what counts.
#[test]
fn what_has_waned_is_not_given_back_of_what_counts() {
    let policy = Policy::SlidingCounter(SlidingCounter::new(10, WINDOW));
    let (store, clock) = full();
    assert!(take(&store, &policy, "key", 6).allowed);
    clock.advance(Micros(WINDOW.0 * 19 / 10));
    assert!(take(&store, &policy, "key", 4).allowed);
    act(&store, &policy, "filler", Verb::Unblock);
    act(&store, &policy, "filler", Verb::Reset);
    act(&store, &policy, "key", Verb::Refund(6));
    assert_eq!(left(&store, &policy, "key"), 6, "four were used in this window");
}

/// One of two keys has a state of its own.
#[test]
fn limits_are_decided_together_across_the_two() {
    let (store, _) = full();
    let policy = sliding(5);
    act(&store, &policy, "filler", Verb::Reset);
    take(&store, &policy, "exact", 1);
    act(&store, &policy, "filler", Verb::Block(crate::policy::MAX_WINDOW));
    act(&store, &policy, "exact", Verb::Block(WINDOW));
    act(&store, &policy, "exact", Verb::Unblock);
    let take_both = |cost| together(&store, &[(&policy, "exact"), (&policy, "other")], Verb::Decide(Ask::all(cost)));
    assert!(take_both(3).iter().all(|outcome| outcome.allowed && outcome.granted == 3));
    assert_eq!((left(&store, &policy, "exact"), left(&store, &policy, "other")), (1, 2));
    take(&store, &policy, "other", 2);
    assert!(take_both(1).iter().any(|outcome| !outcome.allowed));
    assert_eq!(left(&store, &policy, "exact"), 1, "the other refuses, so this one loses nothing");
}

/// Two keys of one request may want one slot, or one the place of the other.
#[test]
fn keys_of_one_request_do_not_take_each_others_place() {
    for places in 1..4 {
        for round in 0..50 {
            let clock = Arc::new(ManualClock::at(START));
            let store = Memory::tiny(places, 1, 12, clock);
            let policy = sliding(5);
            let keys: Vec<String> = (0..4).map(|i| format!("{round}-{i}")).collect();
            let parts: Vec<_> = keys.iter().map(|key| (&policy, key.as_str())).collect();
            for _ in 0..10 {
                together(&store, &parts, Verb::Decide(Ask::all(1)));
            }
            for key in &keys {
                assert_eq!(left(&store, &policy, key), 0);
            }
        }
    }
}

/// What was noted goes with a key that finds room, and no more.
#[test]
fn a_key_that_finds_room_starts_from_what_was_noted() {
    let (store, _) = full();
    assert!(take(&store, &sliding(3), "second", 2).allowed);
    act(&store, &sliding(3), "filler", Verb::Reset);
    assert!(take(&store, &sliding(3), "second", 1).allowed);
    assert_eq!((store.len(), left(&store, &sliding(3), "second"), left(&store, &sliding(3), "third")), (1, 0, 3));
}

/// Each limit has its own time: one unit of a limit a day must not cost another limit's key a day.
#[test]
fn limits_of_any_length_share_the_table() {
    let (store, clock) = full();
    let lengths = [1_000, 50_000, 1_000_000, 60_000_000, 86_400_000_000, crate::policy::MAX_WINDOW.0];
    let policies = lengths.map(|window| Policy::SlidingWindow(SlidingWindow::new(2, Micros(window), 32)));
    for (policy, window) in policies.iter().zip(lengths) {
        assert!(take(&store, policy, &window.to_string(), 2).allowed);
    }
    for (policy, window) in policies.iter().zip(lengths) {
        clock.set(START + Micros(window - 1));
        assert!(!take(&store, policy, &window.to_string(), 1).allowed, "{window}");
        clock.set(START + Micros(window + window / 400 + 2));
        assert!(take(&store, policy, &window.to_string(), 1).allowed, "{window}");
    }
}

/// More limits than can be named are kept for as long as the longest.
#[test]
fn limits_without_a_name_of_their_own_are_no_laxer() {
    let (store, clock) = full();
    let policies: Vec<Policy> = (1..40).map(|i| sliding(2 + i % 7 * 5 + i)).collect();
    for (i, policy) in policies.iter().enumerate() {
        let admitted = (0..100).filter(|_| take(&store, policy, &i.to_string(), 1).allowed).count();
        assert_eq!(admitted as u64, policy.capacity().min(15));
    }
    clock.advance(WINDOW - Micros(1));
    for (i, policy) in policies.iter().enumerate() {
        assert!(!take(&store, policy, &i.to_string(), 16.min(policy.capacity())).allowed);
    }
    clock.advance(TICKS);
    for (i, policy) in policies.iter().enumerate() {
        assert!(take(&store, policy, &i.to_string(), 1).allowed);
    }
}

/// Jobs that jump: nobody waits for longer than twice what it would have, and nobody is free sooner.
#[test]
fn a_clock_that_jumps_back_keeps_nobody_waiting_for_long() {
    for policy in every_algorithm(5) {
        for back in [1, WINDOW.0 / 2, WINDOW.0 * 3, 86_400_000_000] {
            let (store, clock) = full();
            while take(&store, &policy, "key", 1).allowed {}
            let now = START - Micros(back);
            clock.set(now);
            assert!(!take(&store, &policy, "key", 1).allowed);
            clock.set(now + Micros(WINDOW.0 / 6));
            assert!(!take(&store, &policy, "key", 1).allowed);
            clock.set(now + Micros(WINDOW.0 * 4) + TICKS);
            assert!(take(&store, &policy, "key", 1).allowed, "{policy:?} after {back}");
        }
    }
}

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
