//! Every behaviour on every store.

mod alike;
mod batched;
mod calendar;
mod functions;
mod held_vectors;
mod holds;
mod merged;
mod new_keys;
mod on_redis;
mod subject;
mod together;
mod trials;
mod verbs;

use super::schedule::START;
use crate::algorithm::{Ask, FixedWindow, LeakyBucket, Policy, SlidingCounter, SlidingWindow, TokenBucket, WithBurst};
use crate::clock::Micros;
use crate::store::Verb;
use subject::{Deed, InMemory, InShared, OnRedis, Subject, ThroughClient, request};

const WINDOW: Micros = Micros::from_millis(1_000);

/// The most units that each of the [`policies`] holds.
const CAPACITY: u64 = 10;

/// Each algorithm in each way that it works.
fn policies() -> [Policy; 12] {
    [
        // To the microsecond, and in four slots.
        Policy::SlidingWindow(SlidingWindow::new(CAPACITY, WINDOW, 32)),
        Policy::SlidingWindow(SlidingWindow::new(CAPACITY, WINDOW, 4)),
        // A burst of the limit's own size, above it and below it; a unit takes 333,333 1/3 µs in the second.
        Policy::TokenBucket(TokenBucket::new(CAPACITY, WINDOW, CAPACITY)),
        Policy::TokenBucket(TokenBucket::new(3, WINDOW, CAPACITY)),
        Policy::TokenBucket(TokenBucket::new(1_000, WINDOW, CAPACITY)),
        // From the first hit, and by the clock.
        Policy::FixedWindow(FixedWindow::new(CAPACITY, WINDOW, false)),
        Policy::FixedWindow(FixedWindow::new(CAPACITY, WINDOW, true)),
        Policy::SlidingCounter(SlidingCounter::new(CAPACITY, WINDOW)),
        // One that leaves at once, and those that wait for their turn.
        Policy::LeakyBucket(LeakyBucket::new(CAPACITY, WINDOW, CAPACITY - 1)),
        // Three of the units are the burst's.
        Policy::SlidingWindowBurst(WithBurst::new(SlidingWindow::new(CAPACITY - 3, WINDOW, 4), 3, WINDOW)),
        Policy::FixedWindowBurst(WithBurst::new(FixedWindow::new(CAPACITY - 3, WINDOW, false), 3, WINDOW)),
        Policy::SlidingCounterBurst(WithBurst::new(SlidingCounter::new(CAPACITY - 3, WINDOW), 3, WINDOW)),
    ]
}

/// A behaviour on each store that can decide several keys together, with each of the [`policies`] and no keys.
fn on_each_store(behaviour: impl Fn(&dyn Subject, &Policy)) {
    let redis = OnRedis::on_manual_time();
    for policy in policies() {
        behaviour(&InMemory::new(), &policy);
        behaviour(&InShared::new(), &policy);
        redis.flush();
        behaviour(&redis, &policy);
    }
}

/// The same on each store, also on one that is spread over a cluster.
fn on_every_store(behaviour: impl Fn(&dyn Subject, &Policy)) {
    on_each_store(&behaviour);
    let client = ThroughClient::on_manual_time();
    for policy in policies() {
        client.redis.flush();
        behaviour(&client, &policy);
    }
}

/// Makes a test of each behaviour on each store, with each of the [`policies`] and no keys. A behaviour that is not in the list
/// is dead code to the compiler.
macro_rules! for_each_store {
    ($($behaviour:ident,)+) => {
        mod in_memory {
            $(#[test]
            fn $behaviour() {
                for policy in super::policies() {
                    super::$behaviour(&super::InMemory::new(), &policy);
                }
            })+
        }

        mod in_shared_memory {
            $(#[test]
            fn $behaviour() {
                for policy in super::policies() {
                    super::$behaviour(&super::InShared::new(), &policy);
                }
            })+
        }

        mod in_redis {
            $(#[test]
            fn $behaviour() {
                let redis = super::OnRedis::on_manual_time();
                for policy in super::policies() {
                    redis.flush();
                    super::$behaviour(&redis, &policy);
                }
            })+
        }

        mod in_redis_without_functions {
            $(#[test]
            fn $behaviour() {
                let redis = super::OnRedis::without_functions();
                for policy in super::policies() {
                    redis.flush();
                    super::$behaviour(&redis, &policy);
                }
            })+
        }

        mod through_a_client {
            $(#[test]
            fn $behaviour() {
                let client = super::ThroughClient::on_manual_time();
                for policy in super::policies() {
                    client.redis.flush();
                    super::$behaviour(&client, &policy);
                }
            })+
        }
    };
}

