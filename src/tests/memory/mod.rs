//! The store in memory: its bound is hard, and at the bound nobody passes the limit.

mod bytes;
mod flood;
mod overflow;
mod strictness;

use std::collections::HashMap;
use std::sync::{Arc, Barrier};

use proptest::prelude::*;

use super::schedule::START;
use crate::algorithm::{Ask, Outcome, Policy, SlidingWindow, TokenBucket};
use crate::clock::{ManualClock, Micros};
use crate::key::Key;
use crate::limits::{Limit, Limits};
use crate::store::{Memory, Request, Verb, When};

const WINDOW: Micros = Micros::from_millis(1_000);

fn sliding(limit: u64) -> Policy {
    Policy::SlidingWindow(SlidingWindow::new(limit, WINDOW, 32))
}

fn bucket(limit: u64) -> Policy {
    Policy::TokenBucket(TokenBucket::new(limit, WINDOW, limit))
}

/// A store on a clock that stands still, with room for so many keys and for many more without a state.
fn store(max_keys: usize) -> (Memory, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(START));
    (Memory::tiny(max_keys, max_keys.max(4), 12, clock.clone()).predictable(), clock)
}

fn take(store: &Memory, policy: &Policy, key: &str, cost: u64) -> Outcome {
    store.decide(policy, key.as_bytes(), Ask::all(cost))
}

