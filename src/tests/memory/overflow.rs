//! Keys that find no room: what each of them is told, whatever is done to it and wherever it stands.

use std::sync::Arc;

use super::{WINDOW, act, bucket, left, sliding, take, together};
use crate::algorithm::{Ask, FixedWindow, LeakyBucket, Policy, SlidingCounter, SlidingWindow, WithBurst};
use crate::clock::{ManualClock, Micros};
use crate::store::{Memory, Verb};
use crate::tests::schedule::START;

/// What a time may be rounded up by: two ticks.
const TICKS: Micros = Micros(WINDOW.0 / 400);

/// A store whose only place is held by a block, on a clock that stands still: nobody is promoted.
fn full() -> (Memory, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(START));
    let store = Memory::tiny(1, 64, 12, clock.clone()).predictable();
    act(&store, &sliding(1), "filler", Verb::Block(crate::policy::MAX_WINDOW));
    (store, clock)
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
        let burst = policy.capacity() - 5;
        for i in 0..20 {
            let key = format!("key-{i}");
            let admitted: u64 = (0..10).map(|_| take(&store, &policy, &key, 1).granted).sum();
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
        // Whoever could has made way for it, and is as it was.
        assert!((2..=3).contains(&store.len()), "{policy:?}");
        assert_eq!(left(&store, &policy, "key"), 0, "{policy:?}");
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
        let store = Memory::tiny(1, 1, 0, clock.clone()).predictable();
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
            let store = Memory::tiny(places, 1, 12, clock).predictable();
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

/// What a slot says of time begins anew after four windows.
#[test]
fn what_is_over_does_not_count_again() {
    let policy = sliding(1);
    for gap in [WINDOW.0 / 2, WINDOW.0 * 9 / 2] {
        let (store, clock) = full();
        assert!(take(&store, &policy, "key", 1).allowed);
        let mut passed = 0;
        while passed < WINDOW.0 * 20 {
            clock.advance(Micros(gap));
            passed += gap;
            take(&store, &policy, &format!("another-{passed}"), 1);
            assert_eq!(left(&store, &policy, "key") == 1, passed >= WINDOW.0, "after {passed}");
        }
    }
}

/// The same of whoever found no slot.
#[test]
fn a_spill_that_is_over_does_not_count_again() {
    let clock = Arc::new(ManualClock::at(START));
    let store = Memory::tiny(1, 1, 12, clock.clone()).predictable();
    act(&store, &sliding(1), "filler", Verb::Block(crate::policy::MAX_WINDOW));
    for i in 0..40 {
        take(&store, &sliding(5), &i.to_string(), 1);
    }
    assert!(!take(&store, &sliding(5), "one more", 1).allowed, "all of it is in use");
    for _ in 0..10 {
        clock.advance(Micros(WINDOW.0 * 3 / 2));
        assert_eq!(left(&store, &sliding(5), "another"), 5);
    }
}

/// Keys that have used more than can be noted make no room, and must not hide those that can.
#[test]
fn who_comes_again_finds_the_one_that_can_do_without() {
    let clock = Arc::new(ManualClock::at(START));
    let store = Memory::tiny(7, 64, 12, clock).predictable();
    for i in 0..6 {
        assert!(take(&store, &sliding(100), &format!("busy-{i}"), 20).allowed);
    }
    take(&store, &sliding(100), "idle", 2);
    for call in 0..100 {
        assert!(take(&store, &sliding(100), "key", 1).allowed, "call {call}");
    }
}