for_each_store! {
    the_limit_is_admitted_and_no_more,
    a_call_takes_what_it_costs,
    a_part_is_granted_where_a_part_is_enough,
    a_refusal_takes_nothing,
    a_look_changes_nothing,
    a_reset_forgets,
    requests_of_one_batch_on_one_key_are_decided_in_order,
    keys_of_one_batch_do_not_touch_each_other,
    an_empty_batch_has_no_answers,
    what_is_said_of_the_future_is_true,
    a_clock_that_jumped_back_blocks_a_key_only_until_it_would_be_free_anyway,
}

fn the_limit_is_admitted_and_no_more(store: &impl Subject, policy: &Policy) {
    for taken in 1..=CAPACITY {
        let outcome = store.take(policy, "key", 1);
        assert_eq!((outcome.allowed, outcome.granted, outcome.remaining), (true, 1, CAPACITY - taken));
        // Only a queue has its callers wait, each for those before it.
        let is_queue = matches!(policy, Policy::LeakyBucket(_));
        let delay = Micros(if is_queue { WINDOW.0 / CAPACITY * (taken - 1) } else { 0 });
        assert_eq!((outcome.retry_after, outcome.delay), (Micros::ZERO, delay));
    }
    let outcome = store.take(policy, "key", 1);
    assert_eq!((outcome.allowed, outcome.granted, outcome.remaining), (false, 0, 0));
    assert!(outcome.retry_after > Micros::ZERO);
}

fn a_call_takes_what_it_costs(store: &impl Subject, policy: &Policy) {
    assert_eq!(store.take(policy, "key", 4).remaining, 6);
    assert_eq!(store.take(policy, "key", 5).remaining, 1);
    assert_eq!(store.take(policy, "key", 1).remaining, 0);
}

fn a_part_is_granted_where_a_part_is_enough(store: &impl Subject, policy: &Policy) {
    store.take(policy, "key", 7);
    let up_to_5 = |least| store.decide(policy, "key", Ask { cost: 5, least });
    let outcome = up_to_5(4);
    assert_eq!((outcome.allowed, outcome.granted, outcome.remaining), (false, 0, 3));
    let outcome = up_to_5(2);
    assert_eq!((outcome.allowed, outcome.granted, outcome.remaining), (true, 3, 0));
    let outcome = up_to_5(1);
    assert_eq!((outcome.allowed, outcome.granted, outcome.remaining), (false, 0, 0));
    let outcome = up_to_5(0);
    assert_eq!((outcome.allowed, outcome.granted, outcome.remaining), (true, 0, 0));
}

fn a_refusal_takes_nothing(store: &impl Subject, policy: &Policy) {
    store.take(policy, "key", 7);
    for _ in 0..3 {
        let outcome = store.take(policy, "key", 4);
        assert_eq!((outcome.allowed, outcome.granted, outcome.remaining), (false, 0, 3));
    }
    assert!(store.take(policy, "key", 3).allowed);
}

fn a_look_changes_nothing(store: &impl Subject, policy: &Policy) {
    let look = |cost| {
        let outcome = store.decide(policy, "key", Ask::look(cost));
        assert_eq!(outcome.granted, 0);
        (outcome.allowed, outcome.remaining)
    };
    assert_eq!(look(CAPACITY), (true, CAPACITY));
    assert_eq!(look(CAPACITY), (true, CAPACITY));
    store.take(policy, "key", 4);
    assert_eq!((look(6), look(7)), ((true, 6), (false, 6)));
    assert!(store.take(policy, "key", 6).allowed);
    // A look in the future must not forget what counts in the present.
    store.set_clock(START + Micros(WINDOW.0 * 100));
    assert_eq!(look(CAPACITY), (true, CAPACITY));
    store.set_clock(START);
    assert_eq!(look(1), (false, 0));
}