fn left(store: &Memory, policy: &Policy, key: &str) -> u64 {
    store.decide(policy, key.as_bytes(), Ask::look(1)).remaining
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

#[test]
fn there_are_never_more_keys_than_the_bound() {
    // One shard, and several.
    for max_keys in [100, 5_000] {
        let (store, clock) = store(max_keys);
        for i in 0..max_keys * 10 {
            take(&store, &sliding(5), &i.to_string(), 1);
            assert!(store.len() <= max_keys, "{} keys at a bound of {max_keys}", store.len());
            // A tenth of the keys expires while the next tenth comes: clearing and sharing both happen.
            if i > max_keys * 5 {
                clock.advance(Micros(WINDOW.0 / max_keys as u64));
            }
        }
        assert!(store.len() > max_keys / 2, "only {} keys of {max_keys}", store.len());
    }
}

/// Were the newest or the oldest evicted, a flood of other keys would set a limited one free.
#[test]
fn a_limited_key_stays_limited_while_others_come() {
    for policy in [sliding(5), bucket(5)] {
        let (store, clock) = store(100);
        assert!(take(&store, &policy, "limited", 5).allowed);
        for i in 0..1_000 {
            take(&store, &policy, &i.to_string(), 1);
            clock.advance(Micros(100));
            assert!(!take(&store, &policy, "limited", 1).allowed, "after {i} others");
        }
    }
}

#[test]
fn expired_keys_make_room_for_new_ones() {
    // More keys than one newcomer looks at, and several shards.
    for max_keys in [10, 300, 5_000] {
        let (store, clock) = store(max_keys);
        let mut fresh = 0;
        for generation in 0..3 {
            for i in 0..max_keys {
                let key = format!("{generation}/{i}");
                fresh += usize::from(left(&store, &sliding(5), &key) == 5);
                take(&store, &sliding(5), &key, 5);
                assert!(store.len() <= max_keys);
            }
            clock.advance(WINDOW);
        }
        // A newcomer clears more than it needs, so hardly one finds no room and shares.
        assert!(fresh >= max_keys * 3 * 99 / 100, "{fresh} of {} started anew", max_keys * 3);
    }
}

/// Forgotten too early, a key would be admitted twice; so nothing that still counts makes room.
#[test]
fn a_key_that_has_not_quite_expired_keeps_what_it_has_used() {
    let (store, clock) = store(1);
    take(&store, &sliding(5), "first", 5);
    clock.advance(WINDOW - Micros(1));
    take(&store, &sliding(5), "other", 1);
    take(&store, &sliding(5), "other", 1);
    assert_eq!(left(&store, &sliding(5), "first"), 0);
    // It may be that a tick is waited for.
    clock.advance(Micros(WINDOW.0 / 500));
    take(&store, &sliding(5), "another", 1);
    assert_eq!((store.len(), left(&store, &sliding(5), "another"), left(&store, &sliding(5), "first")), (1, 4, 5));
}

#[test]
fn a_reset_forgets_one_key_and_no_other() {
    let (store, _) = store(10);
    for key in ["one", "other"] {
        take(&store, &sliding(3), key, 3);
    }
    store.reset(b"one");
    store.reset(b"unknown");
    assert_eq!(store.len(), 1);
    assert_eq!((left(&store, &sliding(3), "one"), left(&store, &sliding(3), "other")), (3, 0));
}

#[test]
fn a_look_changes_nothing() {
    for policy in [sliding(3), bucket(3)] {
        let (store, clock) = store(10);
        for _ in 0..10 {
            assert_eq!(left(&store, &policy, "key"), 3);
        }
        assert!(store.is_empty(), "a look at an unknown key made it known");
        take(&store, &policy, "key", 2);
        for _ in 0..10 {
            assert_eq!(left(&store, &policy, "key"), 1);
        }
        // A look in the future must not forget what counts in the present.
        clock.advance(WINDOW);
        assert_eq!(left(&store, &policy, "key"), 3);
        clock.set(START);
        assert_eq!(left(&store, &policy, "key"), 1);
    }
}

/// A refusal is no reason to remember: else keys that are never admitted would fill the store.
#[test]
fn a_refused_newcomer_takes_no_room() {
    let (store, _) = store(10);
    assert!(!take(&store, &bucket(3), "key", 4).allowed);
    assert!(store.is_empty());
}

/// Threads that run `work`, all at once.
fn at_once(threads: usize, work: impl Fn(usize) -> u64 + Sync) -> u64 {
    let start = Barrier::new(threads);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                let (start, work) = (&start, &work);
                scope.spawn(move || {
                    start.wait();
                    work(thread)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

#[test]
fn eight_threads_on_one_key_are_admitted_the_limit_exactly() {
    for policy in [sliding(1_000), bucket(1_000)] {
        for max_keys in [1, 100_000] {
            let (store, _) = store(max_keys);
            let admitted =
                at_once(8, |_| (0..500).map(|_| u64::from(take(&store, &policy, "key", 1).allowed)).sum::<u64>());
            assert_eq!(admitted, 1_000);
        }
    }
}

#[test]
fn eight_threads_with_new_keys_keep_the_bound_and_the_count_of_keys() {
    let (bytes, threads, each) = (4 << 20, 8, 2_000);
    let clock = Arc::new(ManualClock::at(START));
    let store = Memory::new(bytes, clock.clone());
    let key = |thread: usize, i: usize| format!("{thread}/{i}");
    for _ in 0..3 {
        at_once(threads, |thread| {
            for i in 0..each {
                take(&store, &sliding(5), &key(thread, i), 1);
            }
            0
        });
        let (reckoned, counted) = store.held();
        assert_eq!(reckoned, counted);
        assert!(counted <= bytes && store.len() < threads * each, "{} keys in {counted} bytes", store.len());
        clock.advance(WINDOW);
    }
    at_once(threads, |thread| {
        for i in 0..each {
            store.reset(key(thread, i).as_bytes());
        }
        0
    });
    assert_eq!(store.len(), 0, "every key that was counted is counted off");
}

/// Units admitted to one key, and when.
type Admissions = Vec<(Micros, u64)>;

/// The most units that `policy` admits to a key in `[from, to]`, as its documentation says it.
fn most_within(policy: &Policy, from: Micros, to: Micros) -> Option<u64> {
    let [limit, window, burst] = policy.numbers()[..] else { panic!("three numbers") };
    match policy {
        // An interval shorter than a window; of longer ones nothing is said but by those within.
        Policy::SlidingWindow(_) => ((to - from).0 < window).then_some(limit),
        // What it holds, and what comes back meanwhile.
        Policy::TokenBucket(_) => Some(burst + (to - from).0 * limit / window),
        other => panic!("{other:?} is not tried here"),
    }
}

proptest! {
    #![proptest_config(super::cases(2_000))]

    /// Few places and many keys: they share, find room, expire and come back in every order.
    #[test]
    fn no_key_passes_its_limit_however_small_the_store(
        max_keys in 1..4usize,
        limit in 1..5u64,
        sliding_window in any::<bool>(),
        calls in prop::collection::vec((0..8u8, 1..5u64, prop_oneof![3 => Just(0), 3 => 0..WINDOW.0 / 8, 1 => 0..WINDOW.0 * 2]), 1..120)
    ) {
        let policy = if sliding_window { sliding(limit) } else { bucket(limit) };
        let (store, clock) = store(max_keys);
        let mut now = START;
        let mut admitted: HashMap<u8, Admissions> = HashMap::new();
        for (key, cost, gap) in calls {
            now = now + Micros(gap);
            clock.set(now);
            let outcome = store.decide(&policy, &[key], Ask::all(cost.min(limit)));
            prop_assert!(store.len() <= max_keys);
            if !outcome.allowed {
                continue;
            }
            let admissions = admitted.entry(key).or_default();
            admissions.push((now, outcome.granted));
            for (from, _) in admissions.iter() {
                let Some(most) = most_within(&policy, *from, now) else { continue };
                let units: u64 = admissions.iter().filter(|(at, _)| at >= from).map(|(_, units)| units).sum();
                prop_assert!(units <= most, "key {key} took {units} in {:?}, where {most} are allowed", now - *from);
            }
        }
    }
}
