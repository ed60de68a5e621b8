//! Several limits decided together: from all of them, or from none.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::on_every_store;
use super::subject::{NAMESPACE, OnRedis, Subject, ThroughClient};
use super::{CAPACITY, WINDOW, policies};
use crate::algorithm::{Ask, Policy, SlidingWindow, TokenBucket};
use crate::clock::Micros;
use crate::tests::cases;
use crate::tests::schedule::START;

#[test]
fn a_refusal_takes_nothing_from_any() {
    on_every_store(|store, policy| {
        let limits = [*policy, *policy, *policy];
        let keys = ["user", "address", "everybody"];
        // Each of them is the one that refuses, in turn.
        for refusing in 0..3 {
            for key in keys {
                store.reset(policy, key);
            }
            store.take(policy, keys[refusing], CAPACITY - 1);
            for _ in 0..3 {
                let outcomes = store.together(&limits, &keys, Ask::all(2));
                for (index, outcome) in outcomes.iter().enumerate() {
                    assert_eq!((outcome.allowed, outcome.granted), (index != refusing, 0));
                    assert_eq!(outcome.remaining, if index == refusing { 1 } else { CAPACITY });
                    assert_eq!(outcome.retry_after > Micros::ZERO, index == refusing);
                }
            }
            let outcomes = store.together(&limits, &keys, Ask::all(1));
            let left: Vec<u64> = outcomes.iter().map(|outcome| outcome.remaining).collect();
            let expected: Vec<u64> = (0..3).map(|index| if index == refusing { 0 } else { CAPACITY - 1 }).collect();
            assert!(outcomes.iter().all(|outcome| outcome.allowed && outcome.granted == 1));
            assert_eq!(left, expected);
        }
    });
}

#[test]
fn as_much_is_granted_as_each_of_them_has() {
    on_every_store(|store, policy| {
        let limits = [*policy, *policy];
        store.take(policy, "b", 7);
        let outcomes = store.together(&limits, &["a", "b"], Ask { cost: 5, least: 1 });
        let granted: Vec<_> = outcomes.iter().map(|outcome| (outcome.granted, outcome.remaining)).collect();
        assert_eq!(granted, [(3, CAPACITY - 3), (3, 0)]);
    });
}

#[test]
fn a_look_at_several_changes_none() {
    on_every_store(|store, policy| {
        for _ in 0..2 {
            let outcomes = store.together(&[*policy, *policy], &["a", "b"], Ask::look(CAPACITY));
            assert!(outcomes.iter().all(|outcome| outcome.allowed && outcome.remaining == CAPACITY));
        }
    });
}

/// The longest of the waits that are told is the one that is enough.
#[test]
fn the_longest_wait_is_enough() {
    on_every_store(|store, policy| {
        let slow = Policy::TokenBucket(TokenBucket::new(1, Micros(WINDOW.0 * 2), CAPACITY));
        let limits = [*policy, slow];
        assert!(store.together(&limits, &["a", "b"], Ask::all(CAPACITY)).iter().all(|outcome| outcome.allowed));
        let outcomes = store.together(&limits, &["a", "b"], Ask::all(1));
        let wait = outcomes.iter().map(|outcome| outcome.retry_after).max().unwrap();
        let allowed_at = |wait: Micros| {
            store.set_clock(START + wait);
            store.together(&limits, &["a", "b"], Ask::look(1)).iter().all(|outcome| outcome.allowed)
        };
        assert!(!allowed_at(wait - Micros(1)) && allowed_at(wait));
        store.set_clock(START);
    });
}

/// As for one key, a refusal mends what a clock that jumped back left behind. Otherwise the key that is full would look as full at
/// each call, and so would the whole until the clock has caught up.
#[test]
fn a_clock_that_jumped_back_blocks_them_only_until_they_would_be_free_anyway() {
    on_every_store(|store, policy| {
        let limits = [*policy, *policy];
        let keys = ["full", "free"];
        let longest = store.take(policy, "full", CAPACITY).reset_at - START;
        let back = START - Micros(longest.0 * 10);
        store.set_clock(back);
        let allowed = |store: &dyn Subject| store.together(&limits, &keys, Ask::all(1)).iter().all(|one| one.allowed);
        let wait = store.together(&limits, &keys, Ask::all(1))[0].retry_after;
        assert!(wait <= longest);
        store.set_clock(back + wait - Micros(1));
        assert!(!allowed(store));
        store.set_clock(back + wait);
        assert!(allowed(store), "{wait:?} was the wait");
    });
}

/// However the states grow and shrink, in Redis stands what calls on each key alone would have written.
#[test]
fn what_is_written_is_what_each_alone_would_write() {
    let redis = OnRedis::on_manual_time();
    let limits = [
        Policy::SlidingWindow(SlidingWindow::new(1_000, WINDOW, 8)),
        Policy::TokenBucket(TokenBucket::new(1_000, WINDOW, 1_000)),
    ];
    let (together, alone) = (["a", "b"], ["c", "d"]);
    let mut runner = TestRunner::new(cases(200));
    let gaps = proptest::collection::vec((0..=WINDOW.0, 1..5u64), 1..20);
    runner
        .run(&gaps, |gaps| {
            redis.flush();
            let mut now = START;
            for (gap, cost) in gaps {
                // Mostly short ones, so that a window holds several.
                now = now + Micros(gap * gap / WINDOW.0 / 2);
                redis.set_clock(now);
                let told = redis.together(&limits, &together, Ask::all(cost));
                for (index, policy) in limits.iter().enumerate() {
                    prop_assert_eq!(told[index], redis.decide(policy, alone[index], Ask::all(cost)));
                    let of = |key: &str| redis.say::<Vec<u8>>(&[b"GET", format!("{NAMESPACE}{key}").as_bytes()]);
                    prop_assert_eq!(of(together[index]), of(alone[index]));
                }
            }
            Ok(())
        })
        .unwrap();
}

/// A value that cannot be read fails the call, and nobody is charged for it.
#[test]
fn a_failure_takes_nothing_from_the_others() {
    let (redis, client) = (OnRedis::on_manual_time(), ThroughClient::on_manual_time());
    for policy in policies() {
        fails_together(&redis, &redis, &policy);
        fails_together(&client, &client.redis, &policy);
    }
}

fn fails_together(store: &dyn Subject, redis: &OnRedis, policy: &Policy) {
    redis.flush();
    redis.say::<()>(&[b"SET", format!("{}bad", super::subject::NAMESPACE).as_bytes(), b"42"]);
    let limits = [*policy; 4];
    let answers = store.try_together(&limits, &["a", "bad", "b", "c"], Ask::all(1)).unwrap();
    assert!(answers.iter().all(Result::is_err));
    for key in ["a", "b", "c"] {
        assert_eq!(store.decide(policy, key, Ask::look(1)).remaining, CAPACITY);
    }
}