fn a_reset_forgets(store: &impl Subject, policy: &Policy) {
    store.take(policy, "key", CAPACITY);
    store.take(policy, "other", CAPACITY);
    store.reset(policy, "key");
    store.reset(policy, "unknown");
    assert!(store.take(policy, "key", CAPACITY).allowed);
    assert!(!store.take(policy, "other", 1).allowed);
}

fn requests_of_one_batch_on_one_key_are_decided_in_order(store: &impl Subject, policy: &Policy) {
    let take = |cost| request("key", Verb::Decide(Ask::all(cost)));
    let batch = [take(4), take(4), take(4), take(2), request("key", Verb::Reset), take(CAPACITY), take(1)];
    let answers = store.answers(policy, &batch).unwrap();
    let allowed: Vec<bool> = answers.iter().map(|answer| answer.as_ref().unwrap().allowed).collect();
    assert_eq!(allowed, [true, true, false, true, true, true, false]);
}

fn keys_of_one_batch_do_not_touch_each_other(store: &impl Subject, policy: &Policy) {
    // Some that are easily taken for one another, where they are escaped, cut or compared as C strings.
    let mut keys: Vec<String> =
        ["a", "A", "a ", "a\0", "a\0b", "a\nb", "{a}", "{a}b", "%7Ba}", "%257Ba}", "é", "e\u{301}", "😀"]
            .map(String::from)
            .into();
    for end in ["x", "y"] {
        keys.push("k".repeat(1_023) + end);
        keys.push("k".repeat(1_024) + end);
    }
    keys.extend((0..100).map(|i| i.to_string()));
    let cost = |i: usize| i as u64 % CAPACITY + 1;
    let ask = |ask: fn(u64) -> Ask| -> Vec<Deed> {
        keys.iter().enumerate().map(|(i, key)| request(key, Verb::Decide(ask(cost(i))))).collect()
    };
    for batch in [ask(Ask::all), ask(Ask::look)] {
        for (i, answer) in store.answers(policy, &batch).unwrap().into_iter().enumerate() {
            assert_eq!(answer.unwrap().remaining, CAPACITY - cost(i), "{:?}", keys[i]);
        }
    }
}

fn an_empty_batch_has_no_answers(store: &impl Subject, policy: &Policy) {
    assert_eq!(store.answers(policy, &[]), Ok(vec![]));
}

fn what_is_said_of_the_future_is_true(store: &impl Subject, policy: &Policy) {
    store.take(policy, "key", 4);
    store.set_clock(START + Micros(1_300));
    let last = store.take(policy, "key", store.decide(policy, "key", Ask::look(0)).remaining);
    let refused = store.take(policy, "key", 5);
    assert!(!refused.allowed);
    assert_eq!(refused.reset_at, last.reset_at);
    let at = |now, cost| {
        store.set_clock(now);
        store.decide(policy, "key", Ask::look(cost)).allowed
    };
    let free = START + Micros(1_300) + refused.retry_after;
    assert!(!at(free - Micros(1), 5) && at(free, 5), "{:?} was the wait", refused.retry_after);
    let new = refused.reset_at;
    assert!(!at(new - Micros(1), CAPACITY) && at(new, CAPACITY), "{new:?} was the reset");
}

/// Were the state not written back by a call that is refused, each call would find it as far in the future as the one before.
fn a_clock_that_jumped_back_blocks_a_key_only_until_it_would_be_free_anyway(store: &impl Subject, policy: &Policy) {
    let longest = store.take(policy, "key", CAPACITY).reset_at - START;
    let back = START - Micros(longest.0 * 10);
    store.set_clock(back);
    let refused = store.take(policy, "key", 1);
    assert!(!refused.allowed);
    assert!(refused.retry_after <= longest && refused.reset_at <= back + longest);
    store.set_clock(back + refused.retry_after - Micros(1));
    assert!(!store.take(policy, "key", 1).allowed);
    store.set_clock(back + refused.retry_after);
    assert!(store.take(policy, "key", 1).allowed);
}
